//! What this machine lacks or forbids: said before anything is made.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;

use super::place::{ETCD_VERSION, GOOD, Place};
use crate::support::agent::CHAOS;
use crate::support::{need_root, run};

/// A user without any right.
const NOBODY: u32 = 65534;

/// The binary as a user without rights, who may write in the place like its owner.
pub(super) fn as_nobody(place: &Place, arguments: &[&str]) -> Command {
    need_root();
    // Neither the build's directory nor the owner's home need be open to others. Copied by another process: a descriptor that
    // writes the file, inherited by a child that another test starts just now, would keep it from being run.
    let copy = place.path().join("chaos");
    run(Command::new("cp").arg(CHAOS).arg(&copy));
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for path in [place.path().to_owned(), place.work(), place.cache(), place.path().join("home")] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let id = NOBODY.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(copy).args(arguments);
    place.settle(&mut command);
    command
}

#[test]
fn a_missing_etcd_image_is_named_with_the_field_the_cache_and_the_command_that_builds_it() {
    let place = Place::new();
    fs::remove_dir_all(place.cache()).unwrap();
    fs::create_dir(place.cache()).unwrap();
    place.write("good.yaml", GOOD);
    place.write("named.yaml", GOOD.replace("    size: 3", "    size: 3\n    version: 3.7.1"));
    let cache = place.cache().display().to_string();
    let said = place.refused(&["run", "good.yaml"]);
    let wanted = format!(
        "error: good.yaml:3:3: subject.cluster.version: the etcd image v{ETCD_VERSION} is not in the cache {cache} (there: \
         none); build it with `ci/images`\n"
    );
    assert!(said.starts_with(&wanted), "{said}");
    let said = place.refused(&["run", "named.yaml"]);
    assert!(
        said.starts_with("error: named.yaml:5:14: subject.cluster.version: the etcd image v3.7.1 is not"),
        "{said}"
    );
    let place = Place::new();
    let upgrade = "  - {at: 30s, kind: upgrade, version: 3.7.1}\n";
    place.write("upgraded.yaml", format!("{GOOD}{upgrade}"));
    let said = place.refused(&["run", "upgraded.yaml"]);
    let wanted = "error: upgraded.yaml:10:39: faults[2].version: the etcd image v3.7.1 is not in the cache";
    assert!(said.starts_with(wanted), "{said}");
    let place = Place::new();
    fs::remove_dir_all(place.cache()).unwrap();
    fs::create_dir(place.cache()).unwrap();
    let cache = place.cache().display().to_string();
    let said = place.refused(&["cluster", "up", "--name", "test"]);
    assert!(said.contains(&cache) && said.contains("`ci/images`"), "{said}");
}

#[test]
fn an_image_with_a_missing_file_counts_as_missing() {
    let place = Place::new();
    fs::remove_file(place.cache().join(format!("images/etcd/v{ETCD_VERSION}/etcdutl"))).unwrap();
    place.write("good.yaml", GOOD);
    let said = place.refused(&["run", "good.yaml"]);
    assert!(said.contains(&format!("the etcd image v{ETCD_VERSION} is not in the cache")), "{said}");
}

#[test]
fn a_missing_operator_binary_is_named_with_the_command_that_builds_it() {
    need_root();
    let place = Place::new();
    place.write("good.yaml", GOOD);
    for arguments in [
        &["run", "--operator-binary", "absent", "good.yaml"][..],
        &["run", "--operator-binary", "good.yaml", "good.yaml"],
        &["run", "--operator-binary", ".", "good.yaml"],
        &["cluster", "up", "--operator-binary", "absent"],
    ] {
        let said = place.refused(arguments);
        assert!(said.contains("the binary for /etcd-operator is missing"), "{said}");
        assert!(said.contains("cargo build -p etcd-operator"), "{said}");
    }
}

#[test]
fn a_port_in_use_is_named_with_the_flag_that_gives_another() {
    need_root();
    let place = Place::new();
    place.write("good.yaml", GOOD);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (kind, listener) in [("sandbox", "the sandbox's API server"), ("bare", "the API of the bare cluster")]
    {
        for arguments in [
            &["run", "--cluster", kind, "--operator-binary", CHAOS, "--listen", &address, "good.yaml"][..],
            &["cluster", "up", "--cluster", kind, "--operator-binary", CHAOS, "--listen", &address],
        ] {
            let said = place.refused(arguments);
            let wanted = format!("{listener} cannot listen on {address}");
            assert!(said.contains(&wanted) && said.contains("--listen"), "{said}");
            assert!(said.contains("Address already in use"), "{said}");
        }
    }
}

#[test]
fn without_the_right_to_make_namespaces_nothing_is_made() {
    let place = Place::new();
    place.write("good.yaml", GOOD);
    let before = place.files().len();
    for arguments in [
        &["run", "--operator-binary", "../chaos", "good.yaml"][..],
        &["cluster", "up", "--operator-binary", "../chaos"],
    ] {
        let said = place.refused_command(&mut as_nobody(&place, arguments));
        assert!(said.contains("this user has no right to; run it as root"), "{said}");
        assert!(said.contains("Operation not permitted"), "{said}");
    }
    assert_eq!(place.files().len(), before + 1, "only the copy of the binary was added");
}

#[test]
fn a_bare_cluster_without_root_is_refused_with_what_to_do() {
    let place = Place::new();
    place.write("good.yaml", GOOD);
    let before = place.files().len();
    for arguments in [
        &["run", "--cluster", "bare", "--operator-binary", "../chaos", "good.yaml"][..],
        &["cluster", "up", "--cluster", "bare", "--operator-binary", "../chaos"],
    ] {
        let said = place.refused_command(&mut as_nobody(&place, arguments));
        assert!(said.contains("run it as root, or use --cluster current --context NAME"), "{said}");
    }
    assert_eq!(place.files().len(), before + 1, "only the copy of the binary was added");
}

#[test]
fn what_a_bare_cluster_lacks_is_named_at_once_with_the_commands_that_bring_it() {
    need_root();
    let place = Place::new();
    place.write("good.yaml", GOOD);
    for arguments in [
        &["run", "--cluster", "bare", "--operator-binary", CHAOS, "good.yaml"][..],
        &["cluster", "up", "--cluster", "bare", "--operator-binary", CHAOS],
    ] {
        let mut command = place.command(arguments);
        command.env("PATH", "");
        let said = place.refused_command(&mut command);
        assert!(said.contains("`apt-get install containerd"), "{said}");
        assert!(said.contains("tools/kubernetes/kubernetes") && said.contains("`ci/images`"), "{said}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let place = Place::new();
    fs::write(place.path().join("file"), "").unwrap();
    place.write("good.yaml", GOOD);
    let said = place.refused(&["run", "--operator-binary", CHAOS, "--out", "../file/out", "good.yaml"]);
    assert!(said.contains("../file/out") && said.contains("Not a directory"), "{said}");
}
