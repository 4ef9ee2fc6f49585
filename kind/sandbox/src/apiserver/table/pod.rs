//! The cells of a pod: how many containers are ready, the one word for its state, its restarts. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use crate::apiserver::json::{list, text};

fn statuses<'a>(pod: &'a Value, field: &str) -> Vec<&'a Value> {
    list(pod["status"].get(field)).collect()
}

/// Ready containers of all; sidecars count like any container.
pub(super) fn ready(pod: &Value, _now: Timestamp) -> Value {
    let all = list(pod["spec"].get("containers")).count() + sidecars(pod).len();
    let is_sidecar = |status: &&Value| sidecars(pod).contains(&text(status, "/name"));
    let held = statuses(pod, "containerStatuses").into_iter();
    let held = held.chain(statuses(pod, "initContainerStatuses").into_iter().filter(is_sidecar));
    let ready = held.filter(|status| status["ready"] == json!(true)).count();
    json!(format!("{ready}/{all}"))
}

fn sidecars(pod: &Value) -> Vec<&str> {
    let all = list(pod["spec"].get("initContainers"));
    all.filter(|container| text(container, "/restartPolicy") == "Always")
        .map(|held| text(held, "/name"))
        .collect()
}

/// The state of the pod in one word.
pub(super) fn status(pod: &Value, _now: Timestamp) -> Value {
    let phase = [text(pod, "/status/reason"), text(pod, "/status/phase")];
    let phase = phase.into_iter().find(|word| !word.is_empty()).unwrap_or_default();
    let word = initializing(pod).unwrap_or_else(|| of_containers(pod, phase));
    if !pod["metadata"]["deletionTimestamp"].is_string() {
        return json!(word);
    }
    let has_ended = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    json!(if has_ended { word } else { "Terminating".to_owned() })
}

/// What the first unfinished init container does, if there is one.
fn initializing(pod: &Value) -> Option<String> {
    let all = list(pod["spec"].get("initContainers")).count();
    let sidecars = sidecars(pod);
    for (index, status) in statuses(pod, "initContainerStatuses").into_iter().enumerate() {
        let state = &status["state"];
        let exit_code = state.pointer("/terminated/exitCode").and_then(Value::as_i64);
        let is_started_sidecar =
            sidecars.contains(&text(status, "/name")) && status["started"] == json!(true);
        if exit_code == Some(0) || is_started_sidecar {
            continue;
        }
        if let Some(code) = exit_code {
            return Some(format!("Init:{}", ended(&state["terminated"], code)));
        }
        let waiting = text(state, "/waiting/reason");
        let is_telling = !waiting.is_empty() && waiting != "PodInitializing";
        return Some(if is_telling { format!("Init:{waiting}") } else { format!("Init:{index}/{all}") });
    }
    None
}

fn ended(terminated: &Value, code: i64) -> String {
    match (text(terminated, "/reason"), terminated["signal"].as_i64().filter(|signal| *signal != 0)) {
        ("", Some(signal)) => format!("Signal:{signal}"),
        ("", None) => format!("ExitCode:{code}"),
        (reason, _) => reason.to_owned(),
    }
}

fn of_containers(pod: &Value, phase: &str) -> String {
    let (mut word, mut has_running) = (phase.to_owned(), false);
    for status in statuses(pod, "containerStatuses").into_iter().rev() {
        let state = &status["state"];
        let waiting = text(state, "/waiting/reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut word);
        } else if let Some(code) = state.pointer("/terminated/exitCode").and_then(Value::as_i64) {
            word = ended(&state["terminated"], code);
        } else if status["ready"] == json!(true) && state["running"].is_object() {
            has_running = true;
        }
    }
    if word != "Completed" || !has_running {
        return word;
    }
    let is_ready = list(pod["status"].get("conditions"))
        .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True");
    if is_ready { "Running" } else { "NotReady" }.to_owned()
}

/// What a row says of a pod that has ended, so that clients can leave it out.
pub(super) fn row_condition(pod: &Value) -> Option<Value> {
    let phase = text(pod, "/status/phase");
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!({"type": "Completed", "status": "True", "reason": phase, "message": message}))
}

/// How many of the pod's readiness gates are open.
pub(super) fn gates(pod: &Value, _now: Timestamp) -> Value {
    let gates: Vec<&str> =
        list(pod["spec"].get("readinessGates")).map(|gate| text(gate, "/conditionType")).collect();
    let is_open = |gate: &&&str| {
        list(pod["status"].get("conditions"))
            .any(|condition| text(condition, "/type") == **gate && text(condition, "/status") == "True")
    };
    match gates.len() {
        0 => json!("<none>"),
        all => json!(format!("{}/{all}", gates.iter().filter(is_open).count())),
    }
}

/// How often containers were restarted, and when last; init containers count while they run.
pub(super) fn restarts(pod: &Value, now: Timestamp) -> Value {
    let running = if initializing(pod).is_some() { "initContainerStatuses" } else { "containerStatuses" };
    let held = statuses(pod, running);
    let count: i64 = held.iter().filter_map(|status| status["restartCount"].as_i64()).sum();
    let ends = held.iter().map(|status| text(status, "/lastState/terminated/finishedAt"));
    match ends.filter(|end| !end.is_empty()).max() {
        Some(last) if count > 0 => json!(format!("{count} ({} ago)", age::since(last, now))),
        Some(_) | None => json!(count.to_string()),
    }
}
