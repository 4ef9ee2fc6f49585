//! What users say of the cluster's Services. Never decides.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::described;

/// Settings of the Service for clients. A change restarts nobody.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = Rule::new("!has(self.loadBalancerClass) || self.type == 'LoadBalancer'")
    .message("loadBalancerClass is for the type LoadBalancer").field_path(".loadBalancerClass"))]
#[x_kube(validation = Rule::new("!has(self.loadBalancerSourceRanges) || self.type == 'LoadBalancer'")
    .message("loadBalancerSourceRanges is for the type LoadBalancer").field_path(".loadBalancerSourceRanges"))]
#[x_kube(validation = Rule::new("!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'")
    .message("externalTrafficPolicy is for the types NodePort and LoadBalancer").field_path(".externalTrafficPolicy"))]
#[serde(rename_all = "camelCase")]
pub struct ServiceSettings {
    /// How clients reach it: `ClusterIP` inside the cluster, `NodePort` or `LoadBalancer` also from outside.
    #[serde(rename = "type", default)]
    pub type_: ServiceType,
    /// Annotations, for example for a load balancer. Those that others add are left alone.
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('etcd.operators.rs/'))")
        .message("annotations that begin with etcd.operators.rs/ are set by the operator"))]
    #[schemars(extend("maxProperties" = 32))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The implementation of the load balancer; the platform's own if absent. Kubernetes lets nobody change it later.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<String>,
    /// The networks that a load balancer lets in, for example `10.0.0.0/8`; all if absent.
    #[schemars(length(max = 32), inner(length(max = 64)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_source_ranges: Vec<String>,
    /// Whether traffic from outside goes to members on other nodes, too (`Cluster`), or stays on the node that it came to (`Local`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// The same for traffic from inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_traffic_policy: Option<TrafficPolicy>,
    /// The protocol of the client port for meshes and load balancers, for example `kubernetes.io/h2c` or `grpc`.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
}

/// Settings of the headless Service by which members find each other. A change restarts nobody.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PeerServiceSettings {
    /// Annotations, for example for a DNS controller. Those that others add are left alone.
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('etcd.operators.rs/'))")
        .message("annotations that begin with etcd.operators.rs/ are set by the operator"))]
    #[schemars(extend("maxProperties" = 32))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ServiceSettings {
    pub(crate) fn is_default(&self) -> bool {
        *self == ServiceSettings::default()
    }
}

impl PeerServiceSettings {
    pub(crate) fn is_default(&self) -> bool {
        *self == PeerServiceSettings::default()
    }
}

/// How a Service is reached.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceType {
    /// Inside the cluster.
    #[default]
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// Also through a port of each node.
    NodePort,
    /// Also through a load balancer.
    LoadBalancer,
}

impl ServiceType {
    /// As Kubernetes has it.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceType::ClusterIp => "ClusterIP",
            ServiceType::NodePort => "NodePort",
            ServiceType::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Whom traffic may go to.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = described::by_its_field)]
pub enum TrafficPolicy {
    /// Every member.
    Cluster,
    /// Members on the same node.
    Local,
}

impl TrafficPolicy {
    /// As Kubernetes has it.
    pub fn as_str(self) -> &'static str {
        match self {
            TrafficPolicy::Cluster => "Cluster",
            TrafficPolicy::Local => "Local",
        }
    }
}
