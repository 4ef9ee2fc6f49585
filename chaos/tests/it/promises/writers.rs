//! Clients that write to a cluster while a test does something to it, and how much of that was acknowledged.

use std::time::Duration;

use chaos::cluster::images::CHAOS_IMAGE;
use chaos::in_pod::ClockOffset;
use chaos::load::{Configuration, Progress};
use chaos::subject::pods::Place;
use chaos::subject::{etcd, pods};
use kube::Client;

use super::arena::{PATIENCE, until};

/// Four clients of a Service, forty calls a second together; returns once they write.
pub(crate) async fn start(
    client: &Client,
    namespace: &str,
    service: &str,
    peers_service: Option<&str>,
    call_limit: Duration,
) {
    let address = |service: &str| format!("{service}.{namespace}.svc:{}", etcd::CLIENT_PORT);
    let configuration = Configuration {
        endpoint: format!("http://{}", address(service)),
        endpoints_dns: peers_service.map(address),
        seed: 1,
        clients: 4,
        pinned_clients: 0,
        calls_per_second_per_client: 10.0,
        keys: 50,
        prefix: pods::KEY_PREFIX.to_owned(),
        value_bytes: 64,
        mix: Default::default(),
        call_limit_milliseconds: u64::try_from(call_limit.as_millis()).unwrap(),
        tls: None,
    };
    let offset = ClockOffset::default();
    let place = Place { client, namespace, cluster: service, image: CHAOS_IMAGE, offset };
    pods::start_load(place, &configuration).await.unwrap();
    pods::wait_answering(client, &pods::load_port(namespace), "progress", PATIENCE).await.unwrap();
    until("the load writes", async || Ok((acknowledged(client, namespace).await > 20).then_some(()))).await;
}

/// Writes that etcd has acknowledged so far.
pub(crate) async fn acknowledged(client: &Client, namespace: &str) -> u64 {
    let progress = pods::load_port(namespace).get_json::<Progress>(client, "progress").await;
    progress.map_or(0, |progress| progress.acknowledged_writes)
}
