//! The `bare-node` process: makes the namespaces of one node, and starts containerd, kubelet and kube-proxy in them. It has one
//! thread until its namespaces are made, speaks with the server by lines on its standard input and output, and ends with any of
//! its children.
//!
//! Inside, `/run`, `/var/lib` and `/var/log` are the node's own: nothing that a part of it writes to its usual place
//! reaches the host.

use std::fs::File;
use std::io::{BufRead as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use sandbox::host::mount;
use serde::{Deserialize, Serialize};

use super::component::{ended, open_log};
use super::config::{BareConfig, Files, NodeIndex};
use super::node_files::{self, places};
use super::{network, node_files::PAUSE_IMAGE};

/// The first argument that stands for this role.
pub(super) const ROLE: &str = "bare-node";
/// What the node says when its namespaces are there, and its wire may be made.
pub(super) const MADE: &str = "made";
/// What the node is told when its wire is there.
pub(super) const WIRED: &str = "wired";
/// What the node is told when the API server answers.
pub(super) const API_READY: &str = "api";
/// What the node says when it has every image.
pub(super) const IMAGES_READY: &str = "images";

/// How many archives must be there before the kubelet is: the image that holds pods open, and the name server's. A pod whose
/// image is missing is tried again only ten seconds later.
const NEEDED_AT_ONCE: usize = 2;
/// How many images are imported beside each other: while one waits for the disk, another is unpacked.
const IMPORTS_AT_ONCE: usize = 2;
const CONTAINERD_PATIENCE: Duration = Duration::from_secs(30);

/// The second argument of the role.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NodeArguments {
    pub(super) config: BareConfig,
    pub(super) node: NodeIndex,
}

/// Runs the role.
pub(super) fn run() -> Result<()> {
    let text = std::env::args().nth(2).context("the second argument is missing")?;
    let NodeArguments { config, node } =
        serde_json::from_str(&text).context("failed to parse the second argument")?;
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .context("failed to make the node's namespaces")?;
    say(MADE)?;
    wait_for(WIRED)?;
    nix::unistd::sethostname(node.name()).context("failed to name the node")?;
    network::configure_node(node.address()).context("failed to configure the node's network")?;
    arrange_mounts(&config, node).context("failed to arrange the node's mounts")?;
    write_files(&config, node)?;

    let mut parts = Parts { logs: Files::of(&config.tree.state_directory).logs(), node, running: Vec::new() };
    parts.start(
        "containerd",
        &config.tools.containerd,
        &[format!("--config={}/containerd.toml", places::OWN)],
    )?;
    parts.wait_for_containerd()?;
    // While the API server starts, which takes as long.
    import(&config, 0..NEEDED_AT_ONCE)?;
    let others = NEEDED_AT_ONCE..config.archives.len();
    let importing = std::thread::spawn(move || import(&config, others));
    wait_for(API_READY)?;
    let kubernetes = Path::new(places::GIVEN).join("kubernetes");
    parts.start("kubelet", &kubernetes, &node_files::kubelet_arguments(node))?;
    parts.start("kube-proxy", &kubernetes, &node_files::proxy_arguments())?;
    importing.join().map_err(|_| anyhow::anyhow!("the thread that imports images panicked"))??;
    say(IMAGES_READY)?;
    parts.wait()
}

fn say(line: &str) -> Result<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{line}").and_then(|()| output.flush()).context("failed to speak with the server")
}

fn wait_for(expected: &str) -> Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("failed to listen to the server")?;
    if line.trim_end() != expected {
        bail!("the server said {line:?} where {expected:?} was expected");
    }
    Ok(())
}

/// Something of the host, opened before it is hidden, and where it is shown.
struct Shown {
    source: File,
    target: PathBuf,
    read_only: bool,
}

impl Shown {
    fn open(source: &Path, target: impl Into<PathBuf>, read_only: bool) -> Result<Shown> {
        let source = File::open(source).with_context(|| format!("failed to open {}", source.display()))?;
        Ok(Shown { source, target: target.into(), read_only })
    }

    fn show(&self) -> Result<()> {
        let shown = self.target.display();
        if self.source.metadata().with_context(|| format!("failed to look at what becomes {shown}"))?.is_dir()
        {
            std::fs::create_dir_all(&self.target).with_context(|| format!("failed to make {shown}"))?;
        } else {
            File::create(&self.target).with_context(|| format!("failed to make {shown}"))?;
        }
        let source = format!("/proc/self/fd/{}", self.source.as_raw_fd());
        mount::bind(Path::new(&source), &self.target, self.read_only)
            .with_context(|| format!("failed to show {shown}"))
    }
}

