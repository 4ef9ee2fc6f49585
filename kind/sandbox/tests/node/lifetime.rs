//! How a sandbox begins and ends: nothing outlives it, whichever of its processes is killed.

use crate::harness::{Fixture, Test, client, config, eventually};
use crate::tests;
use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::{Lifetime, Sandbox, StartError};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        stopping_a_sandbox_leaves_nothing,
        killing_the_guardian_leaves_nothing,
        killing_the_first_process_leaves_nothing,
        killing_the_server_leaves_nothing,
        killing_the_caller_leaves_nothing,
        killing_any_process_at_any_moment_of_the_start_leaves_nothing,
        a_lasting_sandbox_outlives_its_caller_and_is_found_again,
        a_second_sandbox_in_the_same_directory_is_refused,
        a_port_in_use_is_named,
        a_missing_image_file_is_named,
    ]
}

/// The environment variable by which this program knows that it is a caller to be killed.
const CALLER: &str = "NODE_TEST_CALLER";

/// The environment variable that every process below a caller carries.
const MARK: &str = "NODE_TEST_MARK";

/// Runs the caller of a sandbox: starts one, says so, waits to be killed or ends.
pub(crate) fn run_if_caller() {
    let Ok(lifetime) = std::env::var(CALLER) else { return };
    let state = std::env::args().nth(1).expect("the state directory is an argument");
    let lifetime = if lifetime == "lasting" { Lifetime::Lasting } else { Lifetime::WithParent };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let config = config(Path::new(&state), lifetime).expect("the configuration is right");
        let sandbox = Sandbox::start(config).await.expect("the sandbox starts");
        println!("{}", sandbox.process_id());
        if lifetime == Lifetime::WithParent {
            std::future::pending::<()>().await;
        }
    });
    std::process::exit(0)
}

/// What must be gone: the namespaces of a sandbox with two pods in them.
struct Traces {
    namespaces: BTreeSet<String>,
    processes: Vec<i32>,
}

/// Starts a pod and notes every process below the guardian and the namespaces they are in.
async fn populate(client: kube::Client, guardian: u32) -> anyhow::Result<Traces> {
    let pods: Api<Pod> = Api::namespaced(client, "default");
    let pod = json!({"metadata": {"name": "runs"}, "spec": {"containers": [
        {"name": "one", "image": "tool:v1", "args": ["sleep"]}, {"name": "two", "image": "tool:v1", "args": ["sleep"]}
    ]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    eventually("the pod to run", async || {
        let phase = pods.get("runs").await?.status.and_then(|status| status.phase);
        Ok((phase.as_deref() == Some("Running")).then_some(()))
    })
    .await?;
    let mut traces = Traces { namespaces: BTreeSet::new(), processes: descendants(i32::try_from(guardian)?) };
    ensure!(
        traces.processes.len() >= 7,
        "guardian, init, server, two monitors, two containers: {:?}",
        traces.processes
    );
    for process in &traces.processes {
        for kind in ["pid", "net", "mnt"] {
            let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/{kind}"));
            let theirs = namespace(&process.to_string()).context("reading a namespace")?;
            if theirs != namespace("self")? {
                traces.namespaces.insert(theirs.to_string_lossy().into_owned());
            }
        }
    }
    Ok(traces)
}

fn all_processes() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).collect()
}

fn parent_of(process: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    text.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// A zombie whose parent was killed has ended; the machine's first process reaps it in its own time.
fn is_zombie(process: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    text.rsplit(')').next().is_some_and(|fields| fields.trim_start().starts_with('Z'))
}

/// The process and everything below it.
fn descendants(process: i32) -> Vec<i32> {
    let mut found = vec![process];
    let mut position = 0;
    while let Some(parent) = found.get(position).copied() {
        found.extend(all_processes().into_iter().filter(|child| parent_of(*child) == Some(parent)));
        position += 1;
    }
    found
}

impl Traces {
    /// Waits until no process is in any of the namespaces, and no mount shows the state directory.
    async fn vanish(&self, state: &Path) -> anyhow::Result<()> {
        eventually("every trace to go", async || {
            for process in all_processes().into_iter().filter(|process| !is_zombie(*process)) {
                for kind in ["pid", "net", "mnt"] {
                    let Ok(namespace) = std::fs::read_link(format!("/proc/{process}/ns/{kind}")) else {
                        continue;
                    };
                    let namespace = namespace.to_string_lossy().into_owned();
                    ensure!(
                        !self.namespaces.contains(&namespace),
                        "process {process} is still in {namespace}"
                    );
                }
            }
            let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
            ensure!(!mounts.contains(&*state.to_string_lossy()), "a mount is left:\n{mounts}");
            Ok(Some(()))
        })
        .await
    }

    fn process_called(&self, role: &str) -> anyhow::Result<Pid> {
        let named = |process: &&i32| {
            let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(role.as_bytes())
        };
        let process = self.processes.iter().find(named).with_context(|| format!("no process is {role}"))?;
        Ok(Pid::from_raw(*process))
    }
}

async fn after_killing(role: &str) -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let traces = populate(fixture.client.clone(), fixture.sandbox.process_id()).await?;
    kill(traces.process_called(role)?, Signal::SIGKILL)?;
    traces.vanish(&fixture.state).await?;
    fixture.stop().await
}

async fn stopping_a_sandbox_leaves_nothing() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let traces = populate(fixture.client.clone(), fixture.sandbox.process_id()).await?;
    let state = fixture.state.clone();
    fixture.stop().await?;
    for process in &traces.processes {
        ensure!(
            !Path::new(&format!("/proc/{process}")).exists(),
            "process {process} is left after stop returned"
        );
    }
    traces.vanish(&state).await
}

