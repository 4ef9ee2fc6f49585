//! The members as the last probe round and the pod list show them, laid side by side. Plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::history::{ListedMember, MemberId, ProbeRound};

/// One pod of a member, as the API lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPod {
    /// The member's name: its StatefulSet, and the name it gave to etcd.
    pub member: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// The pod's address, once it has one.
    pub address: Option<Ipv4Addr>,
    /// Whether Kubernetes calls it ready.
    pub ready: bool,
    /// Whether it is on its way out.
    pub terminating: bool,
}

/// One entry of the member list and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMember {
    /// Its identity.
    pub id: MemberId,
    /// Its name; empty until it has started for the first time.
    pub name: String,
    /// Whether it is a learner.
    pub learner: bool,
    /// Whether it answered a linearizable read in the last round.
    pub answers: bool,
    /// Its pod, if there is one.
    pub pod: Option<MemberPod>,
}

impl SeenMember {
    /// Whether it has a pod that stays, and that can be reached.
    #[must_use]
    pub fn has_pod(&self) -> bool {
        self.pod.as_ref().is_some_and(|pod| !pod.terminating && pod.address.is_some())
    }
}

/// What the harness knows about the cluster at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The member list by identity, from the answer to the latest linearizable read.
    pub members: Vec<SeenMember>,
    /// The member that leads, if the members that answer agree on one.
    pub leader: Option<MemberId>,
    /// All pods of members, whether they are in the member list or not.
    pub pods: Vec<MemberPod>,
}

impl View {
    /// Lays a probe round and the pod list side by side. A pod belongs to the member of its name.
    #[must_use]
    pub fn new(round: &ProbeRound, pods: &[MemberPod]) -> View {
        let answering: BTreeSet<MemberId> = round
            .members
            .iter()
            .filter(|member| member.read.answer().is_some())
            .filter_map(|member| member.status.answer().map(|status| status.member_id))
            .collect();
        let by_name: BTreeMap<&str, &MemberPod> = pods.iter().map(|pod| (pod.member.as_str(), pod)).collect();
        let members = latest_list(round).iter().map(|listed| SeenMember {
            id: listed.member_id,
            name: listed.name.clone(),
            learner: listed.learner,
            answers: answering.contains(&listed.member_id),
            pod: by_name.get(listed.name.as_str()).map(|pod| (*pod).clone()),
        });
        View { members: members.collect(), leader: leader(round), pods: pods.to_vec() }
    }

    /// The voting members, by name.
    #[must_use]
    pub fn voters(&self) -> Vec<&SeenMember> {
        let mut voters: Vec<&SeenMember> = self.members.iter().filter(|member| !member.learner).collect();
        voters.sort_by(|left, right| (&left.name, left.id).cmp(&(&right.name, right.id)));
        voters
    }

    /// A voter whose pod is not there, or on its way out: it will come back as another pod, at another address.
    #[must_use]
    pub fn without_pod(&self) -> Option<&SeenMember> {
        self.voters().into_iter().find(|member| !member.has_pod())
    }

    /// How many voters must answer for a write to be committed.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.voters().len() / 2 + 1
    }

    /// Whether some member answered a linearizable read: there is a quorum.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        self.members.iter().any(|member| member.answers)
    }

    /// Whether exactly `size` voters are there, all answer, their pods are ready and nobody else is there.
    #[must_use]
    pub fn is_whole(&self, size: usize) -> bool {
        let fine = |member: &SeenMember| {
            !member.learner
                && member.answers
                && member.pod.as_ref().is_some_and(|pod| pod.ready && !pod.terminating)
        };
        self.members.len() == size
            && self.members.iter().all(fine)
            && self.pods.len() == size
            && self.leader.is_some()
    }

    /// What keeps the cluster from being whole, for people.
    #[must_use]
    pub fn describe(&self, size: usize) -> String {
        let learners = self.members.iter().filter(|member| member.learner).count();
        let silent: Vec<&str> =
            self.members.iter().filter(|member| !member.answers).map(|member| member.name.as_str()).collect();
        let ready = self.pods.iter().filter(|pod| pod.ready && !pod.terminating).count();
        let silent = if silent.is_empty() { "none".to_owned() } else { silent.join(", ") };
        format!(
            "{} of {size} voters and {learners} learners are listed, {ready} of {} pods are ready, silent: {silent}",
            self.members.len() - learners,
            self.pods.len()
        )
    }
}

/// The member list of the member whose linearizable read came back last: no other list of the round is newer.
fn latest_list(round: &ProbeRound) -> &[ListedMember] {
    let mut latest: Option<(&crate::history::QuorumRead, &Vec<ListedMember>)> = None;
    for member in &round.members {
        if let (Some(read), Some(list)) = (member.read.answer(), member.members.answer())
            && latest.is_none_or(|(best, _)| (best.revision, best.at) < (read.revision, read.at))
        {
            latest = Some((read, list));
        }
    }
    latest.map_or(&[], |(_, list)| list)
}

/// The leader that the members with the highest term name; nothing if they name none or several.
fn leader(round: &ProbeRound) -> Option<MemberId> {
    let statuses = || round.members.iter().filter_map(|member| member.status.answer());
    let term = statuses().map(|status| status.term).max()?;
    let named: BTreeSet<MemberId> =
        statuses().filter(|status| status.term == term).filter_map(|status| status.leader).collect();
    if named.len() == 1 { named.first().copied() } else { None }
}
