//! What users say of the members' pods. Never decides.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvVar, PodSecurityContext, Toleration, TopologySpreadConstraint, Volume,
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AsWritten;

/// Settings of the members' pods. A change restarts one member at a time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PodSettings {
    /// Who chooses the user that the pods run as: `Fixed` is 65532; with `Platform` the pods ask for none, as platforms want it
    /// that assign one to each namespace (OpenShift).
    #[serde(default)]
    pub user: PodUser,
    /// Labels of the pods, beside those that the operator sets.
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('etcd.operators.rs/') && !key.startsWith('app.kubernetes.io/'))")
        .message("labels that begin with etcd.operators.rs/ or app.kubernetes.io/ are set by the operator"))]
    #[schemars(extend("maxProperties" = 32))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pods.
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('etcd.operators.rs/'))")
        .message("annotations that begin with etcd.operators.rs/ are set by the operator"))]
    #[schemars(extend("maxProperties" = 32))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have.
    #[schemars(extend("maxProperties" = 32))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Which nodes the pods prefer or require. If it has no `podAntiAffinity`, members prefer different nodes and zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<AsWritten<Affinity>>,
    /// Taints of nodes that the pods tolerate.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<AsWritten<Toleration>>,
    /// How the pods spread over nodes and zones, beside the default preference. A constraint without `labelSelector` counts the
    /// members of this cluster.
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<AsWritten<TopologySpreadConstraint>>,
    /// The PriorityClass of the pods.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// The RuntimeClass of the pods.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,
    /// Security settings of the pods, which take the place of the operator's own where both are set. etcd needs no root, so it is
    /// not run as root.
    #[x_kube(validation = Rule::new("!has(self.runAsUser) || self.runAsUser != 0").message("etcd is not run as root"))]
    #[x_kube(validation = Rule::new("!has(self.runAsNonRoot) || self.runAsNonRoot").message("etcd is not run as root"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<AsWritten<PodSecurityContext>>,
    /// The ServiceAccount of the pods. They get no token: members do not talk to the API server.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Variables of the etcd container, for example `GOMEMLIMIT`. etcd's own settings are in `spec.etcd`.
    #[x_kube(validation = Rule::new("self.all(variable, !variable.name.startsWith('ETCD_'))")
        .message("variables that begin with ETCD_ are refused: etcd's settings are in spec.etcd"))]
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<AsWritten<EnvVar>>,
    /// Further volumes of the pods, for further containers. They cannot be the members' own.
    #[x_kube(validation = Rule::new("self.all(volume, !(volume.name in ['data', 'gate', 'pod-info']))")
        .message("data, gate and pod-info are the operator's volumes"))]
    #[x_kube(validation = Rule::new("self.all(volume, !has(volume.persistentVolumeClaim))")
        .message("claims are refused: members' data must not be used by anyone else, and other claims could be used by one pod only"))]
    #[schemars(length(max = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<AsWritten<Volume>>,
    /// Further containers of the pods. They can mount neither the data nor the gate's directory.
    #[x_kube(validation = Rule::new("self.all(container, !(container.name in ['etcd', 'install-gate']))")
        .message("etcd and install-gate are the operator's containers"))]
    #[x_kube(validation = Rule::new("self.all(container, !has(container.volumeMounts) || \
        container.volumeMounts.all(mount, !(mount.name in ['data', 'gate', 'pod-info'])))")
        .message("the volumes data, gate and pod-info cannot be mounted: they hold what members trust"))]
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<AsWritten<Container>>,
    /// How many seconds a member has to end before it is killed; 30 if absent.
    #[schemars(range(min = 1, max = 3600))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
}

/// Who chooses the user that a pod runs as.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodUser {
    /// The operator: always the same.
    #[default]
    Fixed,
    /// Whoever admits the pod.
    Platform,
}

impl PodUser {
    pub(crate) fn is_fixed(&self) -> bool {
        *self == PodUser::Fixed
    }
}
