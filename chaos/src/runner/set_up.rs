//! Makes everything that a run needs before the first fault: operator, namespace, cluster under test, load and probe.
//! Never removes anything.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::Client;
use kube::api::Api;
use serde_json::{Value, json};

use super::SUBJECT_NAME;
use super::shared::Experiment;
use crate::cluster::Cluster;
use crate::doctor;
use crate::record::Run;
use crate::scenario::{Fault, Schedule, Subject, SubjectCluster};
use crate::subject::operator::Installation;
use crate::subject::pods::Place;
use crate::subject::{backups, etcd, namespace, operator, pods};

const OPERATOR_PATIENCE: Duration = Duration::from_secs(90);
const FORM_PATIENCE: Duration = Duration::from_secs(120);
const PODS_PATIENCE: Duration = Duration::from_secs(60);

/// What later parts need from the setting up.
pub(super) struct Prepared {
    /// The API server's address inside the cluster.
    pub(super) api_server: SocketAddrV4,
}

/// Makes the run's namespace: the first thing that the run makes, so that nothing is left where that is not allowed.
pub(super) async fn make_namespace(
    experiment: &Experiment<'_>,
    cluster: &Cluster,
    head: &mut Run,
) -> Result<Namespace> {
    let version =
        cluster.client.apiserver_version().await.context("failed to ask the API server for its version")?;
    head.versions.kubernetes = version.git_version;
    experiment.directory.write_run(head)?;
    experiment
        .display
        .say(&format!("cluster {} at {}, namespace {}", cluster.kind, cluster.server, head.namespace));
    if !cluster.operator_is_ours {
        refuse_foreign_operator(cluster, &experiment.assignment.schedule).await?;
        refuse_unfit(cluster, &experiment.assignment.schedule).await?;
    }
    namespace::create(&cluster.client, &head.namespace, head.scenario.as_str()).await
}

/// Installs the operator where that is ours to do, and waits for it.
pub(super) async fn prepare_operator(experiment: &Experiment<'_>, cluster: &Cluster) -> Result<()> {
    if cluster.operator_is_ours {
        let settings = experiment.settings;
        let installation = Installation {
            image: settings.operator_image.clone(),
            mutant: settings.mutant.clone(),
            ..Installation::default()
        };
        operator::install(&cluster.client, &installation).await?;
    }
    operator::wait_ready(&cluster.client, OPERATOR_PATIENCE).await?;
    experiment.display.say("the operator is ready");
    Ok(())
}

/// What would hinder a fault is said before anything is made.
async fn refuse_unfit(cluster: &Cluster, schedule: &Schedule) -> Result<()> {
    let hits_operator =
        schedule.steps.iter().any(|step| crate::faults::aims_at_operator(&step.fault, &step.target));
    let mut findings = doctor::look(&cluster.client).await?;
    findings.retain(|finding| hits_operator || !finding.operator_faults_only);
    if findings.is_empty() {
        return Ok(());
    }
    let shown = findings.iter().map(|finding| format!("\n- {}\n  {}", finding.what, finding.remedy));
    bail!("the cluster is not fit for this scenario yet:{}", shown.collect::<String>())
}

/// An operator that the run did not install is harmed only if its owner has allowed that.
async fn refuse_foreign_operator(cluster: &Cluster, schedule: &Schedule) -> Result<()> {
    let harmful = schedule.steps.iter().find(|step| {
        crate::faults::aims_at_operator(&step.fault, &step.target) || step.fault.traits().stops_operator
    });
    match harmful {
        Some(step) if !operator::is_allowed(&cluster.client).await? => bail!(
            "the fault {} acts on the operator, which this run did not install; its owner can allow that with `kubectl \
             -n {} label deployment {} {}=allowed`",
            step.name,
            operator::NAMESPACE,
            operator::NAME,
            crate::subject::ALLOWED_LABEL
        ),
        Some(_) | None => Ok(()),
    }
}

