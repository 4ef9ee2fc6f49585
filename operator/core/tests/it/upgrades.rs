//! Upgrades and downgrades that the operator's end interrupts: it comes back, remembers nothing, and goes on.

use etcd_operator_core::cluster::plan::Plan;

use super::converge::assert_as_specified;
use super::model::Model;
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
