//! Plugin `PodSecurity`: what a namespace's labels allow its pods, see
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>.
//!
//! Pure. Levels are enforced; warnings and audit records are not made.

mod baseline;
mod policy;
mod restricted;
mod violation;

use serde_json::Value;

use super::cluster::{Cluster, Target};
use super::error::ApiError;
use super::json::{list, text};
use crate::store::{GroupResource, ObjectKey};
use policy::{Level, Policy};
use violation::Violation;

/// Subresources of pods that change nothing that a level is about.
const IGNORED_SUBRESOURCES: [&str; 3] = ["status", "binding", "eviction"];

/// Refuses a pod that its namespace does not allow, and a namespace with labels that say nothing.
///
/// # Errors
/// The refusal, in the words of Kubernetes.
pub(super) fn check(
    cluster: &Cluster,
    target: &Target,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), ApiError> {
    let subresource = target.subresource.as_deref().unwrap_or_default();
    if target.definition.is("", "namespaces") && subresource.is_empty() {
        return check_labels(old, new);
    }
    let is_pod = target.definition.is("", "pods") && !IGNORED_SUBRESOURCES.contains(&subresource);
    if !is_pod || old.is_some_and(|old| !is_significant(old, new)) {
        return Ok(());
    }
    let resource = GroupResource::new("", "namespaces");
    let name = target.namespace.clone().unwrap_or_default();
    let Some(namespace) = cluster.store.get(&ObjectKey { resource, namespace: None, name }) else {
        return Ok(());
    };
    let policy = Policy::of(&namespace);
    let violations = violations(policy, new);
    if violations.is_empty() {
        return Ok(());
    }
    let said: Vec<String> = violations.iter().map(ToString::to_string).collect();
    let why = format!("violates PodSecurity \"{policy}\": {}", said.join(", "));
    Err(ApiError::forbidden(&target.definition.id, text(new, "/metadata/name"), &why))
}

/// What the policy forbids of a pod, in the order of the rules' names: those of `baseline` first.
fn violations(policy: Policy, pod: &Value) -> Vec<Violation> {
    let minor = policy.minor();
    let rules: Vec<_> = match policy.level {
        Level::Privileged => return Vec::new(),
        Level::Baseline => baseline::RULES.iter().collect(),
        Level::Restricted => {
            let covered = |name: &str| {
                restricted::RULES.iter().any(|rule| rule.since_minor <= minor && rule.covers == Some(name))
            };
            let kept = baseline::RULES.iter().filter(|rule| !covered(rule.name));
            kept.chain(restricted::RULES).collect()
        }
    };
    rules
        .into_iter()
        .filter(|rule| rule.since_minor <= minor)
        .filter_map(|rule| (rule.look)(pod, minor))
        .collect()
}

/// Labels must say something when they are new; a namespace keeps those that were wrong before.
fn check_labels(old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    let wrong = policy::wrong_labels(new);
    if wrong.is_empty() || old.is_some_and(|old| policy::wrong_labels(old) == wrong) {
        return Ok(());
    }
    Err(ApiError::invalid("", "Namespace", text(new, "/metadata/name"), &wrong))
}

/// Whether an update adds a container or changes the image of one. Nothing else of a pod that matters here can change.
fn is_significant(old: &Value, new: &Value) -> bool {
    let images = |pod: &Value, field: &str| -> Vec<(String, String)> {
        let containers = list(pod.pointer(&format!("/spec/{field}")));
        containers.map(|one| (text(one, "/name").to_owned(), text(one, "/image").to_owned())).collect()
    };
    ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .any(|field| images(new, field).iter().any(|one| !images(old, field).contains(one)))
}

/// One rule of a level.
struct Rule {
    /// Its name, which decides its place among the others.
    name: &'static str,
    /// The first minor version of Kubernetes that has it.
    since_minor: u32,
    /// The rule of `baseline` that it includes.
    covers: Option<&'static str>,
    /// What it finds in a pod, by the rules of a minor version.
    look: fn(&Value, u32) -> Option<Violation>,
}

const fn rule(name: &'static str, look: fn(&Value, u32) -> Option<Violation>) -> Rule {
    Rule { name, since_minor: 0, covers: None, look }
}
