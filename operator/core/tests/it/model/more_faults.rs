//! What befalls whole objects: a second cluster of one name, names that others have, nodes that are wiped. Only does.

use etcd_operator_core::names::{CLUSTER_UID, LABEL_CLUSTER, MemberName};
use etcd_operator_core::observed::{Alarm, AlarmKind};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Model;
use super::kubernetes::annotations;

impl Model {
    /// The cluster object is deleted, and one of the same name is made. Its etcd is none yet: that of the old one runs on in the
    /// old one's pods for as long as there are any.
    pub(super) fn recreate(&mut self) {
        let number = self.next();
        self.cluster.metadata.uid = Some(format!("5f9d3c1e-0000-4000-8000-{number:012}"));
        self.cluster.metadata.generation = Some(1);
        self.cluster.metadata.deletion_timestamp = None;
        self.cluster.status = None;
        self.etcd = None;
        self.memory = etcd_operator_core::memory::Memory::default();
        self.bump_cluster();
    }

    pub(super) fn add_users_service(&mut self) {
        let selector = [("app".to_owned(), "users".to_owned())].into();
        let metadata = ObjectMeta {
            name: Some("demo".to_owned()),
            namespace: Some("test".to_owned()),
            uid: Some("a-users-service".to_owned()),
            ..ObjectMeta::default()
        };
        let spec = ServiceSpec { selector: Some(selector), ..ServiceSpec::default() };
        self.services.insert("demo".to_owned(), Service { metadata, spec: Some(spec), status: None });
    }

    pub(super) fn add_others_unused_claim(&mut self) {
        let (_, any) = self.claims.first_key_value().expect("a claim to copy");
        let mut claim: PersistentVolumeClaim = any.clone();
        let name = "data-demo-aaaaa".to_owned();
        claim.metadata.name = Some(name.clone());
        claim.metadata.uid = Some("others-claim".to_owned());
        let origin = r#"{"kind":"added","token":"t"}"#;
        claim.metadata.annotations = None;
        annotations(&mut claim.metadata).insert(CLUSTER_UID.to_owned(), "an-earlier-object".to_owned());
        annotations(&mut claim.metadata).insert("etcd.operators.rs/origin".to_owned(), origin.to_owned());
        let labels = claim.metadata.labels.get_or_insert_default();
        labels.insert(LABEL_CLUSTER.to_owned(), "demo".to_owned());
        self.claims.insert(name, claim);
    }

    pub(super) fn wipe_node(&mut self, member: &MemberName) {
        let claim = self.claims[&member.claim()].metadata.uid.clone().expect("a UID");
        self.disks.remove(&claim);
        let pod = self.pods[&member.pod()].metadata.uid.clone().expect("a UID");
        let process = self.processes.get_mut(&pod).expect("a process");
        process.runs_etcd = false;
        process.spent.clear();
    }

    pub(super) fn raise_alarm(&mut self, member: &MemberName) {
        let url = self.identity().peer_url(member);
        let etcd = self.etcd.as_mut().expect("etcd");
        let id = etcd.members.iter().find(|one| one.listed.peer_urls[0] == url).expect("a member").listed.id;
        etcd.alarms.push(Alarm { member_id: id, kind: AlarmKind::Corrupt });
    }
}

/// Smaller things that tests of convergence do.
impl Model {
    pub(crate) fn inject_pod_deletion(&mut self, member: &MemberName) {
        self.remove_pod(&member.pod());
    }

    /// Deletes a pod that has a permit and has not run; its successor finds an empty disk and the record.
    pub(crate) fn delete_pod_before_it_started(&mut self, pod: &str) {
        self.remove_pod(pod);
    }
}
