//! Data in the memory of pods: it goes with its pod, so the operator never takes the pod of a member that has some.

use etcd_operator_core::cluster::plan::{Kind, Target};
use k8s_openapi::api::core::v1::Pod;

use super::Model;

/// Whether the data of a pod is in its memory.
pub(crate) fn is_in_memory(pod: &Pod) -> bool {
    let mut volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.any(|volume| volume.name == "data" && volume.empty_dir.is_some())
}

impl Model {
    /// What a pod's data is on, by the key of [`Model::disks`]; none while there is no claim for it.
    pub(crate) fn disk_of(&self, pod_name: &str) -> Option<String> {
        match self.pods.get(pod_name).filter(|pod| is_in_memory(pod)) {
            Some(pod) => pod.metadata.uid.clone(),
            None => {
                let claim = self.claims.get(&format!("data-{}", pod_name.trim_end_matches("-0")))?;
                claim.metadata.uid.clone()
            }
        }
    }

    /// Whoever is a member and has data in memory keeps its pod.
    pub(super) fn refuse_to_lose_memory(&self, target: &Target) {
        let pod_name = match target.kind {
            Kind::Pod => target.name.clone(),
            Kind::StatefulSet => format!("{}-0", target.name),
            Kind::PersistentVolumeClaim
            | Kind::Service
            | Kind::PodDisruptionBudget
            | Kind::EtcdBackup
            | Kind::Job
            | Kind::Secret => {
                return;
            }
        };
        let Some(pod) = self.pods.get(&pod_name).filter(|pod| is_in_memory(pod)) else { return };
        let disk = self.disks.get(pod.metadata.uid.as_ref().expect("a UID"));
        let etcd = self.etcd.as_ref().filter(|etcd| etcd.has_formed);
        let is_listed = etcd.is_some_and(|etcd| {
            let mut members = etcd.members.iter().filter_map(|one| self.member_of(&one.listed.peer_urls[0]));
            members.any(|member| member.pod() == pod_name)
        });
        let has_data = disk.is_some_and(|disk| disk.has_log);
        assert!(!(is_listed && has_data && self.is_strict), "the data of {pod_name} would be lost");
    }
}
