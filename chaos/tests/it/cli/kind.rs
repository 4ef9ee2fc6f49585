//! `--cluster kind` as far as it goes without Docker: what is said when something is missing, and, with a `kind` that only
//! writes down what it is asked, what is asked of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::{Answer, ETCD_VERSION, GOOD, Place};
use crate::support::{Process, wait_until};

/// Until the harness has noticed and acted, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `kind` that keeps the names of its clusters, one for each node, in a file and every call in another. As with Docker, a node
/// that was asked for appears a moment after the asker is gone. Creating waits while `$PLACE/hold` exists; it and loading fail,
/// with as much around the reason as kind prints, while `$PLACE/refuse-CALL` exists.
const KIND: &str = r#"#!/bin/sh
echo "$*" >> "$PLACE/calls"
refuse() {
    [ ! -e "$PLACE/refuse-$1" ] && return
    printf 'Loading ...\nERROR: no space left\n\nStack Trace: \nruntime.goexit\n\truntime/asm_amd64.s:1700\n' >&2
    exit 1
}
case "$1 $2" in
    "get clusters") sort -u "$PLACE/clusters" 2>/dev/null ;;
    "get nodes") printf '%s\n' "$5-control-plane" "$5-worker" "$5-worker2" ;;
    "create cluster")
        cat > "$PLACE/configuration"
        setsid sh -c 'sleep 0.7; echo "$0" >> "$PLACE/clusters"' "$4" >/dev/null 2>&1 &
        sh -c 'while [ -e "$PLACE/hold" ]; do sleep 0.1; done; echo "$0" >> "$PLACE/clusters"' "$4" &
        wait
        refuse create
        echo config > "$8" ;;
    "load image-archive")
        refuse load
        shift 6
        for archive; do tar -xOf "$archive" manifest.json >> "$PLACE/loaded"; done ;;
    "delete cluster") rm -f "$PLACE/clusters" ;;
esac
exit 0
"#;
const NO_ENGINE: &str = "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n";
/// An engine that answers and writes down what it is asked. Nodes do not become ready while `$PLACE/refuse-nodes` exists.
const ENGINE: &str = "#!/bin/sh\necho \"docker $*\" >> \"$PLACE/calls\"\n\
                      case \"$1\" in exec) [ ! -e \"$PLACE/refuse-nodes\" ] || { echo 'error: timed out' >&2; exit 1; } ;; esac\n";
/// The smallest that can be told for a static program: the head of a 64-bit ELF file without program headers.
const PROGRAM: [u8; 64] = {
    let mut head = [0; 64];
    (head[0], head[1], head[2], head[3], head[4], head[5]) = (0x7f, b'E', b'L', b'F', 2, 1);
    head[18] = 62;
    head
};

/// A place with programs of these names in front of the system's.
fn place(programs: &[(&str, &str)]) -> Place {
    let place = Place::new();
    fs::create_dir(place.path().join("bin")).unwrap();
    for (name, text) in programs {
        let file = place.path().join("bin").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for name in ["etcd", "etcdctl", "etcdutl"] {
        fs::write(place.cache().join(format!("images/etcd/v{ETCD_VERSION}")).join(name), PROGRAM).unwrap();
    }
    fs::write(place.work().join("operator"), PROGRAM).unwrap();
    fs::set_permissions(place.work().join("operator"), fs::Permissions::from_mode(0o755)).unwrap();
    place.write("good.yaml", GOOD);
    place
}

fn command(place: &Place, arguments: &[&str], system: &str) -> Command {
    let mut command = place.command(arguments);
    let bin = place.path().join("bin");
    command.env("PATH", format!("{}{system}", bin.display())).env("PLACE", place.path());
    command.env_remove("KIND_EXPERIMENTAL_PROVIDER").env_remove("CHAOS_NODE_IMAGE");
    command
}

fn chaos(place: &Place, arguments: &[&str]) -> Answer {
    Answer::of(command(place, arguments, ":/usr/bin:/bin").output().unwrap())
}

const UP: [&str; 8] =
    ["cluster", "up", "--cluster", "kind", "--name", "mine", "--operator-binary", "operator"];
const DOWN: [&str; 6] = ["cluster", "down", "--cluster", "kind", "--name", "mine"];
const STATUS: [&str; 6] = ["cluster", "status", "--cluster", "kind", "--name", "mine"];

fn read(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path().join(name)).unwrap_or_default()
}

