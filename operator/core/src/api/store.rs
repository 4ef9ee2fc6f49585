//! What users say of the store that backups are kept in. Never decides.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where backups are kept: exactly one of `s3`, `gcs`, `azure` and `volume`. Backups of different clusters never meet: each has a
/// folder of its own there.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = Rule::new("[has(self.s3), has(self.gcs), has(self.azure), has(self.volume)].filter(is_there, is_there).size() == 1")
    .message("a store is exactly one of s3, gcs, azure and volume"))]
#[x_kube(validation = Rule::new("!has(self.volume) || (!has(self.credentialsSecret) && !has(self.serviceAccountName))")
    .message("a volume needs neither credentialsSecret nor serviceAccountName"))]
#[serde(rename_all = "camelCase")]
pub struct StoreSpec {
    /// A bucket of Amazon S3, or of a service that speaks its language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Store>,
    /// A bucket of Google Cloud Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcs: Option<GcsStore>,
    /// A container of Azure Blob Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureStore>,
    /// A volume of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeStore>,
    /// A Secret of the same namespace with the store's credentials. Its entries become environment variables of the Job, by the names
    /// that the store's own tools know: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, `GOOGLE_SERVICE_ACCOUNT_KEY`, or
    /// `AZURE_STORAGE_ACCOUNT_NAME` and `AZURE_STORAGE_ACCOUNT_KEY`. The operator never reads it.
    #[schemars(length(min = 1, max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret: Option<String>,
    /// The ServiceAccount of the Job's pods, where the store trusts workloads by their identity.
    #[schemars(length(min = 1, max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// A Secret of the same namespace whose entry `key.txt` holds secret keys of age, one in a line, as `age-keygen` writes them. Snapshots
    /// are encrypted for the first of them before they leave the pod, and each of them opens those that were encrypted for it. Whoever
    /// loses the keys loses the backups. The operator never reads it.
    #[schemars(length(min = 1, max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_secret: Option<String>,
}

/// A bucket of Amazon S3, or of a service that speaks its language.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct S3Store {
    /// The bucket, which must exist.
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9][-a-zA-Z0-9._]*$')")
        .message("the bucket must be a name without slashes"))]
    #[schemars(length(min = 1, max = 255))]
    pub bucket: String,
    /// The folder in it, without slashes at its ends; the bucket itself if absent.
    #[x_kube(validation = folder_rule())]
    #[schemars(length(max = 512))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// Where the service answers, for example `https://minio.example.com:9000`; Amazon if absent.
    #[x_kube(validation = endpoint_rule())]
    #[schemars(length(max = 512))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The region of the bucket.
    #[schemars(length(min = 1, max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Puts the bucket into the path of addresses instead of the host's name, as most services beside Amazon's want it.
    #[serde(default)]
    pub path_style: bool,
    /// Certificates of the authorities that the service is trusted by, beside the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<ConfigMapEntry>,
}

/// A bucket of Google Cloud Storage.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GcsStore {
    /// The bucket, which must exist.
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9][-a-zA-Z0-9._]*$')")
        .message("the bucket must be a name without slashes"))]
    #[schemars(length(min = 1, max = 255))]
    pub bucket: String,
    /// The folder in it, without slashes at its ends; the bucket itself if absent.
    #[x_kube(validation = folder_rule())]
    #[schemars(length(max = 512))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
}

/// A container of Azure Blob Storage.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AzureStore {
    /// The container, which must exist.
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9][-a-zA-Z0-9._]*$')")
        .message("the container must be a name without slashes"))]
    #[schemars(length(min = 1, max = 255))]
    pub container: String,
    /// The folder in it, without slashes at its ends; the container itself if absent.
    #[x_kube(validation = folder_rule())]
    #[schemars(length(max = 512))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// Where the service answers; Azure's own address of the account if absent.
    #[x_kube(validation = endpoint_rule())]
    #[schemars(length(max = 512))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// A volume of the same namespace. It must be one that pods of other nodes than the members' can mount.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStore {
    /// The PersistentVolumeClaim.
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: String,
    /// The folder in it, without slashes at its ends; the volume itself if absent.
    #[x_kube(validation = folder_rule())]
    #[schemars(length(max = 512))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
}

/// An entry of a ConfigMap of the same namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapEntry {
    /// The ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its key.
    #[schemars(length(min = 1, max = 253))]
    #[serde(default = "default_authority_key")]
    pub key: String,
}

/// What Kubernetes' own ConfigMaps with authorities have.
fn default_authority_key() -> String {
    "ca.crt".to_owned()
}

/// The rule of [`crate::backup::location::Location`].
fn folder_rule() -> kube::core::Rule {
    kube::core::Rule::new(
        "self == '' || self.split('/').all(part, part != '' && part != '.' && part != '..') && !self.matches('[?#]')",
    )
    .message("the folder must be names with single slashes between them, without . and .., ? and #")
}

fn endpoint_rule() -> kube::core::Rule {
    kube::core::Rule::new("isURL(self) && url(self).getScheme() in ['http', 'https'] && !self.contains('@') && !self.contains('?')")
        .message("the endpoint must be a URL that begins with http:// or https://, without credentials and query")
}
