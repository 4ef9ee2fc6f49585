//! What can go wrong in the model, by name, so that fixtures and seeded runs speak of the same things.

use etcd_operator_core::cluster::observed::{Alarm, AlarmKind, ListedMember};
use etcd_operator_core::cluster::plan::Kind;
use etcd_operator_core::gate::Stamp;
use etcd_operator_core::names::{CLUSTER_UID, MemberName, PermitId, Scheme};
use k8s_openapi::api::core::v1::{EnvVar, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Deserialize;

use super::Model;
use super::kubernetes::annotations;

/// One thing that goes wrong, or is asked for. Members are `leader`, `follower` (the first by name), `other` (the second)
/// or `learner`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// Claim and pod are deleted.
    LoseDisk(String),
    /// The data directory is emptied and etcd killed; the pod stays.
    WipeDirectory(String),
    /// The pod is deleted.
    DeletePod(String),
    /// The StatefulSet is deleted, and its pod with it.
    DeleteStatefulSet(String),
    /// A Service is deleted.
    DeleteService(String),
    /// A Service is told to go, and a finalizer keeps it.
    EndService(String),
    /// The StatefulSet is told to go, and a finalizer keeps it.
    EndStatefulSet(String),
    /// The disruption budget is deleted.
    DeleteBudget,
    /// A variable is added to the template of the StatefulSet, without a restart.
    AddVariable(String),
    /// The StatefulSet is scaled to nothing.
    ScaleToZero(String),
    /// The selector of the client Service selects nothing.
    CorruptSelector,
    /// Somebody adds a port to the client Service.
    AddPort,
    /// The budget is set to nothing.
    CorruptBudget,
    /// Pod labels of the role are taken away.
    RemoveRole(String),
    /// The status is emptied.
    ClearStatus,
    /// The status records another cluster.
    CorruptStatus,
    /// The claim records another cluster ID and loses its labels.
    CorruptClaim(String),
    /// All of the permit's record is taken from the claim.
    ForgetPermit(String),
    /// Nobody can reach the pod.
    Isolate(String),
    /// All can be reached again.
    Rejoin,
    /// The claim's deletion does not end.
    StickVolume(String),
    /// Deletions end again.
    ReleaseVolumes,
    /// Another cluster's data stands on the volume, and the container restarts.
    ForeignVolume(String),
    /// A learner with a peer URL of ours that has no objects.
    Phantom,
    /// A member that is not ours.
    Stranger,
    /// An alarm of a member that is no more.
    StaleAlarm,
    /// The permit that the member waits for was recorded for a pod that is gone.
    BurnPermit(String),
    /// The spec's size.
    Resize(i32),
    /// The spec's version.
    Version(String),
    /// The spec's volume size.
    Storage(String),
    /// The spec's suspend.
    Suspend,
    /// The operator is replaced by one from this image.
    UpgradeOperator(String),
    /// Somebody writes another image for the gate into the template.
    ChangeGateImage(String),
    /// The spec's memory limit.
    Memory(String),
    /// The spec's image repository.
    Repository(String),
    /// The spec's storage class.
    StorageClass(String),
    /// The spec's soak, in seconds.
    Soak(i64),
    /// The spec's answer to retained volumes.
    BootstrapNew,
    /// A merge patch of the spec.
    Change(serde_json::Value),
    /// An annotation of the cluster object asks for something; its value may name a member as faults do.
    Ask(String, String),
    /// The database has grown to so many bytes.
    Database(i64),
    /// etcd accepts no more writes, for want of room.
    NoSpace(String),
    /// The cluster object is deleted.
    DeleteCluster,
    /// The cluster object is deleted and made anew with the same name; what the old one owned goes when garbage is collected.
    Recreate,
    /// Nothing collects garbage for now.
    KeepGarbage,
    /// Garbage is collected again.
    CollectGarbage,
    /// A user's Service has the name of the client Service before there is one.
    UsersService,
    /// A claim of an earlier object, never used, has a name like a member's.
    OthersUnusedClaim,
    /// No node takes the member's pod, and it is made anew.
    Unschedule(String),
    /// Every node takes pods again.
    Schedule,
    /// The nodes that the member's volume is bound to are gone.
    CutOff(String),
    /// The API server refuses every write of Services.
    RefuseServices,
    /// The node is wiped in place: disk and emptyDir are blank, the pod stays.
    WipeNode(String),
    /// An admission webhook adds a variable to every template that is written from now on, and to this member's now.
    MutateTemplates(String),
    /// The claim is deleted while its pod runs, and is gone though the pod runs on.
    TakeClaim(String),
    /// The claim is deleted while its pod runs.
    EndVolume(String),
    /// A member's data differs, and etcd says so.
    Corrupt(String),
    /// A member's data differs, and etcd does not know it.
    ChangeData(String),
    /// etcd compares its members' data, and raises alarms.
    EtcdCompares,
    /// etcd ends when it reads a member's data.
    BreakData(String),
    /// All labels are taken from all pods.
    StripLabels,
    /// etcd ends in its container and starts again.
    RestartContainer(String),
    /// Somebody turns authentication on.
    Authentication,
    /// A pass that stops after so many actions.
    Crash(usize),
    /// The leadership moves to the member.
    MoveLeader(String),
    /// Passes of the operator.
    Passes(usize),
    /// Passes that are 20 seconds apart: close enough to each other for what they see to count as unbroken.
    Looks(usize),
    /// Passes until there is nothing left to do.
    Settle,
    /// Time without the operator.
    Seconds(i64),
}

