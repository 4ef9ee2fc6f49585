//! The ephemeral container that carries an agent into a pod. Pure: from a fault to the container's definition; sends
//! nothing.

use serde_json::{Value, json};

use super::protocol::{AgentFault, AgentRequest};

/// The pod that a fault is aimed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentTarget {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid: a pod of the same name with another uid is not the target.
    pub pod_uid: String,
    /// The container whose process is the target, `etcd` for members.
    pub container: String,
    /// Where the container keeps its data; needed by faults that touch files.
    pub data_volume: Option<DataVolume>,
}

/// A volume of the target pod and the place at which its container sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataVolume {
    /// The volume's name in the pod.
    pub name: String,
    /// Where it is mounted.
    pub mount_path: String,
}

/// The fault needs the data volume and the target does not name one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the fault {fault} needs the data volume of pod {pod}, and none is known")]
pub struct NoDataVolume {
    /// The fault's word.
    pub fault: &'static str,
    /// The pod.
    pub pod: String,
}

/// The ephemeral container for a fault. It runs as root with only the capabilities that the fault needs beyond the
/// runtime's default set, as `kubectl debug` does with its profiles.
///
/// # Errors
/// When the fault touches files and the target names no data volume.
pub fn ephemeral_container(
    name: &str,
    image: &str,
    target: &AgentTarget,
    fault: &AgentFault,
) -> Result<Value, NoDataVolume> {
    let needs = fault.needs();
    let request = serde_json::to_string(&AgentRequest::new(fault.clone()))
        .expect("a request consists of what JSON can hold");
    let mut container = json!({
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/chaos", "agent", request],
        "terminationMessagePolicy": "File",
        "securityContext": {
            "runAsUser": 0,
            "runAsNonRoot": false,
            "capabilities": { "add": needs.capabilities },
        },
    });
    if needs.target_process {
        container["targetContainerName"] = json!(target.container);
    }
    if needs.data_volume {
        let volume = target
            .data_volume
            .as_ref()
            .ok_or_else(|| NoDataVolume { fault: fault.word(), pod: target.pod.clone() })?;
        container["volumeMounts"] = json!([{ "name": volume.name, "mountPath": volume.mount_path }]);
    }
    Ok(container)
}

/// The merge patch that appends a container to those that the pod has, or nothing if one of that name is there. The
/// pod's resource version goes along, so that two agents for one pod cannot overwrite each other.
pub fn append_patch(pod: &Value, container: &Value) -> Option<Value> {
    let mut containers: Vec<Value> =
        pod.pointer("/spec/ephemeralContainers").and_then(Value::as_array).cloned().unwrap_or_default();
    if containers.iter().any(|present| present["name"] == container["name"]) {
        return None;
    }
    containers.push(container.clone());
    Some(json!({
        "metadata": {
            "uid": pod.pointer("/metadata/uid"),
            "resourceVersion": pod.pointer("/metadata/resourceVersion"),
        },
        "spec": { "ephemeralContainers": containers },
    }))
}

/// What the pod's status says about one of its ephemeral containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Not started yet, with the reason if the node gives one.
    Waiting(Option<String>),
    /// Runs.
    Running,
    /// Over.
    Terminated {
        /// The exit code.
        exit_code: i64,
        /// The reason that the node gives.
        reason: Option<String>,
    },
}

/// Reads the state of an ephemeral container from its pod.
pub fn container_state(pod: &Value, container: &str) -> ContainerState {
    let statuses = pod.pointer("/status/ephemeralContainerStatuses").and_then(Value::as_array);
    let status = statuses.into_iter().flatten().find(|status| status["name"] == container);
    let Some(state) = status.map(|status| &status["state"]) else {
        return ContainerState::Waiting(None);
    };
    let reason = |of: &Value| of["reason"].as_str().map(str::to_owned);
    if let Some(terminated) = state.get("terminated") {
        let exit_code = terminated["exitCode"].as_i64().unwrap_or(-1);
        return ContainerState::Terminated { exit_code, reason: reason(terminated) };
    }
    if state.get("running").is_some() {
        return ContainerState::Running;
    }
    ContainerState::Waiting(state.get("waiting").and_then(reason))
}
