//! A store of backups: objects below one folder of a bucket or a file system. It names the store's own answer in every error, and
//! decides nothing about backups.

mod open;
mod upload;

pub use open::{Options, open};
pub use upload::{PART_BYTES, Upload};

use bytes::{Bytes, BytesMut};
use etcd_operator_core::backup::inventory::Inventory;
use etcd_operator_core::backup::layout::{BackupId, Part};
use etcd_operator_core::backup::location::{Location, readable};
use etcd_operator_core::backup::manifest::{self, Document, NoDocument};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use tokio::io::AsyncReadExt as _;

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The store did not do what it was asked for.
#[derive(Debug, Error)]
#[error("{store} failed to {what}: {answer}")]
pub struct StoreError {
    /// Which store.
    pub store: String,
    /// What it was to do.
    pub what: String,
    /// In its own words.
    pub answer: String,
    /// There is no such object.
    pub is_missing: bool,
}

/// An error with the causes that its own text leaves out.
fn words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
    causes.fold(
        error.to_string(),
        |said, cause| if said.contains(&cause) { said } else { format!("{said}: {cause}") },
    )
}

/// Why an object of ours could not be read.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It says something else.
    #[error("failed to understand {path}")]
    Text {
        /// Which.
        path: String,
        /// What is wrong with it.
        #[source]
        source: NoDocument,
    },
}

impl DocumentError {
    /// Which backup cannot be read, if it is about one.
    pub fn backup(&self) -> Option<BackupId> {
        match self {
            DocumentError::Store(_) => None,
            DocumentError::Text { path, source: _ } => BackupId::of_path(path).map(|(id, _)| id),
        }
    }
}

/// How objects are stored that are too large for one request.
#[derive(Clone)]
enum Parts {
    /// In parts, by an upload that has an ID.
    Remote(Arc<dyn MultipartStore>),
    /// In a file beside the object, which takes its place at the end. The folder, to find what was left of it.
    Folder(PathBuf),
}

/// An open store.
#[derive(Clone)]
pub struct Store {
    location: Location,
    folder: String,
    objects: Arc<dyn ObjectStore>,
    parts: Parts,
}

/// The bytes of a file from where it stands.
fn chunks(file: tokio::fs::File) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(file, async |mut file| {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let read = file.read_buf(&mut chunk).await?;
        Ok((read > 0).then(|| (chunk.freeze(), file)))
    })
}

impl Store {
    fn at(&self, path: &str) -> Path {
        Path::from_iter(self.folder.split('/').chain(path.split('/')).filter(|part| !part.is_empty()))
    }

    fn failed(&self, what: impl FnOnce() -> String) -> impl FnOnce(object_store::Error) -> StoreError {
        let (store, what) = (self.location.to_string(), what());
        move |error| StoreError {
            store,
            what,
            is_missing: matches!(error, object_store::Error::NotFound { .. }),
            answer: readable(&words(&error)),
        }
    }

    /// Everything in it.
    pub async fn list(&self) -> Result<Inventory, StoreError> {
        let below = self.at("");
        let paths = self.objects.list(Some(&below)).map_ok(|object| object.location).map_ok(|path| {
            let inside = path
                .prefix_match(&below)
                .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
            inside.unwrap_or_else(|| path.to_string())
        });
        let paths: Vec<String> =
            paths.try_collect().await.map_err(self.failed(|| "list its objects".to_owned()))?;
        Ok(Inventory::of(paths))
    }

    /// What one of our objects says; nothing if it is not there.
    pub async fn document<D: Document>(&self, id: &BackupId) -> Result<Option<D>, DocumentError> {
        let path = id.path(D::PART);
        let Some(bytes) = self.small(&path).await? else { return Ok(None) };
        manifest::read(&bytes).map(Some).map_err(|source| DocumentError::Text { path, source })
    }

    /// The manifest in a backup's folder, if it is there and that backup's.
    pub async fn manifest(&self, id: &BackupId) -> Result<Option<manifest::Manifest>, DocumentError> {
        let path = id.path(Part::Manifest);
        let Some(bytes) = self.small(&path).await? else { return Ok(None) };
        manifest::read_at(id, &bytes).map(Some).map_err(|source| DocumentError::Text { path, source })
    }

    async fn small(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        let read = async { self.objects.get(&self.at(path)).await?.bytes().await };
        match read.await.map_err(self.failed(|| format!("read {path}"))) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_missing => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes one of our objects. Names of backups are never used again, so nobody else's is replaced.
    pub async fn write<D: Document>(&self, id: &BackupId, document: &D) -> Result<(), StoreError> {
        let path = id.path(D::PART);
        let text = manifest::write(document);
        let written = self.objects.put(&self.at(&path), text.into()).await;
        written.map(drop).map_err(self.failed(|| format!("write {path}")))
    }

    /// The length of an object.
    pub async fn length(&self, id: &BackupId, part: Part) -> Result<u64, StoreError> {
        let path = id.path(part);
        let found = self.objects.head(&self.at(&path)).await;
        found.map(|object| object.size).map_err(self.failed(|| format!("tell the length of {path}")))
    }

    /// When an object was written, by the store's own clock.
    pub async fn modified(&self, id: &BackupId, part: Part) -> Result<Timestamp, StoreError> {
        let path = id.path(part);
        let found = self.objects.head(&self.at(&path)).await;
        let found = found.map_err(self.failed(|| format!("tell the time of {path}")))?;
        Ok(Timestamp::from_second(found.last_modified.timestamp()).unwrap_or(Timestamp::MIN))
    }

    /// The bytes of an object, as they come.
    pub async fn stream(
        &self,
        id: &BackupId,
        part: Part,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let path = id.path(part);
        let found =
            self.objects.get(&self.at(&path)).await.map_err(self.failed(|| format!("read {path}")))?;
        let store = self.clone();
        match found.payload {
            // The library's own stream of a file comes in chunks so small that waiting for each takes most of the time.
            GetResultPayload::File(file, _) => Ok(chunks(tokio::fs::File::from_std(file))
                .map(move |bytes| {
                    bytes.map_err(|error| StoreError {
                        store: store.location.to_string(),
                        what: format!("read {path}"),
                        answer: error.to_string(),
                        is_missing: false,
                    })
                })
                .boxed()),
            GetResultPayload::Stream(bytes) => {
                Ok(bytes.map(move |bytes| bytes.map_err(store.failed(|| format!("read {path}")))).boxed())
            }
        }
    }

    /// Deletes an object. One that is not there is deleted.
    pub async fn delete(&self, id: &BackupId, part: Part) -> Result<(), StoreError> {
        let path = id.path(part);
        match self.objects.delete(&self.at(&path)).await.map_err(self.failed(|| format!("delete {path}"))) {
            Err(error) if error.is_missing => Ok(()),
            other => other,
        }
    }
}
