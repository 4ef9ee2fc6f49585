//! What every cluster has beyond its components: the name server of pods and the storage classes. Applied once, while the
//! cluster starts.

use anyhow::{Context as _, Result};
use kube::Client;

use crate::subject::manifest;

const MANIFEST: &str = include_str!("../../../../kind/bare/addons.yaml");

/// The image of the name server, as its manifest names it.
pub(super) const NAME_SERVER_IMAGE: &str = "coredns:v1";

/// Applies them.
pub(super) async fn apply(client: &Client) -> Result<()> {
    for object in manifest::documents("kind/bare/addons.yaml", MANIFEST)? {
        manifest::apply(client, &object).await.context("failed to prepare names and storage")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::bare::config::NAME_SERVER;
    use crate::cluster::bare::provisioner::PROVISIONER;

    #[test]
    fn the_manifest_names_what_the_rest_of_the_cluster_expects() {
        for expected in [NAME_SERVER_IMAGE, &NAME_SERVER.to_string(), PROVISIONER] {
            assert!(MANIFEST.contains(expected), "{expected} is missing");
        }
    }
}
