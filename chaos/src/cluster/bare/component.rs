//! Processes that a cluster is made of: started with a log of their own, and watched. The end of any one is the end of the
//! cluster: a half-dead Kubernetes would make scenarios lie. Never restarts anything.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::process::{Child, Command};

/// One process.
#[derive(Clone, Debug)]
pub(super) struct Component {
    /// Also the name of its log.
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// The processes that run.
pub(super) struct Components {
    logs: PathBuf,
    running: Vec<(String, Child)>,
}

impl Components {
    /// None yet; their logs will lie in this directory.
    pub(super) fn new(logs: &Path) -> Result<Components> {
        std::fs::create_dir_all(logs).with_context(|| format!("failed to make {}", logs.display()))?;
        Ok(Components { logs: logs.to_path_buf(), running: Vec::new() })
    }

    /// Starts one.
    pub(super) fn start(&mut self, component: Component) -> Result<()> {
        let log = open_log(&self.logs, &component.name)?;
        let child = Command::new(&component.program)
            .args(&component.arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("failed to share a log")?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        let child = child.with_context(|| format!("failed to start {}", component.program.display()))?;
        self.running.push((component.name, child));
        Ok(())
    }

    /// Takes over a process that was started elsewhere.
    pub(super) fn watch(&mut self, name: String, child: Child) {
        self.running.push((name, child));
    }

    /// An error if one has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        for (name, child) in &mut self.running {
            if let Some(status) = child.try_wait().with_context(|| format!("failed to watch {name}"))? {
                bail!(ended(&self.logs, name, status));
            }
        }
        Ok(())
    }

    /// Waits until one has ended, and says which and with what last words.
    pub(super) async fn ended(&mut self) -> Result<()> {
        let logs = &self.logs;
        let mut waits: FuturesUnordered<_> =
            self.running.iter_mut().map(async |(name, child)| (name.clone(), child.wait().await)).collect();
        match waits.next().await {
            Some((name, status)) => {
                let status = status.with_context(|| format!("failed to wait for {name}"))?;
                bail!(ended(logs, &name, status))
            }
            None => bail!("the cluster has no processes"),
        }
    }
}

/// The log of a component, appended to.
pub(super) fn open_log(logs: &Path, name: &str) -> Result<File> {
    let path = logs.join(format!("{name}.log"));
    let file = File::options().create(true).append(true).open(&path);
    file.with_context(|| format!("failed to open {}", path.display()))
}

/// What to say of a component that has ended: its last words too.
pub(super) fn ended(logs: &Path, name: &str, status: ExitStatus) -> String {
    let path = logs.join(format!("{name}.log"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let words = lines[lines.len().saturating_sub(5)..].join("\n");
    format!("{name} ended ({status}); its last words, from {}:\n{words}", path.display())
}
