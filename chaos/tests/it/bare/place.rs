//! A lasting cluster of one test, and all that shows of it on the machine.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::unistd::Pid;
use serde_json::Value;

use crate::support::agent::CHAOS;
use crate::support::need_root;

/// One cluster at a time: a machine that is too busy proves nothing.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// A pod starts in seconds; a machine that builds beside may need longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// A lasting cluster that is brought down, whatever becomes of the test.
pub(super) struct Place {
    pub(super) name: String,
    _turn: MutexGuard<'static, ()>,
}

impl Place {
    pub(super) fn new(name: &str) -> Place {
        need_root();
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Place { name: format!("{name}-{}", std::process::id()), _turn: turn }
    }

    pub(super) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(CHAOS);
        command.args(["cluster", verb, "--cluster", "bare", "--name", &self.name]).stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, verb: &str) -> Output {
        self.command(verb).output().unwrap()
    }

    /// Brings a cluster of one node up and returns its kubeconfig.
    pub(super) fn up(&self) -> PathBuf {
        self.up_with(&[])
    }

    /// The same, with more arguments.
    pub(super) fn up_with(&self, arguments: &[&str]) -> PathBuf {
        let output = self.command("up").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    }

    /// Starts to bring it up, and returns when the start has come to this step. What it says must be held on to.
    pub(super) fn begin_up(&self, step: &str) -> (Child, BufReader<ChildStderr>) {
        let mut child = self.command("up").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let told = said.by_ref().lines().map_while(Result::ok).any(|line| line.contains(step));
        assert!(told, "the start never came to: {step}");
        (child, said)
    }

    /// The processes of the cluster, found by its name in their arguments.
    pub(super) fn processes(&self) -> Vec<i32> {
        let numbers = fs::read_dir("/proc").unwrap().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
        let ours = |process: &i32| {
            let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(&format!("/{}/", self.name)) || line.contains(&format!("\"{}\"", self.name))
        };
        numbers.filter(ours).collect()
    }

    pub(super) fn parent(&self) -> Pid {
        let record = fs::read(self.state().join("bare.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        Pid::from_raw(i32::try_from(record["process"].as_i64().unwrap()).unwrap())
    }

    /// Where the cluster keeps what it writes.
    pub(super) fn state(&self) -> PathBuf {
        chaos::cluster::cache::directory().unwrap().join("bare").join(&self.name)
    }

    /// Brings it down, and requires that nothing of it is left at that very moment.
    pub(super) fn down_without_a_trace(&self) {
        let down = self.run("down");
        assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
        self.assert_gone();
        assert_eq!(self.run("status").status.code(), Some(2));
    }

    /// Panics if anything of the cluster is left.
    pub(super) fn assert_gone(&self) {
        assert_eq!(self.processes(), Vec::<i32>::new());
        assert_eq!(self.control_groups(), Vec::<PathBuf>::new());
        assert!(!self.state().exists(), "the state directory is left");
    }

    /// Control groups that carry the cluster's name.
    pub(super) fn control_groups(&self) -> Vec<PathBuf> {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
        let prefix = format!("etcd-chaos.{}.", self.name);
        let below =
            |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let places = hierarchies
            .filter(|path| path.is_dir())
            .flat_map(|path| std::iter::once(path.clone()).chain(below(path)).collect::<Vec<_>>());
        places
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.run("down");
    }
}

/// Runs the cached kubectl and returns what it says.
pub(super) fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> String {
    let program = chaos::cluster::cache::directory().unwrap().join("bin/kubectl");
    let output = Command::new(program).arg("--kubeconfig").arg(kubeconfig).args(arguments).output().unwrap();
    assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn apply(kubeconfig: &Path, directory: &Path, object: &Value) {
    let file = directory.join("object.json");
    fs::write(&file, object.to_string()).unwrap();
    kubectl(kubeconfig, &["apply", "-f", file.to_str().unwrap()]);
}
