//! Quorum, recovery, clocks: what took longer than it may, and what only looks so because a clock is wrong.

use chaos::checker::Rule;
use chaos::history::{Elapsed, Observation, UnixNanoseconds, Writer};
use chaos::record::{Event, RunRecord};

use super::view::{
    MILLISECOND, SECOND, healed, injected, injecting, lost, on_load, on_probe, shift, silence,
};
use super::{Recipe, Right};

pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        story: "A cut of one follower took the quorum away for as long as it lasted.",
        right: Right::Fail,
        broken: &[Rule::OutageBounded],
        tamper: |record| {
            let (from, until) = (injected(record, "follower-cut-off"), healed(record, "follower-cut-off"));
            silence(record, from, until);
        },
    },
    Recipe {
        story: "A leader that stood still took the quorum away for as long as it did.",
        right: Right::Fail,
        broken: &[Rule::OutageBounded],
        tamper: |record| {
            let (from, until) =
                (injected(record, "leader-stands-still"), healed(record, "leader-stands-still"));
            silence(record, from, until);
        },
    },
    Recipe {
        story: "A Service that points at nobody took the quorum away: members did not answer either.",
        right: Right::Fail,
        broken: &[Rule::OutageBounded],
        tamper: |record| {
            let from = injected(record, "service-points-at-nobody");
            silence(record, from + SECOND, from + 7 * SECOND);
        },
    },
    Recipe {
        story: "There was no quorum for six seconds while no fault was in force.",
        right: Right::Fail,
        broken: &[Rule::OutageBounded],
        tamper: |record| {
            let from = healed(record, "operator-killed") + SECOND;
            silence(record, from, from + 6 * SECOND);
        },
    },
    Recipe {
        story: "The quorum came and went: every second answer of two seconds was there.",
        right: Right::Pass,
        broken: &[],
        tamper: |record| {
            let from = healed(record, "operator-killed");
            silence(record, from, from + SECOND);
            silence(record, from + 2 * SECOND, from + 3 * SECOND);
        },
    },
    Recipe {
        story: "One round was healthy just after the last fault; then it took longer than the bound.",
        right: Right::Fail,
        broken: &[Rule::Recovered],
        tamper: late_after_one_good_round,
    },
    Recipe {
        story: "Members were healthy in every second round only, to the end.",
        right: Right::NotPass,
        broken: &[Rule::Recovered],
        tamper: |record| {
            let from = on_probe(record, healed(record, "operator-killed"));
            let later = record.probes.rounds.iter_mut().filter(|round| round.start.0 >= from);
            for member in later.step_by(2).filter_map(|round| round.members.first_mut()) {
                member.read = Observation::Failed("no answer within 1000 ms".to_owned());
                member.members = Observation::NotAsked;
            }
        },
    },
    Recipe {
        story: "The probe cannot resolve any name for four seconds, while clients go on writing.",
        right: Right::NotFail,
        broken: &[Rule::ProbeKeptWatch],
        tamper: |record| {
            record.schedule.expect.quorum_back_within = chaos::scenario::Period::from_seconds(2);
            let from = healed(record, "follower-cut-off");
            blind(record, from, from + 4 * SECOND);
        },
    },
    Recipe {
        story: "The probe cannot resolve any name from the last fault on.",
        right: Right::Invalid,
        broken: &[Rule::ProbeKeptWatch, Rule::Recovered],
        tamper: |record| {
            record.schedule.expect.recovery_within = chaos::scenario::Period::from_seconds(2);
            let from = healed(record, "operator-killed");
            blind(record, from, from + 60 * SECOND);
        },
    },
    Recipe {
        story: "The probe's clock is five seconds ahead of what it said when it was asked.",
        right: Right::Invalid,
        broken: &[Rule::ClocksKnown],
        tamper: |record| record.probes.header.as_mut().unwrap().zero.0 += 5 * SECOND,
    },
    Recipe {
        story: "The probe's clock is 0.3 s ahead, as between nodes of a real cluster, but it never said so.",
        right: Right::NotFail,
        broken: &[Rule::ClocksKnown],
        tamper: |record| record.probes.header.as_mut().unwrap().zero.0 += 300 * MILLISECOND,
    },
    Recipe {
        story: "The load's clock is five seconds behind of what it said when it was asked.",
        right: Right::Invalid,
        broken: &[Rule::ClocksKnown],
        tamper: |record| record.load.header.as_mut().unwrap().zero.0 -= 5 * SECOND,
    },
    Recipe {
        story: "The probe's clock is five seconds ahead, and it says so whenever it is asked.",
        right: Right::Pass,
        broken: &[],
        tamper: |record| {
            record.probes.header.as_mut().unwrap().zero.0 += 5 * SECOND;
            readings(record, Writer::Probe, |reading| reading.wall.0 += 5 * SECOND);
        },
    },
    Recipe {
        story: "The load's clock is five seconds behind, and it says so whenever it is asked.",
        right: Right::Pass,
        broken: &[],
        tamper: |record| {
            record.load.header.as_mut().unwrap().zero.0 -= 5 * SECOND;
            readings(record, Writer::Load, |reading| reading.wall.0 -= 5 * SECOND);
        },
    },
    Recipe {
        story: "The probe's clock jumped by three seconds in the middle of the run.",
        right: Right::Invalid,
        broken: &[Rule::ClocksKnown],
        tamper: |record| {
            let middle = injecting(record, "leader-stands-still");
            readings(record, Writer::Probe, |reading| {
                if reading.asked.0 > middle {
                    reading.elapsed.0 += 3 * SECOND;
                }
            });
        },
    },
    Recipe {
        story: "The harness's clock was set forward by three seconds in the middle of the run.",
        right: Right::Invalid,
        broken: &[Rule::ClocksKnown],
        tamper: |record| {
            let middle = injecting(record, "leader-stands-still");
            for line in record.events.iter_mut().filter(|line| line.at.0 > middle) {
                line.at.0 += 3 * SECOND;
                if let Event::Clock(reading) = &mut line.event {
                    reading.asked.0 += 3 * SECOND;
                    reading.answered.0 += 3 * SECOND;
                }
            }
        },
    },
    Recipe {
        story: "The harness's clock went back in the middle of the run.",
        right: Right::Invalid,
        broken: &[Rule::ClocksKnown],
        tamper: |record| {
            let middle = record.events.len() / 2;
            record.events[middle].at = UnixNanoseconds(record.events[middle].at.0 - 10 * SECOND);
        },
    },
    Recipe {
        story: "Nobody read the clocks after the first fault.",
        right: Right::Invalid,
        broken: &[Rule::ClocksKnown],
        tamper: |record| {
            let first = injecting(record, "leader-process-killed");
            record.events.retain(|line| !matches!(line.event, Event::Clock(_)) || line.at.0 < first);
        },
    },
    Recipe {
        story: "Each answer about a clock took two seconds to come.",
        right: Right::Invalid,
        broken: &[Rule::ClocksKnown],
        tamper: |record| {
            for writer in [Writer::Load, Writer::Probe] {
                readings(record, writer, |reading| reading.asked.0 -= 2 * SECOND);
            }
        },
    },
    Recipe {
        story: "No client was answered for a while, but the probe was.",
        right: Right::NotFail,
        broken: &[],
        tamper: |record| {
            let from = on_load(record, injected(record, "follower-cut-off"));
            let until = from + 5 * SECOND;
            let during =
                record.load.operations.iter_mut().filter(|one| from <= one.end.0 && one.end.0 < until);
            // Only those that nobody can have seen the effect of.
            during.filter(|one| matches!(one.call, chaos::history::Call::Get { .. })).for_each(lost);
        },
    },
];

