//! What a backup asks of a member beyond what the operator's own port asks: the revision of a linearizable read, whether users are in
//! force, and the stream of a snapshot. It looks into no snapshot.

use super::client::{classify, read};
use super::{Access, Connection, Connector, EtcdError};
use bytes::Bytes;
use etcd_client::{GetOptions, SnapshotStreaming};
use etcd_operator_core::names::Endpoint;
use std::time::Duration;

/// etcd sends its next bytes within this time, or never: it reads them from its own disk.
const STALLED: Duration = Duration::from_secs(60);

impl Connector {
    /// A member to ask, and perhaps to take a backup from: all calls go over one connection, so that behind an address of several
    /// members one and the same answers.
    pub fn connection_for_long(&self, endpoint: &Endpoint, access: &Access) -> Connection {
        Connection::for_long(endpoint, access, &self.settings)
    }
}

impl Connection {
    /// The revision of a linearizable read: all that was acknowledged before the call is at or below it.
    pub async fn current_revision(&self) -> Result<i64, EtcdError> {
        self.bounded(async {
            let response = read(&mut self.client().await?).await?;
            Ok(response.header().map_or(0, |header| header.revision()))
        })
        .await
    }

    /// Whether users and roles are in force: then nobody reads without being somebody.
    pub async fn authentication(&self) -> Result<bool, EtcdError> {
        let nobody = Access { user: None, ..self.access.clone() };
        match Connection::new(&self.endpoint, &nobody, &self.settings).current_revision().await {
            Ok(_) => Ok(false),
            Err(EtcdError::NotAuthorized { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// How many keys there are at a revision. Reads the index of all of them, and so may take as long as a hash.
    pub async fn count_keys(&self, revision: i64) -> Result<u64, EtcdError> {
        let all = GetOptions::new().with_all_keys().with_count_only().with_revision(revision);
        let count = self.bounded_by(self.settings.hash_timeout, async {
            Ok(self.client().await?.get("", Some(all)).await?.count())
        });
        Ok(u64::try_from(count.await?).unwrap_or_default())
    }

    /// Begins to take a snapshot: from then on it is of that moment. It may last as long as it takes.
    pub async fn snapshot(&self) -> Result<SnapshotStream, EtcdError> {
        let endpoint = self.endpoint.clone();
        let stream = self.bounded_by(STALLED, async { self.client().await?.snapshot().await }).await?;
        Ok(SnapshotStream { endpoint, stream })
    }
}

/// A snapshot while it comes in.
pub struct SnapshotStream {
    endpoint: Endpoint,
    stream: SnapshotStreaming,
}

/// Some bytes of it.
pub struct SnapshotBytes {
    /// They.
    pub bytes: Bytes,
    /// How many come after them, by what the member says.
    pub remaining: u64,
}

impl SnapshotStream {
    /// The next bytes; nothing once etcd has sent all.
    pub async fn next(&mut self) -> Result<Option<SnapshotBytes>, EtcdError> {
        let endpoint = &self.endpoint;
        let unclear = |reason| EtcdError::Unclear { endpoint: endpoint.clone(), reason };
        let message = tokio::time::timeout(STALLED, self.stream.message())
            .await
            .map_err(|_| unclear(format!("the stream of the snapshot stood still for {STALLED:?}")))?
            .map_err(|error| classify(endpoint, error))?;
        Ok(message.map(|message| SnapshotBytes {
            bytes: Bytes::copy_from_slice(message.blob()),
            remaining: message.remaining_bytes(),
        }))
    }
}
