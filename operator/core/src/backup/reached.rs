//! How a pod reaches a store: what the program is told, and what the pod mounts and gets into its environment. It opens nothing, and sees no
//! credentials.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EnvFromSource, EnvVar, KeyToPath, PersistentVolumeClaimVolumeSource,
    SecretEnvSource, Volume, VolumeMount,
};

use super::location::{Bucket, Location};
use crate::api::{ConfigMapEntry, StoreSpec};
use crate::names::{ENCRYPTION_KEY_ENTRY, ENCRYPTION_KEY_VARIABLE};
use crate::pods::parts::{mount, of_secret};

/// Where a volume with backups is mounted.
const STORE_PATH: &str = "/backups";
const STORE_VOLUME: &str = "store";
const AUTHORITY_PATH: &str = "/store-authority";
const AUTHORITY_VOLUME: &str = "store-authority";
const AUTHORITY_FILE: &str = "ca.crt";

/// A store, with where it is as the program in the pod is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reached {
    spec: StoreSpec,
    location: Location,
}

impl Reached {
    /// Parses what users wrote.
    ///
    /// # Errors
    /// In a sentence: it is not exactly one store, or its folder is none.
    pub(super) fn parse(spec: &StoreSpec) -> Result<Reached, String> {
        Ok(Reached { spec: spec.clone(), location: location(spec)? })
    }

    /// As users wrote it.
    pub(super) fn spec(&self) -> &StoreSpec {
        &self.spec
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        match &self.spec.volume {
            Some(volume) if volume.folder.is_empty() => {
                format!("PersistentVolumeClaim {}", volume.claim_name)
            }
            Some(volume) => format!("PersistentVolumeClaim {}, folder {}", volume.claim_name, volume.folder),
            None => self.location.to_string(),
        }
    }

    /// What the program is told.
    pub(super) fn arguments(&self) -> Vec<String> {
        let s3 = self.spec.s3.as_ref();
        let azure_endpoint = self.spec.azure.as_ref().and_then(|azure| azure.endpoint.as_ref());
        let endpoint = s3.and_then(|s3| s3.endpoint.as_ref()).or(azure_endpoint);
        let mut arguments = vec![format!("--store={}", self.location)];
        arguments.extend(endpoint.map(|endpoint| format!("--store-endpoint={endpoint}")));
        let region = s3.and_then(|s3| s3.region.as_ref());
        arguments.extend(region.map(|region| format!("--store-region={region}")));
        if s3.is_some_and(|s3| s3.path_style) {
            arguments.push("--store-path-style".to_owned());
        }
        if self.authority().is_some() {
            arguments.push(format!("--store-authority={AUTHORITY_PATH}/{AUTHORITY_FILE}"));
        }
        arguments
    }

    fn authority(&self) -> Option<&ConfigMapEntry> {
        self.spec.s3.as_ref()?.certificate_authority.as_ref()
    }

    /// Volumes of the pod.
    pub(super) fn volumes(&self) -> Vec<Volume> {
        let store = self.spec.volume.as_ref().map(|volume| Volume {
            name: STORE_VOLUME.to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: volume.claim_name.clone(),
                ..PersistentVolumeClaimVolumeSource::default()
            }),
            ..Volume::default()
        });
        let authority = self.authority().map(|entry| Volume {
            name: AUTHORITY_VOLUME.to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: entry.name.clone(),
                items: Some(vec![KeyToPath {
                    key: entry.key.clone(),
                    path: AUTHORITY_FILE.to_owned(),
                    ..KeyToPath::default()
                }]),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        });
        store.into_iter().chain(authority).collect()
    }

    /// Where the container sees them.
    pub(super) fn mounts(&self) -> Vec<VolumeMount> {
        let store = self.spec.volume.as_ref().map(|_| mount(STORE_VOLUME, STORE_PATH, false));
        let authority = self.authority().map(|_| mount(AUTHORITY_VOLUME, AUTHORITY_PATH, true));
        store.into_iter().chain(authority).collect()
    }

    /// Where the container's credentials come from.
    pub(super) fn credentials(&self) -> Option<Vec<EnvFromSource>> {
        let secret = self.spec.credentials_secret.as_ref()?;
        Some(vec![EnvFromSource {
            secret_ref: Some(SecretEnvSource { name: secret.clone(), ..SecretEnvSource::default() }),
            ..EnvFromSource::default()
        }])
    }

    /// Where the container's keys of age come from. In a variable, not in a file: where a Secret lacks it, the kubelet says so in the pod's
    /// status.
    pub(super) fn encryption_key(&self) -> Option<EnvVar> {
        let secret = self.spec.encryption_secret.as_ref()?;
        Some(of_secret(ENCRYPTION_KEY_VARIABLE, secret, ENCRYPTION_KEY_ENTRY))
    }

    /// The ServiceAccount of the pod.
    pub(super) fn service_account(&self) -> Option<String> {
        self.spec.service_account_name.clone()
    }

    /// Labels of the pod.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        if self.spec.azure.is_some() && self.spec.service_account_name.is_some() {
            // What Azure's webhook looks for before it gives a pod its identity.
            return [("azure.workload.identity/use".to_owned(), "true".to_owned())].into();
        }
        BTreeMap::new()
    }
}

fn location(store: &StoreSpec) -> Result<Location, String> {
    // Destructured without `..`, so that a new kind of store cannot be forgotten here.
    let StoreSpec {
        s3,
        gcs,
        azure,
        volume,
        credentials_secret: _,
        service_account_name: _,
        encryption_secret: _,
    } = store;
    let bucket = |name: &str, folder: &str| Bucket { name: name.to_owned(), folder: folder.to_owned() };
    let mut locations = Vec::new();
    locations.extend(s3.as_ref().map(|s3| Location::S3(bucket(&s3.bucket, &s3.folder))));
    locations.extend(gcs.as_ref().map(|gcs| Location::Gcs(bucket(&gcs.bucket, &gcs.folder))));
    locations.extend(azure.as_ref().map(|azure| Location::Azure(bucket(&azure.container, &azure.folder))));
    locations.extend(volume.as_ref().map(|volume| {
        let folder = if volume.folder.is_empty() { String::new() } else { format!("/{}", volume.folder) };
        Location::Folder(format!("{STORE_PATH}{folder}"))
    }));
    let [location] = locations.as_slice() else {
        return Err("a store is exactly one of s3, gcs, azure and volume".to_owned());
    };
    // The API server refuses what does not parse; an older definition may not.
    match Location::parse(&location.to_string()) {
        Ok(parsed) if parsed == *location => Ok(parsed),
        Ok(_) => Err(format!("the store {location} has slashes at its ends")),
        Err(error) => Err(format!("the store {location}: {error}")),
    }
}