impl Model {
    /// The member that a fixture speaks of.
    pub(crate) fn resolve(&self, reference: &str) -> MemberName {
        let etcd = self.etcd.as_ref().expect("faults speak of members once there are some");
        let name = |listed: &ListedMember| self.member_of(&listed.peer_urls[0]);
        let pick = |wanted: &dyn Fn(&ListedMember) -> bool, index: usize| {
            let mut names: Vec<MemberName> = etcd
                .members
                .iter()
                .filter(|one| wanted(&one.listed))
                .filter_map(|one| name(&one.listed))
                .collect();
            names.sort();
            names.get(index).cloned().expect("there is such a member")
        };
        let leads = |listed: &ListedMember| Some(listed.id) == etcd.leader;
        match reference {
            "leader" => pick(&leads, 0),
            "follower" => pick(&|listed| !leads(listed) && !listed.is_learner, 0),
            "other" => pick(&|listed| !leads(listed) && !listed.is_learner, 1),
            "learner" => pick(&|listed| listed.is_learner, 0),
            unknown => panic!("no member is called {unknown}"),
        }
    }

    pub(crate) fn inject(&mut self, fault: &Fault) {
        let is_known = self.inject_into_objects(fault)
            || self.inject_into_members(fault)
            || self.carry_out_wish(fault)
            || self.let_go_by(fault);
        assert!(is_known, "nobody knows {fault:?}");
        self.advance(0);
    }

    /// What befalls objects of Kubernetes. Whether it was such a fault.
    fn inject_into_objects(&mut self, fault: &Fault) -> bool {
        match fault {
            Fault::DeletePod(member) => self.remove_pod(&self.resolve(member).pod()),
            Fault::DeleteStatefulSet(member) => {
                let member = self.resolve(member);
                self.stateful_sets.remove(member.as_str());
                self.remove_pod(&member.pod());
            }
            Fault::DeleteService(name) => drop(self.services.remove(name)),
            Fault::EndService(name) => {
                let live = self.services.get_mut(name).expect("a Service");
                live.metadata.deletion_timestamp = Some(Time(self.now));
            }
            Fault::EndStatefulSet(member) => {
                let member = self.resolve(member);
                let live = self.stateful_sets.get_mut(member.as_str()).expect("a StatefulSet");
                live.metadata.deletion_timestamp = Some(Time(self.now));
            }
            Fault::DeleteBudget => self.budgets.clear(),
            Fault::AddVariable(member) => self.add_variable(&self.resolve(member)),
            Fault::ScaleToZero(member) => {
                let member = self.resolve(member);
                let live = self.stateful_sets.get_mut(member.as_str()).expect("a StatefulSet");
                live.spec.as_mut().expect("a spec").replicas = Some(0);
            }
            Fault::CorruptSelector | Fault::AddPort => self.corrupt_service(fault),
            Fault::CorruptBudget => {
                let live = self.budgets.get_mut("demo").expect("a budget");
                live.spec.as_mut().expect("a spec").min_available = Some(IntOrString::Int(0));
            }
            Fault::RemoveRole(member) => {
                let pod = self.resolve(member).pod();
                let labels = self.pods.get_mut(&pod).expect("a pod").metadata.labels.as_mut();
                labels.expect("labels").remove("etcd.operators.rs/role");
            }
            Fault::ClearStatus | Fault::CorruptStatus => self.corrupt_status(fault),
            Fault::CorruptClaim(_) | Fault::ForgetPermit(_) | Fault::BurnPermit(_) => {
                self.corrupt_claim(fault)
            }
            Fault::ChangeGateImage(member) => self.change_gate_image(&self.resolve(member)),
            Fault::KeepGarbage => self.garbage_stays = true,
            Fault::CollectGarbage => self.garbage_stays = false,
            Fault::UsersService => self.add_users_service(),
            Fault::OthersUnusedClaim => self.add_others_unused_claim(),
            Fault::RefuseServices => drop(self.refused_kinds.insert(Kind::Service)),
            Fault::MutateTemplates(member) => {
                self.add_variable(&self.resolve(member));
                self.webhook_adds_variables = true;
            }
            Fault::StripLabels => {
                let kept = "controller-revision-hash";
                for pod in self.pods.values_mut() {
                    pod.metadata.labels.get_or_insert_default().retain(|key, _| key == kept);
                }
            }
            _ => return false,
        }
        true
    }

