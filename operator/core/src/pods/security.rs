//! What pods and containers may do: nothing that etcd does not need. Never grants anything by itself.

use k8s_openapi::api::core::v1::{Capabilities, PodSecurityContext, SeccompProfile, SecurityContext};

use crate::api::PodUser;

/// The user and group that everything in the pod runs as: the customary number for "nobody in particular".
const USER: i64 = 65532;

/// What the spec says, and the operator's own for the rest. Where the platform chooses the user, a pod that names one would be
/// refused.
pub fn of_pod(user: PodUser, asked_for: Option<&PodSecurityContext>) -> PodSecurityContext {
    let user = match user {
        PodUser::Fixed => Some(USER),
        PodUser::Platform => None,
    };
    let asked_for = asked_for.cloned().unwrap_or_default();
    let seccomp = || SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() };
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: asked_for.run_as_user.or(user),
        run_as_group: asked_for.run_as_group.or(user),
        fs_group: asked_for.fs_group.or(user),
        fs_group_change_policy: asked_for
            .fs_group_change_policy
            .clone()
            .or_else(|| Some("OnRootMismatch".to_owned())),
        seccomp_profile: Some(asked_for.seccomp_profile.clone().unwrap_or_else(seccomp)),
        ..asked_for
    }
}

/// Every container's.
pub fn of_container() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}
