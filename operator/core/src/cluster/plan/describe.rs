//! Actions in words: the lines in goldens, logs and Events. Never decides.

use std::fmt;

use super::action::{Action, Delete, DowngradeRequest, Patch, PatchPurpose};

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::RecordBootstrap { record, .. } => {
                let members = record.members.join(", ");
                write!(formatter, "record first members {members}, attempt {}", record.attempt)
            }
            Action::Create(object) => {
                write!(formatter, "create {} {}", object.kind().as_str(), object.name())
            }
            Action::WriteSecret(write) => write!(formatter, "write Secret {}: {}", write.name, write.because),
            Action::Patch(patch) => write!(formatter, "{patch}"),
            Action::Delete(delete) => write!(formatter, "{delete}"),
            Action::Evict(evict) => write!(formatter, "evict Pod {}: {}", evict.target.name, evict.because),
            Action::AddLearner { member, peer_url, .. } => {
                write!(formatter, "add learner {member} at {peer_url}")
            }
            Action::PromoteMember { member, id, .. } => write!(formatter, "promote learner {member} ({id})"),
            Action::UpdatePeerUrl { member, peer_url, .. } => {
                write!(formatter, "tell the members that {member} is at {peer_url}")
            }
            Action::RemoveMember { member, id, because, .. } => {
                write!(formatter, "remove member {member} ({id}): {because}")
            }
            Action::MoveLeader { from, to, .. } => write!(formatter, "move leadership from {from} to {to}"),
            Action::Downgrade(DowngradeRequest::Enable(line)) => {
                write!(formatter, "tell etcd to bring the cluster down to {line}")
            }
            Action::Downgrade(DowngradeRequest::Cancel) => {
                write!(formatter, "tell etcd not to bring the cluster down any more")
            }
            Action::DisarmAlarm { member_id, alarm } => {
                write!(formatter, "disarm alarm {} of member {member_id}", alarm.as_str())
            }
        }
    }
}

impl fmt::Display for Patch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = format!("{} {}", self.target.kind.as_str(), self.target.name);
        match &self.purpose {
            PatchPurpose::Restore { fields } => write!(formatter, "restore {object}: {}", fields.join(", ")),
            PatchPurpose::Follow { fields } => write!(formatter, "update {object}: {}", fields.join(", ")),
            PatchPurpose::RecordPermit { permit, pod_uid } => {
                write!(formatter, "record on {object} permit {permit} for pod {pod_uid}")
            }
            PatchPurpose::GivePermit { permit } => write!(formatter, "give {object} permit {permit}"),
            PatchPurpose::TakePermit => write!(formatter, "take its spent permit off {object}"),
            PatchPurpose::SetTarget { because } => {
                write!(formatter, "record on {object} what its member runs next: {because}")
            }
            PatchPurpose::Restored { from } => {
                write!(formatter, "record that {object} was restored from {from}")
            }
            PatchPurpose::RecordFacts { facts } => {
                write!(formatter, "record on {object} {}", facts.join(", "))
            }
            PatchPurpose::LabelRole { role } => write!(formatter, "label {object} as {role}"),
            PatchPurpose::Grow { from, to } => write!(formatter, "grow {object} from {from} to {to}"),
            PatchPurpose::SetAside { because } => write!(formatter, "set {object} aside: {because}"),
        }
    }
}

impl fmt::Display for Delete {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let force = if self.grace_period_seconds == Some(0) { "force-delete" } else { "delete" };
        let object = format!("{} {}", self.target.kind.as_str(), self.target.name);
        write!(formatter, "{force} {object}: {}", self.because)
    }
}
