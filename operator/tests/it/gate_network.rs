//! Gate, etcd and operator on pods with IPv6 alone, with IPv4 alone, and with both.

use crate::support::pod::{
    Network, Process, TERMINATION_LOG, eventually, give_permit, inside, runtime, wait_for_etcd,
};
use etcd_operator::http::get;
use etcd_operator_core::gate::{GateHoldReason, GateReport};
use etcd_operator_core::names::{CLIENT_PORT, ETCD_CONFIGURATION_PATH, METRICS_PORT};
use http::StatusCode;
use sandbox::apiserver::{ServerCertificate, kubeconfig};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

async fn body(address: IpAddr, port: u16, path: &str) -> (StatusCode, String) {
    let url = format!("http://{}{path}", SocketAddr::new(address, port)).parse().unwrap();
    let (status, body) =
        eventually(&format!("an answer from {url}"), async || get(&url, PATIENCE).await).await;
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A call through etcd's JSON gateway, which dials the URL that etcd was told to listen on.
fn member_list_by_json(address: IpAddr) -> String {
    let mut stream = TcpStream::connect((address, CLIENT_PORT)).unwrap();
    let request = "POST /v3/cluster/member/list HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// From the held gate to a member that answers, on each address of the pod.
fn a_member_lives(network: Network, listen_client_urls: &str) {
    inside(network, || {
        let gate = Process::gate();
        runtime().block_on(async {
            for address in network.addresses() {
                let (status, report) = body(address, METRICS_PORT, "/gate").await;
                assert_eq!(status, StatusCode::OK);
                let report: GateReport = serde_json::from_str(&report).unwrap();
                assert_eq!(report.reason, GateHoldReason::Lost, "{address}");
                let (status, _) = body(address, METRICS_PORT, "/readyz").await;
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{address}");
            }
            assert_eq!(fs::read_to_string(TERMINATION_LOG).unwrap(), "", "a gate that holds has not ended");
            give_permit();
            for address in network.addresses() {
                wait_for_etcd(address).await;
                let (status, _) = body(address, METRICS_PORT, "/readyz").await;
                assert_eq!(status, StatusCode::OK, "{address}");
                let answer = member_list_by_json(address);
                assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("c-abcde"), "{answer}");
            }
        });
        let configuration = fs::read(ETCD_CONFIGURATION_PATH).unwrap();
        let configuration: serde_json::Value = serde_json::from_slice(&configuration).unwrap();
        assert_eq!(configuration["listen-client-urls"], listen_client_urls);
        assert!(!gate.end().success(), "etcd ends by the signal");
        assert_eq!(fs::read_to_string(TERMINATION_LOG).unwrap(), "");
    });
}

#[test]
fn a_member_lives_in_an_ipv6_only_cluster() {
    a_member_lives(Network::Ipv6, "http://[::]:2379");
}

#[test]
fn a_member_lives_without_any_address_of_ipv4() {
    a_member_lives(Network::Ipv6Alone, "http://[::1]:2379,http://[fd00::1]:2379");
}

#[test]
fn a_member_lives_where_ipv6_is_switched_off() {
    a_member_lives(Network::Ipv4Alone, "http://0.0.0.0:2379");
}

#[test]
fn a_member_lives_on_both_families() {
    a_member_lives(Network::DualStack, "http://[::]:2379");
}

/// An operator whose API server is not there yet: its health is served all the same.
fn operator(listen: Option<&str>) -> Process {
    let authority = ServerCertificate::generate(&[]).unwrap();
    fs::write("/tmp/kubeconfig", kubeconfig("test", "https://[::1]:1", authority.authority(), "token"))
        .unwrap();
    let mut command = Command::new("/gate/etcd-operator");
    command.env_clear().env("KUBECONFIG", "/tmp/kubeconfig").envs([
        ("POD_NAME", "pod"),
        ("POD_UID", "uid"),
        ("POD_NAMESPACE", "ns"),
        ("OPERATOR_IMAGE", "image"),
    ]);
    if let Some(address) = listen {
        command.env("LISTEN_ADDRESS", address);
    }
    Process::start(&mut command)
}

#[test]
fn the_operator_serves_its_health_on_every_address_of_any_pod() {
    for network in [Network::Ipv6, Network::Ipv6Alone, Network::Ipv4Alone, Network::DualStack] {
        inside(network, || {
            let operator = operator(None);
            runtime().block_on(async {
                for address in network.addresses() {
                    for path in ["/healthz", "/metrics"] {
                        assert_eq!(
                            body(address, 8080, path).await.0,
                            StatusCode::OK,
                            "{network:?} {address}"
                        );
                    }
                }
            });
            assert!(operator.end().success());
        });
    }
}

#[test]
fn an_address_that_is_given_to_the_operator_is_the_only_one() {
    for (given, other) in [("[fd00::1]:8081", "10.0.0.1:8081"), ("0.0.0.0:8081", "[fd00::1]:8081")] {
        inside(Network::DualStack, || {
            let _operator = operator(Some(given));
            runtime().block_on(async {
                let address: SocketAddr = given.parse().unwrap();
                let asked =
                    if address.ip().is_unspecified() { "10.0.0.1".parse().unwrap() } else { address.ip() };
                assert_eq!(body(asked, 8081, "/healthz").await.0, StatusCode::OK);
                let other = format!("http://{other}/healthz").parse().unwrap();
                assert!(get(&other, PATIENCE).await.is_err(), "{other}");
            });
        });
    }
}
