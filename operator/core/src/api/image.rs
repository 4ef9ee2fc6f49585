//! What users say of images. Never decides.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::described;

/// Where the etcd image comes from, and how the images of the pods are pulled. A change restarts one member at a time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ImageSpec {
    /// The repository, without tag or digest, for example a mirror in your own registry.
    #[x_kube(validation = Rule::new("self.matches('^([^/]*/)*[^/:@ ]+$')")
        .message("the repository must have neither tag nor digest"))]
    #[schemars(length(max = 255))]
    #[serde(default = "default_repository")]
    pub repository: String,
    /// The tag, if it is not `v` and the version. The image must hold the version that `version` says.
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9_][-a-zA-Z0-9_.]{0,127}$')")
        .message("the tag must begin with a letter, a digit or _, and may have 128 letters, digits, _, . and - at most"))]
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The digest of the image, for example `sha256:…`, which then counts instead of the tag. The image must hold the version that
    /// `version` says.
    #[x_kube(validation = Rule::new("self.matches('^sha256:[0-9a-f]{64}$')")
        .message("the digest must be sha256: and 64 hexadecimal digits"))]
    #[schemars(length(max = 71))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the images of the pods are pulled; `IfNotPresent` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Secrets with the credentials of the registries, for etcd's image and the operator's alike.
    #[schemars(length(max = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<PullSecret>,
}

impl Default for ImageSpec {
    fn default() -> Self {
        ImageSpec {
            repository: default_repository(),
            tag: None,
            digest: None,
            pull_policy: None,
            pull_secrets: Vec::new(),
        }
    }
}

fn default_repository() -> String {
    super::DEFAULT_IMAGE_REPOSITORY.to_owned()
}

/// A Secret with credentials of a registry.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PullSecret {
    /// Its name, in the namespace of the cluster.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// When an image is pulled.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = described::by_its_field)]
pub enum PullPolicy {
    /// At each start.
    Always,
    /// If the node has it not.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

impl PullPolicy {
    /// As Kubernetes has it.
    pub fn as_str(self) -> &'static str {
        match self {
            PullPolicy::Always => "Always",
            PullPolicy::IfNotPresent => "IfNotPresent",
            PullPolicy::Never => "Never",
        }
    }
}
