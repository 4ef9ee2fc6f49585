//! Backups under load while all sorts of things go wrong, chosen by a seed: a program that is killed or interrupted, a member that stands
//! still, a store that is full, two backups at once, and backups that somebody damages, cuts, exchanges or forges. Whatever happens, no
//! acknowledged write is missing from a backup that counts as proved, nothing damaged is restored, and no good one that the rules keep is
//! deleted.
//!
//! `BACKUP_SEEDS=1..200` runs those seeds; a few of them otherwise.

use super::ground::{Ground, Restored, client};
use crate::support::etcd::RealEtcd;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const VERSION: &str = "v3.6.16";
/// How many backups are tried with each seed.
const ROUNDS: usize = 4;
/// The rule that the schedule keeps to.
const KEPT: usize = 2;
/// How many seeds go on at once.
const AT_ONCE: usize = 3;

/// What goes wrong in one round.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Nothing.
    None,
    /// The program is killed after so many milliseconds.
    Killed(u64),
    /// The program is told to end.
    Interrupted(u64),
    /// The member stands still for so long, from somewhere in the backup on.
    Stalled(u64),
    /// The store has no room left.
    Full,
    /// Another one is taken at the same time.
    Two,
    /// A byte of an earlier snapshot is another one.
    Flipped,
    /// The end of an earlier snapshot is missing.
    Truncated,
    /// The manifest of an earlier one is gone.
    NoManifest,
    /// The manifest of an earlier one is that of another.
    ForeignManifest,
    /// The proof of an earlier one cannot be read.
    BadProof,
}

impl Fault {
    fn choose(random: &mut ChaCha8Rng) -> Fault {
        let after = random.random_range(0..700);
        match random.random_range(0..11) {
            0 => Fault::None,
            1 => Fault::Killed(after),
            2 => Fault::Interrupted(after),
            3 => Fault::Stalled(after),
            4 => Fault::Full,
            5 => Fault::Two,
            6 => Fault::Flipped,
            7 => Fault::Truncated,
            8 => Fault::NoManifest,
            9 => Fault::ForeignManifest,
            _ => Fault::BadProof,
        }
    }
}

/// Writes that were acknowledged, by their revision.
type Acknowledged = Arc<Mutex<BTreeMap<i64, String>>>;

