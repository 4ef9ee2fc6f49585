//! A status that was not looked for.

use etcd_operator_core::api::{EtcdClusterStatus, MemberHealth};

/// Everybody is called healthy, and the cluster with them.
pub(crate) fn all_is_well(mut status: EtcdClusterStatus) -> EtcdClusterStatus {
    for member in &mut status.members {
        member.health = MemberHealth::Healthy;
        member.message = None;
    }
    let voters = status.members.iter().filter(|member| !member.learner).count();
    status.ready_members = i32::try_from(voters).unwrap_or(i32::MAX);
    for condition in &mut status.conditions {
        let truth = match condition.type_.as_str() {
            "Available" | "Ready" => "True",
            "Degraded" => "False",
            _ => continue,
        };
        truth.clone_into(&mut condition.status);
        "AllMembersHealthy".clone_into(&mut condition.reason);
        "every member is healthy".clone_into(&mut condition.message);
    }
    status
}
