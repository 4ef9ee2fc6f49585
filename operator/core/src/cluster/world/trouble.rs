//! What Kubernetes says of a member that does not come up, in its own words: the one place where its reasons are read. Never
//! decides by them.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};

use super::Member;
use crate::cluster::observed::{Observed, WarnedKind};
use crate::names::ETCD_CONTAINER;

/// Longest quotation, in characters. A message of the scheduler names each node.
const LONGEST_QUOTATION: usize = 400;
/// Reasons for which a container waits in the ordinary course of things.
const ORDINARY: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// What the kubelet says of the etcd container.
pub(super) fn etcd_status(pod: Option<&Pod>) -> Option<&ContainerStatus> {
    let statuses = pod?.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == ETCD_CONTAINER)
}

/// How the etcd container last ended.
pub(super) fn last_terminated(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let states = [&status.state, &status.last_state];
    states.into_iter().find_map(|state| state.as_ref()?.terminated.as_ref())
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
        let of_pod = || {
            let pod = self.pod?;
            unschedulable(pod)
                .or_else(|| waiting(pod, self))
                .or_else(|| warning(WarnedKind::Pod, &self.name.pod()))
        };
        let of_stateful_set =
            || self.pod.is_none().then(|| warning(WarnedKind::StatefulSet, self.name.as_str())).flatten();
        of_claim().or_else(of_pod).or_else(of_stateful_set).map(|text| shortened(&text))
    }
}

fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let refused = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let reason = refused.reason.as_deref().unwrap_or("Unschedulable");
    Some(format!("{reason}: {}", refused.message.as_deref().unwrap_or("no reason is given")))
}

/// Of the first container that waits for an extraordinary reason, or that ended.
fn waiting(pod: &Pod, member: &Member<'_>) -> Option<String> {
    let status = pod.status.as_ref()?;
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    for status in all {
        let waits = status.state.as_ref().and_then(|state| state.waiting.as_ref());
        let reason = waits.and_then(|waits| waits.reason.as_deref());
        if let Some(reason) = reason.filter(|reason| !ORDINARY.contains(reason)) {
            let message = waits.and_then(|waits| waits.message.as_deref()).unwrap_or_default();
            let end = if status.name == ETCD_CONTAINER { member.last_end() } else { None };
            let parts = [Some(message.to_owned()).filter(|text| !text.is_empty()), end];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            return Some(format!("{}: {reason}: {}", status.name, parts.join("; ")));
        }
    }
    (!member.etcd_container_runs()).then(|| member.last_end()).flatten()
}

/// Why and with what last words a container ended. Of a log only the last line is quoted.
fn describe_end(ended: &ContainerStateTerminated) -> String {
    let reason = ended.reason.as_deref().unwrap_or("Error");
    let last_line = ended.message.as_deref().and_then(|text| text.trim().lines().last());
    match last_line {
        Some(line) => format!("it ended: {reason}, exit code {}: {line}", ended.exit_code),
        None => format!("it ended: {reason}, exit code {}", ended.exit_code),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_QUOTATION {
        return text.to_owned();
    }
    text.chars().take(LONGEST_QUOTATION).chain("...".chars()).collect()
}
