//! Takes one backup: from a member that is fit for it, through the compressor, into the store, and the manifest last. What fails on the
//! way is taken back; what was killed on the way is taken back by the next one.

use super::list::list;
use super::squeeze::{SqueezeError, squeeze};
use super::store::{DocumentError, StoreError, Upload};
use super::{Context, WAITING_CHUNKS, written_by};
use crate::etcd::{Access, Connection, EtcdError, EtcdMember};
use crate::telemetry::chain;
use bytes::Bytes;
use etcd_operator_core::backup::inventory::{Backup, Inventory, is_given_up};
use etcd_operator_core::backup::layout::{BackupId, Part};
use etcd_operator_core::backup::manifest::{self, Hash, Manifest, Snapshot};
use etcd_operator_core::backup::name::BackupName;
use etcd_operator_core::backup::source::{Candidate, NoSource, choose};
use etcd_operator_core::cluster::desired::EtcdVersion;
use etcd_operator_core::cluster::observed::AlarmKind;
use etcd_operator_core::names::{ClusterId, Endpoint, MemberId, Scheme};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;

/// How often it is said how far it is.
const SAID_EVERY: Duration = Duration::from_secs(5);

/// What is to be backed up.
#[derive(Debug, Clone)]
pub struct Order {
    /// Members of one cluster.
    pub endpoints: Vec<Endpoint>,
    /// How they are reached.
    pub access: Access,
    /// The schedule that asks for it, if one does.
    pub schedule: Option<String>,
    /// What all attempts have in common, if there may be several.
    pub run: Option<String>,
    /// Given up after so long.
    pub within: Duration,
}

