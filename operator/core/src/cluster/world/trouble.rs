//! What Kubernetes says of a member that does not come up ([`crate::pods::trouble`]). Never decides by it.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

use super::Member;
use crate::cluster::observed::{Observed, WarnedKind};
use crate::names::ETCD_CONTAINER;
use crate::pods::trouble::{describe_end, last_terminated, shortened, status_of, unschedulable, waiting};

/// What the kubelet says of the etcd container.
pub(super) fn etcd_status(pod: Option<&Pod>) -> Option<&ContainerStatus> {
    status_of(pod?, ETCD_CONTAINER)
}

/// How often the etcd container has been restarted in its present pod.
pub fn container_restarts(pod: Option<&Pod>) -> i32 {
    etcd_status(pod).map_or(0, |status| status.restart_count)
}

/// Whether the etcd container has ever started in this pod.
pub(super) fn has_started(pod: Option<&Pod>) -> bool {
    etcd_status(pod).is_some_and(|status| {
        let ran = |state: &Option<ContainerState>| {
            state.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some())
        };
        status.restart_count > 0 || ran(&status.state) || ran(&status.last_state)
    })
}

impl Member<'_> {
    /// How the etcd container last ended in its present pod, in Kubernetes' words.
    pub fn last_end(&self) -> Option<String> {
        etcd_status(self.pod).and_then(last_terminated).map(describe_end)
    }

    /// Why the member does not come up, as Kubernetes says.
    pub fn trouble(&self, observed: &Observed) -> Option<String> {
        let warning = |kind, name: &str| observed.warnings.get(&(kind, name.to_owned())).cloned();
        let of_claim = || {
            let phase = self.claim?.status.as_ref().and_then(|status| status.phase.as_deref());
            (phase != Some("Bound")).then(|| warning(WarnedKind::Claim, &self.name.claim())).flatten()
        };
        let ended = || (!self.etcd_container_runs()).then(|| self.last_end()).flatten();
        let of_pod = || {
            let pod = self.pod?;
            unschedulable(pod)
                .or_else(|| waiting(pod, ETCD_CONTAINER))
                .or_else(ended)
                .or_else(|| warning(WarnedKind::Pod, &self.name.pod()))
        };
        let of_stateful_set =
            || self.pod.is_none().then(|| warning(WarnedKind::StatefulSet, self.name.as_str())).flatten();
        of_claim().or_else(of_pod).or_else(of_stateful_set).map(|text| shortened(&text))
    }
}
