//! Keeps the runner told of one kind: a listing, then a watch from its resourceVersion, and again from the start when
//! the watch is refused or breaks off. It decides nothing.
//!
//! kube's own watcher hides the resourceVersion of its listings; the snapshot needs it, so that a listing never undoes
//! what the answer to a later write has already told.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, ListParams, ObjectList, WatchEvent, WatchParams};
use kube::{Client, Resource};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};

use super::snapshot::{Kind, Object, Stored};

/// How long a listing may take before it is tried again.
const LISTING_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the server may keep one watch open; kube's client ends it a little later by itself.
const WATCH_SECONDS: u32 = 290;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// News of one kind.
#[derive(Debug)]
pub(crate) enum Observation {
    /// All objects of the kind, as of a resourceVersion.
    Listed {
        /// The kind.
        kind: Kind,
        /// When the listing was made.
        resource_version: u64,
        /// The objects.
        objects: Vec<Object>,
    },
    /// An object exists in this version.
    Applied(Object),
    /// An object is gone; this was its last state.
    Gone(Object),
}

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("failed to ask the API server")]
    Client(#[source] kube::Error),
    #[error("the listing took too long")]
    Slow,
    #[error("the API server ended the watch: {0}")]
    Ended(String),
}

/// Watches one kind for ever.
pub(crate) async fn reflect<K: Stored>(client: Client, news: UnboundedSender<Observation>) {
    let mut pause = FIRST_PAUSE;
    while !news.is_closed() {
        match list_and_watch::<K>(&client, &news).await {
            Ok(()) => pause = FIRST_PAUSE,
            Err(error) => {
                tracing::debug!(kind = %K::kind(&()), %error, "the watch of a controller broke off");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn list_and_watch<K: Stored>(
    client: &Client,
    news: &UnboundedSender<Observation>,
) -> Result<(), WatchError> {
    let api: Api<K> = Api::all_with(client.clone(), &());
    let parameters = ListParams::default();
    let listing = api.list(&parameters);
    let listed =
        timeout(LISTING_TIMEOUT, listing).await.map_err(|_| WatchError::Slow)?.map_err(WatchError::Client)?;
    let ObjectList { items, metadata, .. } = listed;
    let mut version = metadata.resource_version.unwrap_or_default();
    let resource_version = version.parse().unwrap_or_default();
    let objects = items.into_iter().map(K::into_object).collect();
    if news.send(Observation::Listed { kind: K::KIND, resource_version, objects }).is_err() {
        return Ok(());
    }
    loop {
        watch(&api, &mut version, news).await?;
    }
}

/// One watch, until the server ends it in good order; moves the version on to where the next one starts.
async fn watch<K: Stored>(
    api: &Api<K>,
    version: &mut String,
    news: &UnboundedSender<Observation>,
) -> Result<(), WatchError> {
    let parameters = WatchParams::default().timeout(WATCH_SECONDS);
    let mut events = api.watch(&parameters, version).await.map_err(WatchError::Client)?.boxed();
    while let Some(event) = events.try_next().await.map_err(WatchError::Client)? {
        let observation = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                *version = version_of(&object);
                Observation::Applied(object.into_object())
            }
            WatchEvent::Deleted(object) => {
                *version = version_of(&object);
                Observation::Gone(object.into_object())
            }
            WatchEvent::Bookmark(bookmark) => {
                version.clone_from(&bookmark.metadata.resource_version);
                continue;
            }
            WatchEvent::Error(status) => return Err(WatchError::Ended(status.message)),
        };
        if news.send(observation).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn version_of<K: Resource>(object: &K) -> String {
    object.meta().resource_version.clone().unwrap_or_default()
}
