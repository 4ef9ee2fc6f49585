//! Which rules a caller has: the bindings that name him, and the roles behind them.
//!
//! Follows `k8s.io/kubernetes/pkg/registry/rbac/validation` (`VisitRulesFor`). Pure.

use serde_json::Value;

use super::Rule;
use crate::apiserver::auth::User;
use crate::apiserver::cluster::Cluster;
use crate::apiserver::json::{list, text};
use crate::store::{GroupResource, ObjectKey};

/// The group that roles and bindings are in.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

/// The rules that one binding gives.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// The binding, its role and its subject, for the reason of a decision.
    pub(crate) source: String,
    pub(crate) rules: Vec<Rule>,
}

/// Everything that bindings give `user` in `namespace` (at cluster scope when empty), and what is wrong with bindings
/// that name him and give nothing.
pub(crate) fn grants(cluster: &Cluster, user: &User, namespace: &str) -> (Vec<Grant>, Vec<String>) {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    let everywhere = bindings(cluster, "clusterrolebindings", None).into_iter().map(|binding| (binding, ""));
    let here = (!namespace.is_empty()).then(|| bindings(cluster, "rolebindings", Some(namespace)));
    let here = here.into_iter().flatten().map(|binding| (binding, namespace));
    for (binding, within) in everywhere.chain(here) {
        let subject = list(binding.get("subjects")).find(|subject| is_meant(user, subject, within));
        let Some(subject) = subject else { continue };
        match rules_of(cluster, &binding["roleRef"], within) {
            Ok(rules) => found.push(Grant { source: describe(&binding, subject, within), rules }),
            Err(error) => errors.push(error),
        }
    }
    (found, errors)
}

/// All rules that `user` has in `namespace`.
pub(crate) fn rules_for(cluster: &Cluster, user: &User, namespace: &str) -> Vec<Rule> {
    grants(cluster, user, namespace).0.into_iter().flat_map(|grant| grant.rules).collect()
}

/// The rules of the role that a binding refers to; the error is what the API server says of a role that is missing.
pub(crate) fn rules_of(cluster: &Cluster, reference: &Value, namespace: &str) -> Result<Vec<Rule>, String> {
    let name = text(reference, "/name");
    let (resource, namespace) = match text(reference, "/kind") {
        "Role" => ("roles", Some(namespace.to_owned())),
        "ClusterRole" => ("clusterroles", None),
        other => return Err(format!("unsupported role reference kind: {other:?}")),
    };
    let id = GroupResource::new(GROUP, resource);
    let key = ObjectKey { resource: id, namespace, name: name.to_owned() };
    let role = cluster.store.get(&key);
    let singular = resource.trim_end_matches('s');
    let role = role.ok_or_else(|| format!("{singular}.{GROUP} {name:?} not found"))?;
    Ok(rules_in(&role))
}

/// The rules that a role holds.
pub(crate) fn rules_in(role: &Value) -> Vec<Rule> {
    list(role.get("rules")).filter_map(|rule| serde_json::from_value(rule.clone()).ok()).collect()
}

fn bindings(cluster: &Cluster, resource: &str, namespace: Option<&str>) -> Vec<std::sync::Arc<Value>> {
    let all = cluster.store.list(&GroupResource::new(GROUP, resource), namespace);
    all.into_iter().map(|(_, binding)| binding).collect()
}

fn is_meant(user: &User, subject: &Value, namespace: &str) -> bool {
    let name = text(subject, "/name");
    match text(subject, "/kind") {
        "User" => user.name == name,
        "Group" => user.groups.iter().any(|group| group == name),
        "ServiceAccount" => {
            let own = text(subject, "/namespace");
            let namespace = if own.is_empty() { namespace } else { own };
            !namespace.is_empty() && user.name == format!("system:serviceaccount:{namespace}:{name}")
        }
        _ => false,
    }
}

fn describe(binding: &Value, subject: &Value, namespace: &str) -> String {
    let (kind, name) = (text(binding, "/roleRef/kind"), text(binding, "/roleRef/name"));
    let own = text(binding, "/metadata/name");
    let binding = match namespace {
        "" => format!("ClusterRoleBinding {own:?}"),
        namespace => format!("RoleBinding {:?}", format!("{own}/{namespace}")),
    };
    let (who, which) = (text(subject, "/kind"), text(subject, "/name"));
    let which = match (who, text(subject, "/namespace")) {
        ("ServiceAccount", "") => format!("{which}/{namespace}"),
        ("ServiceAccount", of) => format!("{which}/{of}"),
        _ => which.to_owned(),
    };
    format!("{binding} of {kind} {name:?} to {who} {which:?}")
}
