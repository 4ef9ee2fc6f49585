//! Real Kubernetes without Docker: brought up, used, killed and brought down, with the host looked at before and after. Slow and
//! in need of containerd, runc and what `ci/images bare` builds, so ignored unless asked for: `ci/test bare` asks.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::agent::CHAOS;
use crate::support::{need_root, wait_until};

/// One cluster at a time: a machine that is too busy proves nothing.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// A pod starts in seconds; a machine that builds beside may need longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// A lasting cluster that is brought down, whatever becomes of the test.
struct Place {
    name: String,
    _turn: MutexGuard<'static, ()>,
}

impl Place {
    fn new(name: &str) -> Place {
        need_root();
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Place { name: format!("{name}-{}", std::process::id()), _turn: turn }
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(CHAOS);
        command.args(["cluster", verb, "--cluster", "bare", "--name", &self.name]).stdin(Stdio::null());
        command
    }

    fn run(&self, verb: &str) -> Output {
        self.command(verb).output().unwrap()
    }

    /// Brings the cluster up and returns its kubeconfig.
    fn up(&self) -> PathBuf {
        let output = self.run("up");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    }

    /// Starts to bring it up, and returns when the start has come to this step. What it says must be held on to.
    fn begin_up(&self, step: &str) -> (Child, BufReader<ChildStderr>) {
        let mut child = self.command("up").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let told = said.by_ref().lines().map_while(Result::ok).any(|line| line.contains(step));
        assert!(told, "the start never came to: {step}");
        (child, said)
    }

    /// The processes of the cluster, found by its name in their arguments.
    fn processes(&self) -> Vec<i32> {
        let numbers = fs::read_dir("/proc").unwrap().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
        let ours = |process: &i32| {
            let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(&format!("/{}/", self.name)) || line.contains(&format!("\"{}\"", self.name))
        };
        numbers.filter(ours).collect()
    }

    fn parent(&self) -> Pid {
        let cache = chaos::cluster::cache::directory().unwrap();
        let record = fs::read(cache.join("bare").join(&self.name).join("bare.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        Pid::from_raw(i32::try_from(record["process"].as_i64().unwrap()).unwrap())
    }

    /// Control groups that carry the cluster's name.
    fn control_groups(&self) -> Vec<PathBuf> {
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

/// What of the host a cluster could have changed.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    rules: String,
    links: BTreeSet<String>,
    routes: String,
    mounts: BTreeSet<String>,
    directories: BTreeSet<String>,
    parameters: Vec<String>,
}

fn host() -> Host {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let names = |path: &str| -> Vec<String> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().display().to_string()).collect()
    };
    let watched =
        ["/run", "/var/lib", "/var/log", "/opt", "/etc/cni", "/etc/containerd", "/usr/libexec", "/run/netns"];
    let parameters = ["kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "net/ipv4/ip_forward"];
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    Host {
        rules: said("nft", &["list", "ruleset"]),
        links: said("ip", &["-o", "link", "show"])
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .map(str::to_owned)
            .collect(),
        routes: said("ip", &["route", "show", "table", "all"]),
        // Without the number that the kernel gives each mount.
        mounts: mounts.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).map(str::to_owned).collect(),
        directories: watched.iter().flat_map(|path| names(path)).collect(),
        parameters: parameters
            .iter()
            .map(|name| fs::read_to_string(format!("/proc/sys/{name}")).unwrap())
            .collect(),
    }
}

/// Runs the cached kubectl and returns what it says.
fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> String {
    let program = chaos::cluster::cache::directory().unwrap().join("bin/kubectl");
    let output = Command::new(program).arg("--kubeconfig").arg(kubeconfig).args(arguments).output().unwrap();
    assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn apply(kubeconfig: &Path, directory: &Path, object: &Value) {
    let file = directory.join("object.json");
    fs::write(&file, object.to_string()).unwrap();
    kubectl(kubeconfig, &["apply", "-f", file.to_str().unwrap()]);
}

fn claim(size: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } },
    })
}

/// A pod that does nothing but hold a volume, without any right.
fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "holder" },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "holder", "image": "etcd-chaos-pause:v1", "imagePullPolicy": "Never",
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }],
        },
    })
}

#[test]
#[ignore = "needs containerd, runc and the builds of `ci/images bare`; `ci/test bare` runs it"]
fn a_bare_cluster_provides_grows_and_deletes_volumes_and_leaves_the_host_as_it_was() {
    let place = Place::new("volumes");
    let before = host();
    let kubeconfig = place.up();
    let files = tempfile::tempdir().unwrap();
    let status = place.run("status");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    assert!(kubectl(&kubeconfig, &["get", "nodes", "-o", "name"]).contains("node/node-1"));

    apply(&kubeconfig, files.path(), &claim("1Gi"));
    apply(&kubeconfig, files.path(), &pod());
    kubectl(&kubeconfig, &["wait", "pod/holder", "--for=condition=Ready", "--timeout=90s"]);
    let volume = kubectl(&kubeconfig, &["get", "pvc/data", "-o", "jsonpath={.spec.volumeName}"]);
    let directory = kubeconfig.parent().unwrap().join("volumes").join(&volume);
    assert!(directory.is_dir(), "{} is missing", directory.display());

    apply(&kubeconfig, files.path(), &claim("2Gi"));
    kubectl(
        &kubeconfig,
        &["wait", "pvc/data", "--for=jsonpath={.status.capacity.storage}=2Gi", "--timeout=90s"],
    );
    kubectl(&kubeconfig, &["delete", "pod/holder", "pvc/data", "--timeout=90s"]);
    kubectl(&kubeconfig, &["wait", &format!("pv/{volume}"), "--for=delete", "--timeout=90s"]);
    wait_until("the volume's directory to go", PATIENCE, || !directory.exists());

    let down = place.run("down");
    assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
    assert_eq!(place.processes(), Vec::<i32>::new());
    assert_eq!(place.control_groups(), Vec::<PathBuf>::new());
    assert!(!kubeconfig.parent().unwrap().exists(), "the state directory is left");
    assert_eq!(host(), before);
    assert_eq!(place.run("status").status.code(), Some(2));
}

#[test]
#[ignore = "needs containerd, runc and the builds of `ci/images bare`; `ci/test bare` runs it"]
fn a_bare_cluster_whose_parent_is_killed_at_any_time_leaves_nothing_that_the_next_does_not_remove() {
    let place = Place::new("killed");
    let before = host();
    for step in ["starting etcd", "starting controllers", "waiting for nodes"] {
        let (mut starting, _said) = place.begin_up(step);
        kill(place.parent(), Signal::SIGKILL).unwrap();
        assert_eq!(starting.wait().unwrap().code(), Some(2), "a start that was killed is an error");
        wait_until("every process to go", PATIENCE, || place.processes().is_empty());
    }
    place.up();
    assert_eq!(
        place.control_groups().iter().filter_map(|path| path.file_name()).collect::<BTreeSet<_>>().len(),
        1
    );
    kill(place.parent(), Signal::SIGKILL).unwrap();
    wait_until("every process to go", PATIENCE, || place.processes().is_empty());
    let status = place.run("status");
    assert_eq!(status.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&status.stdout).contains("no longer runs; clear it with"));
    let down = place.run("down");
    assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
    assert_eq!(place.control_groups(), Vec::<PathBuf>::new());
    assert_eq!(host(), before);
}