fn readings(record: &mut RunRecord, writer: Writer, change: impl Fn(&mut chaos::record::ClockReading)) {
    for line in &mut record.events {
        if let Event::Clock(reading) = &mut line.event
            && reading.writer == writer
        {
            change(reading);
        }
    }
}

fn blind(record: &mut RunRecord, from: u64, until: u64) {
    let (from, until) = (on_probe(record, from - 100 * MILLISECOND), on_probe(record, until));
    for round in
        record.probes.rounds.iter_mut().filter(|round| from <= round.start.0 && round.start.0 <= until)
    {
        round.members.clear();
        round.resolve_error = Some("resolving etcd-peers: no answer within 1000 ms".to_owned());
    }
}

fn late_after_one_good_round(record: &mut RunRecord) {
    let healed = on_probe(record, healed(record, "operator-killed"));
    let rounds = &mut record.probes.rounds;
    let first = rounds.iter().position(|round| round.start.0 >= healed).unwrap();
    let last = rounds.last().unwrap().clone();
    let mut good = last.clone();
    let by = i64::try_from(healed + MILLISECOND).unwrap() - i64::try_from(good.start.0).unwrap();
    for moment in [&mut good.start, &mut good.end] {
        shift(moment, by);
    }
    for member in &mut good.members {
        if let Observation::Answered(read) = &mut member.read {
            shift(&mut read.at, by);
        }
    }
    let late = Elapsed(healed + (last.start.0 - healed) * 2 / 3);
    for round in rounds[first..].iter_mut().filter(|round| round.start < late) {
        round.members[0].read = Observation::Failed("no answer within 1000 ms".to_owned());
        round.members[0].members = Observation::NotAsked;
    }
    rounds.insert(first, good);
    record.schedule.expect.recovery_within = chaos::scenario::Period::from_seconds(2);
}
