//! What is watched of a cluster's members between two looks: that each goes on answering as it did, and that etcd goes on saying the
//! same about itself. Any difference has one consequence, the next look; what was seen here decides nothing else. Never asks anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::core::v1::Pod;

use crate::cluster::observed::{
    Answer, DataHash, EtcdAnswer, LinearizableRead, ListedMember, MemberList, Observed,
};
use crate::cluster::status::rounded_size;
use crate::cluster::world::Agreement;
use crate::names::{ClusterId, MemberId};

/// What a member answers when it is asked for its health and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthAnswer {
    /// It serves linearizable reads, knows a leader and has no alarm.
    Well,
    /// It answers otherwise.
    Unwell,
    /// Nobody answers.
    Silent,
}

impl HealthAnswer {
    /// The word in messages and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            HealthAnswer::Well => "well",
            HealthAnswer::Unwell => "unwell",
            HealthAnswer::Silent => "silent",
        }
    }
}

/// What came of comparing the data of all voters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is the same.
    Same,
    /// It is not.
    Different,
    /// Not all have said what theirs is, and those who have do not differ.
    Unknown,
}

impl Comparison {
    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Comparison::Same => "same",
            Comparison::Different => "different",
            Comparison::Unknown => "unknown",
        }
    }
}

/// One member that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// The address of its pod.
    pub address: String,
    /// What it is taken to answer; `None` until it has been asked.
    expected: Option<HealthAnswer>,
}

/// What etcd says of itself that the status or a plan depends on, and that nobody tells of. Alarms are left out: a member that has one
/// is not well.
#[derive(Clone, Debug, PartialEq)]
pub struct EtcdView {
    cluster_id: ClusterId,
    members: Vec<ListedMember>,
    answers: BTreeMap<MemberId, AnswerView>,
}

/// What of a member's own answer counts.
#[derive(Clone, Debug, PartialEq)]
struct AnswerView {
    version: String,
    leader: Option<MemberId>,
    is_learner: bool,
    errors: Vec<String>,
    size: Option<String>,
}

/// All that is watched of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Vigil {
    /// By the pod's UID.
    members: BTreeMap<String, Watched>,
    etcd: Option<EtcdView>,
}

/// Why the next look comes early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// A member answers differently.
    Health {
        /// The address of its pod.
        address: String,
        /// What it answers now.
        now: HealthAnswer,
    },
    /// etcd says something else about itself.
    Etcd,
    /// Members' data is not the same.
    Data,
}

impl fmt::Display for Disturbance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disturbance::Health { address, now } => {
                write!(formatter, "the member at {address} is {}", now.as_str())
            }
            Disturbance::Etcd => write!(formatter, "etcd's members, leader, versions or sizes have changed"),
            Disturbance::Data => write!(formatter, "the members' data is not the same"),
        }
    }
}

impl Vigil {
    /// Over everybody who was asked at this look.
    pub fn over(observed: &Observed) -> Vigil {
        let watched = observed.pods.iter().filter_map(|pod| watched(observed, pod));
        Vigil { members: watched.collect(), etcd: EtcdView::seen(observed) }
    }

    /// Who is watched, by the pod's UID.
    pub fn members(&self) -> &BTreeMap<String, Watched> {
        &self.members
    }

    /// Takes in a member's answer about its health.
    pub fn hear(&mut self, pod_uid: &str, now: HealthAnswer) -> Option<Disturbance> {
        let member = self.members.get_mut(pod_uid)?;
        let before = member.expected.replace(now);
        let is_news = before.is_some_and(|before| before != now);
        is_news.then(|| Disturbance::Health { address: member.address.clone(), now })
    }

    /// Takes in what some members say of etcd.
    pub fn compare(&self, view: &EtcdView) -> Option<Disturbance> {
        let is_known = self.etcd.as_ref().is_some_and(|known| {
            let is_as_before = |(member, answer)| known.answers.get(member) == Some(answer);
            known.cluster_id == view.cluster_id
                && known.members == view.members
                && view.answers.iter().all(is_as_before)
        });
        (!is_known).then_some(Disturbance::Etcd)
    }

    /// Takes in what voters' data is at one revision.
    pub fn compare_data(&self, hashes: &BTreeMap<MemberId, DataHash>) -> Comparison {
        let listed = self.etcd.iter().flat_map(|etcd| &etcd.members);
        let voters: BTreeSet<_> =
            listed.filter(|member| !member.is_learner).map(|member| member.id).collect();
        let agreement = Agreement::of(&voters, hashes);
        match &agreement {
            Agreement::Majority { .. } if agreement.is_of_all(voters.len()) => Comparison::Same,
            Agreement::Majority { differing, agreeing: _ } if differing.is_empty() => Comparison::Unknown,
            Agreement::Majority { .. } | Agreement::Split => Comparison::Different,
            Agreement::Unknown => Comparison::Unknown,
        }
    }
}

impl EtcdView {
    /// From a member list and the answers of some members.
    pub fn new<'a>(
        cluster_id: ClusterId,
        members: Vec<ListedMember>,
        answers: impl Iterator<Item = &'a EtcdAnswer>,
    ) -> EtcdView {
        let answers = answers.map(|etcd| (etcd.member_id, AnswerView::new(etcd))).collect();
        EtcdView { cluster_id, members, answers }
    }

    /// What all members said at a look, if one of them gave the list.
    pub fn seen(observed: &Observed) -> Option<EtcdView> {
        let known = match &observed.member_list {
            MemberList::Known(known) => known,
            MemberList::Unknown(_) => return None,
        };
        let answers = observed.probes.values().filter_map(|probe| match &probe.answer {
            Answer::Etcd(etcd) => Some(etcd),
            Answer::Gate(_) | Answer::Refused(_) | Answer::Silent(_) => None,
        });
        Some(EtcdView::new(known.cluster_id, known.members.clone(), answers))
    }
}

impl AnswerView {
    fn new(etcd: &EtcdAnswer) -> AnswerView {
        AnswerView {
            version: etcd.version.clone(),
            leader: etcd.leader,
            is_learner: etcd.is_learner,
            errors: etcd.errors.clone(),
            size: rounded_size(etcd.database_size),
        }
    }
}

fn watched(observed: &Observed, pod: &Pod) -> Option<(String, Watched)> {
    let uid = pod.metadata.uid.clone()?;
    let probe = observed.probes.get(&uid)?;
    let address = pod.status.as_ref()?.pod_ip.clone()?;
    Some((uid, Watched { address, expected: expected(&probe.answer) }))
}

/// What a member that gave this answer answers about its health, where that follows.
fn expected(answer: &Answer) -> Option<HealthAnswer> {
    match answer {
        Answer::Etcd(etcd) if etcd.errors.is_empty() && is_served(&etcd.read) => Some(HealthAnswer::Well),
        Answer::Refused(read) if is_served(read) => Some(HealthAnswer::Well),
        Answer::Silent(_) => Some(HealthAnswer::Silent),
        Answer::Etcd(_) | Answer::Refused(_) | Answer::Gate(_) => None,
    }
}

fn is_served(read: &LinearizableRead) -> bool {
    match read {
        LinearizableRead::Served | LinearizableRead::Refused(_) => true,
        LinearizableRead::Failed(_) | LinearizableRead::NotTried => false,
    }
}