    /// What befalls members, their volumes and their nodes.
    fn inject_into_members(&mut self, fault: &Fault) -> bool {
        match fault {
            Fault::LoseDisk(member) => self.lose_disk(&self.resolve(member)),
            Fault::WipeDirectory(member) => self.restart_with_disk(&self.resolve(member), None, false),
            Fault::Isolate(member) => drop(self.unreachable.insert(self.resolve(member).pod())),
            Fault::Rejoin => self.unreachable.clear(),
            Fault::StickVolume(member) => drop(self.stuck_claims.insert(self.resolve(member).claim())),
            Fault::ReleaseVolumes => self.stuck_claims.clear(),
            Fault::ForeignVolume(member) => {
                let member = self.resolve(member);
                self.restart_with_disk(&member, Some("another-cluster"), true);
            }
            Fault::Phantom | Fault::Stranger | Fault::StaleAlarm => self.intrude_on_etcd(fault),
            Fault::Unschedule(member) => {
                let pod = self.resolve(member).pod();
                self.unschedulable.insert(pod.clone());
                self.remove_pod(&pod);
            }
            Fault::Schedule => self.unschedulable.clear(),
            Fault::CutOff(member) => drop(self.cut_off.insert(self.resolve(member).claim())),
            Fault::WipeNode(member) => self.wipe_node(&self.resolve(member)),
            Fault::TakeClaim(member) => drop(self.claims.remove(&self.resolve(member).claim())),
            Fault::EndVolume(member) => {
                let claim = self.resolve(member).claim();
                let live = self.claims.get_mut(&claim).expect("a claim");
                live.metadata.deletion_timestamp = Some(Time(self.now));
            }
            Fault::Corrupt(member) => {
                let member = self.resolve(member);
                self.change_data(&member);
                self.raise_alarm(&member, AlarmKind::Corrupt);
            }
            Fault::EtcdCompares => self.compare_as_etcd_does(),
            Fault::ChangeData(member) => self.change_data(&self.resolve(member)),
            Fault::BreakData(member) => self.break_data(&self.resolve(member)),
            Fault::NoSpace(member) => self.raise_alarm(&self.resolve(member), AlarmKind::NoSpace),
            Fault::Database(bytes) => self.database_bytes = *bytes,
            Fault::RestartContainer(member) => self.restart_container(&self.resolve(member).pod()),
            Fault::Authentication => self.asks_for_credentials = true,
            Fault::MoveLeader(member) => {
                let member = self.resolve(member);
                let url = self.identity().peer_url(Scheme::Http, &member);
                let etcd = self.etcd.as_mut().expect("etcd");
                let listed = etcd.members.iter().find(|one| one.listed.peer_urls[0] == url);
                etcd.leader = listed.map(|one| one.listed.id);
            }
            _ => return false,
        }
        true
    }

    pub(crate) fn lose_disk(&mut self, member: &MemberName) {
        if let Some(claim) = self.claims.get_mut(&member.claim()) {
            claim.metadata.deletion_timestamp = Some(Time(self.now));
        }
        self.remove_pod(&member.pod());
    }

    /// Whether a listed member's directory is empty beside its stamp: its gate refuses, now or when it runs next.
    pub(crate) fn has_wiped_member(&self) -> bool {
        let listed = self.etcd.iter().flat_map(|etcd| &etcd.members);
        let names = listed.filter_map(|member| self.member_of(&member.listed.peer_urls[0]));
        let disks = names.filter_map(|name| self.disk_of(&name.pod()));
        disks.filter_map(|disk| self.disks.get(&disk)).any(|disk| disk.stamp.is_some() && !disk.has_log)
    }

