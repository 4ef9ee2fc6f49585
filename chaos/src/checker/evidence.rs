//! Which measurements prove that a kind of fault took effect, and which that it is over. Pure; one arm for each kind, so
//! that a new kind cannot be forgotten.

use super::certificates;
use super::human;
use crate::record::{Dial, Proof};
use crate::scenario::{ChangeEffect, EtcdVersion, Fault};

/// Why there is no proof.
pub(super) enum Lack {
    /// Nothing of this kind was measured.
    Missing(&'static str),
    /// It was measured, and the measurement speaks against it.
    Contrary(String),
}

/// What proves that the fault took effect in one target.
pub(super) fn of_effect(fault: &Fault, proofs: &[&Proof]) -> Result<String, Lack> {
    match fault {
        Fault::PodKill { .. } => pod_replaced(proofs),
        Fault::ProcessKill => process_replaced(proofs),
        Fault::OperatorKill => pod_replaced(proofs).or_else(|_| process_replaced(proofs)),
        Fault::ProcessPause { .. } | Fault::OperatorPause { .. } => stopped(proofs),
        Fault::DiskLost => volume_replaced(proofs),
        Fault::DirectoryWiped => {
            let emptied = directory_emptied(proofs)?;
            let restarted =
                process_replaced(proofs).or_else(|lack| pod_replaced(proofs).map_err(|_| lack))?;
            Ok(format!("{emptied}; {restarted}"))
        }
        Fault::Partition { .. } => partitioned(proofs),
        Fault::Corrupt { .. } => unrepaired(corrupted(proofs)?, proofs),
        Fault::Certificate { damage, .. } => unrepaired(certificates::of_effect(*damage, proofs)?, proofs),
        Fault::Intrude { .. } => object_changed(proofs),
        Fault::DeleteObject { .. } => first(proofs, "the deletion", |proof| match proof {
            Proof::ObjectDeleted { identity, .. } => {
                Some(Ok(format!("{} (uid {}) was deleted", identity.name, identity.uid)))
            }
            _ => None,
        }),
        Fault::Resize { .. } => size_declared(proofs),
        Fault::Roll => first(proofs, "the changed declaration", |proof| match proof {
            Proof::RestartDeclared { generation, .. } => {
                Some(Ok(format!("generation {generation} declares what every member must restart for")))
            }
            _ => None,
        }),
        Fault::Upgrade { version } => version_declared(version, proofs),
        Fault::Change { .. } => first(proofs, "the changed spec", |proof| match proof {
            Proof::ChangeDeclared { before, generation, .. } if before == generation => {
                Some(Err(format!("the spec stayed at generation {generation}, so nothing was changed")))
            }
            Proof::ChangeDeclared { before, generation, .. } => {
                Some(Ok(format!("the spec went from generation {before} to {generation}")))
            }
            _ => None,
        }),
        Fault::Request { ask } => first(proofs, "the request", |proof| match proof {
            Proof::RequestMade { annotation, value, .. } if annotation == ask.annotation() => {
                Some(Ok(format!("the annotation {annotation} asked for {value}")))
            }
            Proof::RequestMade { annotation, .. } => {
                Some(Err(format!("the annotation {annotation} asks for something else")))
            }
            _ => None,
        }),
        Fault::Backup => first(proofs, "the request for a backup", |proof| match proof {
            Proof::BackupAsked { identity } => {
                Some(Ok(format!("the EtcdBackup {} was created", identity.name)))
            }
            _ => None,
        }),
        Fault::VolumeDeletionStuck { .. } => first(proofs, "the claim being held", |proof| match proof {
            Proof::VolumeHeld { claim } => Some(Ok(format!("{} was held while under deletion", claim.name))),
            _ => None,
        }),
    }
}

/// What proves that the fault is over in one target.
pub(super) fn of_end(fault: &Fault, proofs: &[&Proof]) -> Result<String, Lack> {
    match fault {
        Fault::ProcessPause { .. }
        | Fault::OperatorPause { .. }
        | Fault::Corrupt { .. }
        | Fault::Certificate { .. } => all_resumed(proofs),
        Fault::Partition { .. } => first(proofs, "connections after the partition", |proof| match proof {
            Proof::PartitionOver { dials } if dials.is_empty() => {
                Some(Err("no peer was dialled afterwards".to_owned()))
            }
            Proof::PartitionOver { dials } => Some(match refused(dials) {
                None => Ok(format!("{} reachable again", human::plural(dials.len(), "cut peer"))),
                Some(peer) => Err(format!("{peer} could not be dialled afterwards")),
            }),
            _ => None,
        }),
        Fault::VolumeDeletionStuck { .. } => first(proofs, "the claim being released", |proof| match proof {
            Proof::VolumeReleased { claim } => Some(Ok(format!("{} was released", claim.name))),
            _ => None,
        }),
        Fault::Change { effect: ChangeEffect::Refused, .. } => {
            first(proofs, "the change being taken back", |proof| match proof {
                Proof::ChangeTakenBack { generation, .. } => {
                    Some(Ok(format!("it was taken back by generation {generation}")))
                }
                _ => None,
            })
        }
        // These are over once they happened; what they left behind is for other rules.
        Fault::PodKill { .. }
        | Fault::ProcessKill
        | Fault::DiskLost
        | Fault::DirectoryWiped
        | Fault::DeleteObject { .. }
        | Fault::Intrude { .. }
        | Fault::Resize { .. }
        | Fault::Roll
        | Fault::Upgrade { .. }
        | Fault::Change {
            effect:
                ChangeEffect::Restarted | ChangeEffect::CarriedOut | ChangeEffect::Replaced | ChangeEffect::None,
            ..
        }
        | Fault::Request { .. }
        | Fault::Backup
        | Fault::OperatorKill => Ok(String::new()),
    }
}

/// The first good measurement of a kind; else the first bad one; else none.
pub(super) fn first(
    proofs: &[&Proof],
    what: &'static str,
    judge: impl Fn(&Proof) -> Option<Result<String, String>>,
) -> Result<String, Lack> {
    let mut contrary = None;
    for judged in proofs.iter().filter_map(|proof| judge(proof)) {
        match judged {
            Ok(text) => return Ok(text),
            Err(text) => contrary = contrary.or(Some(text)),
        }
    }
    Err(contrary.map_or(Lack::Missing(what), Lack::Contrary))
}

fn size_declared(proofs: &[&Proof]) -> Result<String, Lack> {
    first(proofs, "the declared size", |proof| match proof {
        Proof::SizeDeclared { from, to, .. } if from == to => {
            Some(Err(format!("the size was {to} already, so nothing was changed")))
        }
        Proof::SizeDeclared { from, to, .. } => {
            Some(Ok(format!("the declared size went from {from} to {to}")))
        }
        _ => None,
    })
}

fn version_declared(version: &EtcdVersion, proofs: &[&Proof]) -> Result<String, Lack> {
    first(proofs, "the declared version", |proof| match proof {
        Proof::VersionDeclared { from, to, .. } if from == to => {
            Some(Err(format!("etcd {to} was declared already, so nothing was changed")))
        }
        Proof::VersionDeclared { to, .. } if to != version => {
            Some(Err(format!("etcd {to} was declared, {version} was meant")))
        }
        Proof::VersionDeclared { from, to, generation, .. } => {
            Some(Ok(format!("generation {generation} declares etcd {to} instead of {from}")))
        }
        _ => None,
    })
}

pub(super) fn pod_replaced(proofs: &[&Proof]) -> Result<String, Lack> {
    first(proofs, "another pod", |proof| match proof {
        Proof::PodReplaced { before, after } if before.uid == after.uid => {
            Some(Err(format!("the same pod (uid {}) is there as before", after.uid)))
        }
        Proof::PodReplaced { before, after } => {
            Some(Ok(format!("pod uid {} was replaced by {} (uid {})", before.uid, after.name, after.uid)))
        }
        _ => None,
    })
}

fn process_replaced(proofs: &[&Proof]) -> Result<String, Lack> {
    first(proofs, "another process", |proof| match proof {
        Proof::ProcessReplaced { before, after } => {
            let another = before.container_id != after.container_id || before.started_at != after.started_at;
            Some(if another {
                Ok(format!(
                    "container {} was replaced by {}, started {}",
                    before.container_id, after.container_id, after.started_at
                ))
            } else {
                Err(format!("the same process runs as before, started {}", after.started_at))
            })
        }
        _ => None,
    })
}

fn stopped(proofs: &[&Proof]) -> Result<String, Lack> {
    first(proofs, "stopped threads", |proof| match proof {
        Proof::Stopped { stopped, threads } if *threads > 0 && stopped == threads => {
            Some(Ok(format!("all {threads} threads were seen stopped")))
        }
        Proof::Stopped { stopped, threads } => {
            Some(Err(format!("{stopped} of {threads} threads were stopped")))
        }
        _ => None,
    })
}

fn corrupted(proofs: &[&Proof]) -> Result<String, Lack> {
    let changed = object_changed(proofs)?;
    let felt = first(proofs, "corruption being felt", |proof| match proof {
        Proof::CorruptionFelt { observation } => Some(Ok(observation.clone())),
        _ => None,
    })?;
    Ok(format!("{changed}; effect: {felt}"))
}

/// What was broken stood while nobody could repair it.
fn unrepaired(broken: String, proofs: &[&Proof]) -> Result<String, Lack> {
    let alone = all_stopped(proofs)?;
    Ok(format!("{broken}; the operator was stopped: {alone}"))
}

/// The operator has several processes, and while one of them works nothing is corrupted behind its back.
fn all_stopped(proofs: &[&Proof]) -> Result<String, Lack> {
    let partly = proofs
        .iter()
        .find(|proof| matches!(proof, Proof::Stopped { stopped, threads } if stopped != threads));
    stopped(partly.map_or(proofs, std::slice::from_ref))
}

fn all_resumed(proofs: &[&Proof]) -> Result<String, Lack> {
    let stands = proofs.iter().find(|proof| matches!(proof, Proof::Resumed { stopped } if *stopped > 0));
    first(stands.map_or(proofs, std::slice::from_ref), "the process running again", |proof| match proof {
        Proof::Resumed { stopped: 0 } => Some(Ok("all threads run again".to_owned())),
        Proof::Resumed { stopped } => Some(Err(format!("{stopped} threads still stand"))),
        _ => None,
    })
}

fn volume_replaced(proofs: &[&Proof]) -> Result<String, Lack> {
    first(proofs, "another volume claim", |proof| match proof {
        Proof::VolumeReplaced { before, after } if before.uid == after.uid => {
            Some(Err(format!("the same claim (uid {}) is there as before", after.uid)))
        }
        Proof::VolumeReplaced { before, after } => Some(Ok(format!(
            "claim {} (uid {}) was replaced by {} (uid {})",
            before.name, before.uid, after.name, after.uid
        ))),
        _ => None,
    })
}

fn directory_emptied(proofs: &[&Proof]) -> Result<String, Lack> {
    first(proofs, "the empty directory", |proof| match proof {
        Proof::DirectoryEmptied { path, entries_before, entries_after } => {
            Some(match (entries_before, entries_after) {
                (0, _) => Err(format!("{path} was empty before")),
                (before, 0) => Ok(format!("{path} had {before} entries and was seen empty")),
                (_, after) => Err(format!("{path} still had {after} entries")),
            })
        }
        _ => None,
    })
}

fn partitioned(proofs: &[&Proof]) -> Result<String, Lack> {
    first(proofs, "the partition", |proof| match proof {
        Proof::PartitionFelt { dropped_packets, cut, uncut, .. } => Some(felt(*dropped_packets, cut, uncut)),
        _ => None,
    })
}

fn felt(dropped: u64, cut: &[Dial], uncut: &[Dial]) -> Result<String, String> {
    if dropped == 0 {
        return Err("no packet was dropped".to_owned());
    }
    if cut.is_empty() {
        return Err("no cut peer was dialled".to_owned());
    }
    if let Some(reached) = cut.iter().find(|dial| dial.connected) {
        return Err(format!("{} could be dialled through the partition", reached.peer));
    }
    if uncut.is_empty() {
        return Err(
            "no address outside the partition was dialled, so that the whole network may have been away"
                .to_owned(),
        );
    }
    if let Some(peer) = refused(uncut) {
        return Err(format!("{peer} is outside the partition and could not be dialled either"));
    }
    let cut = human::plural(cut.len(), "cut peer");
    let dropped = human::plural(usize::try_from(dropped).unwrap_or(usize::MAX), "packet");
    Ok(format!("{dropped} dropped, {cut} unreachable, {} outside the partition reachable", uncut.len()))
}

fn refused(dials: &[Dial]) -> Option<&str> {
    dials.iter().find(|dial| !dial.connected).map(|dial| dial.peer.as_str())
}

fn object_changed(proofs: &[&Proof]) -> Result<String, Lack> {
    first(proofs, "the changed object", |proof| match proof {
        Proof::ObjectChanged { before, after, field, .. } if before == after => {
            Some(Err(format!("{field} holds what it held before")))
        }
        Proof::ObjectChanged { object, field, before, after, resource_version, .. } => Some(Ok(format!(
            "{object}: {field} went from {before} to {after} (resource version {resource_version})"
        ))),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
