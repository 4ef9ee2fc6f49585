//! All traces of one member incarnation, and what they say together. Never decides what to do about them.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};

use super::{ClaimFacts, trouble};
use crate::cluster::observed::{Answer, EtcdAnswer, LinearizableRead, ListedMember};
use crate::cluster::target::Target;
use crate::gate::{GateHoldReason, GateReport};
use crate::names::{MemberId, MemberName};
use crate::tls::MemberTls;

/// One member incarnation.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Its name.
    pub name: MemberName,
    /// Its StatefulSet.
    pub stateful_set: Option<&'a StatefulSet>,
    /// Its pod.
    pub pod: Option<&'a Pod>,
    /// Its volume.
    pub claim: Option<&'a PersistentVolumeClaim>,
    /// What the claim records, or the StatefulSet of a member in memory.
    pub facts: Option<ClaimFacts>,
    /// What the pod answered, if that is fresh.
    pub answer: Option<&'a Answer>,
    /// Its entry in the member list, found by its peer URL.
    pub listed: Option<&'a ListedMember>,
    /// Whether its data differs from the others': etcd has raised an alarm for it, or a majority has other data at one revision.
    pub is_corrupt: bool,
    /// What it should run, by its own record.
    pub target: Option<Target>,
    /// What the gate of its live pod was told of TLS.
    pub told: Option<Option<MemberTls>>,
    /// For how long it has been seen to be silent without a break.
    pub silent_for: Option<SignedDuration>,
}

/// What a member's answer says of its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answered, knows a leader, reports no error, and serves linearizable reads unless it is a learner.
    Healthy,
    /// It answered, and is not well; says how.
    Unwell(String),
    /// Its gate answered and refuses to start etcd.
    GateHolds(GateHoldReason),
    /// It does not run, as Kubernetes says; says how.
    NotRunning(String),
    /// Nobody answered, or not lately, and Kubernetes knows no better.
    Unknown(String),
}

