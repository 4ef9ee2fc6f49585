//! Carries out one step. What somebody else has done meanwhile counts as done.

use std::io;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use super::super::node_files::places;
use super::PROVISIONER;
use super::plan::{PROVISIONED_BY, Step, requested, volume_name};

/// Does it.
pub(super) async fn carry_out(client: &Client, directory: &Path, step: &Step) -> Result<()> {
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    match step {
        Step::Provision(claim) => provision(client, &volumes, directory, claim).await,
        Step::GrowVolume { volume, size } => {
            let patch = json!({ "spec": { "capacity": { "storage": size } } });
            done(volumes.patch(volume, &PatchParams::default(), &Patch::Merge(&patch)).await)
        }
        Step::TellClaim { namespace, claim, size } => {
            let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
            let patch = json!({ "status": { "capacity": { "storage": size }, "conditions": null } });
            done(claims.patch_status(claim, &PatchParams::default(), &Patch::Merge(&patch)).await)
        }
        Step::Delete { volume, uid } => {
            remove_directory(&directory.join(volume))?;
            let preconditions = Some(Preconditions { uid: uid.clone(), resource_version: None });
            let parameters = DeleteParams { preconditions, ..DeleteParams::default() };
            done(volumes.delete(volume, &parameters).await)
        }
    }
}

async fn provision(
    client: &Client,
    volumes: &Api<PersistentVolume>,
    directory: &Path,
    claim: &PersistentVolumeClaim,
) -> Result<()> {
    let spec = claim.spec.as_ref().context("the claim is empty")?;
    let class_name = spec.storage_class_name.as_deref().context("the claim names no class")?;
    let class = Api::<StorageClass>::all(client.clone()).get(class_name).await;
    let class = class.with_context(|| format!("failed to read the class {class_name}"))?;
    if spec.volume_mode.as_deref() == Some("Block") {
        bail!("there are only file systems here, no block devices");
    }
    let name = volume_name(claim);
    std::fs::create_dir_all(directory.join(&name)).context("failed to make the volume's directory")?;
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": name, "annotations": { PROVISIONED_BY: PROVISIONER } },
        "spec": {
            "capacity": { "storage": requested(claim).context("the claim asks for no size")? },
            "accessModes": spec.access_modes,
            "persistentVolumeReclaimPolicy": class.reclaim_policy,
            "storageClassName": class_name,
            "volumeMode": "Filesystem",
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(), "name": claim.name_any(), "uid": claim.metadata.uid,
            },
            "local": { "path": Path::new(places::VOLUMES).join(&name) },
            // A local volume must say where it is: everywhere.
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": "kubernetes.io/os", "operator": "In", "values": ["linux"] },
            ] }] } },
        },
    });
    let volume: PersistentVolume = serde_json::from_value(volume).context("failed to build the volume")?;
    done(volumes.create(&PostParams::default(), &volume).await)
}

fn remove_directory(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.with_context(|| format!("failed to remove {}", directory.display())),
    }
}

/// There already, or gone already, is done.
fn done<T>(answer: kube::Result<T>) -> Result<()> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error).context("failed to write to the API"),
    }
}