/// Why there is no backup.
#[derive(Debug, Error)]
pub enum TakeError {
    /// No member is fit for it.
    #[error(transparent)]
    NoSource(#[from] NoSource),
    /// Users are in force, and this one may not take snapshots.
    #[error("a snapshot needs a user with etcd's role `root`")]
    NotAuthorized(#[source] EtcdError),
    /// The member did not answer as it should.
    #[error("failed to take a snapshot")]
    Etcd(#[from] EtcdError),
    /// The member says a version that is none.
    #[error("{0:?} is no version of etcd")]
    Version(String),
    /// The cluster was compacted beyond what was read, between two questions.
    #[error("the cluster was compacted meanwhile")]
    Compacted(#[source] EtcdError),
    /// Behind the address there are several members.
    #[error("another member answers at {0} than before: name members themselves, or a headless Service")]
    OtherMember(Endpoint),
    /// What came was no whole snapshot.
    #[error(transparent)]
    Squeeze(#[from] SqueezeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What lies in the store cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is not stored as it was sent.
    #[error("{stored} bytes are stored of {sent} that were sent")]
    Length {
        /// What the store says.
        stored: u64,
        /// What we sent.
        sent: u64,
    },
    /// It took too long.
    #[error("it was not done within {0:?}")]
    TooLong(Duration),
    /// Somebody asked us to end.
    #[error("interrupted")]
    Interrupted,
    /// The compressor's thread died.
    #[error("the compressor ended early")]
    Compressor(#[source] tokio::task::JoinError),
}

/// The member that was chosen, and what is known of it.
struct Source {
    connection: Connection,
    cluster: ClusterId,
    member: MemberId,
    version: EtcdVersion,
    revision: i64,
    authentication: bool,
}

/// Takes a backup.
pub async fn take(context: &Context, order: &Order) -> Result<Manifest, TakeError> {
    let asked_for_at = context.clock.wall();
    let source = find_source(context, order).await?;
    end_given_up(context, source.cluster).await?;
    let name = BackupName::new(asked_for_at, &context.identifiers.entropy());
    let id = BackupId { cluster: source.cluster, name };
    (context.say)(&format!(
        "backing up cluster {} from {} to {}",
        id.cluster,
        source.connection.endpoint(),
        id.name
    ));
    let (mut upload, given_up_at) = begin(context, &id, order).await?;
    let transferred = tokio::select! {
        biased;
        () = context.interrupted.clone() => Err(TakeError::Interrupted),
        done = tokio::time::timeout(order.within, transfer(context, &id, &source, &mut upload)) => {
            done.unwrap_or(Err(TakeError::TooLong(order.within)))
        }
    };
    let (snapshot, data) = match transferred {
        Ok(transferred) => transferred,
        Err(error) => {
            take_back(context, &id, upload).await;
            return Err(error);
        }
    };
    let stored = context.store.length(&id, Part::Snapshot).await?;
    if stored != snapshot.stored_bytes {
        remove(context, &id, order.run.as_deref()).await?;
        return Err(TakeError::Length { stored, sent: snapshot.stored_bytes });
    }
    let manifest = Manifest {
        name: id.name.clone(),
        cluster_id: id.cluster,
        member_id: source.member,
        etcd_version: source.version,
        schedule: order.schedule.clone(),
        run: order.run.clone(),
        asked_for_at,
        stored_at: context.clock.wall(),
        authentication: source.authentication,
        data,
        snapshot,
        encrypted_for: context.keys.recipients().into_iter().next(),
        written_by: written_by(),
    };
    // From then on somebody else may take it for one that nobody carries on, and remove the snapshot.
    if manifest.stored_at >= given_up_at {
        return Err(TakeError::TooLong(order.within));
    }
    context.store.write(&id, &manifest).await?;
    remove_unproved(context, &manifest).await?;
    if let Err(error) = context.store.delete(&id, Part::Upload).await {
        (context.say)(&format!("its upload.json stays until it has expired: {error}"));
    }
    Ok(manifest)
}

/// Asks all members, and chooses.
async fn find_source(context: &Context, order: &Order) -> Result<Source, TakeError> {
    let endpoints = each_address(&order.endpoints).await;
    let connect = |endpoint| context.connector.connection_for_long(endpoint, &order.access);
    let mut connections: Vec<Connection> = endpoints.iter().map(connect).collect();
    let asked = join_all(connections.iter().map(ask)).await;
    let answers: Vec<Answer> = asked.into_iter().collect::<Result<_, EtcdError>>().map_err(told)?;
    let candidates: Vec<Candidate<&Endpoint>> =
        answers.iter().filter_map(|answer| answer.candidate.clone().ok()).collect();
    let candidates = context.distortion.candidates(candidates);
    let (chosen, revision) = match choose(&candidates) {
        Err(NoSource::Nobody { reasons }) => {
            let silent = answers.iter().filter_map(|answer| answer.candidate.as_ref().err().cloned());
            return Err(NoSource::Nobody { reasons: reasons.into_iter().chain(silent).collect() }.into());
        }
        other => other?,
    };
    let is_chosen = |answer: &Answer<'_>| {
        answer
            .candidate
            .as_ref()
            .is_ok_and(|one| one.endpoint == chosen.endpoint && one.member == chosen.member)
    };
    let index = answers.iter().position(is_chosen);
    let index = index.expect("a candidate is one of the answers");
    let version = &answers[index].version;
    let version = EtcdVersion::parse(version).ok_or_else(|| TakeError::Version(version.clone()))?;
    let (cluster, member) = (chosen.cluster, chosen.member);
    let connection = connections.swap_remove(index);
    let authentication = connection.authentication().await.map_err(told)?;
    Ok(Source { connection, cluster, member, version, revision, authentication })
}

/// A name that stands for several members, such as that of a headless Service, is each of their addresses. By TLS it stays a name, for
/// members prove to have it; so does one that is not known now, for whoever connects says so best.
async fn each_address(endpoints: &[Endpoint]) -> Vec<Endpoint> {
    let mut each = Vec::new();
    for endpoint in endpoints {
        let found = match endpoint.scheme {
            Scheme::Http => tokio::net::lookup_host((endpoint.address.as_str(), endpoint.port)).await.ok(),
            Scheme::Https => None,
        };
        let addresses: BTreeSet<IpAddr> = found.into_iter().flatten().map(|found| found.ip()).collect();
        if addresses.is_empty() {
            each.push(endpoint.clone());
        }
        each.extend(
            addresses
                .into_iter()
                .map(|address| Endpoint { address: address.to_string(), ..endpoint.clone() }),
        );
    }
    each
}

/// What one endpoint said.
struct Answer<'a> {
    /// As a candidate, or why it is none.
    candidate: Result<Candidate<&'a Endpoint>, String>,
    version: String,
}

/// Asks one member. Only a refusal for want of credentials ends it all: nobody else would say anything better.
async fn ask(connection: &Connection) -> Result<Answer<'_>, EtcdError> {
    let endpoint = connection.endpoint();
    let (status, read, alarms) =
        tokio::join!(connection.status(), connection.current_revision(), connection.alarms());
    if let Err(error @ EtcdError::NotAuthorized { .. }) = read {
        return Err(error);
    }
    let status = match status {
        Ok(status) => status,
        Err(error @ EtcdError::NotAuthorized { .. }) => return Err(error),
        Err(error) => return Ok(Answer { candidate: Err(error.to_string()), version: String::new() }),
    };
    let member = status.member_id;
    // Who cannot be asked may have one.
    let read = match &alarms {
        Ok(_) => read.map_err(|error| error.to_string()),
        Err(error) => Err(format!("failed to ask for alarms: {error}")),
    };
    let is_corrupt = alarms.iter().flatten().any(|alarm| {
        alarm.kind == AlarmKind::Corrupt && (alarm.member_id == member || alarm.member_id.0 == 0)
    });
    let candidate = Candidate {
        endpoint,
        cluster: status.cluster_id,
        member,
        is_learner: status.is_learner,
        leads: status.leader == Some(member),
        is_corrupt,
        read,
    };
    Ok(Answer { candidate: Ok(candidate), version: status.version })
}

/// A refusal, with what it means.
fn told(error: EtcdError) -> TakeError {
    match error {
        error @ EtcdError::NotAuthorized { .. } => TakeError::NotAuthorized(error),
        error => TakeError::Etcd(error),
    }
}

/// The member has no data of that revision any more, in etcd's words (`mvcc.ErrCompacted`).
fn of_hash(error: EtcdError) -> TakeError {
    let is_compacted =
        matches!(&error, EtcdError::Refused { message, .. } if message.contains("has been compacted"));
    if is_compacted { TakeError::Compacted(error) } else { told(error) }
}

/// Ends the uploads of this cluster that were killed on the way. What cannot be ended is told, and keeps nobody from a new backup.
async fn end_given_up(context: &Context, cluster: ClusterId) -> Result<(), TakeError> {
    if context.distortion.forgets_uploads() {
        return Ok(());
    }
    for id in context.store.list().await?.begun(cluster) {
        if let Err(error) = end_if_given_up(context, id).await {
            (context.say)(&format!("what is left of {} stays: {}", id.name, chain(&error)));
        }
    }
    Ok(())
}

/// An upload that has become a backup only leaves its record behind; of any other nothing stays.
async fn end_if_given_up(context: &Context, id: &BackupId) -> Result<(), TakeError> {
    let upload: Option<manifest::Upload> = context.store.document(id).await?;
    let Some(upload) = upload.filter(|upload| is_given_up(upload, context.clock.wall())) else {
        return Ok(());
    };
    if context.store.manifest(id).await?.is_none() {
        (context.say)(&format!("removing what was left of {}, begun at {}", id.name, upload.began_at));
        context.store.abort(id, Part::Snapshot, upload.upload_id.as_deref()).await?;
        for part in [Part::Proof, Part::Snapshot] {
            context.store.delete(id, part).await?;
        }
    }
    Ok(context.store.delete(id, Part::Upload).await?)
}

/// Removes what earlier attempts have stored and could not prove: each would leave a copy otherwise.
async fn remove_unproved(context: &Context, newest: &Manifest) -> Result<(), TakeError> {
    if newest.run.is_none() {
        return Ok(());
    }
    let listed = list(&context.store).await?;
    let is_left = |backup: &&Backup| {
        let Manifest { name, cluster_id, run, .. } = &backup.manifest;
        // A later one may be another attempt's, which runs beside this one because nobody knows what becomes of this one's node.
        let is_earlier = backup.manifest.asked_for_at < newest.asked_for_at && *name != newest.name;
        (*cluster_id, run) == (newest.cluster_id, &newest.run) && is_earlier && backup.proof.is_none()
    };
    for left in listed.backups.iter().filter(is_left) {
        (context.say)(&format!("removing {}, which an earlier attempt could not prove", left.manifest.name));
        remove(context, &left.manifest.id(), left.manifest.run.as_deref()).await?;
    }
    Ok(())
}

/// Begins the upload, and leaves word of it before its first part.
async fn begin(context: &Context, id: &BackupId, order: &Order) -> Result<(Upload, Timestamp), TakeError> {
    let upload = context.store.begin(id, Part::Snapshot).await?;
    let began_at = context.clock.wall();
    let within = SignedDuration::try_from(order.within).unwrap_or(SignedDuration::MAX);
    let record = manifest::Upload {
        upload_id: upload.id().map(str::to_owned),
        run: order.run.clone(),
        began_at,
        given_up_at: began_at.saturating_add(within).unwrap_or(Timestamp::MAX),
        written_by: written_by(),
    };
    match context.store.write(id, &record).await {
        Ok(()) => Ok((upload, record.given_up_at)),
        Err(error) => {
            take_back(context, id, upload).await;
            Err(error.into())
        }
    }
}

/// The snapshot's way from etcd into the store, and the hash of what it must hold.
async fn transfer(
    context: &Context,
    id: &BackupId,
    source: &Source,
    upload: &mut Upload,
) -> Result<(Snapshot, Hash), TakeError> {
    let mut stream = source.connection.snapshot().await.map_err(told)?;
    let (chunks, waiting) = mpsc::channel::<Bytes>(WAITING_CHUNKS);
    let (parts, mut squeezed) = mpsc::channel::<Bytes>(1);
    let recipient = context.keys.to_encrypt();
    let squeezing = tokio::task::spawn_blocking(move || squeeze(waiting, parts, recipient.as_ref()));
    let feed = async {
        let mut said = context.clock.monotonic();
        let mut bytes = 0;
        while let Some(chunk) = stream.next().await? {
            bytes += chunk.bytes.len() as u64;
            if context.clock.monotonic().saturating_sub(said) >= SAID_EVERY {
                said = context.clock.monotonic();
                (context.say)(&format!("{} of {} MiB", bytes >> 20, (bytes + chunk.remaining) >> 20));
            }
            // The compressor has failed, and says itself why.
            if chunks.send(chunk.bytes).await.is_err() {
                break;
            }
        }
        drop(chunks);
        Ok::<_, TakeError>(())
    };
    let store = async {
        loop {
            // What is under way must go on while the next part is made, or the store takes us for gone.
            tokio::select! {
                biased;
                part = squeezed.recv() => match part {
                    Some(part) => upload.add(part).await?,
                    None => break,
                },
                stored = upload.settle_one(), if upload.is_under_way() => stored?,
            }
        }
        drop(squeezed);
        Ok::<_, TakeError>(())
    };
    // Asked while the snapshot is taken: what is compacted later would not be comparable.
    let hash = async { source.connection.data_hash(source.revision).await.map_err(of_hash) };
    let ((), (), hash) = tokio::try_join!(feed, store, hash)?;
    let snapshot = squeezing.await.map_err(TakeError::Compressor)??;
    // A connection that broke is made anew, and behind an address of several members perhaps to another one.
    if source.connection.status().await.map_err(told)?.member_id != source.member {
        return Err(TakeError::OtherMember(source.connection.endpoint().clone()));
    }
    if let Err(error) = upload.complete().await {
        // The answer may be lost of what was carried out.
        let stored = context.store.length(id, Part::Snapshot).await;
        if !stored.is_ok_and(|stored| stored == snapshot.stored_bytes) {
            return Err(error.into());
        }
    }
    Ok((snapshot, hash.into()))
}

/// What an upload that came to nothing has left. Whatever cannot be taken back now is left to the next backup, by its record.
async fn take_back(context: &Context, id: &BackupId, upload: Upload) {
    let done = async {
        // The record of the upload goes last: it names what could not be ended.
        upload.abort().await?;
        for part in [Part::Snapshot, Part::Upload] {
            context.store.delete(id, part).await?;
        }
        Ok::<_, StoreError>(())
    };
    if let Err(error) = done.await {
        (context.say)(&format!("what was stored of {} stays until the next backup: {error}", id.name));
    }
}

/// Ends whatever uploads and deletions of a run have left, also where the manifest is gone or never was; the names.
pub async fn end_left_of_run(
    context: &Context,
    places: &Inventory,
    run: &str,
) -> Result<Vec<BackupName>, StoreError> {
    let mut ended = Vec::new();
    for (id, _) in places.folders.iter().filter(|(_, parts)| parts.contains(&Part::Upload)) {
        let upload: Option<manifest::Upload> = match context.store.document(id).await {
            Ok(upload) => upload,
            Err(DocumentError::Store(error)) => return Err(error),
            // Whose it is nobody can tell.
            Err(error) => {
                (context.say)(&chain(&error));
                continue;
            }
        };
        let Some(upload) = upload.filter(|upload| upload.run.as_deref() == Some(run)) else { continue };
        context.store.abort(id, Part::Snapshot, upload.upload_id.as_deref()).await?;
        erase(context, id).await?;
        ended.push(id.name.clone());
    }
    Ok(ended)
}

/// Removes a backup: the manifest first, so that what is half removed is no backup; and before that word is left of it as of an upload that
/// was given up, so that the next backup ends what this one could not; or the next deletion of the same run.
pub async fn remove(context: &Context, id: &BackupId, run: Option<&str>) -> Result<(), StoreError> {
    let now = context.clock.wall();
    let word = manifest::Upload {
        upload_id: None,
        run: run.map(str::to_owned),
        began_at: now,
        given_up_at: now,
        written_by: written_by(),
    };
    context.store.write(id, &word).await?;
    erase(context, id).await
}

/// Deletes all parts. The record of the upload goes last: while it is there, what is left is found again.
async fn erase(context: &Context, id: &BackupId) -> Result<(), StoreError> {
    for part in [Part::Manifest, Part::Proof, Part::Snapshot, Part::Upload] {
        context.store.delete(id, part).await?;
    }
    Ok(())
}
