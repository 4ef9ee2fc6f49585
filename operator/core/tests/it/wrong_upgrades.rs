//! Each operator that upgrades in a wrong way breaks a rule of the model; otherwise its silence about the right one would prove little.

use etcd_operator_mutants::Mutant;

use super::converge::assert_as_specified;
use super::model::{Fault, Model};
use super::spec_of;

/// A cluster of some version at rest.
pub(super) fn of_version(version: &str) -> Model {
    let mut spec = spec_of(version);
    spec.rollout.soak_seconds = 10;
    let mut model = Model::new(spec);
    model.settle(100);
    model
}

/// From one version to another, with some trouble after so many passes: whoever is right gets there.
struct Story {
    from: &'static str,
    to: &'static str,
    passes: usize,
    trouble: fn(&mut Model),
}

const NEXT_MINOR: Story = Story { from: "3.6.16", to: "3.7.3", passes: 0, trouble: |_| {} };
const BACK: Story = Story { from: "3.7.3", to: "3.6.16", ..NEXT_MINOR };
const TO_3_6: Story = Story { from: "3.5.35", to: "3.6.16", ..NEXT_MINOR };
const LOST_DISK: Story = Story {
    passes: 5,
    trouble: |model| {
        let victim = model.resolve("follower");
        model.lose_disk(&victim);
    },
    ..NEXT_MINOR
};
const CUT_OFF: Story = Story {
    passes: 8,
    trouble: |model| {
        model.inject(&Fault::Isolate("follower".to_owned()));
    },
    ..NEXT_MINOR
};

fn tell(story: &Story, mutant: Option<Mutant>) -> Model {
    let mut model = of_version(story.from);
    model.mutant = mutant;
    model.change_spec(|spec| spec.version = story.to.to_owned());
    (0..story.passes).for_each(|_| drop(model.pass()));
    (story.trouble)(&mut model);
    (0..100).for_each(|_| drop(model.pass()));
    model
}

#[test]
fn the_right_operator_gets_there_where_each_mutant_fails() {
    for story in [NEXT_MINOR, BACK, TO_3_6, LOST_DISK] {
        assert_as_specified(&tell(&story, None));
    }
    assert_as_specified(&tell_from_3_5(None));
}

#[test]
#[should_panic(expected = "would restart while it leads")]
fn the_model_notices_the_mutant_leader_first() {
    tell(&NEXT_MINOR, Some(Mutant::LeaderFirst));
}

#[test]
#[should_panic(expected = "would change before")]
fn the_model_notices_the_mutant_two_at_once() {
    tell(&NEXT_MINOR, Some(Mutant::TwoAtOnce));
}

#[test]
#[should_panic(expected = "would start 3.7.3 in a cluster of 3.5")]
fn the_model_notices_the_mutant_skips_a_minor() {
    tell(&Story { to: "3.7.3", ..TO_3_6 }, Some(Mutant::SkipsAMinor));
}

#[test]
#[should_panic(expected = "would change when")]
fn the_model_notices_the_mutant_no_soak() {
    tell(&NEXT_MINOR, Some(Mutant::NoSoak));
}

#[test]
#[should_panic(expected = "would join with 3.7 while others run")]
fn the_model_notices_the_mutant_heals_at_new_version() {
    tell(&LOST_DISK, Some(Mutant::HealsAtNewVersion));
}

#[test]
#[should_panic(expected = "is not well")]
fn the_model_notices_the_mutant_ignores_unhealthy() {
    tell(&CUT_OFF, Some(Mutant::IgnoresUnhealthy));
}

#[test]
#[should_panic(expected = "would start 3.7.3 on entries of")]
fn the_model_notices_the_mutant_upgrades_before_snapshots() {
    tell_from_3_5(Some(Mutant::UpgradesBeforeSnapshots));
}

#[test]
#[should_panic(expected = "would start 3.6.16 in a cluster of 3.7")]
fn the_model_notices_the_mutant_forgets_downgrade() {
    tell(&BACK, Some(Mutant::ForgetsDowngrade));
}

/// From 3.5 by way of 3.6 to 3.7.
fn tell_from_3_5(mutant: Option<Mutant>) -> Model {
    let mut model = of_version("3.5.35");
    model.mutant = mutant;
    for version in ["3.6.16", "3.7.3"] {
        model.change_spec(|spec| spec.version = version.to_owned());
        model.settle(300);
    }
    model
}
