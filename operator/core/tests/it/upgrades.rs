//! Upgrades and downgrades that the operator's end interrupts: it comes back, remembers nothing, and goes on.

use etcd_operator_core::cluster::plan::Plan;
use etcd_operator_core::names::ANNOTATION_TARGET;

use super::converge::assert_as_specified;
use super::model::{Model, lines};
use super::wrong_upgrades::of_version;

/// Longer than any change of a cluster of three takes.
const LIMIT: usize = 200;

/// Has the operator stop after every single write of a change, each time in a world of its own.
fn stop_after_every_write(from: &str, to: &str) {
    let mut model = of_version(from);
    model.change_spec(|spec| spec.version = to.to_owned());
    let mut stops = 0;
    for _ in 0..LIMIT {
        let writes = model.clone().pass_until(0).actions.len();
        for written in 1..=writes {
            let mut stopped: Model = model.clone();
            stopped.pass_until(written);
            stopped.memory = Default::default();
            stopped.settle(LIMIT);
            assert_as_specified(&stopped);
            stops += 1;
        }
        if model.pass() == Plan::default() && model.plan() == Plan::default() {
            assert!(stops > 6, "each member is written to twice at least, not {stops} times in all");
            return assert_as_specified(&model);
        }
        model.advance(1);
    }
    panic!("no rest after {LIMIT} passes");
}

#[test]
fn the_operator_may_stop_after_every_write_of_an_upgrade() {
    stop_after_every_write("3.5.35", "3.6.16");
    stop_after_every_write("3.6.16", "3.7.3");
}

#[test]
fn the_operator_may_stop_after_every_write_of_a_downgrade() {
    stop_after_every_write("3.7.3", "3.6.16");
    stop_after_every_write("3.6.16", "3.5.35");
}

/// etcd lets nobody join while a cluster is being brought down.
#[test]
fn a_member_that_is_lost_in_the_middle_of_a_downgrade_is_replaced_and_the_downgrade_ends() {
    for (from, to) in [("3.7.3", "3.6.16"), ("3.6.16", "3.5.35")] {
        for victim in ["follower", "leader", "other"] {
            for passes in (0..16).step_by(2) {
                let mut model = of_version(from);
                model.change_spec(|spec| spec.version = to.to_owned());
                (0..passes).for_each(|_| drop(model.pass()));
                let lost = model.resolve(victim);
                model.lose_disk(&lost);
                model.settle(LIMIT);
                assert_as_specified(&model);
            }
        }
    }
}

/// A record that nobody else has written is never put right: least of all is a member that joined with what the others run taken for
/// one whose version somebody changed, because the next one to be changed is on record already and does not run it yet.
#[test]
fn a_member_that_is_lost_at_any_write_of_an_upgrade_joins_with_what_others_run_and_waits_for_its_turn() {
    for victim in ["follower", "leader"] {
        let mut model = of_version("3.6.16");
        model.change_spec(|spec| spec.version = "3.7.3".to_owned());
        for _ in 0..16 {
            let writes = model.clone().pass_until(0).actions.len();
            for written in 1..=writes {
                let mut hit = model.clone();
                hit.pass_until(written);
                let lost = hit.resolve(victim);
                hit.lose_disk(&lost);
                while_settling(&mut hit, |plan| {
                    let repairs = lines(plan).into_iter().find(|line| {
                        line.contains("restore PersistentVolumeClaim") && line.contains(ANNOTATION_TARGET)
                    });
                    assert_eq!(repairs, None, "{victim} was lost after {written} writes");
                });
                assert_as_specified(&hit);
            }
            model.pass();
        }
    }
}

/// Passes until nothing is left to do, and looks at each plan.
fn while_settling(model: &mut Model, look: impl Fn(&Plan)) {
    for _ in 0..LIMIT {
        let plan = model.pass();
        look(&plan);
        if plan == Plan::default() && model.plan() == Plan::default() {
            return;
        }
        model.advance(1);
    }
    panic!("no rest after {LIMIT} passes");
}

#[test]
fn a_cluster_that_is_to_grow_in_the_middle_of_a_downgrade_grows_and_is_brought_down() {
    for passes in 0..16 {
        let mut model = of_version("3.7.3");
        model.change_spec(|spec| spec.version = "3.6.16".to_owned());
        (0..passes).for_each(|_| drop(model.pass()));
        model.change_spec(|spec| spec.size = 5);
        model.settle(LIMIT);
        assert_as_specified(&model);
    }
}