impl<'a> Member<'a> {
    pub(super) fn new(name: MemberName) -> Member<'a> {
        Member {
            name,
            stateful_set: None,
            pod: None,
            claim: None,
            facts: None,
            answer: None,
            listed: None,
            is_corrupt: false,
            target: None,
            told: None,
            silent_for: None,
        }
    }

    /// Its ID, if it is listed.
    pub fn id(&self) -> Option<MemberId> {
        self.listed.map(|listed| listed.id)
    }

    /// Whether it is listed and votes.
    pub fn is_voter(&self) -> bool {
        self.listed.is_some_and(|listed| !listed.is_learner)
    }

    /// Whether it ever started: etcd publishes the client URLs at the first start, and they stay.
    pub fn has_started(&self) -> bool {
        self.listed.is_some_and(|listed| !listed.client_urls.is_empty())
    }

    /// etcd's fresh answer, if etcd answered.
    pub fn etcd(&self) -> Option<&'a EtcdAnswer> {
        match self.answer? {
            Answer::Etcd(etcd) => Some(etcd),
            Answer::Gate(_) | Answer::Refused(_) | Answer::Silent(_) => None,
        }
    }

    /// What came of the read that etcd refused for want of credentials, if it refuses the operator.
    pub fn refusal(&self) -> Option<&'a LinearizableRead> {
        match self.answer? {
            Answer::Refused(read) => Some(read),
            Answer::Etcd(_) | Answer::Gate(_) | Answer::Silent(_) => None,
        }
    }

    /// Whether etcd or the gate answered, whatever they said.
    pub fn answers(&self) -> bool {
        match self.answer {
            Some(Answer::Etcd(_) | Answer::Gate(_) | Answer::Refused(_)) => true,
            Some(Answer::Silent(_)) | None => false,
        }
    }

    /// The gate's fresh report, if the gate answered.
    pub fn gate(&self) -> Option<&'a GateReport> {
        match self.answer? {
            Answer::Gate(report) => Some(report),
            Answer::Etcd(_) | Answer::Refused(_) | Answer::Silent(_) => None,
        }
    }

    /// Whether its vote can be counted on: it answered just now as the member that the list names, knows a leader, a
    /// linearizable read went through it, and its data is not known to differ. A corrupt member has no vote in anything that
    /// the safety of the data rests on.
    pub fn votes(&self) -> bool {
        let counts = |etcd: &EtcdAnswer| {
            Some(etcd.member_id) == self.id()
                && etcd.leader.is_some()
                && match &etcd.read {
                    LinearizableRead::Served | LinearizableRead::Refused(_) => true,
                    LinearizableRead::Failed(_) | LinearizableRead::NotTried => false,
                }
        };
        self.is_voter() && !self.is_corrupt && self.etcd().is_some_and(counts)
    }

    /// What is known of its health.
    pub fn health(&self) -> Health {
        match self.answer {
            Some(Answer::Etcd(etcd)) => self.health_of_answer(etcd),
            Some(Answer::Gate(report)) => Health::GateHolds(report.reason),
            Some(Answer::Refused(LinearizableRead::Refused(_))) => Health::Healthy,
            Some(Answer::Refused(LinearizableRead::Failed(how))) => Health::Unwell(format!(
                "it asks for credentials, and no linearizable read goes through it: {how}"
            )),
            Some(Answer::Refused(LinearizableRead::Served | LinearizableRead::NotTried)) => {
                Health::Unwell("it asks for credentials".to_owned())
            }
            Some(Answer::Silent(how)) => self.health_without_answer(how),
            None => self.health_without_answer("it was not asked lately"),
        }
    }

    fn health_of_answer(&self, etcd: &EtcdAnswer) -> Health {
        if self.id().is_some_and(|id| id != etcd.member_id) {
            Health::Unwell(format!("it answers as another member, {}", etcd.member_id))
        } else if self.is_corrupt {
            Health::Unwell("its data differs from the others'".to_owned())
        } else if etcd.leader.is_none() {
            Health::Unwell("it knows no leader".to_owned())
        } else if let Some(error) = etcd.errors.first() {
            Health::Unwell(error.clone())
        } else {
            self.health_of_read(etcd)
        }
    }

    fn health_of_read(&self, etcd: &EtcdAnswer) -> Health {
        match &etcd.read {
            LinearizableRead::Served | LinearizableRead::Refused(_) => Health::Healthy,
            LinearizableRead::Failed(how) => {
                Health::Unwell(format!("no linearizable read goes through it: {how}"))
            }
            LinearizableRead::NotTried if !self.is_voter() => Health::Healthy,
            LinearizableRead::NotTried => Health::Unwell("no linearizable read was tried".to_owned()),
        }
    }

    fn health_without_answer(&self, how: &str) -> Health {
        match self.pod {
            None => Health::NotRunning("it has no pod".to_owned()),
            Some(_) if self.claim.is_none() && !self.is_in_memory() => {
                Health::NotRunning("its volume is gone".to_owned())
            }
            Some(_) if !self.etcd_container_runs() => {
                Health::NotRunning("its container does not run".to_owned())
            }
            Some(_) => Health::Unknown(how.to_owned()),
        }
    }

    /// Whether the kubelet says that the pod is ready. A second pair of eyes: the operator may be the one who is cut off.
    pub fn is_ready_by_kubelet(&self) -> bool {
        let conditions = self.pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
        conditions
            .into_iter()
            .flatten()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    }

    /// Whether the kubelet says that the etcd container runs, be it the gate or etcd.
    pub fn etcd_container_runs(&self) -> bool {
        trouble::etcd_status(self.pod)
            .is_some_and(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
    }

    /// Whether the etcd container of its present pod has ever started. One that has not can have done nothing, good or bad.
    pub fn has_container_started(&self) -> bool {
        trouble::has_started(self.pod)
    }

    /// Since when the container runs that runs now, by the kubelet's clock.
    pub fn container_started_at(&self) -> Option<Timestamp> {
        let state = trouble::etcd_status(self.pod)?.state.as_ref()?;
        state.running.as_ref()?.started_at.as_ref().map(|time| time.0)
    }

    /// Whether its volume is being deleted, or its claim is gone from under its pod, or the StatefulSet of a member in memory. That
    /// cannot be undone: the data goes with the last pod that uses it.
    pub fn is_volume_ending(&self) -> bool {
        !self.has_storage() && (self.claim.is_some() || self.pod.is_some())
    }

    /// The pod, if it is there to stay.
    pub fn live_pod(&self) -> Option<&'a Pod> {
        self.pod.filter(|pod| pod.metadata.deletion_timestamp.is_none())
    }

    /// UID of the pod, if it is there to stay.
    pub fn live_pod_uid(&self) -> Option<&'a str> {
        self.live_pod()?.metadata.uid.as_deref()
    }

    /// UID of the pod, even if it is ending: its gate may still be there, and act.
    pub fn pod_uid(&self) -> Option<&'a str> {
        self.pod?.metadata.uid.as_deref()
    }

    /// The claim, if it is there to stay.
    pub fn live_claim(&self) -> Option<&'a PersistentVolumeClaim> {
        self.claim.filter(|claim| claim.metadata.deletion_timestamp.is_none())
    }

    /// Whether Kubernetes holds anything of it.
    pub fn has_objects(&self) -> bool {
        self.stateful_set.is_some() || self.pod.is_some() || self.claim.is_some()
    }
}
