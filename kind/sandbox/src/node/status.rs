//! A pod's status as the kubelet reports it. Pure.

use super::lifecycle::{ContainerRecord, Containers, Kind, RestartPolicy, State, Termination};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What a status is made of, beside the pod itself.
pub(crate) struct Inputs<'a> {
    pub(crate) containers: &'a Containers,
    pub(crate) host_address: &'a str,
    pub(crate) pod_address: Option<&'a str>,
    /// When the node took the pod.
    pub(crate) start_time: Timestamp,
    /// Whether network and volumes are there.
    pub(crate) sandbox_ready: bool,
    /// Whether the node is ending the pod.
    pub(crate) terminating: bool,
    pub(crate) now: Timestamp,
}

/// The status of a pod, with the node's own conditions only: written as a strategic merge patch, it leaves those of
/// others alone.
pub(crate) fn status(pod: &Pod, inputs: &Inputs<'_>) -> PodStatus {
    let before = pod.status.clone().unwrap_or_default();
    let phase = phase(inputs.containers, RestartPolicy::of(pod), inputs.terminating);
    let list = |kind| {
        let statuses: Vec<_> = inputs.containers.of_kind(kind).map(container_status).collect();
        (!statuses.is_empty()).then_some(statuses)
    };
    PodStatus {
        conditions: Some(conditions(pod, inputs, phase)),
        phase: Some(phase.into()),
        host_ip: Some(inputs.host_address.into()),
        host_ips: Some(vec![HostIP { ip: inputs.host_address.into() }]),
        pod_ip: inputs.pod_address.map(str::to_owned),
        pod_ips: inputs.pod_address.map(|address| vec![PodIP { ip: address.into() }]),
        start_time: Some(Time(inputs.start_time)),
        init_container_statuses: list(Kind::Init),
        container_statuses: list(Kind::Main),
        ephemeral_container_statuses: list(Kind::Ephemeral),
        qos_class: before.qos_class,
        observed_generation: pod.metadata.generation,
        ..PodStatus::default()
    }
}

/// The kubelet's `getPhase`.
fn phase(containers: &Containers, policy: RestartPolicy, terminating: bool) -> &'static str {
    let never_again =
        |record: &ContainerRecord| policy == RestartPolicy::Never || terminating && record.ended().is_some();
    let init_failed = containers
        .of_kind(Kind::Init)
        .filter(|record| !record.is_sidecar())
        .any(|record| record.ended().is_some_and(|ended| ended.exit_code != 0) && never_again(record));
    // A pod is not over as long as anything of it runs.
    let sidecars_run = containers.last_running_sidecar().is_some();
    if init_failed {
        return if sidecars_run { "Pending" } else { "Failed" };
    }
    if !containers.initialized() {
        return "Pending";
    }
    let main: Vec<&ContainerRecord> = containers.of_kind(Kind::Main).collect();
    let ended: Vec<&Termination> = main.iter().filter_map(|record| record.ended()).collect();
    let started =
        main.iter().any(|record| record.ended().is_some() || matches!(record.state, State::Running { .. }));
    let all_ended = ended.len() == main.len();
    let all_succeeded = ended.iter().all(|one| one.exit_code == 0);
    match (started, all_ended) {
        (false, _) => "Pending",
        (true, false) => "Running",
        (true, true) if sidecars_run => "Running",
        (true, true) => match policy {
            RestartPolicy::Always if !terminating => "Running",
            RestartPolicy::OnFailure if !all_succeeded && !terminating => "Running",
            RestartPolicy::Always | RestartPolicy::OnFailure | RestartPolicy::Never if all_succeeded => {
                "Succeeded"
            }
            RestartPolicy::Always | RestartPolicy::OnFailure | RestartPolicy::Never => "Failed",
        },
    }
}

fn container_status(record: &ContainerRecord) -> ContainerStatus {
    let image = record.container.image.clone().unwrap_or_default();
    let running = matches!(record.state, State::Running { .. });
    let init_done = record.kind == Kind::Init
        && !record.is_sidecar()
        && matches!(&record.state, State::Terminated(one) if one.exit_code == 0);
    ContainerStatus {
        name: record.container.name.clone(),
        image_id: if record.container_id.is_empty() { String::new() } else { image.clone() },
        image,
        container_id: Some(record.container_id.clone()).filter(|id| !id.is_empty()),
        ready: init_done || (record.is_lasting() && running && record.ready),
        started: Some(running && record.started),
        restart_count: record.restarts,
        state: Some(state(&record.state)),
        last_state: record
            .last
            .as_ref()
            .map(|last| ContainerState { terminated: Some(terminated(last)), ..ContainerState::default() }),
        ..ContainerStatus::default()
    }
}

