//! The container engine of the checks, `ci/engine`: that nothing of it stays on the machine, however it ends. Slow, and in need of
//! what `ci/images kind` builds, so ignored unless asked for: `ci/test kind` asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use chaos::cluster::cache;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::host::{Host, host};
use crate::support::{Process, need_root, wait_until};

/// An engine starts in seconds, but the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes what an engine can leave behind: a network, a volume, and a node as kind runs it, whose systemd has come up.
const USE_IT: &str = "docker network create mine >/dev/null && docker volume create mine >/dev/null && docker run --detach \
                      --name node --privileged --cgroupns private --tmpfs /run --tmpfs /tmp --network mine --volume mine:/var \
                      \"$CHAOS_NODE_IMAGE\" >/dev/null && until docker exec node ctr version >/dev/null 2>&1; do sleep 0.1; done";

fn engine(command: &[&str]) -> Command {
    let mut engine = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/engine"));
    engine.args(command).stdin(Stdio::null());
    engine
}

/// An engine that was used and goes on.
struct Running {
    process: Process,
    state: PathBuf,
}

impl Running {
    fn start() -> Running {
        let place = tempfile::tempdir().unwrap();
        let ready = place.path().join("ready");
        let script = format!("{USE_IT} && touch {} && sleep 600", ready.display());
        let process = Process::start(&mut engine(&["sh", "-c", &script]));
        let state = cache::directory().unwrap().join("engines").join(process.id().to_string());
        wait_until("the engine runs a container", PATIENCE, || ready.exists());
        assert!(!control_groups(process.id()).is_empty(), "a container has control groups");
        Running { process, state }
    }

    /// The process below which everything runs: the only child of the script.
    fn top(&self) -> Pid {
        let id = self.process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        Pid::from_raw(children.trim().parse().unwrap())
    }
}

/// Those of the engine that this process began.
fn control_groups(process: u32) -> Vec<PathBuf> {
    let name = format!("etcd-chaos-engine.{process}");
    let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
    let groups =
        hierarchies.flat_map(|hierarchy| fs::read_dir(hierarchy.path()).into_iter().flatten().flatten());
    groups.map(|group| group.path()).filter(|group| group.ends_with(&name)).collect()
}

fn assert_as_before(process: u32, before: &Host) {
    assert_eq!(control_groups(process), Vec::<PathBuf>::new());
    host().assert_is(before);
}

#[test]
#[ignore = "needs the node image of `ci/images kind`; `ci/test kind` runs it"]
fn an_engine_leaves_nothing_on_the_machine_however_it_ends() {
    need_root();
    let before = host();

    let mut ending = Process::start(&mut engine(&["sh", "-c", &format!("{USE_IT} && exit 7")]));
    assert_eq!(ending.0.wait().unwrap().code(), Some(7), "the code is the command's");
    assert_as_before(ending.id(), &before);

    // The process that made the namespaces: the script is there to clear up.
    let mut running = Running::start();
    kill(running.top(), Signal::SIGKILL).unwrap();
    assert_eq!(running.process.0.wait().unwrap().code(), Some(137));
    assert!(!running.state.exists());
    assert_as_before(running.process.id(), &before);

    // The script: nobody is left but the next one.
    let mut running = Running::start();
    running.process.kill();
    wait_until("what it left is removed", PATIENCE, || {
        assert!(engine(&["--remove-remains"]).status().unwrap().success());
        !running.state.exists()
    });
    assert_as_before(running.process.id(), &before);
}
