//! The objects of the manifests, in the order in which they must be applied.

use super::{Installation, Scope, network, rights, workload};
use serde_json::{Value, json};

/// The namespace of an operator that serves all namespaces.
const NAMESPACE: &str = "etcd-operator-system";
/// The name of everything that is installed.
pub(super) const NAME: &str = "etcd-operator";

const RBAC: &str = "rbac.authorization.k8s.io";

/// Everything that has to exist before the operator runs; the rest it registers itself.
pub(super) fn objects(installation: &Installation) -> Vec<Value> {
    let scope = &installation.scope;
    let place = Place::of(scope);
    let mut objects = match scope {
        Scope::Everywhere => vec![namespace(), priority()],
        Scope::Namespace(_) => Vec::new(),
    };
    objects.push(place.inside("v1", "ServiceAccount", json!({ "automountServiceAccountToken": false })));
    objects.extend(place.access(scope));
    objects.push(place.inside(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        json!({ "spec": network::policy(scope) }),
    ));
    objects.push(place.inside("v1", "Service", json!({ "spec": workload::metrics_service() })));
    objects.push(place.inside(
        "apps/v1",
        "Deployment",
        json!({ "spec": workload::deployment(installation) }),
    ));
    objects
}

/// Where the objects of one installation are and what those of the whole cluster are called.
struct Place {
    namespace: String,
    /// Installations for several namespaces must not share an object: removing one would remove it for all.
    cluster_wide: String,
}

impl Place {
    fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Everywhere => Self { namespace: NAMESPACE.to_owned(), cluster_wide: NAME.to_owned() },
            Scope::Namespace(namespace) => {
                Self { namespace: namespace.clone(), cluster_wide: format!("{NAME}-{namespace}") }
            }
        }
    }

    fn access(&self, scope: &Scope) -> Vec<Value> {
        let (mut everywhere, mut here) = (vec![rights::on_resource_types()], rights::on_lease());
        match scope {
            Scope::Everywhere => everywhere.extend([rights::on_places(), rights::on_objects()].concat()),
            Scope::Namespace(_) => here.extend(rights::on_objects()),
        }
        let version = format!("{RBAC}/v1");
        vec![
            self.everywhere(&version, "ClusterRole", json!({ "rules": everywhere })),
            self.everywhere(&version, "ClusterRoleBinding", self.binding("ClusterRole", &self.cluster_wide)),
            self.inside(&version, "Role", json!({ "rules": here })),
            self.inside(&version, "RoleBinding", self.binding("Role", NAME)),
        ]
    }

    fn binding(&self, kind: &str, role: &str) -> Value {
        json!({
            "roleRef": { "apiGroup": RBAC, "kind": kind, "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": NAME, "namespace": self.namespace }],
        })
    }

    fn inside(&self, api_version: &str, kind: &str, body: Value) -> Value {
        let metadata = json!({ "name": NAME, "namespace": self.namespace, "labels": labels() });
        object(api_version, kind, metadata, body)
    }

    fn everywhere(&self, api_version: &str, kind: &str, body: Value) -> Value {
        object(api_version, kind, json!({ "name": self.cluster_wide, "labels": labels() }), body)
    }
}

fn object(api_version: &str, kind: &str, metadata: Value, body: Value) -> Value {
    let mut object = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata });
    for (key, value) in body.as_object().expect("a body is a JSON object") {
        object[key] = value.clone();
    }
    object
}

fn namespace() -> Value {
    let mut labels = labels();
    for mode in ["enforce", "audit", "warn"] {
        labels[format!("pod-security.kubernetes.io/{mode}")] = "restricted".into();
    }
    object("v1", "Namespace", json!({ "name": NAMESPACE, "labels": labels }), json!({}))
}

/// A class of its own: `system-cluster-critical` is refused outside `kube-system` by some providers' quotas.
fn priority() -> Value {
    let body = json!({
        "value": 1_000_000_000,
        "description": "The etcd operator: small, and what heals etcd clusters when nodes run out of room.",
    });
    object("scheduling.k8s.io/v1", "PriorityClass", json!({ "name": NAME, "labels": labels() }), body)
}

/// Labels of everything that is installed.
pub(super) fn labels() -> Value {
    json!({ "app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "operator" })
}

/// What selects the operator's pods.
pub(super) fn selector() -> Value {
    json!({ "app.kubernetes.io/name": NAME })
}
