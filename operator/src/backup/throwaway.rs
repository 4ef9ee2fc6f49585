//! An etcd that lives as long as a proof takes, on loopback alone: it is asked for the hash of its data and for the number of its keys.
//! The hash is asked for as peers ask each other, which works whether or not users are in force.

use super::tools::{ToolError, Tools, last_words};
use crate::etcd::{Access, Connector, EtcdError, User};
use crate::http::get_with;
use bytes::Bytes;
use etcd_operator_core::backup::manifest::Hash;
use etcd_operator_core::names::{Endpoint, Scheme};
use http::{StatusCode, Uri};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use thiserror::Error;
use tokio::process::{Child, Command};

/// Its name, and that of its cluster.
pub const NAME: &str = "proof";
/// Reading 8 GiB of data takes less than half a minute; starting on it too.
const PATIENCE: Duration = Duration::from_secs(120);
/// In a question for a hash: up to the last revision.
const LATEST: i64 = 0;
/// In these words etcd says that it has no such revision yet (`mvcc.ErrFutureRev`).
const FUTURE: &str = "required revision is a future revision";
/// Pause between two questions whether it has started.
const ASKED_EVERY: Duration = Duration::from_millis(100);

/// Why nothing was learned from it.
#[derive(Debug, Error)]
pub enum ThrowawayError {
    /// No port is free.
    #[error("failed to find a free port on loopback")]
    Port(#[source] std::io::Error),
    /// It cannot be run.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// It ended.
    #[error("the restored etcd ended: {0}")]
    Ended(String),
    /// It did not start in time.
    #[error("the restored etcd did not answer within {PATIENCE:?}: {0}")]
    Silent(String),
    /// Its answer is not one.
    #[error("the restored etcd was not understood: {0}")]
    Answer(String),
    /// The keys could not be counted.
    #[error("failed to count the keys of the restored etcd")]
    Count(#[source] EtcdError),
}

/// Addresses on loopback that nobody used when they were chosen.
pub struct Addresses {
    /// For clients.
    pub client: Endpoint,
    /// For peers.
    pub peer: Endpoint,
}

impl Addresses {
    /// Two ports. Both are held until both are known, so that they differ.
    pub fn choose() -> Result<Self, ThrowawayError> {
        let hold = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ThrowawayError::Port);
        let (client, peer) = (hold()?, hold()?);
        let endpoint = |held: &TcpListener| {
            let address = held.local_addr().map_err(ThrowawayError::Port)?;
            Ok::<_, ThrowawayError>(Endpoint {
                scheme: Scheme::Http,
                address: address.ip().to_string(),
                port: address.port(),
            })
        };
        Ok(Self { client: endpoint(&client)?, peer: endpoint(&peer)? })
    }
}

/// It runs until dropped.
pub struct Throwaway {
    process: Child,
    addresses: Addresses,
    log: PathBuf,
}

impl Throwaway {
    /// Starts it on a data directory.
    pub fn start(
        tools: &Tools,
        data: &Path,
        log: PathBuf,
        addresses: Addresses,
    ) -> Result<Self, ThrowawayError> {
        let program = tools.etcd.display().to_string();
        let failed = |source| ToolError::Run { program: program.clone(), source };
        let output = std::fs::File::create(&log).map_err(failed)?;
        let (client, peer) = (&addresses.client.to_string(), &addresses.peer.to_string());
        let mut command = Command::new(&tools.etcd);
        // Each of etcd's options is a variable too.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("ETCD_") {
                command.env_remove(variable);
            }
        }
        let process = command
            .arg("--data-dir")
            .arg(data)
            .args(["--name", NAME, "--initial-cluster", &format!("{NAME}={peer}")])
            .args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
            .args(["--listen-client-urls", client, "--advertise-client-urls", client])
            // Nobody needs it after a power failure.
            .args(["--unsafe-no-fsync", "--logger=zap", "--log-level=warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Self { process, addresses, log })
    }

    /// Its very last revision, and the hash of its data up to a revision or, where it ends before that, up to its end.
    pub async fn hash(&mut self, revision: i64) -> Result<(i64, Hash), ThrowawayError> {
        match self.hash_at(revision).await {
            Err(ThrowawayError::Answer(why)) if why.contains(FUTURE) => {
                self.hash_at(LATEST).await.map(|(last, hash)| (last, Hash { revision: last, ..hash }))
            }
            answered => answered,
        }
    }

    /// The revision that it has, and the hash of its data up to one, once it answers.
    async fn hash_at(&mut self, revision: i64) -> Result<(i64, Hash), ThrowawayError> {
        let mut said = "it never answered".to_owned();
        let asked = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Ok(Some(_)) = self.process.try_wait() {
                    return Err(ThrowawayError::Ended(self.last_words()));
                }
                match self.ask_for_hash(revision).await {
                    Ok(hash) => return Ok(hash),
                    Err(Unready::Never(why)) => return Err(ThrowawayError::Answer(why)),
                    Err(Unready::NotYet(why)) => said = why,
                }
                tokio::time::sleep(ASKED_EVERY).await;
            }
        });
        asked.await.unwrap_or_else(|_| Err(ThrowawayError::Silent(said)))
    }

    async fn ask_for_hash(&self, revision: i64) -> Result<(i64, Hash), Unready> {
        let address = format!("{}/members/hashkv", self.addresses.peer);
        let address: Uri = address.parse().map_err(|_| Unready::Never(format!("{address} is no address")))?;
        let question = Bytes::from(format!("{{\"revision\":{revision}}}"));
        let answer = get_with(&address, question, PATIENCE).await;
        let (status, body) = answer.map_err(|error| Unready::NotYet(error.to_string()))?;
        let text = || String::from_utf8_lossy(&body).trim().to_owned();
        match status {
            StatusCode::OK => {
                hash_of(&body, revision).ok_or_else(|| Unready::Never(format!("{:?} is no hash", text())))
            }
            StatusCode::BAD_REQUEST => Err(Unready::Never(text())),
            _ => Err(Unready::NotYet(format!("{status}: {}", text()))),
        }
    }

    /// How many keys there are at a revision; nothing if users are in force and this one may not read them all.
    pub async fn count_keys(
        &self,
        connector: &Connector,
        revision: i64,
        user: Option<&User>,
    ) -> Result<Option<u64>, ThrowawayError> {
        let access = Access { user: user.cloned(), ..Access::default() };
        match connector.connection_for_long(&self.addresses.client, &access).count_keys(revision).await {
            Ok(count) => Ok(Some(count)),
            Err(EtcdError::NotAuthorized { .. }) => Ok(None),
            Err(error) => Err(ThrowawayError::Count(error)),
        }
    }

    fn last_words(&self) -> String {
        std::fs::read(&self.log).map_or_else(|error| error.to_string(), |said| last_words(&said))
    }
}

/// Why there is no hash.
enum Unready {
    NotYet(String),
    Never(String),
}

/// etcd's answer to its peers: JSON as Go writes it, without fields that are zero.
fn hash_of(body: &[u8], revision: i64) -> Option<(i64, Hash)> {
    #[derive(serde::Deserialize)]
    struct Answer {
        header: Header,
        #[serde(default)]
        hash: u32,
        #[serde(default)]
        compact_revision: i64,
    }
    #[derive(serde::Deserialize)]
    struct Header {
        revision: i64,
    }
    let Answer { header, hash, compact_revision } = serde_json::from_slice(body).ok()?;
    Some((header.revision, Hash { revision, compact_revision, hash }))
}
