//! What the harness may do in a cluster that somebody else runs, each right with its reason: the least with which every kind
//! of fault can be carried out. Pure; [`crate::doctor`] asks whether they are there.

use std::fmt::Write as _;

use crate::subject::operator;

/// A right to some verbs on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// The resource's group, empty for the core.
    pub group: &'static str,
    /// The resource, with its subresource.
    pub resource: &'static str,
    /// What is done with it.
    pub verbs: &'static [&'static str],
    /// Where.
    pub place: Place,
    /// Why, and why it is not narrower.
    pub reason: &'static str,
}

/// Where a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the namespace of a run, whose name is made up by the run: in all namespaces, as RBAC has no patterns.
    Everywhere,
    /// On the operator's Deployment.
    Operator,
}

const fn right(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    reason: &'static str,
) -> Right {
    Right { group, resource, verbs, place: Place::Everywhere, reason }
}

/// Every right of the harness.
pub const RIGHTS: &[Right] = &[
    right(
        "",
        "namespaces",
        &["create", "delete", "get", "list"],
        "Each run makes a namespace and removes it; `chaos heal` finds those of killed runs. Their names are made up, and RBAC has no patterns: the rights below are in all namespaces for that reason alone.",
    ),
    right(
        "etcd.operators.rs",
        "etcdclusters",
        &["create", "delete", "get", "list", "patch", "watch"],
        "The cluster under test: made, watched, resized; and those that begin with its backups, which go once they were read.",
    ),
    right("etcd.operators.rs", "etcdbackups", &["create", "get"], "Backups of it are asked for."),
    right("etcd.operators.rs", "etcdclusters/status", &["patch"], "Its status is corrupted."),
    right(
        "",
        "pods",
        &["create", "delete", "get", "list", "patch", "watch"],
        "Load and probe; members' pods and the operator's are watched and deleted. An annotation makes a kubelet show a pod a new certificate at once.",
    ),
    right(
        "",
        "pods/ephemeralcontainers",
        &["patch"],
        "The agent that carries a fault into a pod, and proves it.",
    ),
    right("", "pods/log", &["get"], "The agent's proof; logs for the record."),
    right(
        "",
        "pods/portforward",
        &["create", "get"],
        "Members' ports are asked which certificate they show. Some releases of Kubernetes ask for the one verb, some for both.",
    ),
    right(
        "",
        "pods/proxy",
        &["create", "get"],
        "Load and probe are asked for their history: the harness needs no route to any pod.",
    ),
    right(
        "",
        "secrets",
        &["delete", "get", "patch"],
        "By name: the certificates of the subject, which are damaged, and whose authorities the harness trusts and signs damaged ones with.",
    ),
    right(
        "",
        "persistentvolumeclaims",
        &["create", "delete", "get", "list", "patch"],
        "Disks are lost, and held in their deletion by a finalizer; backups are kept in one.",
    ),
    right(
        "",
        "services",
        &["delete", "get", "patch"],
        "Services are corrupted and deleted; the API server's address is read.",
    ),
    right(
        "apps",
        "statefulsets",
        &["delete", "get", "patch"],
        "Templates are corrupted, sets are scaled and deleted.",
    ),
    right(
        "discovery.k8s.io",
        "endpointslices",
        &["list"],
        "Whether a corrupted Service was felt: it has no endpoints then.",
    ),
    right(
        "policy",
        "poddisruptionbudgets",
        &["delete", "get", "patch"],
        "Budgets are corrupted and deleted.",
    ),
    right("events.k8s.io", "events", &["list", "watch"], "Events for the report."),
    Right {
        place: Place::Operator,
        ..right(
            "apps",
            "deployments",
            &["get"],
            "Whether the operator is there, and whether its owner allows faults in it.",
        )
    },
];

/// The ServiceAccount that gets the rights, with the roles and bindings that give them: what an administrator applies.
#[must_use]
pub fn manifest(namespace: &str) -> String {
    let account =
        format!("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: chaos\n  namespace: {namespace}\n");
    let mut text = format!(
        "# The least rights with which chaos runs every scenario: kubectl apply -f this file.\n---\n{account}"
    );
    let operator = format!("\n  namespace: {}", operator::NAMESPACE);
    for (prefix, place, within) in
        [("Cluster", Place::Everywhere, ""), ("", Place::Operator, operator.as_str())]
    {
        let rules: String = RIGHTS.iter().filter(|right| right.place == place).map(rule).collect();
        let role = format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {prefix}Role\nmetadata:\n  name: chaos{within}\nrules:\n{rules}"
        );
        let binding = format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {prefix}RoleBinding\nmetadata:\n  name: chaos{within}\nroleRef:\n  \
             apiGroup: rbac.authorization.k8s.io\n  kind: {prefix}Role\n  name: chaos\nsubjects:\n- kind: ServiceAccount\n  \
             name: chaos\n  namespace: {namespace}\n"
        );
        text.push_str(&role);
        text.push_str(&binding);
    }
    text
}

fn rule(right: &Right) -> String {
    let mut text = String::new();
    let mut line = String::from("#");
    for word in right.reason.split(' ') {
        if line.len() + word.len() > 115 {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        let _ = write!(line, " {word}");
    }
    let verbs: Vec<String> = right.verbs.iter().map(|verb| format!("\"{verb}\"")).collect();
    let named = match right.place {
        Place::Everywhere => String::new(),
        Place::Operator => format!("  resourceNames: [\"{}\"]\n", operator::NAME),
    };
    let _ = writeln!(
        text,
        "{line}\n- apiGroups: [\"{}\"]\n  resources: [\"{}\"]\n{named}  verbs: [{}]",
        right.group,
        right.resource,
        verbs.join(", ")
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::manifest;

    #[test]
    fn the_manifest_is_read_back_as_an_account_two_roles_and_two_bindings() {
        let objects = manifest::documents("rbac", &super::manifest("ci")).unwrap();
        let kinds: Vec<&str> = objects.iter().map(manifest::kind).collect();
        assert_eq!(kinds, ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]);
        let rules = objects[1].data["rules"].as_array().unwrap().len()
            + objects[3].data["rules"].as_array().unwrap().len();
        assert_eq!(rules, RIGHTS.len());
    }

    #[test]
    fn no_right_is_given_by_wildcard() {
        assert!(RIGHTS.iter().all(|right| !right.resource.contains('*') && !right.verbs.contains(&"*")));
    }
}
