//! A snapshot from its store to a file: checked against its manifest and against etcd's own digest on the way, so that a changed or cut
//! one is never restored. Memory is a few chunks, whatever the length.

use super::WAITING_CHUNKS;
use super::store::{Store, StoreError};
use bytes::Bytes;
use etcd_operator_core::backup::layout::{BackupId, Part};
use etcd_operator_core::backup::manifest::Manifest;
use etcd_operator_core::backup::trailer::{NotWhole, Trailer};
use etcd_operator_core::names::hexadecimal;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use thiserror::Error;
use tokio::sync::mpsc;

/// Why a snapshot could not be brought.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored is not what was stored.
    #[error("{id} is damaged: {what}")]
    Damaged {
        /// Which backup.
        id: BackupId,
        /// In what it is not as it was.
        what: String,
    },
    /// The file cannot be written.
    #[error("failed to write {path}")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The decompressor's thread died.
    #[error("the decompressor ended early")]
    Decompressor(#[source] tokio::task::JoinError),
}

/// What the bytes turned out to be.
struct Arrived {
    stored_bytes: u64,
    stored_sha256: String,
    snapshot: Result<(u64, String), NotWhole>,
}

/// Why bytes could not become a snapshot.
enum Broken {
    File(io::Error),
    Stream(io::Error),
}

/// Writes a backup's snapshot to a file, as etcd sent it. The file is only read by what comes next, and need not outlast the machine.
pub async fn fetch(store: &Store, manifest: &Manifest, file: &Path) -> Result<(), FetchError> {
    let id = manifest.id();
    let failed = |source| FetchError::File { path: file.display().to_string(), source };
    let target = File::create_new(file).map_err(failed)?;
    let (chunks, waiting) = mpsc::channel::<Bytes>(WAITING_CHUNKS);
    let unpacking = tokio::task::spawn_blocking(move || unpack(waiting, target));
    let mut stream = store.stream(&id, Part::Snapshot).await?;
    while let Some(bytes) = stream.next().await {
        // The decompressor has failed, and says itself why.
        if chunks.send(bytes?).await.is_err() {
            break;
        }
    }
    drop(chunks);
    let damaged = |what: String| FetchError::Damaged { id: id.clone(), what };
    match unpacking.await.map_err(FetchError::Decompressor)? {
        Err(Broken::File(source)) => Err(failed(source)),
        Err(Broken::Stream(error)) => Err(damaged(format!("it cannot be decompressed: {error}"))),
        Ok(arrived) => differs(manifest, &arrived).map_or(Ok(()), |what| Err(damaged(what))),
    }
}

/// In what something differs from what its manifest says.
fn differs(manifest: &Manifest, arrived: &Arrived) -> Option<String> {
    let expected = &manifest.snapshot;
    if arrived.stored_bytes != expected.stored_bytes {
        return Some(format!("it has {} bytes, and had {}", arrived.stored_bytes, expected.stored_bytes));
    }
    if arrived.stored_sha256 != expected.stored_sha256 {
        return Some(format!("its SHA-256 is {}, and was {}", arrived.stored_sha256, expected.stored_sha256));
    }
    match &arrived.snapshot {
        Err(not_whole) => Some(not_whole.to_string()),
        Ok((bytes, sha256)) if (bytes, sha256) != (&expected.bytes, &expected.database_sha256) => {
            Some("it is another snapshot than its manifest says".to_owned())
        }
        Ok(_) => None,
    }
}

/// Decompresses what comes until nothing more does. Blocks.
fn unpack(mut chunks: mpsc::Receiver<Bytes>, target: File) -> Result<Arrived, Broken> {
    let mut hasher = Sha256::new();
    let mut stored_bytes = 0;
    let output = Output { file: target, trailer: Trailer::default(), failure: None };
    let mut decoder = zstd::stream::write::Decoder::new(output).map_err(Broken::Stream)?;
    while let Some(chunk) = chunks.blocking_recv() {
        hasher.update(&chunk);
        stored_bytes += chunk.len() as u64;
        if let Err(error) = decoder.write_all(&chunk) {
            return Err(broken(decoder.into_inner(), error));
        }
    }
    if let Err(error) = decoder.flush() {
        return Err(broken(decoder.into_inner(), error));
    }
    let output = decoder.into_inner();
    let snapshot = output.trailer.finish().map(|whole| (whole.bytes, whole.database_sha256));
    Ok(Arrived { stored_bytes, stored_sha256: hexadecimal(&hasher.finalize()), snapshot })
}

/// Whether the file failed, or the stream is none.
fn broken(output: Output, error: io::Error) -> Broken {
    output.failure.map_or(Broken::Stream(error), Broken::File)
}

/// A file that is looked at on the way.
struct Output {
    file: File,
    trailer: Trailer,
    failure: Option<io::Error>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
            Ok(written) => {
                self.trailer.take(&bytes[..written]);
                Ok(written)
            }
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
