//! The `bare-server` process: starts every part of a cluster in its order, says how far it is, and ends with the first part
//! that ends.

use std::net::{SocketAddrV4, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use sandbox::TreeConfig;
use sandbox::tree::{Handed, StartAnswer, Trunk};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};

use super::component::{Components, open_log};
use super::config::{API_PORT, BareConfig, CONTROL_PLANE, Files, NodeIndex};
use super::credentials::{Credentials, Identity, write_private};
use super::node::{self, NodeArguments};
use super::{addons, control_plane, forward, network, provisioner};

/// The API server where everything of the cluster is.
const INSIDE: SocketAddrV4 = SocketAddrV4::new(CONTROL_PLANE, API_PORT);
/// From an API server that answers to nodes and names that are ready.
const READY_PATIENCE: Duration = Duration::from_secs(150);

impl Trunk for BareConfig {
    const NAME: &'static str = "bare";
    const NOUN: &'static str = "bare cluster";
    const START_LIMIT: Duration = Duration::from_secs(330);

    fn tree(&self) -> &TreeConfig {
        &self.tree
    }

    fn serve(handed: Handed<BareConfig>) -> Result<()> {
        start_logging();
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .map_err(|_| anyhow::anyhow!("another TLS provider is installed"))?;
        let Handed { config, listener, lock: _held } = handed;
        let runtime = tokio::runtime::Runtime::new().context("failed to start the runtime")?;
        runtime.block_on(serve(config, listener))
    }

    fn clear_up(&self, _guardian: u32) -> Result<()> {
        self.hierarchies.remove(&self.control_group)
    }
}

async fn serve(config: BareConfig, listener: TcpListener) -> Result<()> {
    let address = listener.local_addr().context("failed to ask where the API is reached on the host")?;
    let files = Files::of(&config.tree.state_directory);
    clear_remains(&files)?;
    enter_control_groups(&config)?;
    network::configure_control_plane().context("failed to configure the control plane's network")?;
    let credentials = Credentials::make(&files.credentials(), address.ip())?;
    write_access(&config, &credentials)?;

    let mut components = Components::new(&files.logs())?;
    tell("starting etcd, API server and containerd");
    control_plane::start_api_server(&config, &mut components)?;
    let mut nodes = Vec::new();
    for index in config.nodes.all() {
        nodes.push(start_node(&config, &credentials, index, &mut components).await?);
    }
    let client = administrator(&credentials).await?;
    control_plane::wait_for_api(&client, &mut components).await?;
    tell("starting controllers, scheduler and kubelets");
    control_plane::start_controllers(&config, &mut components)?;
    for node in &mut nodes {
        node.say(node::API_READY).await?;
    }
    addons::apply(&client).await?;

    let outside =
        credentials.kubeconfig(&config.name, &format!("https://{address}"), Identity::ADMINISTRATOR)?;
    let ready = async {
        tell("importing images");
        for node in &mut nodes {
            node.expect(node::IMAGES_READY).await?;
        }
        tell("waiting for nodes and names");
        wait_until_ready(&client, nodes.len()).await?;
        write_private(&files.kubeconfig(), &outside)?;
        StartAnswer::Ready.send();
        std::future::pending::<Result<()>>().await
    };
    tokio::select! {
        biased;
        result = components.ended() => result,
        result = forward::run(listener, INSIDE) => result.context("failed to carry connections from the host"),
        result = provisioner::run(client.clone(), files.volumes()) => result.context("failed to provide volumes"),
        result = ready => result,
    }
}

fn tell(message: &str) {
    StartAnswer::Progress { message: message.to_owned() }.send();
}

fn start_logging() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("CHAOS_BARE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

fn clear_remains(files: &Files) -> Result<()> {
    for directory in files.remains() {
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other.with_context(|| format!("failed to remove {}", directory.display()))?,
        }
    }
    std::fs::create_dir_all(files.volumes()).context("failed to make the directory of volumes")
}

fn enter_control_groups(config: &BareConfig) -> Result<()> {
    let hierarchies = &config.hierarchies;
    hierarchies.sweep()?;
    hierarchies.enter(&config.control_group)?;
    config.nodes.all().try_for_each(|node| hierarchies.add_node(&config.control_group, &node.name()))
}

/// The kubeconfigs of the components beside the API server.
fn write_access(config: &BareConfig, credentials: &Credentials) -> Result<()> {
    let directory = Files::of(&config.tree.state_directory).credentials();
    let components = [
        (control_plane::CONTROLLER_MANAGER_ACCESS, Identity::CONTROLLER_MANAGER),
        (control_plane::SCHEDULER_ACCESS, Identity::SCHEDULER),
    ];
    for (file, identity) in components {
        let text = credentials.kubeconfig("bare", &inside(), identity)?;
        write_private(&directory.join(file), &text)?;
    }
    Ok(())
}

fn inside() -> String {
    format!("https://{INSIDE}")
}

