//! Ends load and probe and brings what they wrote home without loss: every byte, checked by length and digest. Logs of pods
//! are taken too, for people only.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use super::clocks;
use super::directory::RunDirectory;
use super::shared::Experiment;
use crate::cluster::Cluster;
use crate::load::StateReport;
use crate::record::{FINAL_FILE, LOAD_FILE, PROBE_FILE};
use crate::subject::proxy::PodPort;
use crate::subject::{operator, pods};

/// How long open calls and the final dump may take.
const DUMP_PATIENCE: Duration = Duration::from_secs(90);
/// How long all members' hashes at one revision may take.
const HASH_PATIENCE: Duration = Duration::from_secs(30);
/// How long the salvage after an early end may take altogether.
const SALVAGE_PATIENCE: Duration = Duration::from_secs(20);

/// Stops the clients, takes the final dump and the hashes, closes the probe's file and fetches everything.
pub(super) async fn finish(experiment: &Experiment<'_>, client: &Client, namespace: &str) -> Result<()> {
    let (load, probe) = (pods::load_port(namespace), pods::probe_port(namespace));
    load.post(client, "stop").await.context("failed to stop the load")?;
    let state = wait_done(client, &load).await?;
    if let StateReport::Failed { error } = &state {
        experiment.recorder.note(format!("the load could not complete its history: {error}"));
        experiment.display.say(&format!("the load could not complete its history: {error}"));
    }
    if let Err(error) = hash(client, &probe).await {
        experiment.recorder.note(format!("the members' hashes could not be taken: {error:#}"));
    }
    clocks::read(client, namespace, experiment.recorder).await;
    probe.post(client, "stop").await.context("failed to stop the probe")?;
    fetch_all(experiment.directory, client, &load, &probe).await
}

/// Fetches what is there after a run that ended early; what cannot be had is left out.
pub(super) async fn salvage(experiment: &Experiment<'_>, client: &Client, namespace: &str) {
    let (load, probe) = (pods::load_port(namespace), pods::probe_port(namespace));
    let work = async {
        // Without an answer there is nothing to wait for; the files are tried all the same.
        let _ = load.post(client, "stop").await;
        let _ = probe.post(client, "stop").await;
        let deadline = Instant::now() + SALVAGE_PATIENCE / 2;
        while Instant::now() < deadline {
            match load.get_json::<StateReport>(client, "state").await {
                Ok(StateReport::Running | StateReport::Stopping { .. }) => {
                    sleep(Duration::from_millis(200)).await
                }
                Ok(StateReport::Done { .. } | StateReport::Failed { .. }) | Err(_) => break,
            }
        }
        fetch_all(experiment.directory, client, &load, &probe).await
    };
    match tokio::time::timeout(SALVAGE_PATIENCE, work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => experiment.recorder.note(format!("the history is not complete: {error:#}")),
        Err(_) => experiment.recorder.note("the history is not complete: fetching it took too long"),
    }
}

async fn wait_done(client: &Client, load: &PodPort) -> Result<StateReport> {
    let deadline = Instant::now() + DUMP_PATIENCE;
    loop {
        let state = load.get_json::<StateReport>(client, "state").await;
        match state {
            Ok(state @ (StateReport::Done { .. } | StateReport::Failed { .. })) => return Ok(state),
            Ok(StateReport::Running | StateReport::Stopping { .. }) | Err(_) if Instant::now() < deadline => {
            }
            Ok(state) => bail!(
                "the load is not done {} s after it was told to stop: {state:?}",
                DUMP_PATIENCE.as_secs()
            ),
            Err(error) => return Err(error.context("failed to wait for the load's final dump")),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Asks for all hashes at one revision, again until every member has answered.
async fn hash(client: &Client, probe: &PodPort) -> Result<()> {
    let deadline = Instant::now() + HASH_PATIENCE;
    loop {
        match probe.post(client, "hash").await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(300)).await,
        }
    }
}

async fn fetch_all(directory: &RunDirectory, client: &Client, load: &PodPort, probe: &PodPort) -> Result<()> {
    for (port, file) in [(load, LOAD_FILE), (load, FINAL_FILE), (probe, PROBE_FILE)] {
        fetch(directory, client, port, file).await?;
    }
    Ok(())
}

/// What the writer says about its file.
#[derive(Deserialize)]
struct FileDigest {
    bytes: u64,
    sha256: String,
}

/// Fetches one file piece by piece. A piece that fails is asked for again; what is there is kept even if it is not all.
async fn fetch(directory: &RunDirectory, client: &Client, port: &PodPort, file: &str) -> Result<()> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let mut bytes: Vec<u8> = Vec::new();
    let fetched = pieces(client, port, name, &mut bytes).await;
    if !bytes.is_empty() {
        directory.write(file, &bytes)?;
    }
    fetched.with_context(|| format!("failed to fetch {name} of pod {}", port.pod))?;
    let digest: FileDigest =
        port.get_json(client, &format!("digest/{name}")).await.context("failed to ask for the digest")?;
    let sha256 = hexadecimal(&Sha256::digest(&bytes));
    if digest.bytes != bytes.len() as u64 || digest.sha256 != sha256 {
        bail!(
            "{name} of pod {} was not fetched as it is: {} bytes, sha256 {sha256}, where the pod has {} bytes, sha256 {}",
            port.pod,
            bytes.len(),
            digest.bytes,
            digest.sha256
        );
    }
    Ok(())
}

