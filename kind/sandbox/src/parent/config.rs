//! What a sandbox is told when it starts. Plain data, handed from process to process as JSON.

use crate::tree::TreeConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How to start a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxConfig {
    /// Shown in the kubeconfig as cluster and context.
    pub name: String,
    /// Where it stands, and how long. The state directory is made if missing.
    pub tree: TreeConfig,
    /// The images that pods may name. Others are `ErrImagePull`.
    pub images: BTreeMap<ImageReference, ImageSource>,
}

/// The name of an image, as in a container's `image` field, with its tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageReference(String);

impl ImageReference {
    /// A reference without a tag means `latest`, as everywhere.
    pub fn new(reference: impl Into<String>) -> Self {
        let reference = reference.into();
        let name = reference.rsplit('/').next().unwrap_or(&reference);
        if name.contains([':', '@']) { Self(reference) } else { Self(format!("{reference}:latest")) }
    }

    /// The reference with its tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ImageReference {
    fn from(reference: &str) -> Self {
        Self::new(reference)
    }
}

impl std::fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What an image holds: files of the host shown in the container, read-only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSource {
    /// Path in the container to path on the host; a directory is shown whole.
    pub files: BTreeMap<PathBuf, PathBuf>,
    /// The command when a container names none.
    pub entrypoint: Vec<String>,
    /// Variables of the image; a container's own win.
    pub environment: BTreeMap<String, String>,
    /// The user when a container names none; root otherwise.
    pub user: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_means_latest() {
        assert_eq!(ImageReference::new("registry:5000/etcd").as_str(), "registry:5000/etcd:latest");
        assert_eq!(ImageReference::new("chaos:v0.1.0").as_str(), "chaos:v0.1.0");
    }
}
