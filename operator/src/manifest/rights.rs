//! What the operator may do in a cluster, each right with the reason for it. Nothing is granted by wildcard.
//!
//! Reasons reach the manifest as comments. Where a right is wider than what is done with it, the reason says why
//! Kubernetes has no narrower one.

use super::text::REASON;
use serde_json::{Value, json};

/// Rights on its own objects and what they are made of: in a ClusterRole for all namespaces, in a Role for one.
pub(super) fn on_objects() -> Vec<Value> {
    [on_own_kinds(), on_members(), on_jobs()].concat()
}

fn on_own_kinds() -> Vec<Value> {
    vec![
        rule(
            "The resources that it serves. The spec stays the user's: status is written through its own subresource.",
            "etcd.operators.rs",
            &["etcdclusters", "etcdbackups", "etcdbackupschedules"],
            &["get", "list", "watch"],
        ),
        rule(
            "Status is all that it writes of what users made.",
            "etcd.operators.rs",
            &["etcdclusters/status", "etcdbackups/status", "etcdbackupschedules/status"],
            &["patch"],
        ),
        rule(
            "Backups that schedules took become objects, which go once the backup has been deleted from its store.",
            "etcd.operators.rs",
            &["etcdbackups"],
            &["create", "delete"],
        ),
        rule(
            "Objects whose `deletionPolicy` is `Delete` bear a finalizer until their backup is deleted; nothing else of them is changed.",
            "etcd.operators.rs",
            &["etcdbackups"],
            &["patch"],
        ),
        rule(
            "Its objects block the deletion of their owner until they are gone; clusters with the admission plugin \
             OwnerReferencesPermissionEnforcement (OpenShift) ask for this right then. Nothing is changed by it.",
            "etcd.operators.rs",
            &["etcdclusters/finalizers", "etcdbackups/finalizers", "etcdbackupschedules/finalizers"],
            &["update"],
        ),
    ]
}

fn on_jobs() -> Vec<Value> {
    vec![
        rule(
            "A Job takes each backup, and one restores the first member of a cluster that begins with a backup; one of those that failed is \
             made anew. Not narrowed: they are named after EtcdBackups and members.",
            "batch",
            &["jobs"],
            &["get", "list", "watch", "create", "delete"],
        ),
        rule(
            "A CronJob takes the backups of each schedule, also while the operator is gone; named after it.",
            "batch",
            &["cronjobs"],
            KEEP,
        ),
    ]
}

fn on_members() -> Vec<Value> {
    vec![
        rule(
            "One StatefulSet for each member. Not narrowed: members get new names for ever, and rules know no labels.",
            "apps",
            &["statefulsets"],
            MANAGE,
        ),
        rule(
            "The members' volumes. Not narrowed, for the same reason; a deletion names uid and resourceVersion.",
            "",
            &["persistentvolumeclaims"],
            MANAGE,
        ),
        rule(
            "The members' names and the clients' address. Services are put back by a patch and go with their cluster, so \
             there is no right to delete one. Not narrowed: they are named after clusters, which users name.",
            "",
            &["services"],
            KEEP,
        ),
        rule(
            "Certificates and their keys, of clusters whose spec asks for TLS. Each Secret is read by its name, in the namespace of its cluster; none \
             is ever listed or watched, and none deleted: they go with what they belong to. Rules know no labels, and names follow from those of \
             clusters and members, so that this right is wider than what is done with it: with it the operator could read every Secret of the \
             namespaces that it serves. Whoever wants no TLS can take this rule away.",
            "",
            &["secrets"],
            &["get", "create", "update"],
        ),
        rule(
            "Permits, roles and fences are annotations and labels of live pods, and pods of removed members are deleted. \
             Pods are made by StatefulSets alone. Not narrowed: rules know no labels.",
            "",
            &["pods"],
            &["get", "list", "watch", "patch", "delete"],
        ),
        rule(
            "A member that serves is restarted by eviction, so that its disruption budget counts.",
            "",
            &["pods/eviction"],
            &["create"],
        ),
        rule("One budget for each cluster, named after it.", "policy", &["poddisruptionbudgets"], KEEP),
        rule(
            "What it did and what it holds back, for `kubectl describe`; their names are made of digests. Those of Kubernetes about \
             members that do not come up are quoted in the status.",
            "events.k8s.io",
            &["events"],
            &["get", "list", "create", "patch"],
        ),
    ]
}

/// The right to its own resource types, which no namespace holds.
pub(super) fn on_resource_types() -> Value {
    let mut rule = rule(
        "It registers its own resource types when it starts, by server-side apply: that names what it creates, so that \
         creation is narrowed to these names too.",
        "apiextensions.k8s.io",
        &["customresourcedefinitions"],
        &["get", "create", "patch"],
    );
    rule["resourceNames"] = json!([
        "etcdclusters.etcd.operators.rs",
        "etcdbackups.etcd.operators.rs",
        "etcdbackupschedules.etcd.operators.rs",
    ]);
    rule
}

/// Rights to see nodes and volumes, which no namespace holds either. An operator for one namespace goes without them.
pub(super) fn on_places() -> Vec<Value> {
    vec![
        rule(
            "Whether the node that a silent member's volume is bound to is gone: only then may the member be replaced although its \
             pod cannot start.",
            "",
            &["nodes"],
            &["list"],
        ),
        rule("Which nodes a silent member's volume is bound to.", "", &["persistentvolumes"], &["get"]),
    ]
}

/// Rights in the operator's own namespace: its Lease.
pub(super) fn on_lease() -> Vec<Value> {
    let mut own = rule(
        "Its Lease: at most one of the replicas acts.",
        "coordination.k8s.io",
        &["leases"],
        &["get", "update"],
    );
    own["resourceNames"] = json!(["etcd-operator"]);
    vec![
        rule(
            "Makes the Lease if it is missing. Not narrowed: a creation by POST has no name yet when it is authorized.",
            "coordination.k8s.io",
            &["leases"],
            &["create"],
        ),
        own,
    ]
}

const MANAGE: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];
const KEEP: &[&str] = &["get", "list", "watch", "create", "patch"];

fn rule(reason: &str, group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ REASON: reason, "apiGroups": [group], "resources": resources, "verbs": verbs })
}
