//! The load and probe pods: their manifests, and how long they take to run. Never talks to etcd itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::etcd;
use super::proxy::PodPort;
use crate::in_pod::ClockOffset;
use crate::load;
use crate::probe;
use crate::scenario::{ClusterSize, Load, Mix, Schedule};

/// The pod that holds all clients.
pub const LOAD_POD: &str = "chaos-load";
/// The pod that asks every member how it is.
pub const PROBE_POD: &str = "chaos-probe";
/// Below it lies every key of the load.
pub const KEY_PREFIX: &str = "chaos/load/";

/// Where the load's HTTP server is reached.
#[must_use]
pub fn load_port(namespace: &str) -> PodPort {
    PodPort { namespace: namespace.to_owned(), pod: LOAD_POD.to_owned(), port: load::PORT }
}

/// Where the probe's HTTP server is reached.
#[must_use]
pub fn probe_port(namespace: &str) -> PodPort {
    PodPort { namespace: namespace.to_owned(), pod: PROBE_POD.to_owned(), port: probe::PORT }
}

/// The configuration of the load that a schedule asks for.
#[must_use]
pub fn load_configuration(
    schedule: &Schedule,
    namespace: &str,
    cluster: &str,
    peers_service: &str,
) -> load::Configuration {
    let Load { clients, requests_per_second, keys, value_bytes, mix, request_timeout, .. } = &schedule.load;
    load::Configuration {
        endpoint: format!("http://{cluster}.{namespace}.svc:{}", etcd::CLIENT_PORT),
        endpoints_dns: Some(format!("{peers_service}.{namespace}.svc:{}", etcd::CLIENT_PORT)),
        seed: schedule.load_seed.0,
        clients: *clients,
        pinned_clients: pinned_clients(*clients, schedule.largest_size()),
        calls_per_second_per_client: f64::from(*requests_per_second) / f64::from((*clients).max(1)),
        keys: *keys,
        prefix: KEY_PREFIX.to_owned(),
        value_bytes: *value_bytes as usize,
        mix: load_mix(mix),
        call_limit_milliseconds: u64::try_from(request_timeout.as_duration().as_millis()).unwrap_or(u64::MAX),
    }
}

/// Half of the clients, or as many as there are members, if one is left for the Service.
fn pinned_clients(clients: u32, members: ClusterSize) -> u32 {
    let members = u32::try_from(members.members()).unwrap_or(u32::MAX);
    (clients / 2).max(members.min(clients.saturating_sub(1)))
}

/// A scenario knows one weight for transactions; three of five are compare-and-swap, the rest write several keys.
fn load_mix(mix: &Mix) -> load::configuration::Mix {
    let compare_and_swap = (mix.transaction * 3).div_ceil(5);
    load::configuration::Mix {
        put: mix.put,
        get: mix.get,
        compare_and_swap,
        multiple_keys: mix.transaction - compare_and_swap,
    }
}

/// Starts the load pod.
pub async fn start_load(
    client: &Client,
    namespace: &str,
    image: &str,
    configuration: &load::Configuration,
    offset: ClockOffset,
) -> Result<()> {
    let configuration =
        serde_json::to_string(configuration).context("failed to write the load's configuration")?;
    let arguments = ["load".to_owned(), "--config".to_owned(), configuration, offset_argument(offset)];
    create(client, namespace, LOAD_POD, image, &arguments, load::PORT).await
}

/// Starts the probe pod.
pub async fn start_probe(
    client: &Client,
    namespace: &str,
    image: &str,
    peers_service: &str,
    offset: ClockOffset,
) -> Result<()> {
    let peers = format!("{peers_service}.{namespace}.svc:{}", etcd::CLIENT_PORT);
    let arguments = ["probe".to_owned(), "--peers-dns".to_owned(), peers, offset_argument(offset)];
    create(client, namespace, PROBE_POD, image, &arguments, probe::PORT).await
}

fn offset_argument(offset: ClockOffset) -> String {
    format!("--clock-offset-milliseconds={}", offset.clock_offset_milliseconds)
}

async fn create(
    client: &Client,
    namespace: &str,
    name: &str,
    image: &str,
    arguments: &[String],
    port: u16,
) -> Result<()> {
    let pod: Pod = serde_json::from_value(manifest(namespace, name, image, arguments, port))
        .with_context(|| format!("failed to build the pod {name}"))?;
    let created =
        Api::<Pod>::namespaced(client.clone(), namespace).create(&PostParams::default(), &pod).await;
    created.map(drop).with_context(|| format!("failed to create the pod {namespace}/{name}"))
}

fn manifest(namespace: &str, name: &str, image: &str, arguments: &[String], port: u16) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": namespace, "labels": { "app.kubernetes.io/name": name } },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 2,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": name,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["/chaos"],
                "args": arguments,
                "ports": [{ "containerPort": port, "protocol": "TCP" }],
                "volumeMounts": [{ "name": "history", "mountPath": "/history" }],
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                },
            }],
            "volumes": [{ "name": "history", "emptyDir": {} }],
        },
    })
}

/// Waits until the pod's HTTP server answers on `path`.
pub async fn wait_answering(client: &Client, port: &PodPort, path: &str, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let error = match port.get(client, path).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if Instant::now() > deadline {
            let said = last_words(client, port).await;
            bail!("the pod {} does not answer after {} s: {error:#}{said}", port.pod, patience.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The end of a pod's log, for messages.
pub async fn last_words(client: &Client, port: &PodPort) -> String {
    let parameters = kube::api::LogParams { tail_lines: Some(5), ..Default::default() };
    match Api::<Pod>::namespaced(client.clone(), &port.namespace).logs(&port.pod, &parameters).await {
        Ok(log) if !log.trim().is_empty() => format!("; its log ends with: {}", log.trim()),
        _ => String::new(),
    }
}
