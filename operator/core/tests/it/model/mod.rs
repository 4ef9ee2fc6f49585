//! A model of one Kubernetes namespace and the etcd cluster in it, small enough to read and strict about what must never
//! happen: it panics when an action of the operator breaks one of the rules that it knows.

mod etcd;
mod execute;
mod faults;
mod kubernetes;

use std::collections::{BTreeMap, BTreeSet};

use etcd_operator_core::api::{EtcdCluster, EtcdClusterSpec};
use etcd_operator_core::desired::Desired;
use etcd_operator_core::gate::Stamp;
use etcd_operator_core::mutant::Mutant;
use etcd_operator_core::names::{ClusterIdentity, Entropy, PermitId};
use etcd_operator_core::observed::{Observed, Settings};
use etcd_operator_core::plan::{self, Plan};
use etcd_operator_core::status;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

pub(crate) use etcd::Etcd;
pub(crate) use faults::Fault;

/// What is on a volume.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) stamp: Option<Stamp>,
    pub(crate) has_log: bool,
}

/// What runs in a pod's etcd container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Process {
    pub(crate) spent: BTreeSet<PermitId>,
    pub(crate) holding: Option<etcd_operator_core::gate::GateHoldReason>,
    pub(crate) runs_etcd: bool,
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
    /// By the claim's UID.
    pub(crate) disks: BTreeMap<String, Disk>,
    /// By the pod's UID.
    pub(crate) processes: BTreeMap<String, Process>,
    pub(crate) etcd: Option<Etcd>,
    /// Pods, by name, that nobody can reach.
    pub(crate) unreachable: BTreeSet<String>,
    /// Claims, by name, whose deletion does not end.
    pub(crate) stuck_claims: BTreeSet<String>,
    /// Permits recorded for each incarnation, ever.
    pub(crate) permits: BTreeMap<String, BTreeSet<String>>,
    pub(crate) mutant: Option<Mutant>,
    /// The image that the operator runs from.
    pub(crate) operator_image: String,
    /// Whether rules are enforced; off for the wrong operators.
    pub(crate) is_strict: bool,
    counter: u64,
}

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
            disks: BTreeMap::new(),
            processes: BTreeMap::new(),
            etcd: None,
            unreachable: BTreeSet::new(),
            stuck_claims: BTreeSet::new(),
            permits: BTreeMap::new(),
            mutant: None,
            operator_image: "etcd-operator:v0.1.0".to_owned(),
            is_strict: true,
            counter: 1,
        }
    }

    pub(crate) fn identity(&self) -> ClusterIdentity {
        etcd_operator_core::desired::identity(&self.cluster).expect("the model gives its cluster an identity")
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// What the shell would see now.
    pub(crate) fn observe(&self) -> Observed {
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.counter.to_le_bytes());
        Observed {
            as_of: self.now,
            entropy: Entropy(entropy),
            settings: Settings {
                operator_image: self.operator_image.clone(),
                silence_grace: Settings::DEFAULT_SILENCE_GRACE,
                mutant: self.mutant,
            },
            cluster: self.cluster.clone(),
            stateful_sets: self.stateful_sets.values().cloned().collect(),
            pods: self.pods.values().cloned().collect(),
            claims: self.claims.values().cloned().collect(),
            services: self.services.values().cloned().collect(),
            disruption_budgets: self.budgets.values().cloned().collect(),
            probes: self.probes(),
            member_list: self.member_list(),
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        match Desired::parse(&self.cluster) {
            Ok(desired) => plan::plan(&self.observe(), &desired),
            Err(invalid) => plan::of_invalid(&invalid),
        }
    }

    /// One pass of the operator that stops after some actions, as a crash would stop it. Returns its plan.
    pub(crate) fn pass_until(&mut self, actions: usize) -> Plan {
        let observed = self.observe();
        let plan = self.plan();
        let memberships = plan.actions.iter().filter(|action| action.changes_membership()).count();
        assert!(memberships <= 1, "one membership change at a time: {plan:?}");
        for action in plan.actions.iter().take(actions) {
            if self.execute(action).is_err() {
                break;
            }
        }
        let is_complete = actions >= plan.actions.len();
        let records = plan.actions.iter().any(|action| action.kind() == "record-bootstrap");
        if is_complete && !records {
            let status = status::status(&observed, &plan);
            if self.cluster.status.as_ref() != Some(&status) {
                self.cluster.status = Some(status);
                self.bump_cluster();
            }
        }
        plan
    }

    /// One whole pass, and what Kubernetes and etcd make of it within a second.
    pub(crate) fn pass(&mut self) -> Plan {
        let plan = self.pass_until(usize::MAX);
        self.advance(1);
        plan
    }

    /// Lets time pass without the operator.
    pub(crate) fn advance(&mut self, seconds: i64) {
        self.now =
            self.now.checked_add(SignedDuration::from_secs(seconds)).expect("the model's time is short");
        for _ in 0..3 {
            self.run_controllers();
            self.run_pods();
            self.run_etcd();
        }
    }

    /// Passes until a plan is empty, at most `limit`; returns how many it took.
    pub(crate) fn settle(&mut self, limit: usize) -> usize {
        for pass in 0..limit {
            let plan = self.pass();
            if plan == Plan::default() && self.plan() == Plan::default() {
                return pass;
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
    let actions = plan.actions.iter().map(|action| format!("do    {action}"));
    let holds = plan.holds.iter().map(|hold| format!("hold  {}: {hold}", hold.reason()));
    actions.chain(holds).collect()
}
