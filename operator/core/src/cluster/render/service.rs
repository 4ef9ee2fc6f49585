//! The two Services: one for peers, who must find each other before anyone is ready, and one for clients, who must
//! find voters that are.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::cluster_metadata;
use crate::names::{CLIENT_PORT, ClusterIdentity, LABEL_ROLE, METRICS_PORT, PEER_PORT, Role};

/// The headless Service. It publishes addresses that are not ready, or members could never meet.
pub fn peers_service(cluster: &ClusterIdentity) -> Service {
    Service {
        metadata: cluster_metadata(cluster, cluster.peers_service()),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(cluster.selector()),
            ports: Some(vec![
                port("client", CLIENT_PORT),
                port("peer", PEER_PORT),
                port("metrics", METRICS_PORT),
            ]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// The Service for clients: ready voters only. Learners serve no clients, so the role is part of the selector.
pub fn client_service(cluster: &ClusterIdentity) -> Service {
    let mut selector = cluster.selector();
    selector.insert(LABEL_ROLE.to_owned(), Role::Voter.as_str().to_owned());
    Service {
        metadata: cluster_metadata(cluster, cluster.client_service()),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(selector),
            ports: Some(vec![port("client", CLIENT_PORT)]),
            ..ServiceSpec::default()
        }),
        status: None,
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
