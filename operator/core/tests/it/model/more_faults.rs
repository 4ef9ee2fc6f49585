//! What befalls whole objects: a second cluster of one name, names that others have, nodes that are wiped. Only does.

use etcd_operator_core::api::{BootstrapSpec, RetainedVolumes};
use etcd_operator_core::cluster::observed::{Alarm, AlarmKind};
use etcd_operator_core::names::{CLUSTER_UID, LABEL_CLUSTER, MemberName, Scheme};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::kubernetes::annotations;
use super::{Fault, Model};

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
        self.memory = etcd_operator_core::cluster::memory::Memory::default();
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

    pub(super) fn raise_alarm(&mut self, member: &MemberName, kind: AlarmKind) {
        let url = self.identity().peer_url(Scheme::Http, member);
        let etcd = self.etcd.as_mut().expect("etcd");
        let id = etcd.members.iter().find(|one| one.listed.peer_urls[0] == url).expect("a member").listed.id;
        etcd.alarms.push(Alarm { member_id: id, kind });
    }
}

/// What users ask for, and what happens meanwhile.
impl Model {
    /// What users ask of the cluster object. Whether it was such a wish.
    pub(super) fn carry_out_wish(&mut self, fault: &Fault) -> bool {
        match fault {
            Fault::Resize(size) => self.change_spec(|spec| spec.size = *size),
            Fault::Version(version) => self.change_spec(|spec| spec.version = version.clone()),
            Fault::Storage(size) => self.change_spec(|spec| spec.storage.size.0.clone_from(size)),
            Fault::Suspend => self.change_spec(|spec| spec.suspend = true),
            Fault::UpgradeOperator(image) => self.operator_image.clone_from(image),
            Fault::Memory(amount) => {
                let resources = serde_json::json!({ "requests": { "memory": amount } });
                let resources = serde_json::from_value(resources).expect("resources");
                self.change_spec(|spec| spec.resources = Some(resources));
            }
            Fault::Repository(repository) => {
                self.change_spec(|spec| spec.image.repository.clone_from(repository));
            }
            Fault::StorageClass(class) => {
                self.change_spec(|spec| spec.storage.storage_class_name = Some(class.clone()));
            }
            Fault::Soak(seconds) => self.change_spec(|spec| spec.rollout.soak_seconds = *seconds),
            Fault::BootstrapNew => self.change_spec(|spec| {
                spec.bootstrap =
                    Some(BootstrapSpec { retained_volumes: Some(RetainedVolumes::Leave), restore: None })
            }),
            Fault::Recreate => self.recreate(),
            Fault::Change(patch) => self.change_by(patch),
            Fault::Ask(what, value) => {
                let is_member = ["leader", "follower", "other", "learner"].contains(&value.as_str());
                let value = if is_member { self.resolve(value).to_string() } else { value.clone() };
                self.ask(what, &value);
            }
            Fault::DeleteCluster => self.cluster.metadata.deletion_timestamp = Some(Time(self.now)),
            _ => return false,
        }
        true
    }

    /// Changes the spec by a merge patch.
    pub(crate) fn change_by(&mut self, patch: &serde_json::Value) {
        let mut spec = serde_json::to_value(&self.cluster.spec).expect("plain data");
        merge(&mut spec, patch);
        let spec = serde_json::from_value(spec).expect("a spec");
        self.change_spec(|present| *present = spec);
    }

    /// Asks for something once.
    pub(crate) fn ask(&mut self, what: &str, value: &str) {
        let key = format!("etcd.operators.rs/{what}");
        annotations(&mut self.cluster.metadata).insert(key, value.to_owned());
        self.bump_cluster();
    }

    /// What the operator does by itself, and time.
    pub(super) fn let_go_by(&mut self, fault: &Fault) -> bool {
        match fault {
            Fault::Crash(actions) => drop(self.pass_until(*actions)),
            Fault::Passes(count) => (0..*count).for_each(|_| drop(self.pass())),
            Fault::Looks(count) => (0..*count).for_each(|_| {
                self.pass_until(usize::MAX);
                self.advance(20);
            }),
            Fault::Settle => drop(self.settle(60)),
            Fault::Seconds(seconds) => self.advance(*seconds),
            _ => return false,
        }
        true
    }
}

/// RFC 7386.
fn merge(value: &mut serde_json::Value, patch: &serde_json::Value) {
    let Some(changes) = patch.as_object() else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = serde_json::json!({});
    }
    let fields = value.as_object_mut().expect("it was made one");
    for (key, change) in changes {
        if change.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(serde_json::Value::Null), change);
        }
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
