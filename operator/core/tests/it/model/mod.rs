//! A model of one Kubernetes namespace and the etcd cluster in it, small enough to read and strict about what must never
//! happen: it panics when an action of the operator breaks one of the rules that it knows.

mod data;
mod etcd;
mod execute;
mod faults;
mod kubernetes;
mod memory;
mod more_faults;
mod restore;
mod tls;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use etcd_operator_core::api::{EtcdBackup, EtcdCluster, EtcdClusterSpec};
use etcd_operator_core::cluster::desired::{Desired, EtcdVersion};
use etcd_operator_core::cluster::memory::Memory;
use etcd_operator_core::cluster::observed::{Backups, Observed, Places, Settings, WarnedKind};
use etcd_operator_core::cluster::plan::{self, Concern, HoldReason, Plan, Setback};
use etcd_operator_core::cluster::status;
use etcd_operator_core::cluster::world::World;
use etcd_operator_core::explained::EndedBy;
use etcd_operator_core::gate::Stamp;
use etcd_operator_core::names::{ClusterIdentity, Entropy, MemberName, Naming, PermitId};
use etcd_operator_core::tls::MemberTls;
use etcd_operator_core::tls::facts::{CertificateFacts, KeyDigest, SecretFacts};
use etcd_operator_mutants::Mutant;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

pub(crate) use data::RIGHT;
pub(crate) use etcd::Etcd;
pub(crate) use faults::Fault;

/// What is on a volume.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) stamp: Option<Stamp>,
    pub(crate) has_log: bool,
    /// Whether etcd ends when it reads it.
    pub(crate) is_broken: bool,
}

/// What runs in a pod's etcd container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Process {
    pub(crate) spent: BTreeSet<PermitId>,
    pub(crate) holding: Option<etcd_operator_core::gate::GateHoldReason>,
    pub(crate) runs_etcd: bool,
    /// The image that its pod was made with.
    pub(crate) image: String,
    /// The version that is in it.
    pub(crate) version: Option<EtcdVersion>,
    /// How it was told to use TLS.
    pub(crate) tls: Option<MemberTls>,
    /// The certificates that it shows.
    pub(crate) taken_up: tls::TakenUp,
}

/// The whole world.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) now: Timestamp,
    pub(crate) cluster: EtcdCluster,
    pub(crate) stateful_sets: BTreeMap<String, StatefulSet>,
    pub(crate) pods: BTreeMap<String, Pod>,
    pub(crate) claims: BTreeMap<String, PersistentVolumeClaim>,
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) budgets: BTreeMap<String, PodDisruptionBudget>,
    pub(crate) backups: BTreeMap<String, EtcdBackup>,
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) secrets: BTreeMap<String, SecretFacts>,
    /// Every authority that was ever made.
    pub(crate) authorities: Vec<CertificateFacts>,
    /// Since when applications have been told of an authority.
    pub(crate) published: BTreeMap<KeyDigest, Timestamp>,
    /// Whether Jobs that restore fail.
    pub(crate) restores_fail: bool,
    /// By the claim's UID; by the pod's if the data is in its memory.
    pub(crate) disks: BTreeMap<String, Disk>,
    /// By the pod's UID.
    pub(crate) processes: BTreeMap<String, Process>,
    pub(crate) etcd: Option<Etcd>,
    /// Pods, by name, that nobody can reach.
    pub(crate) unreachable: BTreeSet<String>,
    /// Claims, by name, whose deletion does not end.
    pub(crate) stuck_claims: BTreeSet<String>,
    /// Pods, by name, that no node takes.
    pub(crate) unschedulable: BTreeSet<String>,
    /// Claims, by name, whose nodes are all gone.
    pub(crate) cut_off: BTreeSet<String>,
    /// Kinds of which the API server refuses every write, as a quota or a webhook would.
    pub(crate) refused_kinds: BTreeSet<plan::Kind>,
    /// How large etcd's database is, in bytes.
    pub(crate) database_bytes: i64,
    /// Whether an admission webhook adds a variable to every template that is written.
    pub(crate) webhook_adds_variables: bool,
    /// Whether nobody answers the operator, though all is well otherwise.
    pub(crate) operator_is_cut_off: bool,
    /// Whether etcd ends at its first start, before it has written anything.
    pub(crate) etcd_ends_at_once: bool,
    /// Whether etcd asks for credentials.
    pub(crate) asks_for_credentials: bool,
    /// Whether objects of an owner that is gone are still there.
    pub(crate) garbage_stays: bool,
    /// What the operator process remembers.
    pub(crate) memory: Memory,
    /// Time by the operator's monotonic clock.
    pub(crate) monotonic: std::time::Duration,
    /// Permits recorded for each incarnation, ever.
    pub(crate) permits: BTreeMap<String, BTreeSet<String>>,
    /// How long members ran with what.
    pub(crate) longest_runs: versions::LongestRuns,
    pub(crate) mutant: Option<Mutant>,
    /// The image that the operator runs from.
    pub(crate) operator_image: String,
    /// Whether rules are enforced; off for the wrong operators.
    pub(crate) is_strict: bool,
    counter: u64,
}

