//! What the operator may do in a cluster, each right with the reason for it. Nothing is granted by wildcard.

use serde_json::{Value, json};

/// Rules of the ClusterRole: rights the operator needs wherever an EtcdCluster may be.
pub(super) fn everywhere() -> Vec<Value> {
    let mut rules = vec![
        // The resources it serves. Status is written through its own subresource, so the spec stays the user's.
        rule(&["etcd.operators.rs"], &["etcdclusters"], &["get", "list", "watch"]),
        rule(&["etcd.operators.rs"], &["etcdclusters/status"], &["patch"]),
        // Owner references that block deletion need this where OwnerReferencesPermissionEnforcement is on.
        rule(&["etcd.operators.rs"], &["etcdclusters/finalizers"], &["update"]),
        // One StatefulSet for each member.
        rule(&["apps"], &["statefulsets"], MANAGE),
        // Volumes, addresses.
        rule(&[""], &["persistentvolumeclaims", "services"], MANAGE),
        // Permits, roles and fences are annotations and labels of live pods; removed members' pods are deleted.
        rule(&[""], &["pods"], &["get", "list", "watch", "patch", "delete"]),
        rule(&["policy"], &["poddisruptionbudgets"], MANAGE),
        // What it did, and what it holds back, for `kubectl describe`.
        rule(&["events.k8s.io"], &["events"], &["get", "create", "patch"]),
    ];
    // It registers its own resource types when it starts. `create` cannot be narrowed by name.
    rules.push(rule(&["apiextensions.k8s.io"], &["customresourcedefinitions"], &["create"]));
    rules.push(json!({
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "resourceNames": ["etcdclusters.etcd.operators.rs"],
        "verbs": ["get", "patch"],
    }));
    rules
}

/// Rules of the Role in the operator's own namespace: its Lease.
pub(super) fn at_home() -> Vec<Value> {
    vec![
        rule(&["coordination.k8s.io"], &["leases"], &["create"]),
        json!({
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": ["etcd-operator"],
            "verbs": ["get", "update"],
        }),
    ]
}

const MANAGE: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": groups, "resources": resources, "verbs": verbs })
}
