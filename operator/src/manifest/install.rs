//! The objects of `deploy/install.yaml`, in the order in which they must be applied.

use super::rights;
use serde_json::{Value, json};

const NAMESPACE: &str = "etcd-operator-system";
const NAME: &str = "etcd-operator";
const IMAGE: &str = concat!("etcd-operator:v", env!("CARGO_PKG_VERSION"));

/// Everything that has to exist before the operator runs; the rest it registers itself.
pub(super) fn objects() -> Vec<Value> {
    vec![
        namespace(),
        object("v1", "ServiceAccount", Scope::Namespaced, json!({ "automountServiceAccountToken": false })),
        object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            Scope::Cluster,
            json!({ "rules": rights::everywhere() }),
        ),
        object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", Scope::Cluster, binding("ClusterRole")),
        object(
            "rbac.authorization.k8s.io/v1",
            "Role",
            Scope::Namespaced,
            json!({ "rules": rights::at_home() }),
        ),
        object("rbac.authorization.k8s.io/v1", "RoleBinding", Scope::Namespaced, binding("Role")),
        object("apps/v1", "Deployment", Scope::Namespaced, json!({ "spec": deployment() })),
        object("v1", "Service", Scope::Namespaced, json!({ "spec": metrics_service() })),
    ]
}

enum Scope {
    Cluster,
    Namespaced,
}

fn object(api_version: &str, kind: &str, scope: Scope, body: Value) -> Value {
    let mut metadata = json!({ "name": NAME, "labels": labels() });
    match scope {
        Scope::Cluster => {}
        Scope::Namespaced => metadata["namespace"] = NAMESPACE.into(),
    }
    let mut object = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata });
    for (key, value) in body.as_object().expect("a body is a JSON object") {
        object[key] = value.clone();
    }
    object
}

fn namespace() -> Value {
    let mut labels = labels();
    labels["pod-security.kubernetes.io/warn"] = "restricted".into();
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE, "labels": labels } })
}

fn labels() -> Value {
    json!({ "app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "operator" })
}

fn selector() -> Value {
    json!({ "app.kubernetes.io/name": NAME })
}

fn binding(kind: &str) -> Value {
    json!({
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": NAME },
        "subjects": [{ "kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE }],
    })
}

fn deployment() -> Value {
    json!({
        "replicas": 1,
        "selector": { "matchLabels": selector() },
        // The next operator waits for the Lease anyway, so it may as well be there before the old one goes.
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
        "template": {
            "metadata": { "labels": labels() },
            "spec": {
                "serviceAccountName": NAME,
                "automountServiceAccountToken": true,
                "priorityClassName": "system-cluster-critical",
                "terminationGracePeriodSeconds": 10,
                "securityContext": {
                    "runAsNonRoot": true,
                    "runAsUser": 65532,
                    "runAsGroup": 65532,
                    "seccompProfile": { "type": "RuntimeDefault" },
                },
                "containers": [container()],
            },
        },
    })
}

fn container() -> Value {
    json!({
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": ["run"],
        "env": [
            { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            { "name": "POD_UID", "valueFrom": { "fieldRef": { "fieldPath": "metadata.uid" } } },
            { "name": "POD_NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
            { "name": "OPERATOR_IMAGE", "value": IMAGE },
        ],
        "ports": [{ "name": "http", "containerPort": 8080, "protocol": "TCP" }],
        "livenessProbe": probe("/healthz", 10, 3),
        "readinessProbe": probe("/readyz", 2, 1),
        "resources": {
            "requests": { "cpu": "50m", "memory": "64Mi" },
            "limits": { "memory": "256Mi" },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
    })
}

fn probe(path: &str, period_seconds: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": "http" },
        "periodSeconds": period_seconds,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    })
}

fn metrics_service() -> Value {
    json!({
        "selector": selector(),
        "ports": [{ "name": "metrics", "port": 8080, "targetPort": "http", "protocol": "TCP" }],
    })
}
