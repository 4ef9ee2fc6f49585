//! The final dump: what the cluster says it has committed since the load began. Reads only, so it may try as often as it
//! likes; it never claims to be complete when it is not.

use std::time::Duration;

use etcd_client::{
    Client, Event, EventType, GetOptions, KeyValue, SortOrder, SortTarget, WatchOptions, WatchStream,
};
use tokio::time::{Instant, sleep, timeout};

use super::configuration::Configuration;
use super::connection::Connection;
use crate::history::{ClusterId, CommittedChange, CommittedEvent, FinalRead, Key, Line, Revision, Value};
use crate::in_pod::Clock;

/// How long the dump may take, attempts included. The cluster is healed by then.
const DUMP_LIMIT: Duration = Duration::from_secs(60);
/// How long one attempt may be without a message of the watch.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(200);
const LARGEST_MESSAGE_BYTES: usize = 512 * 1024 * 1024;

/// Why there is no final dump.
#[derive(Debug, thiserror::Error)]
pub(super) enum DumpError {
    /// The cluster has forgotten the beginning.
    #[error("the cluster has compacted its history up to revision {compacted}, after the load began")]
    Compacted {
        /// The oldest revision that is left.
        compacted: i64,
    },
    /// Somebody else writes where the load does: nothing could be told apart.
    #[error("there is something below {prefix} already, written at revision {newest}")]
    PrefixInUse {
        /// The prefix.
        prefix: String,
        /// The newest change below it.
        newest: Revision,
    },
    /// One attempt did not succeed.
    #[error("failed to {attempt}: {cause}")]
    Attempt {
        /// What was tried.
        attempt: &'static str,
        /// What came of it.
        cause: String,
    },
}

/// The dump as it is written down.
pub(super) struct Dump {
    /// What it covers.
    pub(super) read: FinalRead,
    /// Every committed change of the load's keys, oldest first.
    pub(super) events: Vec<CommittedEvent>,
}

impl Dump {
    /// The lines between header and end.
    pub(super) fn into_lines(self) -> impl Iterator<Item = Line> {
        std::iter::once(Line::FinalRead(self.read)).chain(self.events.into_iter().map(Line::Committed))
    }
}

/// Takes the dump; tries again, elsewhere, as long as only the connection is at fault.
///
/// # Errors
/// When the history was compacted, or no attempt succeeded in time.
pub(super) async fn take(
    configuration: &Configuration,
    first: Revision,
    clock: Clock,
) -> Result<Dump, DumpError> {
    let prefix = configuration.prefix.as_str();
    until_answered(configuration, async |mut client| {
        let (mut read, newest) = read_revision(&mut client, prefix, clock).await?;
        read.first_revision = Revision(first.0 + 1);
        let events = watch_until(&mut client, prefix, &read, newest).await?;
        Ok(Dump { read, events })
    })
    .await
}

/// The store's revision before the load's first call: whatever is older is none of its business, and may be compacted.
///
/// # Errors
/// When no attempt succeeded in time, or something is below the prefix already.
pub(super) async fn first_revision(
    configuration: &Configuration,
    clock: Clock,
) -> Result<Revision, DumpError> {
    let prefix = configuration.prefix.as_str();
    let read = async |mut client| read_revision(&mut client, prefix, clock).await;
    match until_answered(configuration, read).await? {
        (read, Revision(0)) => Ok(read.revision),
        (_, newest) => Err(DumpError::PrefixInUse { prefix: prefix.to_owned(), newest }),
    }
}

/// Asks until somebody answers, elsewhere after each failure.
async fn until_answered<T>(
    configuration: &Configuration,
    ask: impl AsyncFn(Client) -> Result<T, DumpError>,
) -> Result<T, DumpError> {
    let mut connection = Connection::to_anybody(configuration);
    let limit = Instant::now() + DUMP_LIMIT;
    loop {
        let connected = async { connection.client().await.1 };
        let answered = match limited("connect", connected).await {
            Ok(client) => ask(client).await,
            Err(error) => Err(error),
        };
        match answered {
            Err(DumpError::Attempt { .. }) if Instant::now() < limit => {
                connection.give_up();
                sleep(ATTEMPT_INTERVAL).await;
            }
            result => return result,
        }
    }
}

