//! What another cluster has below the load's prefix: for one that began with a backup. Reads only.

use etcd_client::{ConnectOptions, EventType, GetOptions};
use serde::{Deserialize, Serialize};

use super::dump::{DumpError, change_of, failed, limited, positive};
use crate::history::{CommittedEvent, Revision};
use crate::in_pod::Dialer;

/// An answer may be as long as the harness allows for the load of a scenario with backups.
const LARGEST_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// What was found there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contents {
    /// The store's revision.
    pub revision: Revision,
    /// The last change of each key below the prefix, by key.
    pub entries: Vec<CommittedEvent>,
}

/// Reads all keys below the prefix. Clusters that a fault restores speak plain text, whatever the subject speaks.
///
/// # Errors
/// The cluster does not answer, or has what is no text.
pub(super) async fn read(address: &str, prefix: &str) -> Result<Contents, DumpError> {
    let attempt = "read a cluster that began with a backup";
    let client = limited(attempt, Dialer::default().client(address, ConnectOptions::new())).await?;
    let mut reader = client.kv_client().max_decoding_message_size(LARGEST_MESSAGE_BYTES);
    let all = limited(attempt, reader.get(prefix, Some(GetOptions::new().with_prefix()))).await?;
    let header = all.header().ok_or_else(|| failed(attempt, "an answer without a header"))?;
    let entries =
        all.kvs().iter().map(|pair| change_of(attempt, EventType::Put, pair)).collect::<Result<_, _>>()?;
    Ok(Contents { revision: Revision(positive(header.revision())?), entries })
}
