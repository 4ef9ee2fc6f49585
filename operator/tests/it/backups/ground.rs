//! What tests of backups stand on: a real etcd with data, a folder as the store, and the program as people call it.

use crate::support::etcd::{RealEtcd, free_address, tool_of};
use etcd_client::{Client, GetOptions, KeyValue};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take that ought to take a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// So much that cannot be compressed makes several parts.
const RANDOM_BYTES: usize = 13 << 20;
const VALUE_BYTES: usize = 1 << 20;

/// A store, and room for data directories.
pub(crate) struct Ground {
    version: &'static str,
    folder: TempDir,
}

/// What the program said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ground {
    pub(crate) fn new(version: &'static str) -> Self {
        Self { version, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub(crate) fn store_url(&self) -> String {
        format!("file://{}", self.store().display())
    }

    /// Calls the program with the store, and with etcd's own where it takes them.
    pub(crate) fn call(&self, command: &str, arguments: &[&str]) -> Said {
        self.call_with(command, arguments, |_| {})
    }

    pub(crate) fn call_with(
        &self,
        command: &str,
        arguments: &[&str],
        with: impl FnOnce(&mut Command),
    ) -> Said {
        let mut program = self.program(command, &self.store_url());
        with(program.args(arguments));
        Self::said(&mut program)
    }

    /// The program with a store, and with etcd's own where it takes them.
    pub(crate) fn program(&self, command: &str, store: &str) -> Command {
        // Another one, to show that these tests notice a program that is wrong.
        let program = std::env::var_os("ETCD_OPERATOR_BINARY").map(PathBuf::from);
        let mut program = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_etcd-operator").into()));
        program.args([command, "--store", store]).stdin(Stdio::null());
        if matches!(command, "backup" | "verify") {
            program.arg("--etcd").arg(tool_of(self.version, "etcd"));
        }
        if matches!(command, "backup" | "verify" | "restore") {
            program.arg("--etcdutl").arg(tool_of(self.version, "etcdutl"));
        }
        program
    }

    /// Runs a program to its end.
    pub(crate) fn said(program: &mut Command) -> Said {
        let Output { status, stdout, stderr } = program.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: status.code(), output: text(stdout), errors: text(stderr) }
    }

    /// Backs a member up; the backup's name.
    pub(crate) fn back_up(&self, etcd: &RealEtcd) -> String {
        let said = self.call("backup", &["--endpoints", &etcd.endpoint().to_string()]);
        said.succeeded().output.trim().to_owned()
    }

    /// The only folder of a backup in the store.
    pub(crate) fn backup_folder(&self) -> PathBuf {
        let only = |folder: &Path| {
            let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let first = entries.next().expect("there is one");
            assert!(entries.next().is_none(), "there is one only");
            first
        };
        only(&only(&self.store()))
    }

    /// Everything in the store, by path.
    pub(crate) fn stored(&self) -> Vec<String> {
        let found = Self::files_below(&self.store());
        let below = |path: PathBuf| path.strip_prefix(self.store()).unwrap().display().to_string();
        let mut found: Vec<String> = found.into_iter().map(below).collect();
        found.sort();
        found
    }

    pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }

    pub(crate) fn manifest(&self) -> Value {
        let text = std::fs::read(self.backup_folder().join("manifest.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Restores into a folder of this name.
    pub(crate) fn restore(&self, into: &str, arguments: &[&str]) -> Said {
        let data = self.path(into).display().to_string();
        let always = ["--data-dir", &data, "--initial-cluster-token", "another"];
        self.call("restore", &[&always[..], arguments].concat())
    }
}

impl Said {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Said {
        assert_eq!(self.code, Some(0), "{}", self.errors);
        self
    }

    /// It failed, and said so in these words.
    #[track_caller]
    pub(crate) fn refused(self, words: &str) -> Said {
        assert_eq!(self.code, Some(1), "it succeeded: {}", self.output);
        assert!(self.errors.contains(words), "{words:?} is not in: {}", self.errors);
        self
    }
}

/// An etcd on a data directory that was restored; it is killed when dropped.
pub(crate) struct Restored {
    process: Child,
    client: String,
}

impl Restored {
    pub(crate) fn start(ground: &Ground, data: &str) -> Self {
        let (client, peer) = (format!("http://{}", free_address()), "http://localhost:2380");
        let process = Command::new(tool_of(ground.version, "etcd"))
            .arg("--data-dir")
            .arg(ground.path(data))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            // No other member is there, so that nobody needs the address that it was given.
            .args(["--listen-peer-urls", &format!("http://{}", free_address())])
            .args(["--initial-advertise-peer-urls", peer])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, client }
    }

    pub(crate) fn url(&self) -> &str {
        &self.client
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client of an etcd that may still be starting.
pub(crate) async fn client(url: &str) -> Client {
    let asked = async {
        loop {
            if let Ok(mut client) = Client::connect([url], None).await {
                match client.status().await {
                    Ok(status) if status.leader() != 0 => return client,
                    // Who asks for credentials has started.
                    Err(error) if error.to_string().contains("user name is empty") => return client,
                    Ok(_) | Err(_) => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("it starts")
}

/// All keys, with their values.
pub(crate) async fn everything(client: &mut Client) -> Vec<(String, String)> {
    let all = client.get("", Some(GetOptions::new().with_all_keys())).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let pair = |pair: &KeyValue| (text(pair.key()), text(pair.value()));
    all.kvs().iter().map(pair).collect()
}

/// Writes keys, some of them twice, and deletes some.
pub(crate) async fn fill(client: &mut Client) {
    for index in 0..120 {
        client.put(format!("key-{:03}", index % 100), format!("value {index}"), None).await.unwrap();
    }
    for index in 90..100 {
        client.delete(format!("key-{index:03}"), None).await.unwrap();
    }
}

/// The same, and bytes that no compressor makes shorter, the same in each run: so many that a snapshot has several parts.
pub(crate) async fn fill_for_parts(client: &mut Client) {
    fill(client).await;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for index in 0..RANDOM_BYTES / VALUE_BYTES {
        let mut value = vec![0; VALUE_BYTES];
        random.fill_bytes(&mut value);
        client.put(format!("random-{index}"), value, None).await.unwrap();
    }
}