async fn killing_the_guardian_leaves_nothing() -> anyhow::Result<()> {
    after_killing("sandbox-parent").await
}

async fn killing_the_first_process_leaves_nothing() -> anyhow::Result<()> {
    after_killing("sandbox-init").await
}

async fn killing_the_server_leaves_nothing() -> anyhow::Result<()> {
    after_killing("sandbox-server").await
}

/// Starts this program as a caller and reads the number of the guardian.
async fn start_caller(lifetime: &str, directory: &Path) -> anyhow::Result<(tokio::process::Child, u32)> {
    use tokio::io::AsyncBufReadExt as _;
    let mut caller = tokio::process::Command::new("/proc/self/exe")
        .arg(directory)
        .env(CALLER, lifetime)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = caller.stdout.take().context("the caller has an output")?;
    let line =
        tokio::io::BufReader::new(output).lines().next_line().await?.context("the caller says nothing")?;
    Ok((caller, line.parse()?))
}

async fn killing_the_caller_leaves_nothing() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (mut caller, guardian) = start_caller("with-parent", directory.path()).await?;
    let traces = populate(client(&directory.path().join("state/kubeconfig")).await?, guardian).await?;
    caller.kill().await?;
    traces.vanish(directory.path()).await
}

/// Processes that carry the mark of a caller in their environment, zombies left out.
fn marked(directory: &Path) -> Vec<i32> {
    let mark = format!("{MARK}={}", directory.display());
    let carries = |process: &i32| {
        let variables = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    all_processes().into_iter().filter(|process| carries(process) && !is_zombie(*process)).collect()
}

async fn killing_any_process_at_any_moment_of_the_start_leaves_nothing() -> anyhow::Result<()> {
    // From before the guardian exists until after the sandbox is ready; another process of the tree each time.
    for moment in 0..25_u32 {
        let directory = tempfile::tempdir()?;
        let mut caller = tokio::process::Command::new("/proc/self/exe")
            .arg(directory.path())
            .env(CALLER, "with-parent")
            .env(MARK, directory.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        tokio::time::sleep(std::time::Duration::from_millis(u64::from(moment) * 6)).await;
        let tree = marked(directory.path());
        let victim = tree.get(usize::try_from(moment)? % tree.len().max(1)).copied();
        if let Some(victim) = victim {
            // It may have ended by itself meanwhile.
            let _ = kill(Pid::from_raw(victim), Signal::SIGKILL);
        }
        caller.kill().await?;
        eventually("every process to go", async || {
            let left = marked(directory.path());
            ensure!(left.is_empty(), "after {moment} (killed {victim:?} of {tree:?}), {left:?} are left");
            Ok(Some(()))
        })
        .await?;
    }
    Ok(())
}

async fn a_lasting_sandbox_outlives_its_caller_and_is_found_again() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let state = directory.path().join("state");
    let (mut caller, guardian) = start_caller("lasting", directory.path()).await?;
    caller.wait().await?;
    let traces = populate(client(&state.join("kubeconfig")).await?, guardian).await?;
    let found = Sandbox::find(&state)?.context("the sandbox is not found")?;
    ensure!(found.process_id() == guardian, "another sandbox is found");
    found.stop().await?;
    traces.vanish(directory.path()).await?;
    ensure!(Sandbox::find(&state)?.is_none(), "a stopped sandbox is found");
    Ok(())
}

async fn a_second_sandbox_in_the_same_directory_is_refused() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let first = Sandbox::start(config(directory.path(), Lifetime::WithParent)?).await?;
    let second = Sandbox::start(config(directory.path(), Lifetime::WithParent)?).await;
    let message = second.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(message.contains("another sandbox may be running"), "{message}");
    let again = client(first.kubeconfig_path()).await?.apiserver_version().await;
    ensure!(again.is_ok(), "the first one goes on");
    first.stop().await?;
    Ok(())
}

async fn a_port_in_use_is_named() -> anyhow::Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let directory = tempfile::tempdir()?;
    let mut config = config(directory.path(), Lifetime::WithParent)?;
    config.tree.listen = taken.local_addr()?;
    let message = Sandbox::start(config).await.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(message.contains(&taken.local_addr()?.to_string()), "{message}");
    Ok(())
}

async fn a_missing_image_file_is_named() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut config = config(directory.path(), Lifetime::WithParent)?;
    for image in config.images.values_mut() {
        image.files.insert("/missing".into(), "/no/such/file".into());
    }
    match Sandbox::start(config).await {
        Err(StartError::Image { path, .. }) => {
            ensure!(path == Path::new("/no/such/file"), "{}", path.display())
        }
        other => anyhow::bail!("{other:?}"),
    }
    Ok(())
}
