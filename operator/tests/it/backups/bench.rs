//! How fast backups and restores are, and how much memory they take, beside etcd's own tools and `zstd` by hand in the same run. It prints
//! a table; `ci/full --only backups` keeps it. Nothing is asserted but that all of it works.

use super::ground::{Ground, client};
use crate::support::etcd::{RealEtcd, tool_of};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const VERSION: &str = "v3.6.16";
const VALUE_BYTES: usize = 1 << 20;
/// An odd number, so that there is one in the middle.
const ROUNDS: usize = 3;

/// Sizes of databases in MiB.
fn sizes() -> Vec<usize> {
    let asked_for = std::env::var("BACKUP_BENCH_MIB").unwrap_or_else(|_| "100 1000 2000".to_owned());
    asked_for.split_whitespace().map(|size| size.parse().expect("a number of MiB")).collect()
}

/// Half of each value is noise, and half of it is not.
async fn fill(url: &str, mebibytes: usize) {
    let mut client = client(url).await;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for index in 0..mebibytes {
        let mut value = vec![b'x'; VALUE_BYTES];
        random.fill_bytes(&mut value[..VALUE_BYTES / 2]);
        client.put(format!("key-{index:05}"), value, None).await.unwrap();
    }
}

/// The largest that a process has been, in MiB, and how long it took.
fn watched(mut child: Child) -> (u64, f64) {
    let began = Instant::now();
    let mut most = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        most = peak.unwrap_or(0).max(most);
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success());
            return (most >> 10, began.elapsed().as_secs_f64());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn run(program: impl AsRef<Path>, arguments: &[&str]) -> f64 {
    let began = Instant::now();
    let said =
        Command::new(program.as_ref()).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(said.unwrap().success(), "{} {arguments:?}", program.as_ref().display());
    began.elapsed().as_secs_f64()
}

/// What the system still has to write is written before anything is measured, or whoever comes later waits for it.
fn settled() {
    run("sync", &[]);
}

/// `etcdctl snapshot save`, `zstd`, and a copy that is on the disk; how long it took.
fn there_by_hand(ground: &Ground, url: &str) -> f64 {
    settled();
    let path = |name: &str| ground.path(name).display().to_string();
    let (snapshot, packed, stored) = (path("by-hand.db"), path("by-hand.zst"), path("stored.zst"));
    let mut took = run(tool_of(VERSION, "etcdctl"), &["--endpoints", url, "snapshot", "save", &snapshot]);
    took += run("zstd", &["-q", "-f", "-3", &snapshot, "-o", &packed]);
    took += run("cp", &[&packed, &stored]);
    took += run("sync", &[&stored]);
    for made in [snapshot, packed] {
        std::fs::remove_file(made).unwrap();
    }
    took
}

/// A copy, `zstd -d`, and `etcdutl snapshot restore`; how long it took.
fn back_by_hand(ground: &Ground) -> f64 {
    settled();
    let path = |name: &str| ground.path(name).display().to_string();
    let (snapshot, packed, data) = (path("by-hand.db"), path("by-hand.zst"), path("by-hand"));
    let mut took = run("cp", &[&path("stored.zst"), &packed]);
    took += run("zstd", &["-q", "-f", "-d", &packed, "-o", &snapshot]);
    let restore = ["snapshot", "restore", &snapshot, "--data-dir", &data];
    // As etcd's own guide for recovery has it, and as ours does.
    let bump = ["--bump-revision", "1000000000", "--mark-compacted"];
    took += run(tool_of(VERSION, "etcdutl"), &[&restore[..], &bump].concat());
    took += run("sync", &[&format!("{data}/member/snap/db")]);
    for made in [snapshot, packed] {
        std::fs::remove_file(made).unwrap();
    }
    std::fs::remove_dir_all(data).unwrap();
    took
}

fn quiet(program: &mut Command) -> Child {
    program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Memory, and how long it took.
fn there(ground: &Ground, url: &str) -> (u64, f64) {
    settled();
    let mut backup = ground.program("backup", &ground.store_url());
    watched(quiet(backup.args(["--endpoints", url, "--no-proof"])))
}

fn back(ground: &Ground) -> (u64, f64) {
    settled();
    let data = ground.path("restored");
    let mut restore = ground.program("restore", &ground.store_url());
    restore.args(["--unproved", "--initial-cluster-token", "another", "--data-dir"]).arg(&data);
    let took = watched(quiet(&mut restore));
    std::fs::remove_dir_all(data).unwrap();
    took
}

/// Each of both `ROUNDS` times, in turns, so that neither has the better place: the middle of each.
fn in_turns(mut by_hand: impl FnMut() -> f64, mut ours: impl FnMut() -> (u64, f64)) -> (f64, f64, u64) {
    let (mut theirs, mut own, mut memory) = (Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            theirs.push(by_hand());
        }
        let (peak, took) = ours();
        own.push(took);
        memory = peak.max(memory);
        if round % 2 == 1 {
            theirs.push(by_hand());
        }
    }
    (middle(theirs), middle(own), memory)
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[ignore = "a bench, for ci/full --only backups; needs zstd"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_fast_backups_and_restores_are_beside_the_same_by_hand() {
    println!("| database | backup | by hand | ratio | memory | restore | by hand | ratio | memory |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for size in sizes() {
        let ground = Ground::new(VERSION);
        let etcd = RealEtcd::start_large(VERSION);
        let url = etcd.endpoint().to_string();
        fill(&url, size).await;
        let (by_hand, took, memory) = in_turns(|| there_by_hand(&ground, &url), || there(&ground, &url));
        let (back_by_hand, took_back, memory_back) = in_turns(|| back_by_hand(&ground), || back(&ground));
        println!(
            "| {size} MiB | {took:.2} s | {by_hand:.2} s | {:.2} × | {memory} MiB | {took_back:.2} s | {back_by_hand:.2} s | {:.2} × | {memory_back} MiB |",
            took / by_hand,
            took_back / back_by_hand,
        );
    }
}
