//! Crosses the faults of scenarios with a change of etcd's version: each fault once more, in the middle of it. Pure: texts come in and
//! texts go out.

use serde_json::{Map, Value, json};

use super::error::ScenarioError;
use super::parse::parse;
use super::{EtcdVersion, Scenario};

/// What says when a fault comes, or who else it must have to do with: it comes in the middle of the change instead.
const TIMES: [&str; 4] = ["name", "at", "when", "jitter"];
/// The seconds after the change was declared within which the fault comes, by the seed. On a sandbox the change takes longer.
const WITHIN: &str = "12s";
/// More members make the change longer, and no fault another one.
const LARGEST_SIZE: u64 = 5;

/// One fault of some scenario, in the middle of a change of etcd's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossed {
    /// The new scenario's name.
    pub name: String,
    /// Its file: JSON, which is YAML.
    pub text: String,
    /// The scenario that the fault is from, the first of several.
    pub of: String,
}

/// A fault that was left out.
#[derive(Debug, thiserror::Error)]
#[error("{of}: {fault} cannot be crossed")]
pub struct NotCrossed {
    /// The scenario that the fault is from.
    pub of: String,
    /// The fault, as its file says.
    pub fault: String,
    /// Why.
    #[source]
    pub why: ScenarioError,
}

/// Every fault that any of these scenarios has, once, in the order of the scenarios. A fault counts as the same if only its name and
/// its time differ. Changes of the version themselves are left out.
///
/// # Errors
/// None for the whole: what cannot be crossed stands beside what can.
pub fn cross(
    scenarios: &[(Scenario, String)],
    from: &EtcdVersion,
    to: &EtcdVersion,
) -> (Vec<Crossed>, Vec<NotCrossed>) {
    let mut seen = Vec::new();
    let (mut crossed, mut left_out) = (Vec::new(), Vec::new());
    for (scenario, text) in scenarios {
        let file: Value = serde_saphyr::from_str(text).expect("it was parsed as a scenario");
        let all: Vec<&Map<String, Value>> =
            file["faults"].as_array().into_iter().flatten().filter_map(Value::as_object).collect();
        for whole in &all {
            let followers: Vec<Map<String, Value>> =
                all.iter().filter(|other| follows(other, whole)).map(|other| without_time(other)).collect();
            let fault = without_time(whole);
            if changes_version(&fault) || seen.contains(&fault) {
                continue;
            }
            seen.push(fault.clone());
            let name = name(seen.len(), &fault, from < to);
            let text =
                format!("{:#}\n", file_of((&name, seen.len()), &file, (&fault, &followers), (from, to)));
            let of = scenario.name.to_string();
            match parse(&format!("{name}.yaml"), text.as_bytes()) {
                Ok(_) => crossed.push(Crossed { name, text, of }),
                Err(why) => left_out.push(NotCrossed { of, fault: Value::Object(fault).to_string(), why }),
            }
        }
    }
    (crossed, left_out)
}

/// Whether a fault hits whom another one hit: what the earlier one prepares, only the later one makes felt.
fn follows(fault: &Map<String, Value>, earlier: &Map<String, Value>) -> bool {
    fault.get("sameTargetAs").is_some_and(|name| Some(name) == earlier.get("name"))
}

/// Whether a fault declares a version, be it one that is refused.
fn changes_version(fault: &Map<String, Value>) -> bool {
    let patched = fault.get("spec").and_then(|spec| spec.get("version"));
    fault.get("kind") == Some(&json!("upgrade")) || patched.is_some()
}

/// The fault without its time. One that hits whom another one hit has nobody to follow here.
fn without_time(fault: &Map<String, Value>) -> Map<String, Value> {
    let mut fault: Map<String, Value> = fault
        .iter()
        .filter(|(key, _)| !TIMES.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if fault.remove("sameTargetAs").is_some() {
        fault.insert("target".to_owned(), json!("member"));
    }
    fault
}

fn name(number: usize, fault: &Map<String, Value>, is_up: bool) -> String {
    let words = ["kind", "ask", "object", "target", "peers", "direction"];
    let said: Vec<&str> = words.iter().filter_map(|word| fault.get(*word)?.as_str()).collect();
    let name = format!("{}-{number:02}-{}", if is_up { "up" } else { "down" }, said.join("-"));
    let cut: String = name.chars().take(40).collect();
    cut.trim_end_matches('-').to_owned()
}

fn file_of(
    (name, number): (&str, usize),
    file: &Value,
    (fault, followers): (&Map<String, Value>, &[Map<String, Value>]),
    (from, to): (&EtcdVersion, &EtcdVersion),
) -> Value {
    let size = file["subject"]["cluster"]["size"].as_u64().unwrap_or(3).min(LARGEST_SIZE);
    // What shrinks a cluster was after what let it grow.
    let size = if fault.get("size") == Some(&json!(size)) { size + 2 } else { size };
    let mut hit = fault.clone();
    // What is drawn by the seed is drawn for this name: each comes at another moment.
    let hit_name = format!("hit-{number:02}");
    hit.insert("name".to_owned(), json!(hit_name));
    hit.insert("when".to_owned(), json!({ "faultInjected": "change" }));
    hit.insert("jitter".to_owned(), json!(WITHIN));
    let followers = followers.iter().enumerate().map(|(index, follower)| {
        let mut follower = follower.clone();
        follower.remove("target");
        follower.insert("name".to_owned(), json!(format!("{hit_name}-{}", index + 1)));
        follower.insert("sameTargetAs".to_owned(), json!(hit_name));
        follower.insert("when".to_owned(), json!({ "faultInjected": hit_name }));
        Value::Object(follower)
    });
    let change = json!({ "name": "change", "kind": "upgrade", "version": to.as_str(), "at": "1s" });
    let faults: Vec<Value> = [change, Value::Object(hit)].into_iter().chain(followers).collect();
    let mut expect = file["expect"].as_object().cloned().unwrap_or_default();
    for (key, value) in [("quorumBackWithin", "20s"), ("recoveryWithin", "240s"), ("repairWithin", "300s")] {
        expect.insert(key.to_owned(), json!(value));
    }
    let mut crossed = json!({
        "name": name,
        "seed": file["seed"],
        "subject": { "cluster": { "size": size, "version": from.as_str(), "soak": "3s" } },
        "load": { "warmUp": "2s", "coolDown": "2s" },
        "faults": faults,
        "expect": expect,
    });
    // A fault that changes what is spoken needs the cluster that it was written for.
    if let Some(tls) = file.pointer("/subject/cluster/tls") {
        crossed["subject"]["cluster"]["tls"] = tls.clone();
    }
    if let Some(allow) = file.get("allow") {
        crossed["allow"] = allow.clone();
    }
    crossed
}
