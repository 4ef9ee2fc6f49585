//! Jobs of the model that restore the first member: they put data and a stamp onto its volume, and nothing may have started there before.

use std::collections::BTreeMap;

use etcd_operator_core::api::EtcdBackup;
use etcd_operator_core::cluster::observed::Restoring;
use etcd_operator_core::gate::{InitialMember, Stamp};
use etcd_operator_core::names::{ANNOTATION_CLAIM_UID, MemberName, Scheme};
use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::{Disk, Model};

/// The backup that clusters of the model begin with.
pub(crate) fn stored_backup() -> EtcdBackup {
    serde_json::from_value(json!({
        "apiVersion": "etcd.operators.rs/v1beta1", "kind": "EtcdBackup",
        "metadata": { "name": "before-the-fire", "namespace": "test" },
        "spec": { "cluster": "demo", "store": { "volume": { "claimName": "etcd-backups" } } },
        "status": { "phase": "Succeeded", "backup": "20261130t133500z-abcde", "clusterId": "77", "revision": 40 },
    }))
    .expect("a backup")
}

impl Model {
    /// What the shell would read for a restore.
    pub(super) fn restoring(&self) -> Restoring {
        let restore = self.cluster.spec.bootstrap.as_ref().and_then(|bootstrap| bootstrap.restore.as_ref());
        let has_formed = self.cluster.status.as_ref().is_some_and(|status| status.formed);
        let Some(restore) = restore.filter(|_| !has_formed) else { return Restoring::default() };
        let named = restore.backup.as_deref() == Some("before-the-fire");
        Restoring {
            backup: named.then(stored_backup),
            jobs: self.jobs.values().cloned().collect(),
            pods: Vec::new(),
        }
    }

    /// Jobs come to their end one round after they were made.
    pub(super) fn run_jobs(&mut self) {
        let jobs: Vec<String> =
            self.jobs.iter().filter(|(_, job)| job.status.is_none()).map(|(name, _)| name.clone()).collect();
        for name in jobs {
            let member = name.trim_end_matches("-restore").to_owned();
            let ended = if self.restores_fail { "Failed" } else { "Complete" };
            if !self.restores_fail {
                self.restore(&name, &member);
            }
            let condition = JobCondition {
                type_: ended.to_owned(),
                status: "True".to_owned(),
                message: Some("the store is not there".to_owned()),
                last_transition_time: Some(Time(self.now)),
                ..JobCondition::default()
            };
            let job = self.jobs.get_mut(&name).expect("it was listed");
            job.status = Some(JobStatus { conditions: Some(vec![condition]), ..JobStatus::default() });
        }
    }

    fn restore(&mut self, job: &str, member: &str) {
        let Some(claim) = self.claims.get(&format!("data-{member}")) else { return };
        let uid = claim.metadata.uid.clone().expect("a UID");
        let meant =
            self.jobs[job].metadata.annotations.as_ref().and_then(|all| all.get(ANNOTATION_CLAIM_UID));
        if meant != Some(&uid) {
            // Its pod waits for a volume that is gone.
            return;
        }
        assert!(!self.pods.contains_key(&format!("{member}-0")), "{member} runs while it is restored");
        let cluster = self.identity();
        let member = MemberName::parse(&cluster, member).expect("a member's name");
        let disk = self.disks.entry(uid).or_default();
        assert!(!disk.has_log, "{member} is restored over data");
        let stamp = Stamp::of_restored(&cluster.uid, member.as_str(), "token", BTreeMap::new());
        *disk = Disk { stamp, has_log: true, is_broken: false };
    }

    /// etcd starts on a volume that was restored: it is a cluster of its own, of one.
    pub(super) fn start_restored(&mut self, member: &MemberName) {
        if self.etcd.is_some() {
            return;
        }
        let peer_url = self.identity().peer_url(Scheme::Http, member);
        self.name_cluster(&[InitialMember { name: member.clone(), peer_url }]);
    }
}
