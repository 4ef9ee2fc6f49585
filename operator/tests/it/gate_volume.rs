//! The gate on volumes as clusters have them: full ones.

use crate::support::pod::{
    BOOT_COUNTER, Network, Process, give_permit, inside, runtime, stamp, wait_for_etcd,
};
use etcd_operator_core::names::{STAMP_PATH, VOLUME_PATH};
use nix::mount::{MsFlags, mount};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Starts the member, waits until it answers, and ends it.
fn live_once(gate: Process) {
    runtime().block_on(wait_for_etcd(LOOPBACK));
    gate.end();
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
        live_once(Process::gate());
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
