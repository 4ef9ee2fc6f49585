//! The command lines of the control plane, and the order in which its processes start. Where a flag only repeats
//! Kubernetes' default, it is left out.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use kube::Client;

use super::component::{Component, Components};
use super::config::{API_PORT, BareConfig, CONTROL_PLANE, Files, SERVICES};

/// The API server takes three seconds on an idle machine of two cores, and most of a minute on a very busy one.
const API_PATIENCE: Duration = Duration::from_secs(150);

/// The kubeconfigs of the components beside the API server.
pub(super) const CONTROLLER_MANAGER_ACCESS: &str = "controller-manager.kubeconfig";
pub(super) const SCHEDULER_ACCESS: &str = "scheduler.kubeconfig";

/// Starts the store and the API server.
pub(super) fn start_api_server(config: &BareConfig, components: &mut Components) -> Result<()> {
    let files = Files::of(&config.tree.state_directory);
    components.start(Component {
        name: "etcd".to_owned(),
        program: config.tools.etcd.clone(),
        arguments: etcd(&files.etcd()),
    })?;
    components.start(Component {
        name: "kube-apiserver".to_owned(),
        program: config.tools.kubernetes.clone(),
        arguments: api_server(&files.credentials()),
    })
}

/// Starts what needs an API server that answers.
pub(super) fn start_controllers(config: &BareConfig, components: &mut Components) -> Result<()> {
    let files = Files::of(&config.tree.state_directory);
    let kubernetes = &config.tools.kubernetes;
    components.start(Component {
        name: "kube-controller-manager".to_owned(),
        program: kubernetes.clone(),
        arguments: controller_manager(&files.credentials(), &config.tree.state_directory),
    })?;
    components.start(Component {
        name: "kube-scheduler".to_owned(),
        program: kubernetes.clone(),
        arguments: scheduler(&files.credentials()),
    })
}

/// Waits until the API server says that it is ready.
pub(super) async fn wait_for_api(client: &Client, components: &mut Components) -> Result<()> {
    let deadline = Instant::now() + API_PATIENCE;
    loop {
        let request = http::Request::get("/readyz").body(Vec::new()).context("failed to build a request")?;
        let error = match client.request_text(request).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        components.check()?;
        if Instant::now() > deadline {
            let error = anyhow::Error::from(error);
            bail!("the API server is not ready after {} s: {error:#}", API_PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Its data ends with the cluster, so nothing is gained by waiting for the disk.
fn etcd(data: &Path) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=default=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--data-dir={}", data.display()));
    arguments
}

fn api_server(credentials: &Path) -> Vec<String> {
    let file = |name: &str| credentials.join(name).display().to_string();
    let mut arguments = vec!["kube-apiserver".to_owned()];
    // Not loopback: pods reach the API server at the address that it advertises.
    arguments.push(format!("--advertise-address={CONTROL_PLANE}"));
    arguments.push(format!("--secure-port={API_PORT}"));
    arguments.push("--etcd-servers=http://127.0.0.1:2379".to_owned());
    arguments.push(format!("--service-cluster-ip-range={SERVICES}"));
    arguments.push("--authorization-mode=Node,RBAC".to_owned());
    arguments.push("--enable-admission-plugins=NodeRestriction".to_owned());
    arguments.push("--allow-privileged=true".to_owned());
    // Names of nodes do not resolve where the API server is.
    arguments.push("--kubelet-preferred-address-types=InternalIP".to_owned());
    arguments.push("--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned());
    let files = [
        ("client-ca-file", "ca.crt"),
        ("tls-cert-file", "apiserver.crt"),
        ("tls-private-key-file", "apiserver.key"),
        ("service-account-key-file", "tokens.pub"),
        ("service-account-signing-key-file", "tokens.key"),
        ("kubelet-certificate-authority", "ca.crt"),
        ("kubelet-client-certificate", "kubelet-client.crt"),
        ("kubelet-client-key", "kubelet-client.key"),
    ];
    arguments.extend(files.map(|(flag, name)| format!("--{flag}={}", file(name))));
    arguments
}

fn controller_manager(credentials: &Path, state: &Path) -> Vec<String> {
    let file = |name: &str| credentials.join(name).display().to_string();
    let plugins: PathBuf = state.join("volume-plugins");
    vec![
        "kube-controller-manager".to_owned(),
        format!("--kubeconfig={}", file(CONTROLLER_MANAGER_ACCESS)),
        format!("--root-ca-file={}", file("ca.crt")),
        format!("--service-account-private-key-file={}", file("tokens.key")),
        "--use-service-account-credentials=true".to_owned(),
        // There is one of it: nothing to elect.
        "--leader-elect=false".to_owned(),
        // The default is a directory of the host, which it would make.
        format!("--flex-volume-plugin-dir={}", plugins.display()),
    ]
}

fn scheduler(credentials: &Path) -> Vec<String> {
    vec![
        "kube-scheduler".to_owned(),
        format!("--kubeconfig={}", credentials.join(SCHEDULER_ACCESS).display()),
        "--leader-elect=false".to_owned(),
    ]
}