/// Creates the cluster under test, waits until it has formed, and starts load and probe.
pub(super) async fn bootstrap(
    experiment: &Experiment<'_>,
    cluster: &Cluster,
    head: &Run,
) -> Result<Prepared> {
    let schedule = &experiment.assignment.schedule;
    let client = &cluster.client;
    let began = Instant::now();
    create_subject(client, &head.namespace, schedule).await?;
    wait_formed(experiment, client, &head.namespace).await?;
    let peers_service = etcd::peers_service(client, &head.namespace, SUBJECT_NAME).await?;
    let place = Place {
        client,
        namespace: &head.namespace,
        cluster: SUBJECT_NAME,
        image: &experiment.settings.chaos_image,
        offset: experiment.settings.pod_clock_offset,
    };
    let tls = pods::tls(schedule.encryption(), &head.namespace, SUBJECT_NAME);
    pods::start_probe(place, &peers_service, tls.as_ref()).await?;
    experiment.display.say(&format!("the cluster has formed in {:.1} s", began.elapsed().as_secs_f64()));
    let configuration = pods::load_configuration(schedule, &head.namespace, SUBJECT_NAME, &peers_service);
    configuration.check().context("the load's configuration")?;
    pods::start_load(place, &configuration).await?;
    pods::wait_answering(client, &pods::probe_port(&head.namespace), "latest", PODS_PATIENCE).await?;
    pods::wait_answering(client, &pods::load_port(&head.namespace), "progress", PODS_PATIENCE).await?;
    Ok(Prepared { api_server: api_server(client).await? })
}

async fn create_subject(client: &Client, namespace: &str, schedule: &Schedule) -> Result<()> {
    let Subject::Cluster(cluster) = &schedule.subject else {
        bail!("subject.selector is not built yet: use subject.cluster");
    };
    let mut spec = spec(cluster);
    if schedule.steps.iter().any(|step| step.fault == Fault::Backup) {
        spec["backup"] = backups::prepare(client, namespace).await?;
    }
    etcd::create(client, namespace, SUBJECT_NAME, &spec).await.map(drop)
}

/// What a scenario says of the cluster under test, as the spec of an `EtcdCluster`.
fn spec(cluster: &SubjectCluster) -> Value {
    let mut spec = json!({
        "size": cluster.size,
        "version": cluster.version,
        "storage": { "size": cluster.storage },
    });
    if let Some(soak) = cluster.soak {
        spec["rollout"] = json!({ "soakSeconds": soak.as_duration().as_secs() });
    }
    if let Some(tls) = &cluster.tls {
        spec["tls"] = json!(tls);
    }
    spec
}

async fn wait_formed(experiment: &Experiment<'_>, client: &Client, namespace: &str) -> Result<()> {
    let deadline = Instant::now() + FORM_PATIENCE;
    loop {
        let cluster = etcd::read(client, namespace, SUBJECT_NAME).await?;
        if etcd::condition_is_true(&cluster, "Ready") {
            return Ok(());
        }
        let conditions = etcd::describe_conditions(&cluster);
        if Instant::now() > deadline {
            bail!("the cluster did not become Ready within {} s: {conditions}", FORM_PATIENCE.as_secs());
        }
        experiment
            .display
            .state(&format!("waiting for the cluster to form: {}", etcd::describe_ready(&cluster)));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The Service of the API server: an address that every pod can reach and that no partition cuts.
async fn api_server(client: &Client) -> Result<SocketAddrV4> {
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    let service = services.get("kubernetes").await.context("failed to read the API server's Service")?;
    let spec = service.spec.context("the API server's Service is empty")?;
    let address = spec.cluster_ip.context("the API server's Service has no address")?;
    let port = spec.ports.as_deref().unwrap_or_default().first().map_or(443, |port| port.port);
    let address =
        address.parse().with_context(|| format!("the API server's Service has the address {address}"))?;
    Ok(SocketAddrV4::new(address, u16::try_from(port).context("the API server's port")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_of_tls_is_handed_on_as_it_is_and_left_out_where_there_is_none() {
        let read = |more: Value| {
            let mut cluster = json!({ "size": 3, "version": "3.6.16", "storage": "1Gi" });
            cluster.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            spec(&serde_json::from_value(cluster).unwrap())
        };
        let plain = json!({ "size": 3, "version": "3.6.16", "storage": { "size": "1Gi" } });
        assert_eq!(read(json!({})), plain);
        assert_eq!(read(json!({ "tls": {} }))["tls"], json!({}));
        let tls = json!({ "clientCertificates": "Optional", "unknown": 1 });
        assert_eq!(read(json!({ "tls": tls }))["tls"], tls);
    }
}
