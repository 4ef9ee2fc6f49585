//! What members said of themselves and of each other was not what members of one healthy cluster say.

use chaos::checker::Rule;
use chaos::history::{AlarmKind, ClusterId, MemberId, MemberStatus, Observation, Outcome, Revision, SentTo};
use chaos::record::RunRecord;

use super::view::{SECOND, injected, later_statuses, lost, on_load, on_probe, statuses};
use super::{Recipe, Right};

pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        story: "A member that no fault was aimed at answered nobody for six seconds, while the others did.",
        right: Right::Fail,
        broken: &[Rule::MembersServe],
        tamper: |record| {
            let from = injected(record, "follower-cut-off");
            let cut = target_of(record, "follower-cut-off");
            let paused = target_of(record, "leader-stands-still");
            assert_ne!(cut, paused, "the record has another member to choose");
            member_silent(record, paused, from, from + 6 * SECOND);
        },
    },
    Recipe {
        story: "The Service led to one member only.",
        right: Right::Fail,
        broken: &[Rule::ServiceReachesAll],
        tamper: |record| {
            let cut = target_of(record, "follower-cut-off");
            for operation in
                record.load.operations.iter_mut().filter(|one| one.sent_to == Some(SentTo::Service))
            {
                if let Outcome::Acknowledged(answer) = &mut operation.outcome {
                    answer.member_id = cut;
                }
            }
        },
    },
    Recipe {
        story: "One member named another cluster ID for one round of the probe.",
        right: Right::Fail,
        broken: &[Rule::OneCluster],
        tamper: |record| later_statuses(record).next().unwrap().cluster_id = ClusterId(0xdead_beef),
    },
    Recipe {
        story: "One member's hash differs.",
        right: Right::Fail,
        broken: &[Rule::MembersAgree],
        tamper: |record| {
            if let Observation::Answered(hash) = &mut record.probes.hashes[0].members[0].hash {
                hash.hash ^= 1;
            }
        },
    },
    Recipe {
        story: "The hashes are of the store at revision 1, before the first write.",
        right: Right::Invalid,
        broken: &[Rule::MembersAgree],
        tamper: |record| hashed(record, |revision| *revision = Revision(1)),
    },
    Recipe {
        story: "The hashes are of the store just before the last write.",
        right: Right::Invalid,
        broken: &[Rule::MembersAgree],
        tamper: |record| hashed(record, |revision| revision.0 -= 1),
    },
    Recipe {
        story: "One member was hashed twice and another one not at all.",
        right: Right::Invalid,
        broken: &[Rule::MembersAgree],
        tamper: |record| {
            for round in &mut record.probes.hashes {
                round.members[1].hash = round.members[0].hash.clone();
            }
        },
    },
    Recipe {
        story: "One member was not hashed.",
        right: Right::Invalid,
        broken: &[Rule::MembersAgree],
        tamper: |record| {
            for round in &mut record.probes.hashes {
                round.members[0].hash = Observation::Failed("no answer within 10000 ms".to_owned());
            }
        },
    },
    Recipe {
        story: "A linearizable read of the probe answered at revision 1 in the middle of the run.",
        right: Right::Fail,
        broken: &[Rule::ProbeReadsFresh],
        tamper: |record| {
            let half = record.probes.rounds.len() / 2;
            let mut members = record.probes.rounds[half..].iter_mut().flat_map(|round| &mut round.members);
            let read = members.find_map(|member| match &mut member.read {
                Observation::Answered(read) => Some(read),
                Observation::Failed(_) | Observation::NotAsked => None,
            });
            read.unwrap().revision = Revision(1);
        },
    },
    Recipe {
        story: "A read of the probe showed a revision that the cluster never reached.",
        right: Right::Fail,
        broken: &[Rule::ProbeReadsFresh],
        tamper: |record| {
            let last = record.probes.rounds.last_mut().unwrap();
            for member in &mut last.members {
                if let Observation::Answered(read) = &mut member.read {
                    read.revision.0 += 1_000;
                }
            }
        },
    },
    Recipe {
        story: "A member under one identity went back to revision 1 and stayed there: an old disk.",
        right: Right::Fail,
        broken: &[Rule::MembersNeverGoBack],
        tamper: |record| {
            for_one_member(record, |status| status.revision = Revision(1));
        },
    },
    Recipe {
        story: "A member's applied raft index went back for the rest of the run.",
        right: Right::Fail,
        broken: &[Rule::MembersNeverGoBack],
        tamper: |record| {
            for_one_member(record, |status| status.applied_index = Some(3));
        },
    },
    Recipe {
        story: "A member's committed raft index went back for the rest of the run.",
        right: Right::Fail,
        broken: &[Rule::MembersNeverGoBack],
        tamper: |record| {
            for_one_member(record, |status| status.committed_index = Some(3));
        },
    },
    Recipe {
        story: "A member went back to the first term.",
        right: Right::Fail,
        broken: &[Rule::MembersNeverGoBack],
        tamper: |record| {
            for_one_member(record, |status| status.term = 1);
        },
    },
    Recipe {
        story: "Two members name themselves the leader of one and the same term.",
        right: Right::Fail,
        broken: &[Rule::OneLeaderPerTerm],
        tamper: two_leaders,
    },
    Recipe {
        story: "All members report the alarm CORRUPT for half of the run.",
        right: Right::Fail,
        broken: &[Rule::NoAlarms],
        tamper: |record| later_statuses(record).for_each(|status| status.alarms.extend([AlarmKind::Corrupt])),
    },
    Recipe {
        story: "One member reported in one round that its quota was used up.",
        right: Right::Fail,
        broken: &[Rule::NoAlarms],
        tamper: |record| later_statuses(record).next().unwrap().alarms.extend([AlarmKind::NoSpace]),
    },
    Recipe {
        story: "The members run another etcd version than the scenario declares.",
        right: Right::NotPass,
        broken: &[Rule::VersionAsDeclared],
        tamper: |record| {
            record
                .probes
                .rounds
                .iter_mut()
                .flat_map(statuses)
                .for_each(|status| status.version = "3.5.0".to_owned());
        },
    },
    Recipe {
        story: "The member whose disk was lost answers again under its identity.",
        right: Right::Fail,
        broken: &[Rule::LostMembersReplaced],
        tamper: |record| {
            let lost = target_of(record, "disk-lost");
            let last = record.probes.rounds.last_mut().unwrap();
            statuses(last).next().unwrap().member_id = lost;
        },
    },
];

