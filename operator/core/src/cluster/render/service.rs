//! The two Services: one for peers, who must find each other before anyone is ready, and one for clients, who must
//! find voters that are.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{cluster_metadata, fingerprint};
use crate::api::{PeerServiceSettings, ServiceSettings, TrafficPolicy};
use crate::names::{
    ANNOTATION_APPLIED, ANNOTATION_FINGERPRINT, CLIENT_PORT, ClusterIdentity, LABEL_ROLE, METRICS_PORT,
    PEER_PORT, Role, Scheme, TLS_PEER_PORT,
};

/// The headless Service. It publishes addresses that are not ready, or members could never meet.
pub fn peers_service(cluster: &ClusterIdentity, settings: &PeerServiceSettings) -> Service {
    let spec = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        publish_not_ready_addresses: Some(true),
        selector: Some(cluster.selector()),
        ports: Some(vec![
            port("client", CLIENT_PORT),
            port(peer_port_name(Scheme::Http), PEER_PORT),
            port("metrics", METRICS_PORT),
            // There whatever members serve: a name leads to each of them, and a port of a headless Service to nobody else.
            port(peer_port_name(Scheme::Https), TLS_PEER_PORT),
        ]),
        ..ServiceSpec::default()
    };
    service(cluster, cluster.peers_service(), &settings.annotations, spec)
}

/// The Service for clients: ready voters only. Learners serve no clients, so the role is part of the selector.
pub fn client_service(cluster: &ClusterIdentity, settings: &ServiceSettings) -> Service {
    // Destructured without `..`, so that a new field cannot be forgotten here.
    let ServiceSettings {
        type_,
        annotations,
        load_balancer_class,
        load_balancer_source_ranges,
        external_traffic_policy,
        internal_traffic_policy,
        app_protocol,
    } = settings;
    let mut selector = cluster.selector();
    selector.insert(LABEL_ROLE.to_owned(), Role::Voter.as_str().to_owned());
    let policy = |policy: &Option<TrafficPolicy>| policy.map(|policy| policy.as_str().to_owned());
    let ranges = load_balancer_source_ranges;
    let spec = ServiceSpec {
        type_: Some(type_.as_str().to_owned()),
        selector: Some(selector),
        ports: Some(vec![ServicePort { app_protocol: app_protocol.clone(), ..port("client", CLIENT_PORT) }]),
        load_balancer_class: load_balancer_class.clone(),
        load_balancer_source_ranges: (!ranges.is_empty()).then(|| ranges.clone()),
        external_traffic_policy: policy(external_traffic_policy),
        internal_traffic_policy: policy(internal_traffic_policy),
        ..ServiceSpec::default()
    };
    service(cluster, cluster.client_service(), annotations, spec)
}

/// With the spec's annotations and, so that those can be taken away again, their names.
fn service(
    cluster: &ClusterIdentity,
    name: String,
    asked_for: &BTreeMap<String, String>,
    spec: ServiceSpec,
) -> Service {
    let mut metadata = cluster_metadata(cluster, name);
    let mut annotations = asked_for.clone();
    annotations.insert(ANNOTATION_FINGERPRINT.to_owned(), fingerprint(&spec));
    if !asked_for.is_empty() {
        let names: Vec<&String> = asked_for.keys().collect();
        let names = serde_json::to_string(&names).expect("names are plain data");
        annotations.insert(ANNOTATION_APPLIED.to_owned(), names);
    }
    metadata.annotations = Some(annotations);
    Service { metadata, spec: Some(spec), status: None }
}

/// What the ports on which members speak to each other are called.
pub(super) fn peer_port_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "peer",
        Scheme::Https => "peer-tls",
    }
}

fn port(name: &str, number: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: i32::from(number),
        target_port: Some(IntOrString::Int(i32::from(number))),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}
