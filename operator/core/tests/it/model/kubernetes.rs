//! The controllers and the kubelet of the model: StatefulSets make pods, pods run the gate, deleted things go.

use std::collections::BTreeMap;

use etcd_operator_core::cluster::target::Target;
use etcd_operator_core::gate::{
    self, ClusterState, DataState, DiskState, GateConfiguration, GateDecision, GateInputs, PermitReading,
    StampState,
};
use etcd_operator_core::names::{ANNOTATION_PERMIT, MemberName};
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus, Pod, PodCondition,
    PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use sha2::{Digest, Sha256};

use super::Model;
use super::memory::is_in_memory;

/// The name of a template's revision: formed from its content, as Kubernetes does.
fn revision(live: &StatefulSet) -> String {
    let template = serde_json::to_string(&live.spec.as_ref().expect("a spec").template).expect("plain data");
    let digest = Sha256::digest(template);
    digest[..5].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Model {
    pub(super) fn run_controllers(&mut self) {
        if !self.garbage_stays {
            self.collect_garbage();
        }
        self.run_stateful_sets();
        self.provision();
        self.run_jobs();
        let orphans: Vec<String> = self
            .pods
            .keys()
            .filter(|pod| !self.stateful_sets.contains_key(pod.trim_end_matches("-0")))
            .cloned()
            .collect();
        for pod in orphans {
            self.remove_pod(&pod);
        }
        let gone: Vec<String> = self
            .claims
            .values()
            .filter(|claim| claim.metadata.deletion_timestamp.is_some())
            .filter_map(|claim| claim.metadata.name.clone())
            .filter(|name| !self.stuck_claims.contains(name) && !self.is_in_use(name))
            .collect();
        for name in gone {
            let claim = self.claims.remove(&name).expect("it was listed");
            self.disks.remove(&claim.metadata.uid.expect("a UID"));
        }
    }

    /// Volumes get the size that was asked for, and grow to it.
    fn provision(&mut self) {
        for claim in self.claims.values_mut() {
            let spec = claim.spec.as_ref().expect("a spec");
            if spec.storage_class_name.as_deref() == Some(super::MISSING_CLASS) {
                continue;
            }
            let asked = spec.resources.as_ref().and_then(|resources| resources.requests.clone());
            claim.status.get_or_insert_default().capacity = asked;
        }
    }

    /// Whether a pod's volume is there, and some node may run it.
    fn is_placed(&self, pod: &str) -> bool {
        let claim = self.claims.get(&format!("data-{}", pod.trim_end_matches("-0")));
        let has_claim = claim.is_some_and(|claim| {
            claim.metadata.deletion_timestamp.is_none()
                && claim.status.as_ref().is_some_and(|status| status.capacity.is_some())
        });
        let has_volume = has_claim || is_in_memory(&self.pods[pod]);
        let selector = self.pods[pod].spec.as_ref().and_then(|spec| spec.node_selector.as_ref());
        has_volume && selector.is_none_or(|labels| !labels.contains_key(super::MISSING_LABEL))
    }

    /// Objects whose owner is gone go, whatever else has its name by now.
    fn collect_garbage(&mut self) {
        let uid = self.cluster.metadata.uid.clone();
        let is_garbage = |metadata: &ObjectMeta| {
            let mut owners =
                metadata.owner_references.iter().flatten().filter(|one| one.kind == "EtcdCluster");
            owners.next().is_some_and(|owner| Some(&owner.uid) != uid.as_ref())
        };
        self.stateful_sets.retain(|_, live| !is_garbage(&live.metadata));
        self.services.retain(|_, live| !is_garbage(&live.metadata));
        self.budgets.retain(|_, live| !is_garbage(&live.metadata));
        let stateful_sets = &self.stateful_sets;
        let lives = |owner: &OwnerReference| match owner.kind.as_str() {
            "StatefulSet" => stateful_sets
                .get(&owner.name)
                .is_some_and(|live| live.metadata.uid.as_ref() == Some(&owner.uid)),
            _ => Some(&owner.uid) == uid.as_ref(),
        };
        self.secrets.retain(|_, live| live.metadata.owner_references.iter().flatten().all(lives));
    }

    fn is_in_use(&self, claim: &str) -> bool {
        let pod = format!("{}-0", claim.trim_start_matches("data-"));
        self.pods.get(&pod).is_some_and(|pod| self.is_running(pod))
    }

    fn run_stateful_sets(&mut self) {
        let names: Vec<String> = self.stateful_sets.keys().cloned().collect();
        for name in names {
            let live = self.stateful_sets.get_mut(&name).expect("it was listed");
            let revision = revision(live);
            live.status = Some(StatefulSetStatus {
                observed_generation: live.metadata.generation,
                update_revision: Some(revision.clone()),
                ..StatefulSetStatus::default()
            });
            let spec = live.spec.clone().expect("a spec");
            let owner = OwnerReference {
                kind: "StatefulSet".to_owned(),
                name: name.clone(),
                uid: live.metadata.uid.clone().expect("a UID"),
                controller: Some(true),
                ..OwnerReference::default()
            };
            let pod = format!("{name}-0");
            if spec.replicas == Some(0) {
                self.remove_pod(&pod);
            } else if !self.pods.contains_key(&pod) {
                self.create_pod(&pod, &spec.template.metadata.unwrap_or_default(), revision, owner);
            }
        }
    }

    fn create_pod(&mut self, name: &str, template: &ObjectMeta, revision: String, owner: OwnerReference) {
        let uid = format!("pod-{}", self.next());
        let mut labels = template.labels.clone().unwrap_or_default();
        labels.insert("controller-revision-hash".to_owned(), revision);
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("test".to_owned()),
            uid: Some(uid.clone()),
            resource_version: Some(self.next().to_string()),
            labels: Some(labels),
            annotations: template.annotations.clone(),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        let live = &self.stateful_sets[name.trim_end_matches("-0")];
        let spec = live.spec.as_ref().and_then(|spec| spec.template.spec.clone());
        let image = spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone());
        self.pods.insert(name.to_owned(), Pod { metadata, spec: spec.clone(), ..Pod::default() });
        let version = spec.as_ref().and_then(Target::of_pod_spec).map(|target| target.version);
        let process =
            super::Process { image: image.unwrap_or_default(), version, ..super::Process::default() };
        self.processes.insert(uid, process);
    }

    pub(super) fn remove_pod(&mut self, name: &str) {
        if let Some(pod) = self.pods.remove(name) {
            let uid = pod.metadata.uid.expect("a UID");
            self.processes.remove(&uid);
            // Only what is in memory goes with the pod: other disks are known by their claims.
            self.disks.remove(&uid);
        }
    }

    pub(super) fn is_running(&self, pod: &Pod) -> bool {
        pod.status.as_ref().is_some_and(|status| status.container_statuses.is_some())
    }

    /// Starts the containers of pods whose volume is there, and lets their gates decide.
    pub(super) fn run_pods(&mut self) {
        self.take_certificates_up();
        let names: Vec<String> = self.pods.keys().cloned().collect();
        for name in names {
            let member = name.trim_end_matches("-0").to_owned();
            let can_start =
                !self.unschedulable.contains(&name) && self.is_placed(&name) && !self.stops_for_image(&name);
            let can_start = can_start && self.has_certificates(&name);
            let disk = self.disk_of(&name);
            let starts = !self.is_running(&self.pods[&name]) && can_start;
            if starts {
                self.set_running(&name);
            }
            if let Some(disk) = disk.filter(|_| self.is_running(&self.pods[&name])) {
                self.run_gate(&name, &member, &disk);
            }
            self.set_ready(&name);
        }
    }

    fn set_running(&mut self, pod: &str) {
        let status = ContainerStatus {
            name: "etcd".to_owned(),
            state: Some(ContainerState {
                running: Some(ContainerStateRunning { started_at: Some(Time(self.now)) }),
                ..ContainerState::default()
            }),
            ..ContainerStatus::default()
        };
        let pod = self.pods.get_mut(pod).expect("it was listed");
        pod.status = Some(PodStatus {
            container_statuses: Some(vec![status]),
            pod_ip: pod.metadata.name.clone(),
            ..PodStatus::default()
        });
    }

    /// Whether no node can pull the image that the pod was made with.
    fn stops_for_image(&self, pod: &str) -> bool {
        let uid = self.pods[pod].metadata.uid.as_ref().expect("a UID");
        self.processes[uid].image.contains(super::MISSING_REPOSITORY)
    }

    /// etcd ends in its container, for example out of memory, and starts again.
    pub(crate) fn restart_container(&mut self, pod: &str) {
        let now = self.now;
        let live = self.pods.get_mut(pod).expect("a pod");
        let statuses = live.status.as_mut().and_then(|status| status.container_statuses.as_mut());
        for status in statuses.into_iter().flatten() {
            status.restart_count += 1;
            status.state = Some(ContainerState {
                running: Some(ContainerStateRunning { started_at: Some(Time(now)) }),
                ..ContainerState::default()
            });
            status.last_state = Some(ContainerState {
                terminated: Some(ContainerStateTerminated {
                    exit_code: 137,
                    reason: Some("OOMKilled".to_owned()),
                    ..ContainerStateTerminated::default()
                }),
                ..ContainerState::default()
            });
        }
    }

    fn set_ready(&mut self, name: &str) {
        let is_ready = self.runs_etcd(name) && self.has_quorum() && !self.unreachable.contains(name);
        if let Some(status) = self.pods.get_mut(name).and_then(|pod| pod.status.as_mut()) {
            let condition = PodCondition {
                type_: "Ready".to_owned(),
                status: if is_ready { "True" } else { "False" }.to_owned(),
                ..PodCondition::default()
            };
            status.conditions = Some(vec![condition]);
        }
    }

    pub(crate) fn runs_etcd(&self, pod: &str) -> bool {
        let uid = self.pods.get(pod).and_then(|pod| pod.metadata.uid.as_ref());
        uid.and_then(|uid| self.processes.get(uid)).is_some_and(|process| process.runs_etcd)
    }

    fn run_gate(&mut self, pod_name: &str, member: &str, disk_uid: &str) {
        let pod = &self.pods[pod_name];
        let pod_uid = pod.metadata.uid.clone().expect("a UID");
        let annotation = pod.metadata.annotations.as_ref().and_then(|all| all.get(ANNOTATION_PERMIT));
        let permit = match annotation.map(|text| serde_json::from_str(text)) {
            None => PermitReading::Absent,
            Some(Ok(permit)) => PermitReading::Given(permit),
            Some(Err(error)) => PermitReading::Malformed(error.to_string()),
        };
        let tls = self.told(pod_name);
        let cluster = self.identity();
        let member = MemberName::parse(&cluster, member).expect("the model's pods are members'");
        if self.processes[&pod_uid].runs_etcd {
            return;
        }
        let disk = self.disks.entry(disk_uid.to_owned()).or_default().clone();
        if disk.is_broken {
            self.end_on_broken_data(pod_name);
            return;
        }
        let process = self.processes.get_mut(&pod_uid).expect("each pod has a process");
        let inputs = GateInputs {
            configuration: GateConfiguration {
                format: gate::FORMAT,
                oldest_reader: gate::OLDEST_READER,
                cluster,
                member: member.clone(),
                etcd_version: "3.6.16".to_owned(),
                quota_backend_bytes: None,
                options: etcd_operator_core::etcd_options::EtcdOptions::default(),
                tls,
            },
            pod_uid: pod_uid.clone(),
            disk: DiskState {
                stamp: disk.stamp.clone().map_or(StampState::Absent, StampState::Present),
                boot_counter: gate::BootCounterState::Absent,
                data: if disk.has_log { DataState::Log(None) } else { DataState::Empty },
            },
            permit,
            fence_epoch: 0,
            spent: process.spent.clone(),
        };
        match gate::decide(&inputs) {
            GateDecision::Hold(reason) => process.holding = Some(reason),
            GateDecision::Start(start) => {
                let version = process.version.expect("each pod names a version");
                process.holding = None;
                process.runs_etcd = true;
                process.spent.extend(start.spend.clone());
                let is_first = start.spend.is_some();
                if !is_first {
                    self.start_restored(&member);
                }
                self.refuse_to_start_what_does_not_fit(&member, version);
                let disk = self.disks.get_mut(disk_uid).expect("it was made above");
                disk.stamp = Some(start.stamp.clone());
                disk.has_log = true;
                let is_new = start.initial.state == ClusterState::New;
                if is_first && !is_new {
                    self.refuse_to_join_ahead(&member, version.line());
                }
                let ends = is_first && self.etcd_ends_at_once;
                if ends || (is_first && !self.first_start(&member, is_new, &start.initial.members)) {
                    self.processes.get_mut(&pod_uid).expect("each pod has a process").runs_etcd = false;
                    self.disks.get_mut(disk_uid).expect("it was made above").has_log = false;
                }
            }
        }
    }
}

/// Annotations of an object, made if missing.
pub(super) fn annotations(metadata: &mut ObjectMeta) -> &mut BTreeMap<String, String> {
    metadata.annotations.get_or_insert_default()
}