async fn pieces(client: &Client, port: &PodPort, name: &str, bytes: &mut Vec<u8>) -> Result<()> {
    let mut failures = 0;
    loop {
        let path = format!("history/{name}?offset={}", bytes.len());
        let answer = match port.get(client, &path).await {
            Ok(answer) => answer,
            Err(error) if failures >= 5 => return Err(error),
            Err(_) => {
                failures += 1;
                sleep(Duration::from_millis(300)).await;
                continue;
            }
        };
        let total = answer.headers.get("x-total-bytes").and_then(|value| value.to_str().ok());
        let total: u64 = total
            .and_then(|value| value.parse().ok())
            .context("the answer does not say how long the file is")?;
        bytes.extend_from_slice(&answer.body);
        if bytes.len() as u64 >= total {
            return Ok(());
        }
        if answer.body.is_empty() {
            bail!("{name} ended after {} of {total} bytes", bytes.len());
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keeps the logs of all containers of the run and of the operator. For people: what cannot be had is left out.
pub(super) async fn logs(cluster: &Cluster, namespace: &str, directory: &RunDirectory) {
    let client = &cluster.client;
    let logs = directory.logs();
    if let Err(error) =
        std::fs::create_dir_all(&logs).map_err(Into::into).and_then(|()| cluster.keep_logs(&logs))
    {
        tracing::debug!("keeping the cluster's logs: {error:#}");
    }
    let work = async {
        for namespace in [namespace, operator::NAMESPACE] {
            let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
            let Ok(pods) = api.list(&ListParams::default()).await else { continue };
            for pod in pods {
                logs_of_pod(&api, &pod, directory).await;
            }
        }
    };
    // The run is over; nobody waits long for what only helps to read it.
    let _ = tokio::time::timeout(Duration::from_secs(10), work).await;
}

async fn logs_of_pod(api: &Api<Pod>, pod: &Pod, directory: &RunDirectory) {
    let name = pod.name_any();
    let spec = pod.spec.as_ref();
    let main =
        spec.into_iter().flat_map(|spec| spec.containers.iter().map(|container| container.name.clone()));
    let ephemeral = spec.and_then(|spec| spec.ephemeral_containers.as_ref());
    let ephemeral = ephemeral.into_iter().flatten().map(|container| container.name.clone());
    let containers: Vec<String> = main.chain(ephemeral).collect();
    for container in containers {
        for previous in [false, true] {
            let parameters =
                LogParams { container: Some(container.clone()), previous, ..LogParams::default() };
            let Ok(log) = api.logs(&name, &parameters).await else { continue };
            let suffix = if previous { ".previous" } else { "" };
            let path = directory.logs().join(format!("{name}.{container}{suffix}.log"));
            let written = std::fs::create_dir_all(directory.logs()).and_then(|()| std::fs::write(&path, log));
            if let Err(error) = written {
                tracing::debug!(%error, "writing {}", path.display());
            }
        }
    }
}
