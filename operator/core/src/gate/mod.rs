//! The start gate's decision: may etcd start on the disk that this container found? A pure function over what the
//! shell read; the shell locks the volume, reads, asks here, and then does exactly what the answer says.
//!
//! The rule that everything else hangs on: a member that lost its data never starts again under the same identity. It
//! may have voted, and a voter that forgets its vote can elect a second leader. So an empty disk starts only with a
//! permit, and a permit is given to an incarnation at most once.

mod types;

#[cfg(test)]
mod tests;

pub use types::{
    BootCounterState, ClusterState, DataState, DiskState, GateConfiguration, GateDecision, GateHoldReason,
    GateInputs, GateReport, GateState, InitialCluster, InitialMember, ListenFamily, LogIdentity, Permit,
    PermitReading, Stamp, StampState, StampWrite, Start,
};

use std::collections::BTreeMap;

use crate::names::{ClusterIdentity, Naming};
use crate::tls::MemberTls;

/// Format version of [`Stamp`], [`Permit`], [`GateConfiguration`] and [`GateReport`].
///
/// A member keeps its gate when the operator is upgraded, so an old gate meets newer documents, and acts on them: a
/// format that only adds fields keeps `oldest_reader` as it is. One that an old gate would misunderstand raises it.
pub const FORMAT: u32 = 3;

/// The oldest format whose readers may act on what this build writes.
pub const OLDEST_READER: u32 = 1;

/// The oldest format whose readers form a cluster's names as they are, and serve what is to be served: those of the first know no names
/// that are formed by UID, and those of the second would serve plain text where TLS is wanted.
pub fn oldest_reader_of(cluster: &ClusterIdentity, tls: Option<&MemberTls>) -> u32 {
    match (cluster.naming, tls) {
        (Naming::ByName | Naming::ByUid, Some(_)) => 3,
        (Naming::ByUid, None) => 2,
        (Naming::ByName, None) => OLDEST_READER,
    }
}

/// Whether this build may act on a document that names `oldest_reader`.
pub fn is_understood(oldest_reader: u32) -> bool {
    oldest_reader <= FORMAT
}

/// Decides. The answer is a function of the inputs alone.
pub fn decide(inputs: &GateInputs) -> GateDecision {
    if inputs.fence_epoch > known_fence_epoch(inputs) {
        return GateDecision::Hold(GateHoldReason::Fenced);
    }
    match &inputs.disk.data {
        DataState::Log(log) => decide_with_log(inputs, log.as_ref()),
        DataState::Empty => decide_without_log(inputs),
        // A data directory without a log is nobody's fresh volume: an etcd that found a database there would take it
        // for its own. Whose it is decides only what the hold is called.
        DataState::WithoutLog => match unspent_permit(inputs) {
            Some(_) => GateDecision::Hold(GateHoldReason::Foreign),
            None => GateDecision::Hold(GateHoldReason::Lost),
        },
    }
}

/// The epoch up to which this disk may start: its stamp's, or that of a permit which is about to stamp it.
fn known_fence_epoch(inputs: &GateInputs) -> u64 {
    let about_to_be_stamped = match inputs.disk.data {
        DataState::Empty => unspent_permit(inputs),
        DataState::WithoutLog | DataState::Log(_) => None,
    };
    match (about_to_be_stamped, &inputs.disk.stamp) {
        (Some(permit), _) => permit.fence_epoch,
        (None, StampState::Present(stamp)) => stamp.fence_epoch,
        (None, StampState::Absent | StampState::Unreadable(_)) => 0,
    }
}

fn decide_with_log(inputs: &GateInputs, log: Option<&LogIdentity>) -> GateDecision {
    let StampState::Present(stamp) = &inputs.disk.stamp else {
        return GateDecision::Hold(GateHoldReason::Foreign);
    };
    if !is_ours(inputs, stamp) || !agrees(stamp, log) {
        return GateDecision::Hold(GateHoldReason::Foreign);
    }
    let completed = completed(stamp, log);
    let write_stamp = if completed == *stamp { StampWrite::Unneeded } else { StampWrite::Wanted };
    let stamp = Stamp { boot_counter: inputs.disk.boot_counter().saturating_add(1), ..completed };
    let own = InitialMember {
        name: inputs.configuration.member.clone(),
        peer_url: inputs.configuration.own_peer_url(),
    };
    let initial =
        InitialCluster { state: ClusterState::Existing, token: stamp.token.clone(), members: vec![own] };
    GateDecision::Start(Box::new(Start { stamp, write_stamp, spend: None, initial }))
}

/// The stamp with the IDs that only the log knew.
fn completed(stamp: &Stamp, log: Option<&LogIdentity>) -> Stamp {
    let mut stamp = stamp.clone();
    if let Some(log) = log {
        stamp.cluster_id = Some(log.cluster_id);
        stamp.member_id = Some(log.member_id);
    }
    stamp
}

fn is_ours(inputs: &GateInputs, stamp: &Stamp) -> bool {
    is_understood(stamp.oldest_reader)
        && stamp.cluster_uid == inputs.configuration.cluster.uid
        && stamp.member == inputs.configuration.member
}

/// Whether log and stamp speak of the same member. A stamp written before the first start knows no IDs yet.
fn agrees(stamp: &Stamp, log: Option<&LogIdentity>) -> bool {
    log.is_none_or(|log| {
        stamp.member_id.is_none_or(|id| id == log.member_id)
            && stamp.cluster_id.is_none_or(|id| id == log.cluster_id)
    })
}

fn decide_without_log(inputs: &GateInputs) -> GateDecision {
    let Some(permit) = unspent_permit(inputs) else {
        return GateDecision::Hold(GateHoldReason::Lost);
    };
    let stamp = Stamp {
        format: FORMAT,
        oldest_reader: OLDEST_READER,
        cluster_uid: permit.cluster_uid.clone(),
        cluster_id: permit.cluster_id,
        member: permit.member.clone(),
        member_id: permit.member_id,
        token: permit.token.clone(),
        boot_counter: 1,
        fence_epoch: permit.fence_epoch.max(inputs.fence_epoch),
        later: BTreeMap::new(),
    };
    let initial = InitialCluster {
        state: permit.state,
        token: permit.token.clone(),
        members: permit.initial_cluster.clone(),
    };
    let spend = Some(permit.id.clone());
    GateDecision::Start(Box::new(Start { stamp, write_stamp: StampWrite::Required, spend, initial }))
}

/// The permit, if it is for this pod, this member and this cluster, and has not been spent.
fn unspent_permit(inputs: &GateInputs) -> Option<&Permit> {
    let PermitReading::Given(permit) = &inputs.permit else {
        return None;
    };
    let is_for_us = is_understood(permit.oldest_reader)
        && permit.pod_uid == inputs.pod_uid
        && permit.cluster_uid == inputs.configuration.cluster.uid
        && permit.member == inputs.configuration.member;
    (is_for_us && !inputs.spent.contains(&permit.id)).then_some(permit)
}
