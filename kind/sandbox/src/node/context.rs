//! What all parts of the node share: the client, the directories, what is handed out and what is running.

use super::environment::{References, Sources};
use super::field::Capacity;
use super::log::LogRegistry;
use super::session::Programs;
use super::volume::registry::VolumeRegistry;
use crate::net::address::PodAddresses;
use crate::{ImageReference, ImageSource};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::{Api, Client};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::broadcast;

/// The name of the one node.
pub(crate) const NODE_NAME: &str = "sandbox";

/// Which pod: a name is used again, a uid never.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PodKey {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl PodKey {
    pub(crate) fn of(pod: &Pod) -> PodKey {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let metadata = &pod.metadata;
        PodKey { namespace: text(&metadata.namespace), name: text(&metadata.name), uid: text(&metadata.uid) }
    }
}

impl std::fmt::Display for PodKey {
    /// The form of the kubelet's messages.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}_{}({})", self.name, self.namespace, self.uid)
    }
}

/// A kind of object that volumes show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceKind {
    ConfigMap,
    Secret,
}

/// An object that volumes may show and that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceKey {
    pub(crate) kind: SourceKind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// Shared by the workers of all pods.
pub(crate) struct NodeContext {
    pub(crate) client: Client,
    pub(crate) state_directory: PathBuf,
    pub(crate) images: BTreeMap<ImageReference, ImageSource>,
    pub(crate) capacity: Capacity,
    pub(crate) addresses: Mutex<PodAddresses>,
    pub(crate) volumes: VolumeRegistry,
    pub(crate) logs: LogRegistry,
    /// The programs that run in containers.
    pub(crate) programs: Programs,
    /// ConfigMaps and Secrets that changed.
    pub(crate) changes: broadcast::Sender<SourceKey>,
}

impl NodeContext {
    /// Everything of a pod that is not a log or a persistent volume.
    pub(crate) fn pod_directory(&self, pod: &PodKey) -> PathBuf {
        self.state_directory.join("pods").join(Path::new(&pod.uid))
    }

    /// A free address.
    pub(crate) fn take_address(&self) -> Option<std::net::Ipv4Addr> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Gives an address back.
    pub(crate) fn give_back(&self, address: std::net::Ipv4Addr) {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).give_back(address);
    }

    /// Reads the objects that something refers to; absent ones are left out.
    pub(crate) async fn sources(
        &self,
        namespace: &str,
        references: &References,
    ) -> Result<Sources, kube::Error> {
        let config_maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let mut sources = Sources::default();
        for name in &references.config_maps {
            let found = config_maps.get_opt(name).await?;
            sources.config_maps.extend(found.map(|object| (name.clone(), object)));
        }
        for name in &references.secrets {
            let found = secrets.get_opt(name).await?;
            sources.secrets.extend(found.map(|object| (name.clone(), object)));
        }
        Ok(sources)
    }
}

/// What went wrong, in one line for people: the API server's own words where it answered.
pub(crate) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