/// An amount of memory that the API server of the model refuses, as a real one refuses requests above limits.
pub(crate) const REFUSED_AMOUNT: &str = "666Ti";
/// A StorageClass that nobody provisions volumes of.
pub(crate) const MISSING_CLASS: &str = "missing";
/// A StorageClass whose volumes cannot grow.
pub(crate) const FIXED_CLASS: &str = "fixed";
/// A label that no node has.
pub(crate) const MISSING_LABEL: &str = "nowhere";
/// A repository that no node of the model can pull from.
pub(crate) const MISSING_REPOSITORY: &str = "nowhere";
pub(crate) const CLUSTER_UID: &str = "5f9d3c1e-0000-4000-8000-000000000001";

impl Model {
    /// An empty namespace with one new cluster object.
    pub(crate) fn new(spec: EtcdClusterSpec) -> Model {
        let mut cluster = EtcdCluster::new("demo", spec);
        cluster.metadata.namespace = Some("test".to_owned());
        cluster.metadata.uid = Some(CLUSTER_UID.to_owned());
        cluster.metadata.generation = Some(1);
        cluster.metadata.resource_version = Some("1".to_owned());
        Model {
            now: "2026-01-01T00:00:00Z".parse().expect("a time"),
            cluster,
            stateful_sets: BTreeMap::new(),
            pods: BTreeMap::new(),
            claims: BTreeMap::new(),
            services: BTreeMap::new(),
            budgets: BTreeMap::new(),
            backups: BTreeMap::new(),
            jobs: BTreeMap::new(),
            secrets: BTreeMap::new(),
            authorities: Vec::new(),
            published: BTreeMap::new(),
            restores_fail: false,
            disks: BTreeMap::new(),
            processes: BTreeMap::new(),
            etcd: None,
            unreachable: BTreeSet::new(),
            stuck_claims: BTreeSet::new(),
            unschedulable: BTreeSet::new(),
            cut_off: BTreeSet::new(),
            refused_kinds: BTreeSet::new(),
            database_bytes: 4096,
            webhook_adds_variables: false,
            operator_is_cut_off: false,
            etcd_ends_at_once: false,
            asks_for_credentials: false,
            garbage_stays: false,
            memory: Memory::default(),
            monotonic: std::time::Duration::from_secs(1000),
            permits: BTreeMap::new(),
            longest_runs: versions::LongestRuns::new(),
            mutant: None,
            operator_image: "etcd-operator:v0.1.0".to_owned(),
            is_strict: true,
            counter: 1,
        }
    }

    /// The cluster's identity, with the naming that it has published.
    pub(crate) fn identity(&self) -> ClusterIdentity {
        let identity = etcd_operator_core::cluster::desired::identity(&self.cluster).expect("an identity");
        let listed =
            self.etcd.iter().flat_map(|etcd| &etcd.members).map(|member| &member.listed.peer_urls[0]);
        let naming =
            listed.filter_map(|url| identity.member_of_peer_url(url)).map(|(_, naming)| naming).next();
        identity.with_naming(naming.unwrap_or(Naming::ByUid))
    }

