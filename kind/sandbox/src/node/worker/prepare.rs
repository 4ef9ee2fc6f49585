//! Before the first container: the pod's directory, network, files and volumes. Tried again until it works.

use super::Worker;
use crate::net::wire::PodNetwork;
use crate::net::{address, names::CLUSTER_DOMAIN};
use crate::node::environment::hostname;
use crate::node::events::EventType;
use crate::node::volume::Volumes;
use k8s_openapi::api::core::v1::Pod;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(122);

impl Worker {
    /// Sets up what is missing; answers when to try again if something could not be set up.
    pub(super) async fn set_up(&mut self) -> Option<Instant> {
        if self.network.is_some() && self.volumes.is_some() {
            return None;
        }
        if let Some((time, _)) = self.set_up_retry.filter(|(time, _)| *time > Instant::now()) {
            return Some(time);
        }
        let outcome = match self.set_up_network().await {
            Err(error) => Err(("FailedCreatePodSandBox", format!("Failed to create pod sandbox: {error}"))),
            Ok(()) => self.set_up_volumes().await.map_err(|error| ("FailedMount", error)),
        };
        let (reason, message) = outcome.err()?;
        self.events.write(EventType::Warning, reason, &message, None).await;
        let delay = self.set_up_retry.map_or(FIRST_DELAY, |(_, delay)| delay);
        let time = Instant::now() + delay;
        self.set_up_retry = Some((time, (delay * 2).min(LONGEST_DELAY)));
        Some(time)
    }

    async fn set_up_network(&mut self) -> io::Result<()> {
        if self.network.is_some() {
            return Ok(());
        }
        let directory = self.node.pod_directory(&self.key);
        for below in ["root", "volumes", "containers"] {
            std::fs::create_dir_all(directory.join(below))?;
        }
        let address =
            self.node.take_address().ok_or_else(|| io::Error::other("every pod address is in use"))?;
        let name = hostname(&self.pod);
        let connect = tokio::task::spawn_blocking(move || PodNetwork::connect(address, &name));
        match connect.await.map_err(io::Error::other)? {
            Ok(network) => self.network = Some(network),
            Err(error) => {
                self.node.give_back(address);
                return Err(error);
            }
        }
        write_files(&directory, &self.pod, &address.to_string())
    }

    async fn set_up_volumes(&mut self) -> Result<(), String> {
        let directory = self.node.pod_directory(&self.key).join("volumes");
        let volumes = Volumes::prepare(&self.node, &self.pod, &self.placement(), &directory).await;
        self.volumes = Some(volumes.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Writes files of volumes again after something they show has changed.
    pub(super) async fn refresh_volumes(&mut self) {
        let placement = self.placement();
        let Some(volumes) = &mut self.volumes else { return };
        if let Err(error) = volumes.refresh(&self.node, &self.pod, &placement).await {
            self.events.write(EventType::Warning, "FailedMount", &error.to_string(), None).await;
        }
    }

    /// Renews tokens that are due; answers when the next one is.
    pub(super) async fn renew_volumes(&mut self) -> Option<Instant> {
        let due = self.volumes.as_ref()?.renew_at()?;
        if due <= jiff::Timestamp::now() {
            self.refresh_volumes().await;
        }
        // A renewal that failed is tried again soon, but not at once.
        let next = self.volumes.as_ref()?.renew_at()?;
        Some(super::in_monotonic_time(next).max(Instant::now() + Duration::from_secs(1)))
    }
}

/// The files which the kubelet writes for every container of a pod: where in the container, where on the host.
pub(super) fn files(directory: &Path) -> [(PathBuf, PathBuf); 3] {
    ["hosts", "hostname", "resolv.conf"].map(|name| (Path::new("/etc").join(name), directory.join(name)))
}

fn write_files(directory: &Path, pod: &Pod, own_address: &str) -> io::Result<()> {
    let spec = pod.spec.clone().unwrap_or_default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = hostname(pod);
    let names = match spec.subdomain.as_deref().filter(|subdomain| !subdomain.is_empty()) {
        Some(subdomain) => format!("{name}.{subdomain}.{namespace}.svc.{}\t{name}", CLUSTER_DOMAIN),
        None => name.clone(),
    };
    let mut hosts = format!("127.0.0.1\tlocalhost\n{own_address}\t{names}\n");
    for alias in spec.host_aliases.iter().flatten() {
        hosts.push_str(&format!(
            "{}\t{}\n",
            alias.ip,
            alias.hostnames.clone().unwrap_or_default().join("\t")
        ));
    }
    std::fs::write(directory.join("hosts"), hosts)?;
    std::fs::write(directory.join("hostname"), format!("{name}\n"))?;
    std::fs::write(directory.join("resolv.conf"), resolver_configuration(namespace))
}

fn resolver_configuration(namespace: &str) -> String {
    let (server, domain) = (address::NAME_SERVER, CLUSTER_DOMAIN);
    format!("search {namespace}.svc.{domain} svc.{domain} {domain}\nnameserver {server}\noptions ndots:5\n")
}
