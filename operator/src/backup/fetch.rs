//! A snapshot from its store to a file: decrypted, decompressed, checked against its manifest on the way, so that a changed or cut one is
//! never restored. Memory is a few chunks, whatever the length.

use super::WAITING_CHUNKS;
use super::keys::Keys;
use super::store::{Store, StoreError};
use age::{DecryptError, Decryptor};
use bytes::Bytes;
use etcd_operator_core::backup::encryption::{Locked, check_opens};
use etcd_operator_core::backup::layout::{BackupId, Part};
use etcd_operator_core::backup::manifest::Manifest;
use etcd_operator_core::backup::trailer::{NotWhole, Trailer};
use etcd_operator_core::names::hexadecimal;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use thiserror::Error;
use tokio::sync::mpsc;

/// How much is decompressed before it is written.
const BUFFER_BYTES: usize = 128 << 10;

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
    /// It is encrypted, and the key is not held.
    #[error("failed to open {id}")]
    Locked {
        /// Which backup.
        id: BackupId,
        /// Which keys are held.
        #[source]
        source: Locked,
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
    snapshot: Result<(u64, String), Unusable>,
}

/// Why bytes are no snapshot.
#[derive(Debug, Error)]
enum Unusable {
    #[error("it cannot be decrypted: {0}")]
    Encrypted(DecryptError),
    #[error("it cannot be decompressed: {0}")]
    Compressed(io::Error),
    #[error(transparent)]
    Cut(NotWhole),
    /// The file cannot be written, which says nothing of the bytes.
    #[error("failed to write it")]
    File(io::Error),
}

/// Writes a backup's snapshot to a file, as etcd sent it. The file is only read by what comes next, and need not outlast the machine.
pub async fn fetch(store: &Store, keys: &Keys, manifest: &Manifest, file: &Path) -> Result<(), FetchError> {
    let id = manifest.id();
    check_opens(manifest.encrypted_for.as_ref(), &keys.recipients())
        .map_err(|source| FetchError::Locked { id: id.clone(), source })?;
    let failed = |source| FetchError::File { path: file.display().to_string(), source };
    let target = File::create_new(file).map_err(failed)?;
    let (chunks, waiting) = mpsc::channel::<Bytes>(WAITING_CHUNKS);
    let keys = manifest.encrypted_for.is_some().then(|| keys.clone());
    let unpacking = tokio::task::spawn_blocking(move || unpack(waiting, keys.as_ref(), target));
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
        Arrived { snapshot: Err(Unusable::File(source)), .. } => Err(failed(source)),
        arrived => differs(manifest, &arrived).map_or(Ok(()), |what| Err(damaged(what))),
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
        Err(unusable) => Some(unusable.to_string()),
        Ok((bytes, sha256)) if (bytes, sha256) != (&expected.bytes, &expected.database_sha256) => {
            Some("it is another snapshot than its manifest says".to_owned())
        }
        Ok(_) => None,
    }
}

/// Decrypts what comes, if there are keys, and decompresses it until nothing more does. Blocks.
fn unpack(chunks: mpsc::Receiver<Bytes>, keys: Option<&Keys>, target: File) -> Arrived {
    let mut arriving = Arriving { chunks, rest: Bytes::new(), hasher: Sha256::new(), bytes: 0 };
    let snapshot = open(&mut arriving, keys, target);
    if !matches!(snapshot, Err(Unusable::File(_))) {
        // What is wrong with the bytes is told best by all of them.
        while arriving.next_chunk() {}
    }
    let stored_sha256 = hexadecimal(&arriving.hasher.finalize());
    Arrived { stored_bytes: arriving.bytes, stored_sha256, snapshot }
}

/// Length and digest of the snapshot that was written to the file.
fn open(arriving: &mut Arriving, keys: Option<&Keys>, target: File) -> Result<(u64, String), Unusable> {
    let snapshot = match keys {
        None => decompress(arriving, target)?,
        Some(keys) => {
            let decryptor = Decryptor::new(arriving).map_err(Unusable::Encrypted)?;
            decompress(decryptor.decrypt(keys.to_open()).map_err(Unusable::Encrypted)?, target)?
        }
    };
    let whole = snapshot.finish().map_err(Unusable::Cut)?;
    Ok((whole.bytes, whole.database_sha256))
}

/// Writes to a file what something compressed becomes, and looks at it on the way.
fn decompress(compressed: impl Read, mut target: File) -> Result<Trailer, Unusable> {
    let mut decoder = zstd::stream::read::Decoder::new(compressed).map_err(Unusable::Compressed)?;
    // All bytes are those that were stored, and then it was compared; and etcdutl compares it again.
    let mut trailer = Trailer::known();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = match decoder.read(&mut buffer) {
            Ok(0) => return Ok(trailer),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Unusable::Compressed(error)),
        };
        target.write_all(&buffer[..length]).map_err(Unusable::File)?;
        trailer.take(&buffer[..length]);
    }
}

/// The bytes as they are stored, counted and hashed as they are read.
struct Arriving {
    chunks: mpsc::Receiver<Bytes>,
    rest: Bytes,
    hasher: Sha256,
    bytes: u64,
}

impl Arriving {
    /// Takes the next chunk in, if there is one.
    fn next_chunk(&mut self) -> bool {
        let Some(chunk) = self.chunks.blocking_recv() else { return false };
        self.hasher.update(&chunk);
        self.bytes += chunk.len() as u64;
        self.rest = chunk;
        true
    }
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            if !self.next_chunk() {
                return Ok(0);
            }
        }
        let length = self.rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}