fn state(place: &Place) -> PathBuf {
    place.cache().join("kind/mine")
}

#[test]
fn without_kind_one_message_says_how_to_get_it() {
    let place = place(&[("docker", ENGINE)]);
    for arguments in [&["run", "--cluster", "kind", "good.yaml"][..], &UP] {
        let said = place.refused_command(&mut command(&place, arguments, ""));
        assert!(said.contains("`kind` is not there"), "{said}");
        assert!(said.contains("go install sigs.k8s.io/kind@v"), "{said}");
    }
}

#[test]
fn whether_an_engine_answers_is_asked_of_the_engine() {
    let place = place(&[("kind", "#!/bin/sh\nexit 0\n"), ("docker", NO_ENGINE), ("podman", NO_ENGINE)]);
    for arguments in [&["run", "--cluster", "kind", "good.yaml"][..], &UP] {
        let said = place.refused_command(&mut command(&place, arguments, ":/usr/bin:/bin"));
        assert!(said.contains("no container engine answers: `docker version` failed"), "{said}");
        assert!(said.contains("Cannot connect to the Docker daemon"), "{said}");
        assert!(said.contains("start docker"), "{said}");
    }
    let mut command = command(&place, &UP, ":/usr/bin:/bin");
    let said = place.refused_command(command.env("KIND_EXPERIMENTAL_PROVIDER", "podman"));
    assert!(said.contains("`podman version` failed"), "{said}");
}

#[test]
fn a_cluster_is_made_filled_with_images_found_again_and_ended() {
    let place = place(&[("kind", KIND), ("docker", ENGINE)]);
    let up = chaos(&place, &[&UP[..], &["--node-image", "kindest/node:v1.34.11"]].concat());
    assert_eq!(up.code, Some(0), "{up:?}");
    assert_eq!(up.stdout.trim(), state(&place).join("kubeconfig").to_str().unwrap());
    let calls = read(&place, "calls");
    let created = "create cluster --name chaos-mine --config - --kubeconfig ";
    assert!(
        calls
            .lines()
            .any(|call| call.starts_with(created) && call.ends_with("--image kindest/node:v1.34.11")),
        "{calls}"
    );
    assert_eq!(read(&place, "configuration"), include_str!("../../../../kind/cluster.yaml"));
    let loaded = read(&place, "loaded");
    for name in ["etcd-operator:v", "chaos:v", "quay.io/coreos/etcd:v"] {
        assert!(loaded.contains(&format!("\"RepoTags\":[\"{name}")), "{loaded}");
    }
    assert!(
        calls.contains("load image-archive --name chaos-mine --nodes chaos-mine-worker,chaos-mine-worker2 "),
        "nothing of ours may run on the control plane: {calls}"
    );
    let wait = "docker exec chaos-mine-control-plane kubectl --kubeconfig /etc/kubernetes/admin.conf wait \
                --for=condition=Ready nodes --all";
    assert!(calls.contains(wait), "a worker that is not ready takes no pods: {calls}");
    assert!(!state(&place).join("archives").exists(), "archives are of no use once they are loaded");

    let status = chaos(&place, &STATUS);
    assert_eq!(status.code, Some(0), "{status:?}");
    let again = chaos(&place, &UP);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.stderr.contains("the lasting cluster mine runs already"), "{again:?}");

    assert_eq!(chaos(&place, &DOWN).code, Some(0));
    assert!(read(&place, "calls").contains("delete cluster --name chaos-mine"), "{}", read(&place, "calls"));
    assert!(!state(&place).exists());
    assert_eq!(chaos(&place, &STATUS).code, Some(2));
}

#[test]
fn the_environment_names_the_node_image_unless_the_command_does() {
    for (named, expected) in
        [(&[][..], "registry.example/node:v1"), (&["--node-image", "mine:v2"], "mine:v2")]
    {
        let place = place(&[("kind", KIND), ("docker", ENGINE)]);
        let mut up = command(&place, &[&UP[..], named].concat(), ":/usr/bin:/bin");
        let up = Answer::of(up.env("CHAOS_NODE_IMAGE", "registry.example/node:v1").output().unwrap());
        assert_eq!(up.code, Some(0), "{up:?}");
        let calls = read(&place, "calls");
        let is_expected =
            |call: &str| call.starts_with("create") && call.ends_with(&format!("--image {expected}"));
        assert!(calls.lines().any(is_expected), "{calls}");
    }
}