    /// The member of one of the cluster's own peer URLs.
    pub(crate) fn member_of(&self, peer_url: &str) -> Option<MemberName> {
        self.identity().member_of_peer_url(peer_url).map(|(member, _)| member)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// The EtcdBackups, where the spec says something of backups.
    fn known_backups(&self) -> Backups {
        match self.cluster.spec.backup {
            Some(_) => Backups::Known(self.backups.values().cloned().collect()),
            None => Backups::NotAsked,
        }
    }

    /// What the shell would see now.
    pub(crate) fn observe(&self) -> Observed {
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.counter.to_le_bytes());
        let observed = Observed {
            as_of: self.now,
            entropy: Entropy(entropy),
            settings: Settings {
                operator_image: self.operator_image.clone(),
                silence_grace: Settings::DEFAULT_SILENCE_GRACE,
            },
            cluster: self.cluster.clone(),
            stateful_sets: self.stateful_sets.values().cloned().collect(),
            pods: self.pods.values().cloned().collect(),
            claims: self.claims.values().cloned().collect(),
            services: self.services.values().cloned().collect(),
            disruption_budgets: self.budgets.values().cloned().collect(),
            probes: self.probes(),
            member_list: self.member_list(),
            hashes: BTreeMap::new(),
            silence: BTreeMap::new(),
            places: Places::NotAsked,
            backups: self.known_backups(),
            restore: self.restoring(),
            tls: self.tls_seen(),
            undone: self.memory.undone(),
            warnings: self.warnings(),
        };
        let observed = self.with_hashes(self.remember(observed));
        match self.mutant {
            Some(mutant) => mutant.distort_observed(observed),
            None => observed,
        }
    }

    /// Adds what the process remembers, without remembering this look.
    fn remember(&self, mut observed: Observed) -> Observed {
        let identity = etcd_operator_core::cluster::desired::identity(&self.cluster).expect("an identity");
        let world = World::read(&observed, identity);
        let (silent, to_place) = (world.silent_members(), world.volumes_to_place());
        let mut memory = self.memory.clone();
        let cut_off: BTreeSet<String> =
            to_place.into_keys().filter(|claim| self.cut_off.contains(claim)).collect();
        observed.silence = memory.note_silence(self.monotonic, silent);
        observed.places = Places::CutOff(memory.note_cut_off(self.monotonic, cut_off));
        observed
    }

    fn warnings(&self) -> BTreeMap<(WarnedKind, String), String> {
        let unscheduled = self.unschedulable.iter().filter(|pod| self.pods.contains_key(*pod));
        unscheduled
            .map(|pod| {
                ((WarnedKind::Pod, pod.clone()), "FailedScheduling: 0/1 nodes are available".to_owned())
            })
            .collect()
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan_of(&self.observe())
    }

    pub(crate) fn plan_of(&self, observed: &Observed) -> Plan {
        let plan = match Desired::parse(&observed.cluster) {
            Ok(desired) => plan::plan(observed, &desired),
            Err(invalid) => plan::of_invalid(observed, &invalid),
        };
        assert_explained_as_they_are(&plan);
        match self.mutant {
            Some(mutant) => mutant.distort_plan(observed, plan),
            None => plan,
        }
    }

    /// What a pass sees. It reads the member list last, and members that it asked before go on meanwhile: one whose gate still
    /// waited for its permit may be in the list as one that has started.
    pub(crate) fn observe_as_time_passes(&mut self) -> Observed {
        let asked = self.observe();
        self.run_pods();
        self.run_etcd();
        Observed { member_list: self.observe().member_list, ..asked }
    }

    /// One pass of the operator that stops after some actions, as a crash would stop it. Returns its plan.
    pub(crate) fn pass_until(&mut self, actions: usize) -> Plan {
        self.compare_at_rest();
        let observed = self.observe_as_time_passes();
        self.note_same_data(&observed);
        let mut plan = self.plan_of(&observed);
        let identity = etcd_operator_core::cluster::desired::identity(&self.cluster).expect("an identity");
        let silent = World::read(&observed, identity.clone()).silent_members();
        let cut_off = World::read(&observed, identity).volumes_to_place().into_keys();
        let cut_off = cut_off.filter(|claim| self.cut_off.contains(claim)).collect();
        self.memory.note_silence(self.monotonic, silent);
        self.memory.note_cut_off(self.monotonic, cut_off);
        let memberships = plan.actions.iter().filter(|one| one.action.changes_membership()).count();
        assert!(memberships <= 1, "one membership change at a time: {plan:?}");
        let setbacks = self.carry_out_until(&plan, actions);
        self.memory.forget_changes(&plan);
        plan.add_setbacks(&setbacks);
        let is_complete = actions >= plan.actions.len();
        let records = plan.actions.iter().any(|one| one.action.kind() == "record-bootstrap");
        if is_complete && !records {
            let status = status::status(&observed, &plan);
            let status = match self.mutant {
                Some(mutant) => mutant.distort_status(status),
                None => status,
            };
            if self.cluster.status.as_ref() != Some(&status) {
                self.cluster.status = Some(status);
                self.bump_cluster();
            }
        }
        plan
    }

