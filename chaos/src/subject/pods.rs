//! The load and probe pods: their manifests, and how long they take to run. Never talks to etcd itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::etcd;
use super::proxy::PodPort;
use crate::in_pod::{ClockOffset, Tls, TlsMode};
use crate::load;
use crate::probe;
use crate::scenario::{ClusterSize, Encryption, Load, Mix, Schedule};

/// The pod that holds all clients.
pub const LOAD_POD: &str = "chaos-load";
/// The pod that asks every member how it is.
pub const PROBE_POD: &str = "chaos-probe";
/// Below it lies every key of the load.
pub const KEY_PREFIX: &str = "chaos/load/";
/// Where pods find the Secret of the subject's clients.
const TLS_DIRECTORY: &str = "/tls";

/// Where load and probe run, and for which cluster.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Makes the pods.
    pub client: &'a Client,
    /// The namespace of pods and cluster.
    pub namespace: &'a str,
    /// The cluster under test.
    pub cluster: &'a str,
    /// The image of this program.
    pub image: &'a str,
    /// How wrong the pods' clocks are.
    pub offset: ClockOffset,
}

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
    let tls = tls(schedule.encryption(), namespace, cluster);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let Load { clients, requests_per_second, keys, value_bytes, mix, request_timeout, .. } = &schedule.load;
    load::Configuration {
        endpoint: format!("{scheme}://{cluster}.{namespace}.svc:{}", etcd::CLIENT_PORT),
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
        tls,
    }
}

/// How pods of the harness speak TLS with the subject. Certificates of members hold the name of the client Service, and no address.
#[must_use]
pub fn tls(encryption: Encryption, namespace: &str, cluster: &str) -> Option<Tls> {
    let mode = match encryption {
        Encryption::Never => return None,
        Encryption::Always => TlsMode::Always,
        Encryption::Switched => TlsMode::Follow,
    };
    Some(Tls { directory: TLS_DIRECTORY.into(), server_name: format!("{cluster}.{namespace}.svc"), mode })
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
pub async fn start_load(place: Place<'_>, configuration: &load::Configuration) -> Result<()> {
    let text = serde_json::to_string(configuration).context("failed to write the load's configuration")?;
    let arguments = ["load".to_owned(), "--config".to_owned(), text, offset_argument(place.offset)];
    create(place, LOAD_POD, &arguments, load::PORT, configuration.tls.as_ref()).await
}

/// Starts the probe pod.
pub async fn start_probe(place: Place<'_>, peers_service: &str, tls: Option<&Tls>) -> Result<()> {
    let peers = format!("{peers_service}.{}.svc:{}", place.namespace, etcd::CLIENT_PORT);
    let mut arguments =
        vec!["probe".to_owned(), "--peers-dns".to_owned(), peers, offset_argument(place.offset)];
    if let Some(tls) = tls {
        let text = serde_json::to_string(tls).context("failed to write how the probe speaks TLS")?;
        arguments.extend(["--tls".to_owned(), text]);
    }
    create(place, PROBE_POD, &arguments, probe::PORT, tls).await
}

fn offset_argument(offset: ClockOffset) -> String {
    format!("--clock-offset-milliseconds={}", offset.clock_offset_milliseconds)
}

async fn create(
    place: Place<'_>,
    name: &str,
    arguments: &[String],
    port: u16,
    tls: Option<&Tls>,
) -> Result<()> {
    let namespace = place.namespace;
    let mut manifest = manifest(namespace, name, place.image, arguments, port);
    if let Some(tls) = tls {
        mount(&mut manifest, &etcd::client_secret(place.cluster), tls);
    }
    let pod: Pod =
        serde_json::from_value(manifest).with_context(|| format!("failed to build the pod {name}"))?;
    let created =
        Api::<Pod>::namespaced(place.client.clone(), namespace).create(&PostParams::default(), &pod).await;
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

/// Shows a pod the Secret of the subject's clients. It may not exist yet, or not for ever, where TLS is switched on or off.
fn mount(manifest: &mut Value, secret: &str, tls: &Tls) {
    let spec = &mut manifest["spec"];
    let mount = json!({ "name": "tls", "mountPath": tls.directory, "readOnly": true });
    let volume = json!({ "name": "tls", "secret": { "secretName": secret, "optional": true } });
    for (list, entry) in [("/containers/0/volumeMounts", mount), ("/volumes", volume)] {
        if let Some(list) = spec.pointer_mut(list).and_then(Value::as_array_mut) {
            list.push(entry);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(tls: Option<&Tls>) -> Value {
        let mut manifest = manifest("namespace", LOAD_POD, "chaos", &["load".to_owned()], load::PORT);
        if let Some(tls) = tls {
            mount(&mut manifest, &etcd::client_secret("demo"), tls);
        }
        manifest
    }

    #[test]
    fn a_pod_mounts_the_secret_of_clients_where_the_configuration_looks_for_it() {
        let tls = tls(Encryption::Always, "namespace", "demo").unwrap();
        assert_eq!((tls.server_name.as_str(), tls.mode), ("demo.namespace.svc", TlsMode::Always));
        let pod = pod(Some(&tls));
        let mounts = pod.pointer("/spec/containers/0/volumeMounts").unwrap();
        assert_eq!(mounts[1], json!({ "name": "tls", "mountPath": "/tls", "readOnly": true }));
        let volumes = pod.pointer("/spec/volumes").unwrap();
        let secret = json!({ "secretName": "demo-client-tls", "optional": true });
        assert_eq!(volumes[1], json!({ "name": "tls", "secret": secret }));
    }

    #[test]
    fn a_pod_follows_where_tls_is_switched_and_mounts_nothing_where_there_is_none() {
        assert_eq!(tls(Encryption::Switched, "namespace", "demo").unwrap().mode, TlsMode::Follow);
        assert_eq!(tls(Encryption::Never, "namespace", "demo"), None);
        assert_eq!(
            pod(None).pointer("/spec/volumes").unwrap(),
            &json!([{ "name": "history", "emptyDir": {} }])
        );
    }
}