#[test]
fn a_cluster_that_could_not_be_made_or_filled_is_taken_away_again_and_all_that_was_said_is_kept() {
    for (call, doing) in
        [("create", "failed to make a cluster with kind"), ("load", "failed to load the images")]
    {
        let place = place(&[("kind", KIND), ("docker", ENGINE)]);
        fs::write(place.path().join(format!("refuse-{call}")), "").unwrap();
        let up = chaos(&place, &UP);
        assert_eq!(up.code, Some(2), "{up:?}");
        assert!(up.stderr.contains(doing) && up.stderr.contains(": no space left"), "{up:?}");
        assert!(!up.stderr.contains("asm_amd64"), "a stack trace is not for the screen: {up:?}");
        let log = place.cache().join("kind/chaos-mine.log");
        assert!(up.stderr.contains(log.to_str().unwrap()), "{up:?}");
        assert!(fs::read_to_string(log).unwrap().contains("asm_amd64"));
        assert!(read(&place, "calls").contains("delete cluster --name chaos-mine"));
        assert_eq!(read(&place, "clusters"), "");
        assert!(!state(&place).exists());
    }
}

#[test]
fn a_cluster_whose_nodes_do_not_become_ready_is_taken_away_again() {
    let place = place(&[("kind", KIND), ("docker", ENGINE)]);
    fs::write(place.path().join("refuse-nodes"), "").unwrap();
    let up = chaos(&place, &UP);
    assert_eq!(up.code, Some(2), "{up:?}");
    assert!(up.stderr.contains("failed to wait for the nodes to be ready"), "{up:?}");
    assert!(up.stderr.contains("error: timed out"), "{up:?}");
    assert_eq!(read(&place, "clusters"), "");
    assert!(!state(&place).exists());
}

/// A start whose nodes are being made.
fn starting(place: &Place) -> Process {
    fs::write(place.path().join("hold"), "").unwrap();
    let up = Process::start(&mut command(place, &UP, ":/usr/bin:/bin"));
    wait_until("the cluster is being made", PATIENCE, || read(place, "configuration").contains("worker"));
    up
}

fn send(process: &Process, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(process.id()).unwrap()), signal).unwrap();
}

/// Nothing of the cluster is there, and nothing that would still make it.
fn is_gone(place: &Place) {
    fs::remove_file(place.path().join("hold")).unwrap();
    wait_until("nothing of it runs", PATIENCE, || place.leavings().is_empty());
    assert_eq!(read(place, "clusters"), "", "nodes that were still being made are left");
    assert!(!state(place).exists());
}

#[test]
fn a_start_that_is_interrupted_leaves_no_cluster_and_nobody_who_makes_one() {
    let place = place(&[("kind", KIND), ("docker", ENGINE)]);
    let up = starting(&place);
    send(&up, Signal::SIGINT);
    wait_until("nothing of it is kept", PATIENCE, || !state(&place).exists());
    drop(up);
    is_gone(&place);
}

#[test]
fn a_start_that_is_killed_goes_on_and_is_found_and_ended_by_name() {
    let place = place(&[("kind", KIND), ("docker", ENGINE)]);
    let up = starting(&place);
    send(&up, Signal::SIGKILL);
    drop(up);
    let status = chaos(&place, &STATUS);
    assert_eq!((status.code, status.stdout.trim()), (Some(2), "mine is still being started"));
    let run = chaos(&place, &["run", "--cluster", "kind", "--name", "mine", "good.yaml"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("the lasting cluster mine is still being started"), "{run:?}");

    let down = chaos(&place, &DOWN);
    assert_eq!(down.code, Some(0), "{down:?}");
    is_gone(&place);
}

#[test]
fn a_start_that_was_killed_and_ended_by_itself_is_no_running_cluster_and_makes_way_for_the_next() {
    let place = place(&[("kind", KIND), ("docker", ENGINE)]);
    let up = starting(&place);
    send(&up, Signal::SIGKILL);
    drop(up);
    fs::remove_file(place.path().join("hold")).unwrap();
    wait_until("the call of kind has ended", PATIENCE, || {
        chaos(&place, &STATUS).stdout.contains("mine no longer runs")
    });
    let up = chaos(&place, &UP);
    assert_eq!(up.code, Some(0), "{up:?}");
    assert_eq!(chaos(&place, &STATUS).code, Some(0));
    assert_eq!(chaos(&place, &DOWN).code, Some(0));
}