/// Nothing that needs a quorum is answered by one member between two moments of the harness's clock.
fn member_silent(record: &mut RunRecord, id: MemberId, from: u64, until: u64) {
    let (start, end) = (on_load(record, from), on_load(record, until));
    for operation in &mut record.load.operations {
        let by_it = matches!(&operation.outcome, Outcome::Acknowledged(answer) if answer.member_id == id);
        if by_it && start <= operation.end.0 && operation.end.0 < end {
            lost(operation);
        }
    }
    let (start, end) = (on_probe(record, from), on_probe(record, until));
    for member in record.probes.rounds.iter_mut().flat_map(|round| &mut round.members) {
        let its = member.status.answer().is_some_and(|status| status.member_id == id);
        if its && member.read.answer().is_some_and(|read| start <= read.at.0 && read.at.0 < end) {
            member.read = Observation::Failed("no answer within 1000 ms".to_owned());
            member.members = Observation::NotAsked;
        }
    }
}

fn hashed(record: &mut RunRecord, change: fn(&mut Revision)) {
    for round in &mut record.probes.hashes {
        change(&mut round.revision);
        for member in &mut round.members {
            if let Observation::Answered(hash) = &mut member.hash {
                change(&mut hash.revision);
            }
        }
    }
}

fn two_leaders(record: &mut RunRecord) {
    let half = record.probes.rounds.len() / 2;
    let round = record.probes.rounds[half..].iter_mut().find_map(|round| {
        let several = statuses(round).count() >= 2;
        several.then_some(round)
    });
    let round = round.unwrap();
    let term = statuses(round).map(|status| status.term).max();
    for status in statuses(round).take(2) {
        (status.leader, status.term) = (Some(status.member_id), term.unwrap());
    }
}

/// One and the same member says something else from the middle of the run on.
fn for_one_member(record: &mut RunRecord, change: impl FnMut(&mut MemberStatus)) {
    let who = later_statuses(record).next().unwrap().member_id;
    later_statuses(record).filter(|status| status.member_id == who).for_each(change);
}

fn target_of(record: &RunRecord, fault: &str) -> MemberId {
    let fault = super::view::name(fault);
    let targets = record.events.iter().find_map(|line| match &line.event {
        chaos::record::Event::FaultInjecting { fault: named, targets } if *named == fault => Some(targets),
        _ => None,
    });
    targets.unwrap()[0].member_id.unwrap()
}
