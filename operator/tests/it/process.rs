//! The operator as a process of its own, against an API server over HTTPS.

use crate::support::etcd::free_address;
use crate::support::kubernetes::create_namespace;
use assert_matches::assert_matches;
use etcd_operator::http::get;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::apiserver::{ApiServer, ApiServerConfig, ServerCertificate, kubeconfig};
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

const HOME: &str = "etcd-operator-system";
const TOKEN: &str = "the-administrator";

/// An API server on loopback and an operator that is its client.
pub(crate) struct Scene {
    _directory: TempDir,
    _server: JoinSet<()>,
    pub(crate) server: ApiServer,
    pub(crate) client: Client,
    pub(crate) kubeconfig: PathBuf,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config =
            ApiServerConfig { administrator_token: Some(TOKEN.to_owned()), ..ApiServerConfig::default() };
        let server = ApiServer::new(config);
        let client = server.client();
        create_namespace(&client, HOME).await;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let certificate = ServerCertificate::generate(&[]).unwrap();
        let path = directory.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig("test", &url, certificate.authority(), TOKEN)).unwrap();
        let mut tasks = JoinSet::new();
        let served = server.clone();
        tasks.spawn(async move { served.serve(listener, certificate).await.unwrap() });
        Self { _directory: directory, _server: tasks, server, client, kubeconfig: path }
    }
}

/// An operator process, killed when dropped.
pub(crate) struct Operator {
    process: Child,
    address: SocketAddr,
}

impl Operator {
    pub(crate) fn start(kubeconfig: &Path, pod: &str) -> Self {
        Self::start_program(env!("CARGO_BIN_EXE_etcd-operator").as_ref(), kubeconfig, pod)
    }

    /// The same with another build of it.
    pub(crate) fn start_program(program: &Path, kubeconfig: &Path, pod: &str) -> Self {
        let address = free_address();
        let process = Command::new(program)
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", pod)
            .env("POD_UID", "uid")
            .env("POD_NAMESPACE", HOME)
            .env("OPERATOR_IMAGE", "etcd-operator:test")
            .env("LISTEN_ADDRESS", address.to_string())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, address }
    }

    async fn body(&self, path: &str) -> Option<String> {
        let address = format!("http://{}{path}", self.address).parse().unwrap();
        let (_, body) = get(&address, Duration::from_secs(5)).await.ok()?;
        String::from_utf8(body.to_vec()).ok()
    }

    /// What it has used of the processors so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        // Fields 14 and 15 of proc_pid_stat(5), in ticks of a hundredth of a second; the first here is the third there.
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// What it has in memory now.
    pub(crate) fn memory_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Sends SIGTERM and waits for the end.
    fn end(mut self) -> std::process::ExitStatus {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.process.wait().unwrap()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for a fact; a minute only bounds the failure.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} never happened");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn clusters(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("etcd.operators.rs", "v1beta1", "EtcdCluster");
    Api::namespaced_with(client.clone(), HOME, &ApiResource::from_gvk(&kind))
}

async fn create_cluster(client: &Client) {
    let cluster = serde_json::from_value(json!({
        "apiVersion": "etcd.operators.rs/v1beta1",
        "kind": "EtcdCluster",
        "metadata": { "name": "c" },
        "spec": { "size": 3, "version": "3.6.16" },
    }))
    .unwrap();
    eventually("the resource type is served", async || {
        clusters(client).create(&PostParams::default(), &cluster).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_registers_its_types_serves_its_health_and_makes_members() {
    let scene = Scene::new().await;
    let operator = Operator::start(&scene.kubeconfig, "pod");
    create_cluster(&scene.client).await;
    let members: Api<StatefulSet> = Api::namespaced(scene.client.clone(), HOME);
    eventually("three members exist", async || {
        let list = members.list(&ListParams::default()).await.ok()?;
        (list.items.len() == 3).then_some(())
    })
    .await;
    assert_eq!(operator.body("/readyz").await.as_deref(), Some("ok\n"));
    let metrics = operator.body("/metrics").await.unwrap();
    assert!(metrics.contains("etcd_operator_lease_held 1"), "{metrics}");
    assert!(metrics.contains("etcd_operator_actions_total{action=\"create\",outcome=\"ok\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_end_it_gives_its_lease_back_and_succeeds() {
    let scene = Scene::new().await;
    let operator = Operator::start(&scene.kubeconfig, "pod");
    let leases: Api<Lease> = Api::namespaced(scene.client.clone(), HOME);
    let holder = async || {
        let lease = leases.get_opt("etcd-operator").await.ok()??;
        lease.spec?.holder_identity
    };
    eventually("the Lease is held", async || holder().await.filter(|name| name == "pod_uid")).await;
    assert!(operator.end().success());
    assert_eq!(holder().await.as_deref(), Some(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_whose_lease_is_taken_ends_with_an_error() {
    let scene = Scene::new().await;
    let mut operator = Operator::start(&scene.kubeconfig, "pod");
    let leases: Api<Lease> = Api::namespaced(scene.client.clone(), HOME);
    // Kubernetes takes no update of a Lease without the version that it is based on, and the holder renews meanwhile.
    let taken = eventually("the Lease is taken", async || {
        let mut lease = leases.get_opt("etcd-operator").await.ok()??;
        lease.spec.get_or_insert_default().holder_identity = Some("another".to_owned());
        leases.replace(&lease.name_any(), &PostParams::default(), &lease).await.ok()
    })
    .await;
    assert_matches!(taken.spec.and_then(|spec| spec.holder_identity).as_deref(), Some("another"));
    let status = eventually("the process ended", async || operator.process.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(1));
}

#[cfg(not(feature = "mutants"))]
#[test]
fn a_deliberately_wrong_operator_is_refused_by_a_build_that_has_none() {
    let output = Command::new(env!("CARGO_BIN_EXE_etcd-operator"))
        .envs([("POD_NAME", "pod"), ("POD_UID", "uid"), ("POD_NAMESPACE", HOME), ("OPERATOR_IMAGE", "image")])
        .env("ETCD_OPERATOR_MUTANT", "second-permit")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("ETCD_OPERATOR_MUTANT") && message.contains("mutants"), "{message}");
}
