//! The volumes of one pod: makes their directories before its containers start and keeps the files that show API
//! objects up to date.

mod ownership;
mod payload;
pub(crate) mod registry;
mod writer;

use super::context::{NodeContext, PodKey, SourceKey, SourceKind, words};
use super::field::Placement;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, Pod, ProjectedVolumeSource, ServiceAccount, Volume,
};
use kube::Api;
use payload::Payload;
use registry::VolumeUse;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

/// A volume that is ready to be mounted.
#[derive(Debug)]
struct Prepared {
    path: PathBuf,
    read_only: bool,
    files: Option<Files>,
    /// Kept as long as the pod: the directory must not be removed.
    _hold: Option<VolumeUse>,
}

/// A volume of files which the node writes.
#[derive(Debug)]
struct Files {
    projected: ProjectedVolumeSource,
    written: Payload,
    tokens: BTreeMap<String, String>,
    renew_tokens_at: Option<Timestamp>,
}

/// All volumes of a pod by name.
#[derive(Debug)]
pub(crate) struct Volumes {
    prepared: BTreeMap<String, Prepared>,
    group: Option<u32>,
    version: u64,
}

/// Why a volume cannot be mounted yet.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" : {message}")]
pub(crate) struct VolumeError {
    volume: String,
    message: String,
}

impl Volumes {
    /// Prepares every volume of the pod below `directory`.
    pub(crate) async fn prepare(
        node: &NodeContext,
        pod: &Pod,
        placement: &Placement,
        directory: &Path,
    ) -> Result<Volumes, VolumeError> {
        let spec = pod.spec.clone().unwrap_or_default();
        let context = spec.security_context.unwrap_or_default();
        let group = context.fs_group.and_then(|group| u32::try_from(group).ok());
        let lazily = context.fs_group_change_policy.as_deref() == Some("OnRootMismatch");
        let mut volumes = Volumes { prepared: BTreeMap::new(), group, version: 0 };
        for volume in spec.volumes.iter().flatten() {
            let failed = |message| VolumeError { volume: volume.name.clone(), message };
            let path = directory.join(&volume.name);
            let prepared = match payload::as_projected(volume) {
                Some(projected) => {
                    volumes.version += 1;
                    let version = volumes.version;
                    Files::prepare(node, pod, placement, projected, &path, version, group)
                        .await
                        .map_err(failed)?
                }
                None => prepare_directory(node, pod, volume, path, group, lazily).await.map_err(failed)?,
            };
            volumes.prepared.insert(volume.name.clone(), prepared);
        }
        Ok(volumes)
    }

    /// Where a volume is, and whether it may only be read.
    pub(crate) fn path(&self, name: &str) -> Option<(&Path, bool)> {
        self.prepared.get(name).map(|prepared| (prepared.path.as_path(), prepared.read_only))
    }

    /// Whether a changed object is shown by one of the volumes.
    pub(crate) fn shows(&self, pod: &PodKey, key: &SourceKey) -> bool {
        let names = |files: &Files| {
            let references = payload::references(&files.projected);
            match key.kind {
                SourceKind::ConfigMap => references.config_maps.contains(&key.name),
                SourceKind::Secret => references.secrets.contains(&key.name),
            }
        };
        key.namespace == pod.namespace
            && self.prepared.values().filter_map(|one| one.files.as_ref()).any(names)
    }

    /// Whether a change of the pod's own metadata may show in its volumes.
    pub(crate) fn show_pod(&self) -> bool {
        let mut files = self.prepared.values().filter_map(|one| one.files.as_ref());
        files.any(|files| payload::shows_pod(&files.projected))
    }

    /// When the earliest token must be renewed.
    pub(crate) fn renew_at(&self) -> Option<Timestamp> {
        self.prepared.values().filter_map(|one| one.files.as_ref()?.renew_tokens_at).min()
    }

    /// Writes again what has changed. An object that is gone leaves the files as they are, as the kubelet does.
    pub(crate) async fn refresh(
        &mut self,
        node: &NodeContext,
        pod: &Pod,
        placement: &Placement,
    ) -> Result<(), VolumeError> {
        for (name, prepared) in &mut self.prepared {
            let Some(files) = &mut prepared.files else { continue };
            let failed = |message| VolumeError { volume: name.clone(), message };
            if files.renew_tokens_at.is_some_and(|time| time <= Timestamp::now()) {
                (files.tokens, files.renew_tokens_at) =
                    request_tokens(node, pod, &files.projected).await.map_err(failed)?;
            }
            let fresh = files.payload(node, pod, placement).await.map_err(failed)?;
            if fresh != files.written {
                self.version += 1;
                let version = self.version.to_string();
                writer::write(&prepared.path, &fresh, &version, self.group)
                    .map_err(|error| failed(error.to_string()))?;
                files.written = fresh;
            }
        }
        Ok(())
    }
}

