//! Which Event tells of which action or hold. Never writes one.

use crate::cluster::observed::Observed;
use crate::cluster::plan::{
    Action, Delete, DowngradeRequest, Hold, Kind, ObjectHold, Patch, PatchPurpose, Plan,
};
use crate::event::{Again, Event, Severity};

/// The Event to write once this action has been carried out. Actions that only keep records tell nothing.
pub fn of_action(action: &Action) -> Option<Event> {
    let (severity, reason, verb) = match action {
        Action::RecordBootstrap { .. } => (Severity::Normal, "BootstrapStarted", "Bootstrap"),
        Action::Create(_) => (Severity::Normal, "Created", "Create"),
        Action::Patch(patch) => of_patch(patch)?,
        Action::WriteSecret(_) => (Severity::Normal, "CertificatesWritten", "WriteSecret"),
        Action::UpdatePeerUrl { .. } => (Severity::Normal, "PeerUrlChanged", "UpdateMember"),
        Action::Delete(delete) => of_delete(delete),
        Action::Evict(_) => (Severity::Normal, "Restarted", "Evict"),
        Action::AddLearner { .. } => (Severity::Normal, "LearnerAdded", "AddMember"),
        Action::PromoteMember { .. } => (Severity::Normal, "MemberPromoted", "PromoteMember"),
        Action::RemoveMember { .. } => (Severity::Normal, "MemberRemoved", "RemoveMember"),
        Action::MoveLeader { .. } => (Severity::Normal, "LeaderMoved", "MoveLeader"),
        Action::Downgrade(DowngradeRequest::Enable(_)) => (Severity::Normal, "DowngradeEnabled", "Downgrade"),
        Action::Downgrade(DowngradeRequest::Cancel) => (Severity::Normal, "DowngradeCancelled", "Downgrade"),
        Action::DisarmAlarm { .. } => (Severity::Normal, "AlarmDisarmed", "DisarmAlarm"),
    };
    let note = action.to_string();
    Some(Event { severity, reason, action: verb, fact: note.clone(), note, again: again(action) })
}

/// What happens to members is told each time. Objects that somebody else changes again and again are put back again and again.
fn again(action: &Action) -> Again {
    match action {
        Action::Evict(_)
        | Action::AddLearner { .. }
        | Action::PromoteMember { .. }
        | Action::UpdatePeerUrl { .. }
        | Action::RemoveMember { .. }
        | Action::MoveLeader { .. } => Again::EachTime,
        Action::RecordBootstrap { .. }
        | Action::Create(_)
        | Action::Patch(_)
        | Action::WriteSecret(_)
        | Action::Delete(_)
        | Action::Downgrade(_)
        | Action::DisarmAlarm { .. } => Again::Later,
    }
}

fn of_patch(patch: &Patch) -> Option<(Severity, &'static str, &'static str)> {
    match &patch.purpose {
        PatchPurpose::Restore { .. } => Some((Severity::Warning, "DriftRepaired", "Restore")),
        PatchPurpose::Follow { .. } => Some((Severity::Normal, "Updated", "Update")),
        PatchPurpose::GivePermit { .. } => Some((Severity::Normal, "PermitGiven", "GivePermit")),
        PatchPurpose::SetTarget { .. } => Some((Severity::Normal, "MemberUpdateStarted", "Update")),
        PatchPurpose::Grow { .. } => Some((Severity::Normal, "VolumeGrown", "Grow")),
        PatchPurpose::Restored { .. } => Some((Severity::Normal, "Restored", "Restore")),
        PatchPurpose::SetAside { .. } => Some((Severity::Warning, "VolumeSetAside", "SetAside")),
        PatchPurpose::RecordPermit { .. }
        | PatchPurpose::RecordFacts { .. }
        | PatchPurpose::TakePermit
        | PatchPurpose::LabelRole { .. } => None,
    }
}

fn of_delete(delete: &Delete) -> (Severity, &'static str, &'static str) {
    match delete.target.kind {
        Kind::PersistentVolumeClaim => (Severity::Normal, "VolumeDeleted", "Delete"),
        Kind::StatefulSet
        | Kind::Pod
        | Kind::Service
        | Kind::PodDisruptionBudget
        | Kind::EtcdBackup
        | Kind::Job
        | Kind::Secret => (Severity::Normal, "Deleted", "Delete"),
    }
}

/// The Events for what this plan holds back and the observed status does not show yet. So an Event is written when a
/// hold begins, and not at each look.
pub fn of_new_holds(observed: &Observed, plan: &Plan) -> Vec<Event> {
    let shown = observed.cluster.status.as_ref().map(|status| status.holds.as_slice()).unwrap_or_default();
    let is_shown = |hold: &Hold| {
        shown.iter().any(|shown| shown.reason == hold.reason().as_str() && shown.about == hold.about())
    };
    plan.holds.iter().filter(|hold| !is_shown(hold)).map(of_hold).collect()
}

fn of_hold(hold: &Hold) -> Event {
    let severity = if hold.wants_a_person() { Severity::Warning } else { Severity::Normal };
    let about = match hold {
        // Another answer of the server is another fact: quotas and webhooks are changed by people who wait for it.
        Hold::Object(ObjectHold::Refused { what, message }) => format!("{what}: {message}"),
        Hold::Wait(_) | Hold::Spec(_) | Hold::Quorum(_) | Hold::Object(_) | Hold::Notice(_) => {
            hold.about().unwrap_or_default()
        }
    };
    let (reason, note) = (hold.reason().as_str(), hold.to_string());
    Event { severity, reason, action: "Hold", fact: about, note, again: Again::Later }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::plan::PlannedOn;
    use crate::names::{ClusterId, MemberId, MemberName};

    #[test]
    fn a_leadership_that_moves_the_same_way_twice_is_told_twice_and_a_repeated_repair_is_not() {
        let member = |name: &str| MemberName::of_text(name).expect("a member's name");
        let moved = Action::MoveLeader {
            from: member("demo-abcde"),
            from_id: MemberId(1),
            to: member("demo-fghij"),
            to_id: MemberId(2),
            planned_on: PlannedOn { cluster_id: ClusterId(1), members: Vec::new() },
        };
        assert_eq!(of_action(&moved).map(|event| event.again), Some(Again::EachTime));
        let told = Action::Downgrade(DowngradeRequest::Cancel);
        assert_eq!(of_action(&told).map(|event| event.again), Some(Again::Later));
    }
}