/// Our own access to the API.
async fn administrator(credentials: &Credentials) -> Result<Client> {
    let text = credentials.kubeconfig("bare", &inside(), Identity::ADMINISTRATOR)?;
    let kubeconfig = Kubeconfig::from_yaml(&text).context("failed to read our own kubeconfig")?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.context("failed to read our own kubeconfig")?;
    config.default_retry = false;
    Client::try_from(config).context("failed to build a Kubernetes client")
}

/// A node that starts: what we say to it and hear from it.
struct StartingNode {
    index: NodeIndex,
    input: ChildStdin,
    output: tokio::io::Lines<BufReader<ChildStdout>>,
}

impl StartingNode {
    async fn say(&mut self, line: &str) -> Result<()> {
        let said = self.input.write_all(format!("{line}\n").as_bytes()).await;
        said.with_context(|| format!("failed to speak with {}", self.index.name()))
    }

    async fn expect(&mut self, expected: &str) -> Result<()> {
        let line = self.output.next_line().await;
        let line = line.with_context(|| format!("failed to listen to {}", self.index.name()))?;
        match line {
            Some(line) if line == expected => Ok(()),
            Some(line) => bail!("{} said {line:?} where {expected:?} was expected", self.index.name()),
            // It has ended; who watches the components says with what words, at the same moment.
            None => std::future::pending().await,
        }
    }
}

/// Starts the process of a node and makes its wire.
async fn start_node(
    config: &BareConfig,
    credentials: &Credentials,
    index: NodeIndex,
    components: &mut Components,
) -> Result<StartingNode> {
    let files = Files::of(&config.tree.state_directory);
    prepare_node(&files, credentials, index)?;
    let arguments = NodeArguments { config: config.clone(), node: index };
    let arguments = serde_json::to_string(&arguments).context("failed to write the node's arguments")?;
    let mut child = Command::new("/proc/self/exe")
        .arg(node::ROLE)
        .arg(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(open_log(&files.logs(), &index.name())?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("failed to start {}", index.name()))?;
    let input = child.stdin.take().context("the node has an input")?;
    let output = BufReader::new(child.stdout.take().context("the node has an output")?).lines();
    let process = child.id().context("the node ended at once")?;
    components.watch(index.name(), child);
    let mut node = StartingNode { index, input, output };
    tokio::time::timeout(READY_PATIENCE, node.expect(node::MADE))
        .await
        .with_context(|| format!("failed to wait for the namespaces of {}", index.name()))??;
    network::add_node(index, process)?;
    node.say(node::WIRED).await?;
    Ok(node)
}

fn prepare_node(files: &Files, credentials: &Credentials, index: NodeIndex) -> Result<()> {
    let directory = files.node(index);
    std::fs::create_dir_all(&directory).with_context(|| format!("failed to make {}", directory.display()))?;
    credentials.write_kubelet(index, &directory)?;
    let user = format!("system:node:{}", index.name());
    let kubelet = Identity { user: &user, group: Some("system:nodes") };
    write_private(
        &directory.join("kubelet.kubeconfig"),
        &credentials.kubeconfig("bare", &inside(), kubelet)?,
    )?;
    let proxy = credentials.kubeconfig("bare", &inside(), Identity::PROXY)?;
    write_private(&directory.join("proxy.kubeconfig"), &proxy)?;
    let authority = files.credentials().join("ca.crt");
    std::fs::copy(&authority, directory.join("ca.crt"))
        .context("failed to copy the authority's certificate")?;
    Ok(())
}

/// Waits until a pod can be started and can look up a name.
async fn wait_until_ready(client: &Client, nodes: usize) -> Result<()> {
    let deadline = Instant::now() + READY_PATIENCE;
    loop {
        let missing = match missing(client, nodes).await {
            Ok(None) => return Ok(()),
            Ok(Some(missing)) => missing,
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() > deadline {
            bail!("the cluster is not ready after {} s: {missing}", READY_PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn missing(client: &Client, expected: usize) -> Result<Option<String>> {
    let nodes =
        Api::<Node>::all(client.clone()).list(&Default::default()).await.context("failed to list nodes")?;
    if let Some(node) = nodes.items.iter().find(|node| !is_ready(node)) {
        return Ok(Some(format!("{} is not Ready", node.name_any())));
    }
    if nodes.items.len() < expected {
        return Ok(Some(format!("{} of {expected} nodes have registered", nodes.items.len())));
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    if accounts.get_opt("default").await.context("failed to read the default ServiceAccount")?.is_none() {
        return Ok(Some("there is no ServiceAccount default/default".to_owned()));
    }
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "kube-system");
    let names = deployments.get("coredns").await.context("failed to read the name server's Deployment")?;
    let available = names.status.and_then(|status| status.available_replicas).unwrap_or(0);
    Ok((available < 1).then(|| "the name server is not available".to_owned()))
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
