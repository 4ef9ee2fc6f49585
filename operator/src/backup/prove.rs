//! Proves a backup by restoring it: brought from its store, made a data directory by `etcdutl`, started as an etcd of its own, hashed.
//! Nothing of it is left afterwards but what was found.

use super::restore::{MakeError, fitting_version, make};
use super::throwaway::{Addresses, NAME, Throwaway, ThrowawayError};
use super::tools::Tools;
use super::{Context, written_by};
use crate::etcd::User;
use etcd_operator_core::backup::manifest::{Manifest, Proof};
use etcd_operator_core::backup::proof::{Comparison, compare};
use etcd_operator_core::backup::restoring::{Member, Revisions};
use std::path::Path;
use tempfile::TempDir;
use thiserror::Error;

/// Why nothing is known of a backup.
#[derive(Debug, Error)]
pub enum ProveError {
    /// There is no room to restore it in.
    #[error("failed to make a folder in {scratch}")]
    Scratch {
        /// Where.
        scratch: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It could not be restored.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// The restored etcd failed.
    #[error(transparent)]
    Throwaway(#[from] ThrowawayError),
}

/// What came of it.
#[derive(Debug)]
pub enum Proved {
    /// It is what the cluster had.
    Good(Proof),
    /// It could not be compared.
    Incomparable(String),
    /// It is not what the cluster had.
    Bad(String),
}

/// Restores a backup in a folder below `scratch`, and compares.
pub async fn prove(
    context: &Context,
    manifest: &Manifest,
    tools: &Tools,
    scratch: &Path,
    user: Option<&User>,
) -> Result<Proved, ProveError> {
    let etcd_version = fitting_version(manifest, tools).await?;
    let room = TempDir::with_prefix_in("etcd-proof-", scratch)
        .map_err(|source| ProveError::Scratch { scratch: scratch.display().to_string(), source })?;
    let addresses = Addresses::choose()?;
    let initial_cluster = format!("{NAME}={}", addresses.peer);
    let peer_urls = addresses.peer.to_string();
    let member = Member { name: NAME, initial_cluster: &initial_cluster, token: NAME, peer_urls: &peer_urls };
    let data = make(context, manifest, tools, room.path(), &member, Revisions::Kept).await?;
    let mut restored = Throwaway::start(tools, &data, room.path().join("etcd.log"), addresses)?;
    let (revision, found) = restored.hash(manifest.data.revision).await?;
    let keys = restored.count_keys(&context.connector, revision, user).await?;
    Ok(match context.distortion.comparison(compare(&manifest.data, &found, revision)) {
        Comparison::Different(why) => Proved::Bad(why),
        Comparison::Incomparable(why) => Proved::Incomparable(why),
        Comparison::Same => Proved::Good(Proof {
            name: manifest.name.clone(),
            proved_at: context.clock.wall(),
            etcd_version,
            revision,
            keys,
            data: found,
            written_by: written_by(),
        }),
    })
}
