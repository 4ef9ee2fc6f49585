//! A fault hit somebody else, in another way, at another time, or was not measured at all.

use chaos::checker::Rule;
use chaos::record::{Event, Proof, RunRecord, TargetRole};

use super::view::{MILLISECOND, SECOND, change_proof, healed, injected, injecting, name};
use super::{Recipe, Right};

pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        story: "A fault's measured effect is not in the record.",
        right: Right::Invalid,
        broken: &[Rule::FaultProved],
        tamper: |record| {
            let fault = name("leader-process-killed");
            record.events.retain(|line| {
                !(matches!(line.event, Event::FaultProof { .. }) && line.event.fault() == Some(&fault))
            });
        },
    },
    Recipe {
        story: "The fault was to hit the leader and hit a follower.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| {
            targets(record, "leader-process-killed", |targets| targets[0].role = TargetRole::Follower)
        },
    },
    Recipe {
        story: "The fault was to hit a follower and hit the leader.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| targets(record, "follower-cut-off", |targets| targets[0].role = TargetRole::Leader),
    },
    Recipe {
        story: "The target is called the leader, and the members named another one.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| {
            let other = {
                let mut found = None;
                targets(record, "follower-cut-off", |targets| found = targets[0].member_id);
                found
            };
            targets(record, "leader-stands-still", |targets| targets[0].member_id = other);
        },
    },
    Recipe {
        story: "Another follower was cut off than the record says.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: another_follower,
    },
    Recipe {
        story: "Two members were hit where one was meant.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| {
            targets(record, "follower-cut-off", |targets| {
                let mut second = targets[0].clone();
                second.uid = "uid-of-somebody-else".to_owned();
                targets.push(second);
            });
        },
    },
    Recipe {
        story: "The process that was seen replaced never ran in the target.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| {
            change_proof(record, |proof| match proof {
                Proof::ProcessReplaced { before, .. } => {
                    before.container_id = "containerd://of-somebody-else".to_owned();
                    true
                }
                _ => false,
            });
        },
    },
    Recipe {
        story: "The volume that was seen replaced is not the target's.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| {
            change_proof(record, |proof| match proof {
                Proof::VolumeReplaced { before, .. } => {
                    before.uid = "uid-of-somebody-else".to_owned();
                    true
                }
                _ => false,
            });
        },
    },
    Recipe {
        story: "Packets were dropped on their way in only, where both ways were meant.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| {
            change_proof(record, |proof| match proof {
                Proof::PartitionFelt { outbound_packets, .. } => {
                    *outbound_packets = Some(0);
                    true
                }
                _ => false,
            });
        },
    },
    Recipe {
        story: "One of the peers that were to be cut off was not even dialled.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| {
            change_proof(record, |proof| match proof {
                Proof::PartitionFelt { cut, .. } => cut.pop().is_some(),
                _ => false,
            });
        },
    },
    Recipe {
        story: "A peer could be dialled through the cut.",
        right: Right::Invalid,
        broken: &[Rule::FaultProved],
        tamper: |record| {
            change_proof(record, |proof| match proof {
                Proof::PartitionFelt { cut, .. } => {
                    cut[0].connected = true;
                    true
                }
                _ => false,
            });
        },
    },
    Recipe {
        story: "The pause was over after two seconds instead of six.",
        right: Right::NotPass,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| {
            let over = injected(record, "leader-stands-still") + 2 * SECOND;
            at(record, "leader-stands-still", |event| matches!(event, Event::FaultHealed { .. }), over);
        },
    },
    Recipe {
        story: "The pause's effect was measured before it began.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| {
            let before = injecting(record, "leader-stands-still") - MILLISECOND;
            let stopped =
                |event: &Event| matches!(event, Event::FaultProof { proof: Proof::Stopped { .. }, .. });
            at(record, "leader-stands-still", stopped, before);
        },
    },
    Recipe {
        story: "The cut was felt only after its end.",
        right: Right::Invalid,
        broken: &[Rule::FaultAsPlanned],
        tamper: |record| {
            let after = healed(record, "follower-cut-off") + 100 * MILLISECOND;
            let felt =
                |event: &Event| matches!(event, Event::FaultProof { proof: Proof::PartitionFelt { .. }, .. });
            at(record, "follower-cut-off", felt, after);
        },
    },
    Recipe {
        story: "The Service was put back by somebody else than the operator.",
        right: Right::Fail,
        broken: &[Rule::DriftRepaired],
        tamper: |record| {
            change_proof(record, |proof| match proof {
                Proof::ObjectRepaired { manager, .. } => {
                    *manager = "kubectl".to_owned();
                    true
                }
                _ => false,
            });
        },
    },
];

fn targets(
    record: &mut RunRecord,
    fault: &str,
    mut change: impl FnMut(&mut Vec<chaos::record::TargetedPod>),
) {
    let fault = name(fault);
    for line in &mut record.events {
        if let Event::FaultInjecting { fault: named, targets } = &mut line.event
            && *named == fault
        {
            change(targets);
        }
    }
}

/// The target of the cut is said to be the member that lost its process first, which followed by then; its measurements too.
fn another_follower(record: &mut RunRecord) {
    let mut others = Vec::new();
    for fault in ["leader-process-killed", "leader-stands-still", "disk-lost"] {
        targets(record, fault, |targets| others.push(targets[0].clone()));
    }
    let mut cut = None;
    targets(record, "follower-cut-off", |targets| cut = Some(targets[0].clone()));
    let cut = cut.expect("a follower was cut off");
    let leader = others.iter().find(|other| other.role == TargetRole::Leader && other.pod != cut.pod);
    let other =
        others.iter().find(|other| other.pod != cut.pod && Some(&other.pod) != leader.map(|one| &one.pod));
    let mut other = other.or(leader).expect("there is another member").clone();
    other.role = TargetRole::Follower;
    targets(record, "follower-cut-off", |targets| targets[0] = other.clone());
    for line in &mut record.events {
        if let Event::FaultProof { pod, .. } = &mut line.event
            && pod.as_ref() == Some(&cut.pod)
        {
            *pod = Some(other.pod.clone());
        }
    }
}

/// Moves an event about a fault to another moment, in the order of time.
fn at(record: &mut RunRecord, fault: &str, wanted: fn(&Event) -> bool, moment: u64) {
    let fault = name(fault);
    let place =
        record.events.iter().position(|line| wanted(&line.event) && line.event.fault() == Some(&fault));
    let line = record.events.remove(place.expect("the event is in the record"));
    super::view::add(record, moment, line.event);
}