impl Files {
    async fn prepare(
        node: &NodeContext,
        pod: &Pod,
        placement: &Placement,
        projected: ProjectedVolumeSource,
        path: &Path,
        version: u64,
        group: Option<u32>,
    ) -> Result<Prepared, String> {
        let (tokens, renew_tokens_at) = request_tokens(node, pod, &projected).await?;
        let mut files = Files { projected, written: Payload::new(), tokens, renew_tokens_at };
        files.written = files.payload(node, pod, placement).await?;
        // A failed attempt may have left something.
        remove_if_present(path).map_err(|error| error.to_string())?;
        make_directory(path, 0o755, group)
            .and_then(|()| writer::write(path, &files.written, &version.to_string(), group))
            .map_err(|error| error.to_string())?;
        Ok(Prepared { path: path.to_path_buf(), read_only: true, files: Some(files), _hold: None })
    }

    async fn payload(&self, node: &NodeContext, pod: &Pod, placement: &Placement) -> Result<Payload, String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let references = payload::references(&self.projected);
        let sources = node.sources(namespace, &references).await.map_err(|error| words(&error))?;
        let inputs = payload::Inputs {
            pod,
            placement,
            capacity: node.capacity,
            sources: &sources,
            tokens: &self.tokens,
        };
        payload::payload(&self.projected, &inputs)
    }
}

/// Asks for the tokens of a volume; they are renewed when four fifths of their time are over.
async fn request_tokens(
    node: &NodeContext,
    pod: &Pod,
    projected: &ProjectedVolumeSource,
) -> Result<(BTreeMap<String, String>, Option<Timestamp>), String> {
    let (mut tokens, mut renew_at) = (BTreeMap::new(), None);
    for wanted in payload::tokens(projected) {
        let seconds = wanted.expiration_seconds.unwrap_or(3600);
        let token = request_token(node, pod, wanted.audience.clone(), seconds)
            .await
            .map_err(|error| words(&error))?;
        tokens.insert(wanted.path.clone(), token);
        let renew = Timestamp::now() + SignedDuration::from_secs(seconds * 4 / 5);
        renew_at = Some(renew_at.map_or(renew, |earlier: Timestamp| earlier.min(renew)));
    }
    Ok((tokens, renew_at))
}

async fn request_token(
    node: &NodeContext,
    pod: &Pod,
    audience: Option<String>,
    expiration_seconds: i64,
) -> Result<String, kube::Error> {
    use k8s_openapi::api::authentication::v1::BoundObjectReference;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
    let accounts: Api<ServiceAccount> = Api::namespaced(node.client.clone(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: audience.into_iter().collect(),
            expiration_seconds: Some(expiration_seconds),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                name: pod.metadata.name.clone(),
                uid: pod.metadata.uid.clone(),
            }),
        },
        ..TokenRequest::default()
    };
    let name = account.unwrap_or_else(|| "default".into());
    let issued = accounts.create_token_request(&name, &kube::api::PostParams::default(), &request).await?;
    Ok(issued.status.map(|status| status.token).unwrap_or_default())
}

/// A volume that is a directory: empty, of a claim, or of the host.
async fn prepare_directory(
    node: &NodeContext,
    pod: &Pod,
    volume: &Volume,
    path: PathBuf,
    group: Option<u32>,
    lazily: bool,
) -> Result<Prepared, String> {
    if volume.empty_dir.is_some() {
        make_directory(&path, 0o777, None)
            .and_then(|()| own(&path, group, false))
            .map_err(|error| error.to_string())?;
        return Ok(Prepared { path, read_only: false, files: None, _hold: None });
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let handle = volume_handle(node, namespace, &claim.claim_name).await?;
        let (hold, path) = node.volumes.hold(&handle).map_err(|error| error.to_string())?;
        own(&path, group, lazily).map_err(|error| error.to_string())?;
        return Ok(Prepared {
            path,
            read_only: claim.read_only == Some(true),
            files: None,
            _hold: Some(hold),
        });
    }
    Err("the sandbox has no volumes of this type".into())
}

/// The directory behind a bound claim.
async fn volume_handle(node: &NodeContext, namespace: &str, claim: &str) -> Result<String, String> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(node.client.clone(), namespace);
    let claim = claims.get(claim).await.map_err(|error| words(&error))?;
    let bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
    let name = claim.spec.and_then(|spec| spec.volume_name).filter(|_| bound);
    let name = name.ok_or("the claim is not bound")?;
    let volumes: Api<PersistentVolume> = Api::all(node.client.clone());
    let volume = volumes.get(&name).await.map_err(|error| words(&error))?;
    Ok(handle_of(&volume).unwrap_or(name))
}

/// The name of a volume's directory.
pub(crate) fn handle_of(volume: &PersistentVolume) -> Option<String> {
    Some(volume.spec.as_ref()?.csi.as_ref()?.volume_handle.clone())
}

fn own(path: &Path, group: Option<u32>, lazily: bool) -> io::Result<()> {
    match group {
        Some(group) if lazily && ownership::root_matches(path, group)? => Ok(()),
        Some(group) => ownership::give_to_group(path, group),
        None => Ok(()),
    }
}

fn make_directory(path: &Path, mode: u32, group: Option<u32>) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    chown(path, None, group)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
