//! What the probe of the model sees: who answers, who leads, how far each member has come.

use std::collections::BTreeSet;

use chaos::history::{
    HashOfMember, HashRound, Header, ListedMember, MemberHash, MemberId, MemberStatus, Observation,
    ProbeRound, ProbedMember, QuorumRead, Revision, Writer,
};
use chaos::record::Probes;

use super::{CLUSTER, MEMBERS, Shape, ZERO, at, state};

/// The store's revision at a millisecond.
fn revision_at(history: &[(u64, Revision)], now: u64) -> Revision {
    let until = history.partition_point(|(made, _)| *made <= now);
    history[..until].iter().map(|(_, revision)| *revision).max().unwrap_or_default()
}

/// All rounds and the hashes at the end.
pub(super) fn probes(shape: Shape, history: &[(u64, Revision)]) -> Probes {
    let revision = revision_at(history, u64::MAX);
    let rounds = (0..=31_000 / shape.probe).map(|round| probe_round(round, shape, history)).collect();
    let hash = |(_, id, address): &(&str, u64, &str)| HashOfMember {
        address: (*address).to_owned(),
        hash: Observation::Answered(MemberHash {
            member_id: MemberId(*id),
            hash: 0xfeed_beef,
            revision,
            compact_revision: -1,
        }),
    };
    let hashes = vec![HashRound {
        start: at(31_000),
        end: at(31_010),
        revision,
        members: MEMBERS.iter().map(hash).collect(),
    }];
    Probes { header: Some(Header::new(Writer::Probe, ZERO, "")), rounds, hashes }
}

fn probe_round(round: u64, shape: Shape, history: &[(u64, Revision)]) -> ProbeRound {
    let now = round * shape.probe;
    let (silent, leader) = state(now);
    let listed = |(name, id, _): &(&str, u64, &str)| ListedMember {
        member_id: MemberId(*id),
        name: (*name).to_owned(),
        learner: false,
    };
    let list: Vec<ListedMember> = MEMBERS.iter().map(listed).collect();
    let members = MEMBERS.iter().enumerate().map(|(index, (_, id, address))| {
        let address = (*address).to_owned();
        // The cut member's process runs; the killed one's does not.
        let dead = silent == Some(index) && now < 10_000;
        let no_quorum = silent == Some(index) || leader.is_none();
        // A cut member stays where it was.
        let stuck = if silent == Some(index) && !dead { 11_000.min(now) } else { now };
        let revision = revision_at(history, stuck);
        let failed = "deadline exceeded".to_owned();
        ProbedMember {
            address,
            status: if dead {
                Observation::Failed("connection refused".to_owned())
            } else {
                Observation::Answered(MemberStatus {
                    member_id: MemberId(*id),
                    cluster_id: CLUSTER,
                    leader: leader.filter(|_| !no_quorum).map(|leader| MemberId(MEMBERS[leader].1)),
                    term: if now < 6_000 { 2 } else { 3 },
                    learner: false,
                    version: "3.6.16".to_owned(),
                    revision,
                    committed_index: Some(100 + revision.0),
                    applied_index: Some(100 + revision.0),
                    alarms: BTreeSet::new(),
                })
            },
            read: if no_quorum {
                Observation::Failed(failed)
            } else {
                Observation::Answered(QuorumRead {
                    revision: revision_at(history, now + 4),
                    cluster_id: CLUSTER,
                    at: at(now + 4),
                })
            },
            members: if no_quorum { Observation::NotAsked } else { Observation::Answered(list.clone()) },
        }
    });
    ProbeRound {
        number: Some(round + 1),
        start: at(now),
        end: at(now + 5),
        members: members.collect(),
        resolve_error: None,
    }
}
