//! What Kubernetes says of a pod that does not come up, in its own words: the one place where its reasons are read. Never decides by
//! them.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

/// Longest quotation, in characters. A message of the scheduler names each node.
const LONGEST_QUOTATION: usize = 400;
/// Reasons for which a container waits in the ordinary course of things.
const ORDINARY: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// What the kubelet says of a container.
pub fn status_of<'p>(pod: &'p Pod, container: &str) -> Option<&'p ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == container)
}

/// How a container last ended.
pub fn last_terminated(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let states = [&status.state, &status.last_state];
    states.into_iter().find_map(|state| state.as_ref()?.terminated.as_ref())
}

/// Why no node takes the pod.
pub fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let refused = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let reason = refused.reason.as_deref().unwrap_or("Unschedulable");
    Some(format!("{reason}: {}", refused.message.as_deref().unwrap_or("no reason is given")))
}

/// The first container that waits for an extraordinary reason, and why. `main` is the one whose end is told beside it.
pub fn waiting(pod: &Pod, main: &str) -> Option<String> {
    let status = pod.status.as_ref()?;
    let mut all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    all.find_map(|status| {
        let waits = status.state.as_ref()?.waiting.as_ref()?;
        let reason = waits.reason.as_deref().filter(|reason| !ORDINARY.contains(reason))?;
        let message = waits.message.clone().filter(|text| !text.is_empty());
        let end = if status.name == main { last_terminated(status).map(describe_end) } else { None };
        let parts: Vec<String> = [message, end].into_iter().flatten().collect();
        Some(format!("{}: {reason}: {}", status.name, parts.join("; ")))
    })
}

/// Why and with what last words a container ended. Of a log only the last line is quoted.
pub fn describe_end(ended: &ContainerStateTerminated) -> String {
    let reason = ended.reason.as_deref().unwrap_or("Error");
    let last_line = ended.message.as_deref().and_then(|text| text.trim().lines().last());
    match last_line {
        Some(line) => format!("it ended: {reason}, exit code {}: {line}", ended.exit_code),
        None => format!("it ended: {reason}, exit code {}", ended.exit_code),
    }
}

/// A quotation that has no end is cut.
pub fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_QUOTATION {
        return text.to_owned();
    }
    text.chars().take(LONGEST_QUOTATION).chain("...".chars()).collect()
}