fn arrange_mounts(config: &BareConfig, node: NodeIndex) -> Result<()> {
    let files = Files::of(&config.tree.state_directory);
    let given = Path::new(places::GIVEN);
    let mut shown = vec![
        Shown::open(&files.node(node), places::OWN, false)?,
        Shown::open(&files.volumes(), places::VOLUMES, false)?,
        Shown::open(&config.tools.kubernetes, given.join("kubernetes"), true)?,
    ];
    for (number, archive) in config.archives.iter().enumerate() {
        shown.push(Shown::open(archive, node_files::archive(number), true)?);
    }
    // Big and needed by name: kept on the host's disk, shown at their usual places.
    for (own, usual) in
        [("containerd", "/var/lib/containerd"), ("kubelet", "/var/lib/kubelet"), ("pods", "/var/log/pods")]
    {
        let directory = files.node(node).join(own);
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("failed to make {}", directory.display()))?;
        shown.push(Shown::open(&directory, usual, false)?);
    }
    mount::make_everything_private().context("failed to make the mounts private")?;
    for hidden in ["/run", "/var/lib", "/var/log"] {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount::memory(Path::new(hidden), flags, "mode=755")
            .with_context(|| format!("failed to hide {hidden}"))?;
    }
    std::fs::create_dir_all(given.join("images")).context("failed to make the place of images")?;
    shown.iter().try_for_each(Shown::show)?;
    keep_kernel_parameters()
}

/// Parameters of the whole kernel that the kubelet reads and, if they are not as it wants, sets
/// (<https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>, `protectKernelDefaults`): with these values.
const WANTED_BY_KUBELET: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Keeps the host's kernel as it is: the kubelet finds the values that it wants in files of its own, and nothing in the node can
/// change the others.
fn keep_kernel_parameters() -> Result<()> {
    for place in ["/proc/sys/kernel", "/proc/sys/vm"] {
        let place = Path::new(place);
        mount::bind(place, place, true).with_context(|| format!("failed to protect {}", place.display()))?;
    }
    let shown = Path::new(places::GIVEN).join("parameters");
    std::fs::create_dir_all(&shown).context("failed to make the place of kernel parameters")?;
    for (name, value) in WANTED_BY_KUBELET {
        let parameter = Path::new("/proc/sys").join(name);
        let file = shown.join(name.replace('/', "."));
        std::fs::write(&file, format!("{value}\n"))
            .with_context(|| format!("failed to write {}", file.display()))?;
        // A kernel without the parameter has nothing to protect.
        if parameter.exists() {
            mount::bind(&file, &parameter, false)
                .with_context(|| format!("failed to cover {}", parameter.display()))?;
        }
    }
    Ok(())
}

fn write_files(config: &BareConfig, node: NodeIndex) -> Result<()> {
    let own = Path::new(places::OWN);
    let given = Path::new(places::GIVEN);
    std::fs::create_dir_all(given.join("network"))
        .context("failed to make the place of the network's configuration")?;
    let files = [
        (own.join("containerd.toml"), node_files::containerd(&config.tools)),
        (own.join("kubelet.yaml"), node_files::kubelet(node, &config.control_group)),
        (own.join("proxy.yaml"), node_files::proxy(node)),
        (given.join("network/pods.conflist"), node_files::pod_network(node)),
        // Nothing outside the cluster has a name here.
        (given.join("resolv.conf"), String::new()),
    ];
    for (path, content) in files {
        std::fs::write(&path, content).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

/// Makes images known to the node's containerd.
fn import(config: &BareConfig, numbers: std::ops::Range<usize>) -> Result<()> {
    let waiting = Mutex::new(numbers);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        let work = || std::iter::from_fn(next).try_for_each(|number| import_one(config, number));
        let workers: Vec<_> = (0..IMPORTS_AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| anyhow::anyhow!("a thread that imports images panicked"))?
        })
    })
}

fn import_one(config: &BareConfig, number: usize) -> Result<()> {
    let archive = node_files::archive(number);
    let output = Command::new(&config.tools.ctr)
        .args(["--address", places::CONTAINERD, "--namespace", "k8s.io", "images", "import", &archive])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start {}", config.tools.ctr.display()))?;
    if !output.status.success() {
        let name = config.archives.get(number).map_or(PAUSE_IMAGE.into(), |path| path.display().to_string());
        bail!("importing {name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// The processes of the node.
struct Parts {
    logs: PathBuf,
    node: NodeIndex,
    running: Vec<(&'static str, Child)>,
}

impl Parts {
    fn start(&mut self, name: &'static str, program: &Path, arguments: &[String]) -> Result<()> {
        let log = open_log(&self.logs, &format!("{}-{name}", self.node.name()))?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("failed to share a log")?)
            .stderr(log)
            .spawn();
        let child = child.with_context(|| format!("failed to start {}", program.display()))?;
        self.running.push((name, child));
        Ok(())
    }

    fn wait_for_containerd(&mut self) -> Result<()> {
        let deadline = Instant::now() + CONTAINERD_PATIENCE;
        while std::os::unix::net::UnixStream::connect(places::CONTAINERD).is_err() {
            self.check()?;
            if Instant::now() > deadline {
                bail!("containerd does not listen after {} s", CONTAINERD_PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        for (name, child) in &mut self.running {
            if let Some(status) = child.try_wait().with_context(|| format!("failed to watch {name}"))? {
                bail!(ended(&self.logs, &format!("{}-{name}", self.node.name()), status));
            }
        }
        Ok(())
    }

    /// Waits until one of them has ended, which ends the node. Shims of containers are not our children.
    fn wait(&mut self) -> Result<()> {
        loop {
            match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error).context("failed to wait for the node's processes"),
            }
            self.check()?;
        }
    }
}
