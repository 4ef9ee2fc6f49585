//! The real arm: etcd, kube-apiserver and kube-controller-manager on loopback, in a temporary folder.
//!
//! All of them end with this process, by SIGKILL too: `setpriv` asks the kernel for it. Nothing is skipped when the
//! programs are missing: the suite then fails and says what makes them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rcgen::KeyPair;
use tempfile::TempDir;

use crate::arm::Arm;

/// The bearer token of the administrator. It is worth nothing: the server lives as long as this test.
const TOKEN: &str = "conformance";
/// A start takes three seconds on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Where `ci/images` puts etcd and Kubernetes, below the cache.
const ETCD: &str = "images/etcd/v3.6.16/etcd";
const KUBERNETES: &str = "tools/kubernetes/kubernetes";

/// Which controllers run beside the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controllers {
    /// All that Kubernetes has.
    All,
    /// None: requests alone change the cluster.
    None,
}

/// A running control plane; dropping it kills its processes.
pub(crate) struct Real {
    folder: TempDir,
    children: Vec<Child>,
    client: kube::Client,
}

impl Drop for Real {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            // An error means that it has ended already.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

impl Real {
    /// Starts everything and waits until the API server is ready. Must be called on the thread that lives longest: the
    /// programs end with it.
    ///
    /// # Errors
    /// When a program is missing or does not become ready; the end of its log is in the message.
    pub(crate) async fn start(controllers: Controllers) -> anyhow::Result<Self> {
        let (etcd, kubernetes) = (program(ETCD)?, program(KUBERNETES)?);
        let folder = tempfile::tempdir().context("making the real cluster's folder")?;
        let at = folder.path();
        let ports = free_ports()?;
        write_keys(at, ports[2])?;
        let mut children = vec![start(at, "etcd", &etcd, &etcd_arguments(at, ports))?];
        children.push(start(at, "kube-apiserver", &kubernetes, &apiserver_arguments(at, ports))?);
        let client = ready_client(at, ports[2], &mut children).await?;
        if controllers == Controllers::All {
            children.push(start(at, "kube-controller-manager", &kubernetes, &manager_arguments(at))?);
        }
        Ok(Self { folder, children, client })
    }

    /// Its API, as administrator.
    pub(crate) fn arm(&self) -> Arm {
        Arm::new("real", self.client.clone(), Some(TOKEN.to_owned()))
    }

    /// The certificate of its authority, which every namespace carries a copy of.
    pub(crate) fn authority(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("certificates/apiserver.crt"))?)
    }

    /// The end of a program's log.
    pub(crate) fn log(&self, program: &str) -> String {
        tail(self.folder.path(), program)
    }
}

fn program(below_cache: &str) -> anyhow::Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = from("CHAOS_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|home| home.join("etcd-chaos")))
        .or_else(|| from("HOME").map(|home| home.join(".cache/etcd-chaos")))
        .context("one of CHAOS_CACHE, XDG_CACHE_HOME and HOME must be set")?;
    let program = cache.join(below_cache);
    if !program.is_file() {
        bail!("there is no {}: run `ci/images etcd` and `ci/images bare`, which build it", program.display());
    }
    Ok(program)
}

/// Ports for etcd's clients, etcd's peers and the API server, free a moment ago.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        let listener =
            listener.as_ref().map_err(|error| anyhow::anyhow!("looking for a free port: {error}"))?;
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn write_keys(at: &Path, port: u16) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    std::fs::write(at.join("accounts.key"), key.serialize_pem())?;
    std::fs::write(at.join("accounts.pub"), key.public_key_pem())?;
    std::fs::write(at.join("tokens.csv"), format!("{TOKEN},kubernetes-admin,admin,\"system:masters\"\n"))?;
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: real\n\
         clusters: [{{name: real, cluster: {{server: 'https://127.0.0.1:{port}', insecure-skip-tls-verify: true}}}}]\n\
         users: [{{name: admin, user: {{token: {TOKEN}}}}}]\n\
         contexts: [{{name: real, context: {{cluster: real, user: admin}}}}]\n"
    );
    std::fs::write(at.join("kubeconfig"), kubeconfig)?;
    Ok(())
}