/// The store's revision, and that of the newest change of a key that still exists.
async fn read_revision(
    client: &mut Client,
    prefix: &str,
    clock: Clock,
) -> Result<(FinalRead, Revision), DumpError> {
    let attempt = "read the final revision";
    let newest_first = GetOptions::new()
        .with_prefix()
        .with_keys_only()
        .with_limit(1)
        .with_sort(SortTarget::Mod, SortOrder::Descend);
    let answer = limited(attempt, client.get(prefix, Some(newest_first))).await?;
    let header = answer.header().ok_or_else(|| failed(attempt, "an answer without a header"))?;
    let read = FinalRead {
        revision: Revision(positive(header.revision())?),
        first_revision: Revision(1),
        cluster_id: ClusterId(header.cluster_id()),
        at: clock.now(),
    };
    let newest = answer.kvs().first().map_or(Ok(0), |pair| positive(pair.mod_revision()))?;
    Ok((read, Revision(newest)))
}

/// Every event from the first revision to the last. Two things say that none is missing: the newest change of a living key was
/// seen, and etcd reports the watch's progress at or after the last revision.
async fn watch_until(
    client: &mut Client,
    prefix: &str,
    read: &FinalRead,
    newest: Revision,
) -> Result<Vec<CommittedEvent>, DumpError> {
    let first = i64::try_from(read.first_revision.0).unwrap_or(i64::MAX);
    let last = read.revision;
    let options = WatchOptions::new().with_prefix().with_start_revision(first);
    let mut watcher = client.watch_client().max_decoding_message_size(LARGEST_MESSAGE_BYTES);
    let mut stream = limited("start the final watch", watcher.watch(prefix, Some(options))).await?;
    let mut events: Vec<CommittedEvent> = Vec::new();
    let mut reached = Revision(0);
    let mut patience = Instant::now() + SILENCE_LIMIT;
    while reached < last || events.last().map_or(Revision(0), |event| event.revision) < newest {
        if Instant::now() >= patience {
            return Err(failed("watch from the load's first revision", "etcd is silent"));
        }
        let Some(progress) = next_events(&mut stream, &mut events).await? else { continue };
        patience = Instant::now() + SILENCE_LIMIT;
        reached = reached.max(progress);
    }
    events.retain(|event| event.revision <= last);
    Ok(events)
}

/// Adds the events of the next message. A message without events reports progress: everything up to its revision was sent.
/// Nothing if no message came for a moment; then progress is asked for.
async fn next_events(
    stream: &mut WatchStream,
    events: &mut Vec<CommittedEvent>,
) -> Result<Option<Revision>, DumpError> {
    let attempt = "watch from the load's first revision";
    let message = match timeout(ATTEMPT_INTERVAL, stream.message()).await {
        Ok(Ok(Some(message))) => message,
        Ok(Ok(None)) => return Err(failed(attempt, "etcd ended the watch")),
        Ok(Err(error)) => return Err(failed(attempt, &error.to_string())),
        Err(_) => {
            limited("ask for the watch's progress", stream.request_progress()).await?;
            return Ok(None);
        }
    };
    if message.compact_revision() > 0 {
        return Err(DumpError::Compacted { compacted: message.compact_revision() });
    }
    if message.canceled() {
        return Err(failed(attempt, &format!("etcd cancelled the watch: {}", message.cancel_reason())));
    }
    for event in message.events() {
        events.push(committed(event)?);
    }
    let is_progress = message.events().is_empty() && !message.created();
    let revision = message.header().map_or(Ok(0), |header| positive(header.revision()))?;
    Ok(Some(if is_progress { Revision(revision) } else { Revision(0) }))
}

fn committed(event: &Event) -> Result<CommittedEvent, DumpError> {
    let attempt = "understand an event of the final watch";
    let pair = event.kv().ok_or_else(|| failed(attempt, "an event without a key"))?;
    change_of(attempt, event.event_type(), pair)
}

/// A key as etcd has it: what its last change was.
pub(super) fn change_of(
    attempt: &'static str,
    kind: EventType,
    pair: &KeyValue,
) -> Result<CommittedEvent, DumpError> {
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec())
            .map_err(|_| failed(attempt, "something below our prefix is not text"))
    };
    let change = match kind {
        EventType::Put => {
            CommittedChange::Put { value: Value(text(pair.value())?), version: positive(pair.version())? }
        }
        EventType::Delete => CommittedChange::Delete,
    };
    Ok(CommittedEvent {
        revision: Revision(positive(pair.mod_revision())?),
        key: Key(text(pair.key())?),
        change,
    })
}

pub(super) async fn limited<T, E: std::fmt::Display>(
    attempt: &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, DumpError> {
    match timeout(SILENCE_LIMIT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failed(attempt, &error.to_string())),
        Err(_) => Err(failed(attempt, "no answer in time")),
    }
}

pub(super) fn positive(number: i64) -> Result<u64, DumpError> {
    u64::try_from(number).map_err(|_| failed("understand a number of etcd", "it is negative"))
}

pub(super) fn failed(attempt: &'static str, cause: &str) -> DumpError {
    DumpError::Attempt { attempt, cause: cause.to_owned() }
}
