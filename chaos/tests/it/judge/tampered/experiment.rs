//! The experiment itself was not what it should have been: nobody called, nobody watched, something is missing.

use chaos::checker::Rule;
use chaos::history::{Call, ClientId, Elapsed, SentTo};
use chaos::record::{Event, RunRecord};
use chaos::scenario::Period;

use super::view::{MILLISECOND, healed, injecting, is_acknowledged, middle, name, on_load};
use super::{Recipe, Right};

pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        story: "No client made a call from a fault's injection to its end: the load stood still.",
        right: Right::Invalid,
        broken: &[Rule::LoadDuringFault],
        tamper: load_stands_still,
    },
    Recipe {
        story: "Nobody called the member that was cut off: all calls went through the Service.",
        right: Right::Invalid,
        broken: &[Rule::LoadDuringFault],
        tamper: |record| {
            record.load.operations.iter_mut().for_each(|one| one.sent_to = Some(SentTo::Service))
        },
    },
    Recipe {
        story: "Whoever called the member that lost its disk went elsewhere with its next call: names had lost the address.",
        right: Right::Pass,
        broken: &[],
        tamper: |record| goes_elsewhere(record, 0),
    },
    Recipe {
        story: "Nobody had called the member that lost its disk for a while.",
        right: Right::Invalid,
        broken: &[Rule::LoadDuringFault],
        tamper: |record| goes_elsewhere(record, 1_500 * MILLISECOND),
    },
    Recipe {
        story: "A call of a client is not in the record.",
        right: Right::Invalid,
        broken: &[Rule::RecordWhole],
        tamper: |record| {
            let gone =
                middle(record, |one| matches!(one.call, Call::Get { .. }) && is_acknowledged(one)).clone();
            record.load.operations.retain(|one| *one != gone);
        },
    },
    Recipe {
        story: "A call of a client is in the record twice.",
        right: Right::NotPass,
        broken: &[Rule::RecordWhole],
        tamper: |record| {
            let again =
                middle(record, |one| matches!(one.call, Call::Get { .. }) && is_acknowledged(one)).clone();
            record.load.operations.push(again);
        },
    },
    Recipe {
        story: "One client has no call in the record, and the scenario has one client more than there are.",
        right: Right::NotPass,
        broken: &[Rule::RecordWhole],
        tamper: |record| record.load.operations.retain(|one| one.client != ClientId(5)),
    },
    Recipe {
        story: "A round of the probe is not in the record.",
        right: Right::Invalid,
        broken: &[Rule::ProbeKeptWatch],
        tamper: |record| drop(record.probes.rounds.remove(20)),
    },
    Recipe {
        story: "A round of the probe is in the record twice.",
        right: Right::Invalid,
        broken: &[Rule::ProbeKeptWatch],
        tamper: |record| {
            let again = record.probes.rounds[20].clone();
            record.probes.rounds.insert(20, again);
        },
    },
    Recipe {
        story: "The scenario has a fault that the schedule does not: it was never judged.",
        right: Right::NotPass,
        broken: &[Rule::ScheduleKept],
        tamper: |record| drop(record.schedule.steps.pop()),
    },
    Recipe {
        story: "The schedule has a longer bound than the scenario.",
        right: Right::Invalid,
        broken: &[Rule::ScheduleKept],
        tamper: |record| record.schedule.expect.quorum_back_within = Period::from_seconds(300),
    },
    Recipe {
        story: "The schedule is that of another seed.",
        right: Right::Invalid,
        broken: &[Rule::ScheduleKept],
        tamper: |record| record.run.seed = chaos::scenario::Seed(2),
    },
    Recipe {
        story: "The record speaks of a fault that nobody planned.",
        right: Right::Invalid,
        broken: &[Rule::ScheduleKept],
        tamper: |record| {
            let at = injecting(record, "disk-lost");
            super::view::add(record, at, Event::FaultInjected { fault: name("another-fault") });
        },
    },
    Recipe {
        story: "A fault is in the record twice.",
        right: Right::NotPass,
        broken: &[Rule::ScheduleKept],
        tamper: |record| {
            let fault = name("follower-cut-off");
            let at = healed(record, "follower-cut-off");
            super::view::add(record, at + MILLISECOND, Event::FaultHealed { fault });
        },
    },
    Recipe {
        story: "A fault never began.",
        right: Right::NotPass,
        broken: &[Rule::FaultProved],
        tamper: |record| {
            let fault = name("leader-stands-still");
            record.events.retain(|line| line.event.fault() != Some(&fault));
        },
    },
    Recipe {
        story: "The final read was taken while clients still wrote.",
        right: Right::Invalid,
        broken: &[Rule::RecordWhole],
        tamper: |record| record.final_read.as_mut().unwrap().at.0 /= 2,
    },
    Recipe {
        story: "Nobody saw a pod.",
        right: Right::Invalid,
        broken: &[Rule::RestartsExplained, Rule::MembersLeaveFirst],
        tamper: |record| record.events.retain(|line| !matches!(line.event, Event::Pod(_))),
    },
    Recipe {
        story: "Nobody saw the operator's status.",
        right: Right::Invalid,
        broken: &[Rule::StatusHonest, Rule::StatusReadyAtEnd],
        tamper: |record| record.events.retain(|line| !matches!(line.event, Event::Status(_))),
    },
];

/// Everything before the window's end is pressed into the time before the window; the order stays as it is.
fn load_stands_still(record: &mut RunRecord) {
    let from = on_load(record, injecting(record, "follower-cut-off")) - 100 * MILLISECOND;
    let until = on_load(record, healed(record, "follower-cut-off")) + 50 * MILLISECOND;
    let pressed = |moment: &mut Elapsed| {
        if moment.0 < until {
            moment.0 = u64::try_from(u128::from(moment.0) * u128::from(from) / u128::from(until)).unwrap();
        }
    };
    for operation in &mut record.load.operations {
        pressed(&mut operation.start);
        pressed(&mut operation.end);
    }
    record.load.operations.sort_by_key(|operation| operation.end);
}

/// Nobody calls the member that loses its disk any more, from so many nanoseconds before that on.
fn goes_elsewhere(record: &mut RunRecord, earlier: u64) {
    let uid = record.events.iter().find_map(|line| match &line.event {
        Event::FaultInjecting { fault, targets } if fault.as_str() == "disk-lost" => {
            Some(targets[0].uid.clone())
        }
        _ => None,
    });
    let address = record.events.iter().find_map(|line| match &line.event {
        Event::Pod(sample) if Some(&sample.uid) == uid.as_ref() => sample.address.clone(),
        _ => None,
    });
    let target = SentTo::Member(address.expect("the member had an address"));
    let from = Elapsed(on_load(record, injecting(record, "disk-lost")) - earlier);
    let operations = record.load.operations.iter_mut();
    for operation in operations.filter(|one| one.end >= from && one.sent_to.as_ref() == Some(&target)) {
        operation.sent_to = Some(SentTo::Service);
    }
}