fn state(state: &State) -> ContainerState {
    match state {
        State::Waiting { reason, message } => ContainerState {
            waiting: Some(ContainerStateWaiting {
                reason: Some(reason.clone()),
                message: Some(message.clone()).filter(|message| !message.is_empty()),
            }),
            ..ContainerState::default()
        },
        State::Running { started_at } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(Time(*started_at)) }),
            ..ContainerState::default()
        },
        State::Terminated(termination) => {
            ContainerState { terminated: Some(terminated(termination)), ..ContainerState::default() }
        }
    }
}

fn terminated(termination: &Termination) -> ContainerStateTerminated {
    ContainerStateTerminated {
        exit_code: termination.exit_code,
        // Like the kubelet with containerd: a signal shows as 128 + n in the exit code only.
        signal: None,
        reason: Some(termination.reason.clone()),
        message: Some(termination.message.clone()).filter(|message| !message.is_empty()),
        started_at: termination.started_at.map(Time),
        finished_at: Some(Time(termination.finished_at)),
        container_id: Some(termination.container_id.clone()).filter(|id| !id.is_empty()),
    }
}

fn conditions(pod: &Pod, inputs: &Inputs<'_>, phase: &str) -> Vec<PodCondition> {
    let before = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let done = matches!(phase, "Succeeded" | "Failed");
    let lasting = inputs.containers.of_kind(Kind::Init).chain(inputs.containers.of_kind(Kind::Main));
    let unready: Vec<&str> = lasting
        .filter(|record| record.is_lasting())
        .filter(|record| !(matches!(record.state, State::Running { .. }) && record.ready))
        .map(|record| record.container.name.as_str())
        .collect();
    let uninitialized: Vec<&str> = inputs
        .containers
        .of_kind(Kind::Init)
        .filter(|record| {
            let ended = record.ended().is_some_and(|ended| ended.exit_code == 0);
            if record.is_sidecar() { !record.started } else { !ended }
        })
        .map(|record| record.container.name.as_str())
        .collect();
    let named = |names: &[&str], reason: &str, what: &str| match (done, names) {
        (true, _) if phase == "Succeeded" => Some(("PodCompleted".to_owned(), String::new())),
        (true, _) => Some(("PodFailed".to_owned(), String::new())),
        (false, []) => None,
        (false, names) => {
            Some((reason.to_owned(), format!("containers with {what} status: [{}]", names.join(" "))))
        }
    };
    let readiness = named(&unready, "ContainersNotReady", "unready");
    let initialization = (!inputs.containers.initialized())
        .then(|| named(&uninitialized, "ContainersNotInitialized", "incomplete"))
        .flatten();
    let gates = readiness.clone().or_else(|| closed_gate(pod, &before));
    let wanted = [
        ("PodReadyToStartContainers", (!inputs.sandbox_ready).then(|| (String::new(), String::new()))),
        ("Initialized", initialization),
        ("Ready", gates),
        ("ContainersReady", readiness),
    ];
    wanted.into_iter().map(|(kind, problem)| condition(kind, problem, &before, inputs.now)).collect()
}

/// A readiness gate whose condition somebody else has not set to true.
fn closed_gate(pod: &Pod, conditions: &[PodCondition]) -> Option<(String, String)> {
    let gates = pod.spec.as_ref()?.readiness_gates.as_ref()?;
    let open = |kind: &str| conditions.iter().any(|one| one.type_ == kind && one.status == "True");
    let closed = gates.iter().find(|gate| !open(&gate.condition_type))?;
    let message = format!(
        "corresponding condition of pod readiness gate \"{}\" does not exist.",
        closed.condition_type
    );
    Some(("ReadinessGatesNotReady".into(), message))
}

/// A condition that is true without a problem; its transition time changes with its status only.
fn condition(
    kind: &str,
    problem: Option<(String, String)>,
    before: &[PodCondition],
    now: Timestamp,
) -> PodCondition {
    let status = if problem.is_none() { "True" } else { "False" };
    let earlier = before.iter().find(|one| one.type_ == kind && one.status == status);
    let (reason, message) = problem.unwrap_or_default();
    PodCondition {
        type_: kind.into(),
        status: status.into(),
        reason: Some(reason).filter(|reason| !reason.is_empty()),
        message: Some(message).filter(|message| !message.is_empty()),
        last_transition_time: earlier.and_then(|one| one.last_transition_time.clone()).or(Some(Time(now))),
        ..PodCondition::default()
    }
}

/// Whether two statuses tell the same. Transition times follow from the rest.
pub(crate) fn same(one: &PodStatus, other: &PodStatus) -> bool {
    let untimed = |status: &PodStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_transition_time = None;
        }
        status
    };
    untimed(one) == untimed(other)
}

#[cfg(test)]
mod tests;
