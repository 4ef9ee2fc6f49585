//! The `sandbox-server` process: API server, controllers and node in one tokio runtime. It ends only by being killed,
//! or with an error when one of its parts gives up.

use super::config::SandboxConfig;
use super::sandbox::kubeconfig_path;
use crate::apiserver::inputs::SystemClock;
use crate::apiserver::{ApiServer, ApiServerConfig, ServerCertificate, kubeconfig};
use crate::controllers::Controllers;
use crate::net::{address, services};
use crate::node::Node;
use crate::tree::{Handed, StartAnswer, TreeConfig, Trunk};
use anyhow::{Context as _, Result, bail};
use std::net::{SocketAddrV4, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where the API server listens inside the sandbox; the Service `kubernetes` leads there.
const INSIDE: SocketAddrV4 = SocketAddrV4::new(address::NODE, 6443);
/// The name server of pods.
const NAME_SERVER: SocketAddrV4 = SocketAddrV4::new(address::NAME_SERVER, 53);

impl Trunk for SandboxConfig {
    const NAME: &'static str = "sandbox";
    const NOUN: &'static str = "sandbox";
    const START_LIMIT: Duration = Duration::from_secs(60);

    fn tree(&self) -> &TreeConfig {
        &self.tree
    }

    fn serve(handed: Handed<SandboxConfig>) -> Result<()> {
        start(handed)
    }

    /// Everything of a sandbox is in its namespaces and its state directory.
    fn clear_up(&self, _guardian: u32) -> Result<()> {
        Ok(())
    }
}

fn start(handed: Handed<SandboxConfig>) -> Result<()> {
    let Handed { config, listener, lock: _held } = handed;
    start_logging();
    allow_many_files().context("failed to allow many open files")?;
    crate::net::root::configure().context("failed to configure the sandbox's network")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(serve(config, listener))
}

/// Starts every part, says that all is ready, and watches the parts.
async fn serve(config: SandboxConfig, listener: TcpListener) -> Result<()> {
    let address = listener.local_addr().context("failed to ask where the API server listens")?;
    let certificate = ServerCertificate::generate(&[address.ip(), address::NODE.into()])?;
    let token = uuid::Uuid::new_v4().simple().to_string();
    let api = api_server(&certificate, &token);
    let inside = TcpListener::bind(INSIDE).with_context(|| format!("failed to listen on {INSIDE}"))?;

    let state_directory = &config.tree.state_directory;
    clear_remains(state_directory).context("failed to clear the state directory")?;
    let mut node = Node::start(api.client_of("kubelet"), state_directory, config.images)
        .await
        .context("failed to register the node")?;
    api.set_node(Arc::new(node.access()));
    let _controllers = Controllers::start(api.client_of("kube-controller-manager"), Arc::new(SystemClock));
    let file = kubeconfig(&config.name, &format!("https://{address}"), certificate.authority(), &token);
    write_private(&kubeconfig_path(state_directory), &file).context("failed to write the kubeconfig")?;
    StartAnswer::Ready.send();
    tokio::select! {
        biased;
        result = api.clone().serve(listener, certificate.again()) => result.context("failed to serve on the host"),
        result = api.clone().serve(inside, certificate) => result.context("failed to serve inside the sandbox"),
        result = services::run(api.client(), NAME_SERVER) => result.context("failed to serve names and services"),
        () = node.failed() => bail!("a part of the node ended"),
    }
}

fn api_server(certificate: &ServerCertificate, token: &str) -> ApiServer {
    ApiServer::new(ApiServerConfig {
        root_certificate: certificate.authority().to_owned(),
        advertise: Some(INSIDE),
        administrator_token: Some(token.to_owned()),
        ..ApiServerConfig::default()
    })
}

/// Writes a file for its owner only. It appears whole or not at all.
fn write_private(path: &Path, content: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let new = path.with_extension("new");
    let mut file = std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(content.as_bytes())?;
    std::fs::rename(new, path)
}

/// What an earlier sandbox left in the same directory: its pods, volumes and logs mean nothing to a new API server.
fn clear_remains(state_directory: &Path) -> std::io::Result<()> {
    for name in ["pods", "volumes", "logs"] {
        match std::fs::remove_dir_all(state_directory.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

fn start_logging() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("SANDBOX_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

/// Every container costs some descriptors; the hard limit is the only one that means anything.
fn allow_many_files() -> nix::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}