fn etcd_arguments(at: &Path, [clients, peers, _]: [u16; 3]) -> Vec<String> {
    let data = at.join("etcd");
    vec![
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls=http://127.0.0.1:{clients}"),
        format!("--advertise-client-urls=http://127.0.0.1:{clients}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peers}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peers}"),
        format!("--initial-cluster=default=http://127.0.0.1:{peers}"),
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn apiserver_arguments(at: &Path, [etcd, _, port]: [u16; 3]) -> Vec<String> {
    let file = |name: &str| at.join(name).display().to_string();
    vec![
        "kube-apiserver".to_owned(),
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", file("certificates")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        // As on every usual cluster: what forbids such pods is their namespace.
        "--allow-privileged=true".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        // Compaction would end watches that cases begin from an old version.
        "--etcd-compaction-interval=0".to_owned(),
        "--max-requests-inflight=0".to_owned(),
        "--max-mutating-requests-inflight=0".to_owned(),
        "--enable-priority-and-fairness=false".to_owned(),
    ]
}

fn manager_arguments(at: &Path) -> Vec<String> {
    let file = |name: &str| at.join(name).display().to_string();
    vec![
        "kube-controller-manager".to_owned(),
        format!("--kubeconfig={}", file("kubeconfig")),
        format!("--service-account-private-key-file={}", file("accounts.key")),
        format!("--root-ca-file={}", file("certificates/apiserver.crt")),
        "--use-service-account-credentials=false".to_owned(),
        "--leader-elect=false".to_owned(),
        "--enable-hostpath-provisioner=true".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
        "--secure-port=0".to_owned(),
        "--cluster-name=kubernetes".to_owned(),
        // No kubelet reports for the nodes of cases, and nobody shall take them for lost.
        "--node-monitor-grace-period=24h".to_owned(),
        "--node-startup-grace-period=24h".to_owned(),
    ]
}

fn start(at: &Path, name: &str, program: &Path, arguments: &[String]) -> anyhow::Result<Child> {
    let log = std::fs::File::create(at.join(format!("{name}.log")))?;
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(arguments)
        .current_dir(at)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {name} by setpriv (Debian: util-linux)"))
}

async fn ready_client(at: &Path, port: u16, children: &mut [Child]) -> anyhow::Result<kube::Client> {
    let limit = Instant::now() + START_LIMIT;
    let certificate = at.join("certificates/apiserver.crt");
    loop {
        if let Some(name) = ended(children)? {
            bail!("{name} ended:\n{}", tail(at, name));
        }
        if certificate.is_file()
            && let Ok(client) = client(&certificate, port)
            && is_ready(&client).await
        {
            return Ok(client);
        }
        if Instant::now() > limit {
            bail!("kube-apiserver was not ready after {START_LIMIT:?}:\n{}", tail(at, "kube-apiserver"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn ended(children: &mut [Child]) -> anyhow::Result<Option<&'static str>> {
    for (child, name) in children.iter_mut().zip(["etcd", "kube-apiserver"]) {
        if child.try_wait()?.is_some() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn client(certificate: &Path, port: u16) -> anyhow::Result<kube::Client> {
    let mut config = kube::Config::new(format!("https://127.0.0.1:{port}").parse()?);
    config.root_cert_file = Some(certificate.to_owned());
    // A refusal with a time to wait is an answer to be compared.
    config.default_retry = false;
    Ok(kube::Client::try_from(config)?)
}

async fn is_ready(client: &kube::Client) -> bool {
    let request = http::Request::get("/readyz")
        .header(http::header::AUTHORIZATION, format!("Bearer {TOKEN}"))
        .body(kube::client::Body::empty());
    match request {
        Ok(request) => client.send(request).await.is_ok_and(|response| response.status().is_success()),
        Err(_) => false,
    }
}

fn tail(at: &Path, program: &str) -> String {
    let text = std::fs::read_to_string(at.join(format!("{program}.log"))).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