    pub(crate) fn restart_with_disk(&mut self, member: &MemberName, stamp_of: Option<&str>, has_log: bool) {
        let disk = self.disk_of(&member.pod()).expect("a volume");
        let disk = self.disks.get_mut(&disk).expect("a disk");
        disk.has_log = has_log;
        if let Some(uid) = stamp_of {
            let stamp = disk.stamp.take().expect("a used disk is stamped");
            disk.stamp = Some(Stamp { cluster_uid: uid.to_owned(), ..stamp });
        }
        if let Some(pod) = self.pods.get(&member.pod()) {
            let uid = pod.metadata.uid.clone().expect("a UID");
            self.processes.get_mut(&uid).expect("a process").runs_etcd = false;
        }
    }

    pub(crate) fn add_variable(&mut self, member: &MemberName) {
        self.set_variable(member.as_str());
        let live = self.stateful_sets.get_mut(member.as_str()).expect("a StatefulSet");
        live.metadata.generation = live.metadata.generation.map(|generation| generation + 1);
    }

    pub(super) fn set_variable(&mut self, name: &str) {
        let live = self.stateful_sets.get_mut(name).expect("a StatefulSet");
        let spec = live.spec.as_mut().expect("a spec").template.spec.as_mut().expect("a pod's spec");
        let variables = spec.containers[0].env.get_or_insert_default();
        let added = EnvVar {
            name: "ETCD_HEARTBEAT_INTERVAL".to_owned(),
            value: Some("1".to_owned()),
            ..EnvVar::default()
        };
        if !variables.contains(&added) {
            variables.push(added);
        }
    }

    fn change_gate_image(&mut self, member: &MemberName) {
        let live = self.stateful_sets.get_mut(member.as_str()).expect("a StatefulSet");
        let spec = live.spec.as_mut().expect("a spec").template.spec.as_mut().expect("a pod's spec");
        spec.init_containers.as_mut().expect("the gate's")[0].image = Some("somebody/else:v1".to_owned());
        live.metadata.generation = live.metadata.generation.map(|generation| generation + 1);
    }

    fn corrupt_service(&mut self, fault: &Fault) {
        let spec = self.services.get_mut("demo").expect("a Service").spec.as_mut().expect("a spec");
        match fault {
            Fault::AddPort => spec.ports.get_or_insert_default().push(ServicePort {
                name: Some("debug".to_owned()),
                port: 6060,
                ..ServicePort::default()
            }),
            _ => spec.selector = Some([("app".to_owned(), "nothing".to_owned())].into()),
        }
    }

    fn corrupt_status(&mut self, fault: &Fault) {
        let status = self.cluster.status.get_or_insert_default();
        *status = match fault {
            Fault::CorruptStatus => etcd_operator_core::api::EtcdClusterStatus {
                formed: true,
                cluster_id: Some("bad".to_owned()),
                members: Vec::new(),
                ..status.clone()
            },
            _ => etcd_operator_core::api::EtcdClusterStatus::default(),
        };
        self.bump_cluster();
    }

    fn corrupt_claim(&mut self, fault: &Fault) {
        let (Fault::CorruptClaim(member) | Fault::ForgetPermit(member) | Fault::BurnPermit(member)) = fault
        else {
            panic!("not a claim's fault")
        };
        let claim = self.resolve(member).claim();
        let metadata = &mut self.claims.get_mut(&claim).expect("a claim").metadata;
        match fault {
            Fault::CorruptClaim(_) => {
                annotations(metadata).insert("etcd.operators.rs/formed".to_owned(), "bad".to_owned());
                annotations(metadata).insert(CLUSTER_UID.to_owned(), "another".to_owned());
                metadata.labels = None;
            }
            Fault::ForgetPermit(_) => drop(annotations(metadata).remove("etcd.operators.rs/permit-issued")),
            _ => {
                let issued = etcd_operator_core::cluster::observed::IssuedPermit {
                    id: PermitId("burned".to_owned()),
                    pod_uid: "a-pod-that-is-gone".to_owned(),
                    spent: false,
                };
                let text = serde_json::to_string(&issued).expect("plain data");
                annotations(metadata).insert("etcd.operators.rs/permit-issued".to_owned(), text);
            }
        }
    }

    fn intrude_on_etcd(&mut self, fault: &Fault) {
        match fault {
            Fault::Phantom => {
                let identity = self.identity();
                let ghost = MemberName::parse(&identity, "demo-ghost").expect("a member's name");
                self.add_unstarted(&identity.peer_url(Scheme::Http, &ghost));
            }
            Fault::Stranger => self.add_unstarted("http://10.0.0.9:2380"),
            _ => {
                let etcd = self.etcd.as_mut().expect("etcd");
                etcd.alarms.push(Alarm {
                    member_id: etcd_operator_core::names::MemberId(0xdead),
                    kind: AlarmKind::NoSpace,
                });
            }
        }
    }
}
