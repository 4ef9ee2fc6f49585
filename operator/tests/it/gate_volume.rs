//! The gate on volumes as clusters have them: full ones, ones of another user, and ones that a mount opened to a group.

use crate::support::pod::{
    BOOT_COUNTER, Network, Process, TERMINATION_LOG, give_permit, inside, runtime, stamp, wait_for_etcd,
};
use etcd_client::{Client, CompactionOptions, DeleteOptions};
use etcd_operator_core::names::{CLIENT_PORT, DATA_DIRECTORY, STAMP_PATH, VOLUME_PATH, WAL_DIRECTORY};
use nix::mount::{MsFlags, mount};
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Starts the member, waits until it answers, and ends it.
fn live_once(gate: Process) {
    runtime().block_on(wait_for_etcd(LOOPBACK));
    gate.end();
}

/// Writes to etcd and compacts it again. Its database then has pages to use before it must grow: without them etcd itself
/// could not start on a full disk, and what the gate does there could not be told from that.
async fn leave_free_pages() {
    wait_for_etcd(LOOPBACK).await;
    let mut client = Client::connect([format!("http://{LOOPBACK}:{CLIENT_PORT}")], None).await.unwrap();
    for number in 0..32 {
        client.put(format!("key-{number}"), vec![b'x'; 1 << 16], None).await.unwrap();
    }
    let deleted = client.delete("key-", Some(DeleteOptions::new().with_prefix())).await.unwrap();
    assert_eq!(deleted.deleted(), 32);
    let revision = deleted.header().unwrap().revision();
    client.compact(revision, Some(CompactionOptions::new().with_physical())).await.unwrap();
}

fn boot_counter() -> u64 {
    fs::read_to_string(BOOT_COUNTER).unwrap().trim().parse().unwrap()
}

/// Writes until the file system takes no more byte.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 16, 1] {
        let block = vec![b'x'; size];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                    break;
                }
            }
        }
    }
    let another = fs::write(path.with_extension("another"), "x").unwrap_err();
    assert_eq!(another.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_member_whose_disk_is_full_comes_back_and_is_counted() {
    inside(Network::DualStack, || {
        mount(Some("volume"), VOLUME_PATH, Some("tmpfs"), MsFlags::empty(), Some("size=160m")).unwrap();
        assert_ne!(fs::metadata(VOLUME_PATH).unwrap().dev(), fs::metadata("/").unwrap().dev());
        give_permit();
        let first = Process::gate();
        runtime().block_on(leave_free_pages());
        first.end();
        let (first_stamp, first_bytes) = (stamp(), fs::read(STAMP_PATH).unwrap());
        assert_eq!((first_stamp.member_id, boot_counter()), (None, 1));

        let filler = Path::new(VOLUME_PATH).join("filler");
        fill(&filler);
        for start in 2..=3 {
            live_once(Process::gate());
            assert_eq!(boot_counter(), start);
            assert_eq!(fs::read(STAMP_PATH).unwrap(), first_bytes, "the stamp found no room, and is whole");
        }

        fs::remove_file(&filler).unwrap();
        live_once(Process::gate());
        assert_eq!(boot_counter(), 4);
        assert!(stamp().member_id.is_some() && stamp().cluster_id.is_some(), "there is room again");
        let completed = fs::metadata(STAMP_PATH).unwrap().ino();
        live_once(Process::gate());
        assert_eq!(boot_counter(), 5);
        assert_eq!(fs::metadata(STAMP_PATH).unwrap().ino(), completed, "nothing was left to add");
    });
}

fn set_mode(path: &str, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What the gate leaves as its termination message when it cannot work as this user.
fn last_words(user: u32, group: u32) -> String {
    let status = Process::gate_as(user, group).wait();
    assert_eq!(status.code(), Some(1));
    fs::read_to_string(TERMINATION_LOG).unwrap()
}

#[test]
fn a_volume_that_is_not_writable_is_named_with_its_owner_and_who_asked() {
    inside(Network::DualStack, || {
        set_mode(VOLUME_PATH, 0o755);
        assert_eq!(
            last_words(65532, 65533),
            "The gate ended and etcd was not started: failed to open the volume's lock /var/lib/etcd/lock: /var/lib/etcd belongs \
             to user 0 and group 0 with mode 0755, and this process runs as user 65532 with groups 65533; let user \
             65532 own it, or give it one of these groups and let that group read and write there (Kubernetes does \
             so by the pod's fsGroup, if the volume's driver supports it): Permission denied (os error 13)."
        );
    });
}

#[test]
fn data_of_another_user_on_a_writable_volume_is_named_itself() {
    inside(Network::DualStack, || {
        set_mode(VOLUME_PATH, 0o777);
        fs::create_dir(DATA_DIRECTORY).unwrap();
        chown(DATA_DIRECTORY, Some(4242), Some(4343)).unwrap();
        set_mode(DATA_DIRECTORY, 0o700);
        let words = last_words(65532, 65532);
        let named = "/var/lib/etcd/data belongs to user 4242 and group 4343 with mode 0700, and this process runs as \
                     user 65532";
        assert!(words.contains(named), "{words}");
    });
}

/// All directories and files below a path, itself included.
fn everything(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            found.extend(everything(&entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn under_any_user_id_a_volume_that_a_mount_opened_to_its_group_is_closed_again_and_etcd_runs() {
    const USER: u32 = 1_000_680_000;
    const GROUP: u32 = 4242;
    // What the kubelet does at each mount of a volume with an fsGroup.
    let open_to_group = || {
        for path in everything(Path::new(VOLUME_PATH)) {
            let metadata = fs::metadata(&path).unwrap();
            chown(&path, None, Some(GROUP)).unwrap();
            let added = if metadata.is_dir() { 0o2770 } else { 0o660 };
            fs::set_permissions(&path, Permissions::from_mode(metadata.mode() & 0o7777 | added)).unwrap();
        }
    };
    inside(Network::DualStack, || {
        open_to_group();
        give_permit();
        live_once(Process::gate_as(USER, GROUP));
        open_to_group();
        let mode = |path: &str| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(DATA_DIRECTORY), 0o2770);
        live_once(Process::gate_as(USER, GROUP));
        assert_eq!([DATA_DIRECTORY, WAL_DIRECTORY].map(mode), [0o700; 2]);
        assert_eq!(mode("/var/lib/etcd/data/member"), 0o700);
        assert_eq!(mode("/var/lib/etcd/data/member/snap"), 0o700);
        assert_eq!(fs::metadata(DATA_DIRECTORY).unwrap().uid(), USER);
        assert_eq!(boot_counter(), 2);
    });
}
