//! Nobody gives rights that he does not have: the check on every write of a role or a binding.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping>. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::grants::{GROUP, rules_in, rules_of};
use super::{Attributes, Rule, decide, rules_for};
use crate::apiserver::auth::User;
use crate::apiserver::cluster::{Cluster, Target};
use crate::apiserver::error::ApiError;
use crate::apiserver::json::text;

/// Refuses a role or binding that gives more than its writer has. `old` is what it replaces.
pub(crate) fn check(
    cluster: &Cluster,
    user: &User,
    target: &Target,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), ApiError> {
    let id = &target.definition.id;
    if id.group != GROUP || user.is_master() || old.is_some_and(|old| only_collects(old, new)) {
        return Ok(());
    }
    let namespace = target.namespace.as_deref().unwrap_or_default();
    let given = match id.resource.as_str() {
        "roles" | "clusterroles" => {
            let name = target.name.as_deref().unwrap_or_default();
            if may(cluster, user, "escalate", &id.resource, namespace, name) {
                return Ok(());
            }
            rules_in(new)
        }
        "rolebindings" | "clusterrolebindings" => {
            let reference = &new["roleRef"];
            let role = if text(reference, "/kind") == "Role" { "roles" } else { "clusterroles" };
            if may(cluster, user, "bind", role, namespace, text(reference, "/name")) {
                return Ok(());
            }
            rules_of(cluster, reference, namespace)
                .map_err(|_| ApiError::not_found(id, text(reference, "/name")))?
        }
        _ => return Ok(()),
    };
    let missing = missing(&rules_for(cluster, user, namespace), &given);
    if missing.is_empty() {
        return Ok(());
    }
    let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
    let lines: Vec<&str> = missing.iter().map(String::as_str).collect();
    let why = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        groups.join(" "),
        lines.join("\n")
    );
    Err(ApiError::forbidden(id, text(new, "/metadata/name"), &why))
}

/// A change that serves garbage collection alone gives nothing.
fn only_collects(old: &Value, new: &Value) -> bool {
    let rest = |object: &Value| {
        let mut rest = object.clone();
        for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"] {
            rest["metadata"].as_object_mut().map(|metadata| metadata.remove(field));
        }
        rest
    };
    rest(old) == rest(new)
}

fn may(cluster: &Cluster, user: &User, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
    decide(cluster, user, &Attributes::on_role(verb, resource, namespace, name)).allowed
}

/// What `given` has beyond `held`: one line for each resource or path, with the verbs together.
fn missing(held: &[Rule], given: &[Rule]) -> BTreeSet<String> {
    let mut verbs: BTreeMap<Rule, Vec<String>> = BTreeMap::new();
    let parts = given.iter().flat_map(Rule::parts);
    for part in parts.filter(|part| !held.iter().any(|rule| rule.covers(part))) {
        let without_verb = Rule { verbs: Vec::new(), ..part.clone() };
        verbs.entry(without_verb).or_default().extend(part.verbs);
    }
    verbs.into_iter().map(|(rule, verbs)| Rule { verbs, ..rule }.shown()).collect()
}