    /// Carries out the first actions of a plan: a failure ends those about the same, and no others.
    fn carry_out_until(&mut self, plan: &Plan, actions: usize) -> Vec<Setback> {
        let mut ended: BTreeSet<Concern> = BTreeSet::new();
        let mut setbacks = Vec::new();
        for one in plan.actions.iter().take(actions) {
            if ended.contains(&one.concern) {
                continue;
            }
            match self.execute(&one.action) {
                Ok(()) => setbacks.extend(self.memory.note_done(self.monotonic, one)),
                Err(kind) => {
                    ended.insert(one.concern.clone());
                    setbacks.push(Setback { concern: one.concern.clone(), what: one.to_string(), kind });
                }
            }
        }
        setbacks
    }

    /// One whole pass, and what Kubernetes and etcd make of it within a second.
    pub(crate) fn pass(&mut self) -> Plan {
        let plan = self.pass_until(usize::MAX);
        self.advance(1);
        plan
    }

    /// A pass that follows the one before it at once, so that members start while it looks.
    pub(crate) fn pass_at_once(&mut self) -> Plan {
        self.run_controllers();
        self.pass_until(usize::MAX)
    }

    /// Lets time pass without the operator.
    pub(crate) fn advance(&mut self, seconds: i64) {
        self.now =
            self.now.checked_add(SignedDuration::from_secs(seconds)).expect("the model's time is short");
        self.monotonic += std::time::Duration::from_secs(u64::try_from(seconds).expect("time goes on"));
        for _ in 0..3 {
            self.run_controllers();
            self.run_pods();
            self.run_etcd();
        }
        self.note_runs();
    }

    /// Passes until a plan is empty, at most `limit`; returns how many it took. Where a changed member must prove itself, the time
    /// that it needs for that goes by.
    pub(crate) fn settle(&mut self, limit: usize) -> usize {
        for pass in 0..limit {
            let plan = self.pass();
            if plan == Plan::default() && self.plan() == Plan::default() {
                return pass;
            }
            let soaks = [HoldReason::WaitingForSoak, HoldReason::WaitingToReplace];
            if plan.holds.iter().any(|hold| soaks.contains(&hold.reason())) {
                self.advance(20);
            }
        }
        panic!("no rest after {limit} passes: {:#?}", lines(&self.plan()));
    }

    pub(crate) fn bump_cluster(&mut self) {
        let version = self.next().to_string();
        self.cluster.metadata.resource_version = Some(version);
    }

    /// Changes the spec as its user would.
    pub(crate) fn change_spec(&mut self, change: impl FnOnce(&mut EtcdClusterSpec)) {
        change(&mut self.cluster.spec);
        let generation = self.cluster.metadata.generation.unwrap_or(0) + 1;
        self.cluster.metadata.generation = Some(generation);
        self.bump_cluster();
    }
}

/// A plan as goldens show it.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    let actions = plan.actions.iter().map(|one| format!("do    {one}"));
    let holds = plan.holds.iter().map(|hold| format!("hold  {}: {hold}", hold.reason().as_str()));
    actions.chain(holds).collect()
}

/// What the pages say of who ends a hold is what its type says: in every plan of every test.
fn assert_explained_as_they_are(plan: &Plan) {
    for hold in &plan.holds {
        let explained = hold.reason().explanation().ended_by == EndedBy::Person;
        assert_eq!(hold.wants_a_person(), explained, "{hold:?}");
    }
}
