//! The JSON documents of an image: the OCI image specification 1.1 (config.md, manifest.md, image-index.md, image-layout.md)
//! and Docker's `manifest.json`, which `docker load` reads. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::blob::{Blob, Digest};
use super::{Architecture, Image};

const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// containerd takes the whole name of an imported image from here.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// What the image layout specification gives a name with; containerd and others expect the tag alone.
const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";
const LINUX: &str = "linux";
/// The root of containers that choose no directory.
const WORKING_DIRECTORY: &str = "/";

/// The content of the file `oci-layout`.
pub(super) const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

#[derive(Serialize)]
struct Configuration<'a> {
    created: String,
    architecture: Architecture,
    os: &'static str,
    config: Execution<'a>,
    rootfs: RootFileSystem<'a>,
    history: [Step; 1],
}

/// How containers of the image run; the specification wants these names in upper case.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Execution<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    env: Vec<String>,
    entrypoint: &'a [String],
    working_dir: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct RootFileSystem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: [&'a Digest; 1],
}

#[derive(Serialize)]
struct Step {
    created: String,
    created_by: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor<'a>,
    layers: [Descriptor<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: [Descriptor<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'static str,
    digest: &'a Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Platform {
    architecture: Architecture,
    os: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: [String; 1],
    layers: [String; 1],
}

/// How the image is run and what its root file system is made of. `layer` is not compressed, so its digest is its diff ID.
pub(super) fn configuration(image: &Image, layer: &Blob) -> serde_json::Result<Vec<u8>> {
    let created = Timestamp::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(image.created_seconds));
    let created = created.to_string();
    serde_json::to_vec(&Configuration {
        created: created.clone(),
        architecture: image.architecture,
        os: LINUX,
        config: Execution {
            user: image.user.map(|user| format!("{user}:{user}")),
            env: image.environment.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            entrypoint: &image.entrypoint,
            working_dir: WORKING_DIRECTORY,
            labels: &image.labels,
        },
        rootfs: RootFileSystem { kind: "layers", diff_ids: [&layer.digest] },
        history: [Step { created, created_by: "chaos image" }],
    })
}

/// What belongs to the image.
pub(super) fn manifest(configuration: &Blob, layer: &Blob) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE,
        config: descriptor(CONFIG_TYPE, configuration),
        layers: [descriptor(LAYER_TYPE, layer)],
    })
}

/// What the archive holds and what it is called.
pub(super) fn index(image: &Image, manifest: &Blob) -> serde_json::Result<Vec<u8>> {
    let names = [(CONTAINERD_NAME, image.name.canonical()), (REFERENCE_NAME, image.name.tag().to_owned())];
    let described = Descriptor {
        platform: Some(Platform { architecture: image.architecture, os: LINUX }),
        annotations: BTreeMap::from(names),
        ..descriptor(MANIFEST_TYPE, manifest)
    };
    serde_json::to_vec(&Index { schema_version: 2, media_type: INDEX_TYPE, manifests: [described] })
}

/// The same for `docker load`, which looks for files and not for digests.
pub(super) fn docker_manifest(
    image: &Image,
    configuration: &Blob,
    layer: &Blob,
) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&[DockerImage {
        config: configuration.path(),
        repo_tags: [image.name.familiar()],
        layers: [layer.path()],
    }])
}

fn descriptor<'a>(media_type: &'static str, blob: &'a Blob) -> Descriptor<'a> {
    Descriptor {
        media_type,
        digest: &blob.digest,
        size: blob.size,
        platform: None,
        annotations: BTreeMap::new(),
    }
}
