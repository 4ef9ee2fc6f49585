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

/// A `kind` that keeps the names of its clusters in a file and every call in another. Creating waits while `$PLACE/hold` exists,
/// loading fails while `$PLACE/refuse` exists.
const KIND: &str = r#"#!/bin/sh
echo "$*" >> "$PLACE/calls"
case "$1 $2" in
    "get clusters") cat "$PLACE/clusters" 2>/dev/null ;;
    "create cluster")
        cat > "$PLACE/configuration"
        while [ -e "$PLACE/hold" ]; do sleep 0.1; done
        echo "$4" > "$PLACE/clusters" ;;
    "load image-archive")
        [ ! -e "$PLACE/refuse" ] || { echo "ERROR: no space left" >&2; exit 1; }
        tar -xOf "$5" manifest.json >> "$PLACE/loaded" ;;
    "delete cluster") rm -f "$PLACE/clusters" ;;
esac
exit 0
"#;
const NO_ENGINE: &str = "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n";
const ENGINE: &str = "#!/bin/sh\nexit 0\n";
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
    command.env_remove("KIND_EXPERIMENTAL_PROVIDER");
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
    let created = "create cluster --name chaos-mine --config - --wait 180s --kubeconfig ";
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
fn a_cluster_that_could_not_be_filled_is_taken_away_again() {
    let place = place(&[("kind", KIND), ("docker", ENGINE)]);
    fs::write(place.path().join("refuse"), "").unwrap();
    let up = chaos(&place, &UP);
    assert_eq!(up.code, Some(2), "{up:?}");
    assert!(up.stderr.contains("loading the image") && up.stderr.contains("no space left"), "{up:?}");
    assert!(read(&place, "calls").contains("delete cluster --name chaos-mine"));
    assert_eq!(read(&place, "clusters"), "");
    assert!(!state(&place).exists());
}

#[test]
fn a_start_that_is_interrupted_leaves_no_cluster() {
    let place = place(&[("kind", KIND), ("docker", ENGINE)]);
    fs::write(place.path().join("hold"), "").unwrap();
    let up = Process::start(&mut command(&place, &UP, ":/usr/bin:/bin"));
    wait_until("the cluster is being made", PATIENCE, || read(&place, "configuration").contains("worker"));
    kill(Pid::from_raw(i32::try_from(up.id()).unwrap()), Signal::SIGINT).unwrap();
    wait_until("it is taken away", PATIENCE, || {
        read(&place, "calls").contains("delete cluster --name chaos-mine")
    });
    wait_until("nothing of it is kept", PATIENCE, || !state(&place).exists());
    fs::remove_file(place.path().join("hold")).unwrap();
    drop(up);
    wait_until("nothing of it runs", PATIENCE, || place.leavings().is_empty());
}
