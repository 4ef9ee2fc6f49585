//! Parts of pods: how the operator's own program comes beside etcd, mounts, volumes, credentials for images. Never a whole pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, LocalObjectReference, ResourceRequirements,
    SecretKeySelector, SecretVolumeSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::security;
use crate::api::PullPolicy;
use crate::names::{GATE_BINARY, GATE_DIRECTORY, GATE_VOLUME, INSTALL_GATE_CONTAINER};

/// A volume with the entries of a Secret, which must be there before the pod starts.
pub fn secret(volume: &str, name: &str) -> Volume {
    Volume {
        name: volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(name.to_owned()),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Copies the operator's static binary to where a container of etcd's image can run it: that holds no shell.
pub fn install_gate(operator_image: &str, pull_policy: PullPolicy) -> Container {
    Container {
        name: INSTALL_GATE_CONTAINER.to_owned(),
        image: Some(operator_image.to_owned()),
        image_pull_policy: Some(pull_policy.as_str().to_owned()),
        command: Some(["/etcd-operator", "install-gate", GATE_BINARY].map(str::to_owned).to_vec()),
        resources: Some(small()),
        security_context: Some(security::of_container()),
        volume_mounts: Some(vec![mount(GATE_VOLUME, GATE_DIRECTORY, false)]),
        ..Container::default()
    }
}

/// What copying one file takes. Both requests and limits, since a quota on either refuses a pod whose containers do not all name
/// them; and equal, so that a member whose own are equal keeps the class Guaranteed.
fn small() -> ResourceRequirements {
    let amounts: BTreeMap<String, Quantity> = [("cpu", "100m"), ("memory", "64Mi")]
        .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
        .into();
    ResourceRequirements {
        requests: Some(amounts.clone()),
        limits: Some(amounts),
        ..ResourceRequirements::default()
    }
}

/// Where a container sees a volume.
pub fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

/// A variable of a container's environment whose value is an entry of a Secret.
pub fn of_secret(variable: &str, secret: &str, key: &str) -> EnvVar {
    EnvVar {
        name: variable.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.to_owned(),
                key: key.to_owned(),
                ..SecretKeySelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// A volume that is as empty as its pod is new.
pub fn empty(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

/// Secrets with credentials of registries; nothing if there are none.
pub fn pull_secrets(names: &[String]) -> Option<Vec<LocalObjectReference>> {
    let secrets: Vec<LocalObjectReference> =
        names.iter().map(|name| LocalObjectReference { name: name.clone() }).collect();
    (!secrets.is_empty()).then_some(secrets)
}

/// Entries; nothing if there are none.
pub fn not_empty(entries: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!entries.is_empty()).then(|| entries.clone())
}