/// Writes until dropped, one key after the other.
fn load(url: String, acknowledged: Acknowledged) -> JoinSet<()> {
    let mut load = JoinSet::new();
    load.spawn(async move {
        let mut client = client(&url).await;
        for number in 0.. {
            let key = format!("key-{number:06}");
            let put = client.put(key.as_str(), format!("value of {key}"), None);
            if let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(5), put).await {
                let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
                acknowledged.lock().unwrap().insert(revision, key);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    load
}

/// One seed: a cluster under load, its store, and what is known of the backups there.
struct Story {
    ground: Ground,
    etcd: RealEtcd,
    acknowledged: Acknowledged,
    /// Proved, and untouched since: by name, the revision by which its age is told, and the last one in it.
    good: BTreeMap<String, (i64, i64)>,
    /// What somebody has laid hands on.
    damaged: BTreeSet<String>,
}

impl Story {
    fn backup(&self, store: &str, result: &Path) -> Command {
        let mut program = self.ground.program("backup", store);
        program
            .args(["--endpoints", &self.etcd.endpoint().to_string(), "--schedule", "ns/s", "--within", "10s"])
            .args(["--keep-last", &KEPT.to_string(), "--scratch"])
            .arg(self.ground.path(""))
            .arg("--result")
            .arg(result)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        program
    }

    fn newest_acknowledged(&self) -> i64 {
        self.acknowledged.lock().unwrap().keys().last().copied().unwrap_or(0)
    }

    /// The folder of a backup.
    fn folder(&self, name: &str) -> Option<PathBuf> {
        let found = Ground::files_below(&self.ground.store());
        let is_it = |path: &&PathBuf| path.parent().is_some_and(|folder| folder.ends_with(name));
        found.iter().find(is_it).and_then(|path| path.parent()).map(Path::to_owned)
    }

    async fn round(&mut self, fault: Fault, random: &mut ChaCha8Rng) {
        self.damage(fault, random);
        let before = self.newest_acknowledged();
        let (store, result) = (self.ground.store_url(), self.ground.path("result"));
        match fault {
            Fault::Full => {
                let full = self.ground.path("full");
                let mount = TinyStore::mount(&full);
                let ended =
                    ended(self.backup(&format!("file://{}", full.display()), &result).spawn().unwrap()).await;
                assert!(!ended, "a store without room took a backup");
                drop(mount);
            }
            Fault::Two => {
                let other = self.ground.path("other-result");
                let (one, two) = (self.backup(&store, &result).spawn(), self.backup(&store, &other).spawn());
                let (one, two) = tokio::join!(ended(one.unwrap()), ended(two.unwrap()));
                self.note(one, &result, before);
                self.note(two, &other, before);
            }
            Fault::Killed(after) | Fault::Interrupted(after) | Fault::Stalled(after) => {
                let child = self.backup(&store, &result).spawn().unwrap();
                tokio::time::sleep(Duration::from_millis(after)).await;
                let program = Pid::from_raw(i32::try_from(child.id()).unwrap());
                let member = Pid::from_raw(self.etcd.process_id());
                // Whoever has ended by itself hears nothing.
                let _ = match fault {
                    Fault::Killed(_) => kill(program, Signal::SIGKILL),
                    Fault::Interrupted(_) => kill(program, Signal::SIGTERM),
                    _ => kill(member, Signal::SIGSTOP),
                };
                tokio::time::sleep(Duration::from_millis(300)).await;
                let _ = kill(member, Signal::SIGCONT);
                let ended = ended(child).await;
                self.note(ended, &result, before);
            }
            Fault::None
            | Fault::Flipped
            | Fault::Truncated
            | Fault::NoManifest
            | Fault::ForeignManifest
            | Fault::BadProof => {
                let ended = ended(self.backup(&store, &result).spawn().unwrap()).await;
                assert!(ended, "nothing was in its way, after {fault:?}");
                self.note(ended, &result, before);
            }
        }
    }

    /// Takes in what came of a run that somebody has begun after these writes were acknowledged.
    fn note(&mut self, succeeded: bool, result: &Path, acknowledged_before: i64) {
        if !succeeded {
            return;
        }
        let said: Value = serde_json::from_slice(&std::fs::read(result).unwrap()).unwrap();
        let taken = &said["taken"];
        let revision = taken["proof"]["revision"].as_i64().expect("it was proved");
        assert!(
            revision >= acknowledged_before,
            "{revision} lacks what was acknowledged at {acknowledged_before}"
        );
    }

    /// Looks at the store: what is there that was proved, whoever was killed before it could say so; and of what is there no more, whether
    /// the rule keeps it.
    fn look(&mut self) {
        let said = self.ground.call("list", &["-o", "json"]).succeeded();
        let all: Value = serde_json::from_str(&said.output).unwrap();
        let proved: BTreeMap<String, (i64, i64)> = all
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|one| {
                let name = one["manifest"]["name"].as_str()?.to_owned();
                Some((
                    name,
                    (one["manifest"]["data"]["revision"].as_i64()?, one["proof"]["revision"].as_i64()?),
                ))
            })
            .collect();
        for (name, (revision, _)) in &self.good {
            // Of equal age the later one is newer, and either may have gone.
            let newer = proved.values().filter(|(other, _)| other >= revision).count();
            assert!(
                proved.contains_key(name) || newer >= KEPT,
                "{name} is gone, and the rule keeps it: {proved:?}"
            );
        }
        let is_good = |(name, _): &(String, (i64, i64))| !self.damaged.contains(name);
        self.good = proved.into_iter().filter(is_good).collect();
    }

    /// Lays hands on an earlier backup, if there is one.
    fn damage(&mut self, fault: Fault, random: &mut ChaCha8Rng) {
        let names: Vec<String> = self.good.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = names[random.random_range(0..names.len())].clone();
        let Some(folder) = self.folder(&name) else { return };
        let snapshot = folder.join("snapshot.db.zst");
        match fault {
            Fault::Flipped => {
                let mut bytes = std::fs::read(&snapshot).unwrap();
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= 1 << random.random_range(0..8);
                std::fs::write(&snapshot, bytes).unwrap();
            }
            Fault::Truncated => {
                let bytes = std::fs::read(&snapshot).unwrap();
                std::fs::write(&snapshot, &bytes[..random.random_range(0..bytes.len())]).unwrap();
            }
            Fault::NoManifest => std::fs::remove_file(folder.join("manifest.json")).unwrap(),
            Fault::ForeignManifest => {
                let Some(other) = names.iter().find(|other| **other != name) else { return };
                let Some(from) = self.folder(other) else { return };
                std::fs::copy(from.join("manifest.json"), folder.join("manifest.json")).unwrap();
            }
            Fault::BadProof => std::fs::write(folder.join("proof.json"), "{\"format\":").unwrap(),
            Fault::None
            | Fault::Killed(_)
            | Fault::Interrupted(_)
            | Fault::Stalled(_)
            | Fault::Full
            | Fault::Two => return,
        }
        self.good.remove(&name);
        self.damaged.insert(name);
    }

    /// What must hold at the end, whatever happened.
    async fn judge(&mut self) {
        // The next one without a fault succeeds, whatever earlier ones have left.
        let before = self.newest_acknowledged();
        let (store, result) = (self.ground.store_url(), self.ground.path("result"));
        let ended = ended(self.backup(&store, &result).spawn().unwrap()).await;
        assert!(ended, "the last one failed");
        self.note(ended, &result, before);
        self.look();
        for name in self.good.keys() {
            self.ground.call("verify", &["--backup", name]).succeeded();
        }
        for name in &self.damaged {
            let said = self.ground.restore("refused", &["--backup", name]);
            // One whose proof cannot be read is not damaged itself, and does not count as proved.
            let is_listed_unproved = said.code == Some(0) && said.errors.contains("was never proved");
            assert!(said.code == Some(1) || is_listed_unproved, "{name} was restored: {}", said.errors);
            let _ = std::fs::remove_dir_all(self.ground.path("refused"));
        }
        let newest = self.good.iter().max_by_key(|(_, (_, last))| *last);
        let (newest, (_, revision)) = newest.expect("the last one");
        self.ground.restore("data", &["--backup", newest, "--bump-revision", "0"]).succeeded();
        let restored = Restored::start(&self.ground, "data");
        let mut client = client(restored.url()).await;
        let found: BTreeSet<String> =
            super::ground::everything(&mut client).await.into_iter().map(|(key, _)| key).collect();
        let acknowledged = self.acknowledged.lock().unwrap();
        let missing: Vec<&String> = acknowledged
            .range(..=*revision)
            .map(|(_, key)| key)
            .filter(|key| !found.contains(*key))
            .collect();
        assert!(missing.is_empty(), "acknowledged, and not in {newest}: {missing:?}");
        let later = acknowledged.range(revision + 1..).filter(|(_, key)| found.contains(*key)).count();
        assert_eq!(later, 0, "{newest} has what was written after its last revision");
    }
}

/// Waits for a program; whether it succeeded.
async fn ended(child: Child) -> bool {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    output.status.success()
}

/// A store with room for next to nothing.
struct TinyStore(PathBuf);

impl TinyStore {
    fn mount(at: &Path) -> TinyStore {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"]).arg(at).status();
        assert!(mounted.unwrap().success());
        TinyStore(at.to_owned())
    }
}

impl Drop for TinyStore {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

async fn run(seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let etcd = RealEtcd::start_version(VERSION);
    let acknowledged = Acknowledged::default();
    let load = load(etcd.endpoint().to_string(), acknowledged.clone());
    let ground = Ground::new(VERSION);
    let mut story = Story { ground, etcd, acknowledged, good: BTreeMap::new(), damaged: BTreeSet::new() };
    while story.newest_acknowledged() < 20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for round in 0..ROUNDS {
        let fault = if round == 0 { Fault::None } else { Fault::choose(&mut random) };
        eprintln!("seed {seed}: {fault:?}");
        story.round(fault, &mut random).await;
        story.look();
    }
    story.judge().await;
    drop(load);
}

/// The seeds that are asked for.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let asked_for = std::env::var("BACKUP_SEEDS").unwrap_or_else(|_| "1..4".to_owned());
    let (from, to) = asked_for.split_once("..").expect("BACKUP_SEEDS is FROM..TO");
    from.parse().expect("a number")..=to.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_no_write_is_lost_and_nothing_bad_is_taken_for_good() {
    let mut stories = JoinSet::new();
    let mut ended = Vec::new();
    for seed in seeds() {
        if stories.len() == AT_ONCE {
            ended.extend(stories.join_next().await);
        }
        stories.spawn(async move {
            run(seed).await;
            seed
        });
    }
    ended.extend(stories.join_all().await.into_iter().map(Ok));
    let count = ended.len();
    for one in ended {
        one.expect("no story panics");
    }
    println!("{count} seeds");
}
