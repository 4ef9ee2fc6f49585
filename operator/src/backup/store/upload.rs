//! An upload of an object in parts, whose memory is a few parts whatever the object's length. It ends by being completed or aborted;
//! what was neither is left for whoever finds its ID.

use super::{Parts, Store, StoreError};
use bytes::Bytes;
use etcd_operator_core::backup::layout::{BackupId, Part};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt};
use std::sync::Arc;
use std::time::Duration;

/// Every part but the last is exactly so long: some stores want equal ones, and none takes shorter ones. With 10,000 parts, the most
/// that S3 takes, a compressed snapshot may have 48 GiB.
pub const PART_BYTES: usize = 5 << 20;
/// So many parts are under way at once; with those that wait, all memory that a snapshot's length could matter to.
const AT_ONCE: usize = 2;

/// Parts that are still under way when an upload is aborted are waited for so long.
const SETTLING: Duration = Duration::from_secs(5);

enum Target {
    Remote { store: Arc<dyn MultipartStore>, id: String },
    Folder(Box<dyn MultipartUpload>),
}

/// An upload that was begun.
pub struct Upload {
    store: Store,
    id: BackupId,
    part: Part,
    path: Path,
    target: Target,
    under_way: FuturesOrdered<BoxFuture<'static, object_store::Result<Option<PartId>>>>,
    stored: Vec<PartId>,
    count: usize,
}

impl Store {
    /// Begins to store an object in parts.
    pub async fn begin(&self, id: &BackupId, part: Part) -> Result<Upload, StoreError> {
        let name = id.path(part);
        let path = self.at(&name);
        let target = async {
            Ok(match &self.parts {
                Parts::Remote(store) => {
                    Target::Remote { store: store.clone(), id: store.create_multipart(&path).await? }
                }
                Parts::Folder(_) => Target::Folder(self.objects.put_multipart(&path).await?),
            })
        };
        let target = target.await.map_err(self.failed(|| format!("begin an upload of {name}")))?;
        let under_way = FuturesOrdered::new();
        let (store, id, stored) = (self.clone(), id.clone(), Vec::new());
        Ok(Upload { store, id, part, path, target, under_way, stored, count: 0 })
    }

    /// Ends an upload that nobody carries on, whoever began it. One that is gone is ended.
    pub async fn abort(&self, id: &BackupId, part: Part, upload_id: Option<&str>) -> Result<(), StoreError> {
        let name = id.path(part);
        match (&self.parts, upload_id) {
            (Parts::Remote(store), Some(upload_id)) => {
                let ended = store.abort_multipart(&self.at(&name), &upload_id.to_owned()).await;
                match ended.map_err(self.failed(|| format!("abort the upload of {name}"))) {
                    Err(error) if error.is_missing => Ok(()),
                    other => other,
                }
            }
            (Parts::Remote(_), None) => Ok(()),
            (Parts::Folder(root), _) => remove_staged(&root.join(&name)).map_err(|error| StoreError {
                store: self.location.to_string(),
                what: format!("remove what was left of {name}"),
                answer: error.to_string(),
                is_missing: false,
            }),
        }
    }
}

/// Removes the files beside an object that were to take its place: they have its name, `#` and a number.
fn remove_staged(object: &std::path::Path) -> std::io::Result<()> {
    let (Some(folder), Some(name)) = (object.parent(), object.file_name()) else { return Ok(()) };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let staged = format!("{}#", name.to_string_lossy());
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&staged));
        let is_ours = number
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
        if is_ours && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Upload {
    /// The store's ID of it, by which it can be aborted.
    pub fn id(&self) -> Option<&str> {
        match &self.target {
            Target::Remote { id, .. } => Some(id),
            Target::Folder(_) => None,
        }
    }

    /// Adds the next part, once fewer than [`AT_ONCE`] are under way.
    pub async fn add(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        while self.under_way.len() >= AT_ONCE {
            self.settle_one().await?;
        }
        let index = self.count;
        self.count += 1;
        let part: BoxFuture<'static, object_store::Result<Option<PartId>>> = match &mut self.target {
            Target::Remote { store, id } => {
                let (store, id, path) = (store.clone(), id.clone(), self.path.clone());
                Box::pin(async move { store.put_part(&path, &id, index, bytes.into()).await.map(Some) })
            }
            Target::Folder(upload) => {
                let stored = upload.put_part(bytes.into());
                Box::pin(async move { stored.await.map(|()| None) })
            }
        };
        self.under_way.push_back(part);
        Ok(())
    }

    /// Whether parts are under way.
    pub fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Goes on until one of the parts that are under way is stored.
    pub async fn settle_one(&mut self) -> Result<(), StoreError> {
        if let Some(settled) = self.under_way.next().await {
            let part = settled
                .map_err(self.store.failed(|| format!("store a part of {}", self.id.path(self.part))))?;
            self.stored.extend(part);
        }
        Ok(())
    }

    /// Makes the object of its parts.
    pub async fn complete(&mut self) -> Result<(), StoreError> {
        while !self.under_way.is_empty() {
            self.settle_one().await?;
        }
        let completed = match &mut self.target {
            Target::Remote { store, id } => {
                store.complete_multipart(&self.path, id, std::mem::take(&mut self.stored)).await
            }
            Target::Folder(upload) => upload.complete().await,
        };
        completed.map(drop).map_err(self.store.failed(|| format!("put {} together", self.id.path(self.part))))
    }

    /// Takes back what was stored of it. Parts under way are waited for, though not for long: one that arrives after an upload was
    /// aborted stays in the store.
    pub async fn abort(mut self) -> Result<(), StoreError> {
        let settled = async { while self.under_way.next().await.is_some() {} };
        let _ = tokio::time::timeout(SETTLING, settled).await;
        // What is left of it goes with it, and so it stays until then.
        self.store.abort(&self.id, self.part, self.id()).await
    }
}
