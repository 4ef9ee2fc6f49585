//! The Deployment and the Service of the operator.
//!
//! There is no PodDisruptionBudget: etcd needs no operator to keep running, so the absence of both replicas for a moment
//! is no reason to stand in the way of a drain.

use super::install::{NAME, labels, selector};
use super::{Installation, Scope};
use serde_json::{Value, json};

pub(super) fn deployment(installation: &Installation) -> Value {
    json!({
        // One acts, by its Lease; the other takes over within seconds when the first ends, its node included.
        "replicas": 2,
        "selector": { "matchLabels": selector() },
        // The next operator waits for the Lease anyway, so it may as well be there before the old one goes.
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
        "template": { "metadata": { "labels": labels() }, "spec": pod(installation) },
    })
}

fn pod(installation: &Installation) -> Value {
    let mut spec = json!({
        "serviceAccountName": NAME,
        "automountServiceAccountToken": true,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 10,
        "nodeSelector": { "kubernetes.io/os": "linux" },
        // Preferred, not required: on a cluster of one node both replicas run there.
        "topologySpreadConstraints": [spread("kubernetes.io/hostname"), spread("topology.kubernetes.io/zone")],
        "securityContext": {
            // The image names a user of its own. None is named here, so that platforms may choose one (OpenShift).
            "runAsNonRoot": true,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [container(installation)],
    });
    match installation.scope {
        Scope::Everywhere => spec["priorityClassName"] = NAME.into(),
        // Priority classes belong to the whole cluster, which this installation leaves alone.
        Scope::Namespace(_) => {}
    }
    spec
}

fn spread(topology_key: &str) -> Value {
    json!({
        "maxSkew": 1,
        "topologyKey": topology_key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": { "matchLabels": selector() },
    })
}

fn container(installation: &Installation) -> Value {
    let from_pod =
        |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let mut variables = vec![
        from_pod("POD_NAME", "metadata.name"),
        from_pod("POD_UID", "metadata.uid"),
        from_pod("POD_NAMESPACE", "metadata.namespace"),
        json!({ "name": "OPERATOR_IMAGE", "value": installation.image }),
    ];
    match installation.scope {
        Scope::Everywhere => {}
        Scope::Namespace(_) => variables.push(from_pod("WATCH_NAMESPACE", "metadata.namespace")),
    }
    json!({
        "name": NAME,
        "image": installation.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["run"],
        "env": variables,
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

pub(super) fn metrics_service() -> Value {
    json!({
        "selector": selector(),
        "ports": [{ "name": "metrics", "port": 8080, "targetPort": "http", "protocol": "TCP" }],
    })
}
