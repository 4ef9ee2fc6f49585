//! The observation, arranged by member and by the order of truth: what disks and etcd say comes before what claims
//! record, and that before what the status records. Everything here can be computed again from the next observation.
//! Never decides what to do about it.

mod claim;
mod member;

use std::collections::{BTreeMap, BTreeSet};

pub use claim::{ClaimFacts, Issued, Origin};
pub use member::{Health, Member};

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::{BootstrapRecord, EtcdClusterStatus};
use crate::desired::EtcdVersion;
use crate::names::{ClusterId, ClusterIdentity, MemberId, MemberName};
use crate::observed::{Answer, EtcdAnswer, KnownMembers, ListedMember, MemberList, Observed};
use crate::quorum::Votes;

/// Answers older than this say nothing about the present. A pass takes well below a second when members answer, and the
/// status must not speak of what was ten seconds ago.
pub const FRESH: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);

/// The observation of one cluster, arranged.
#[derive(Clone, Debug)]
pub struct World<'a> {
    /// What it was made from.
    pub observed: &'a Observed,
    /// Whose.
    pub cluster: ClusterIdentity,
    /// Every incarnation of which there is any trace, by name.
    pub members: BTreeMap<MemberName, Member<'a>>,
    /// The member list, if it is known and fresh.
    pub list: Option<&'a KnownMembers>,
    /// Listed members whose peer URL is none of ours.
    pub strangers: Vec<&'a ListedMember>,
    /// Whether the cluster has ever had a quorum. No member starts as of a new cluster after that.
    pub formed: bool,
    /// The cluster's ID, from the first of: the member list, the claims, the status.
    pub cluster_id: Option<ClusterId>,
    /// The first members: of the latest attempt that is recorded on a claim or in the status.
    pub bootstrap: Option<Bootstrap>,
    /// The version that the members run, as most claims record it; else as the status does.
    pub version: Option<EtcdVersion>,
}

/// The first members, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Counts from 1.
    pub attempt: i64,
    /// etcd's token.
    pub token: String,
    /// The members, sorted.
    pub members: BTreeSet<MemberName>,
}

impl Bootstrap {
    /// The record as the status holds it.
    pub fn to_record(&self) -> BootstrapRecord {
        BootstrapRecord {
            attempt: self.attempt,
            token: self.token.clone(),
            members: self.members.iter().map(ToString::to_string).collect(),
        }
    }

    fn parse(cluster: &ClusterIdentity, attempt: i64, token: &str, members: &[String]) -> Option<Bootstrap> {
        let names: Option<BTreeSet<MemberName>> =
            members.iter().map(|name| MemberName::parse(cluster, name)).collect();
        let members = names.filter(|names| !names.is_empty())?;
        Some(Bootstrap { attempt, token: token.to_owned(), members })
    }
}

impl<'a> World<'a> {
    /// Arranges the observation of a cluster.
    pub fn read(observed: &'a Observed, cluster: ClusterIdentity) -> World<'a> {
        let list = match &observed.member_list {
            MemberList::Known(known) if is_fresh(observed.as_of, known.at) => Some(known),
            MemberList::Known(_) | MemberList::Unknown(_) => None,
        };
        let (members, strangers) = arrange(observed, &cluster, list);
        let mut world = World {
            observed,
            cluster,
            members,
            list,
            strangers,
            formed: false,
            cluster_id: None,
            bootstrap: None,
            version: None,
        };
        world.formed = world.has_formed();
        world.cluster_id = world.known_cluster_id();
        world.bootstrap = world.latest_bootstrap();
        world.version = world.running_version();
        world
    }

    /// The status as observed; the default if there is none yet.
    pub fn status(&self) -> Option<&'a EtcdClusterStatus> {
        self.observed.cluster.status.as_ref()
    }

    /// Claims that were made for this cluster object and are in use, with their members.
    fn own_claims(&self) -> impl Iterator<Item = (&MemberName, &ClaimFacts)> {
        self.members
            .iter()
            .filter_map(|(name, member)| member.facts.as_ref().map(|facts| (name, facts)))
            .filter(|(_, facts)| facts.is_of(&self.cluster) && !facts.set_aside)
    }

    /// Any sign is enough: the price of a wrong yes is a wait, the price of a wrong no is a second cluster.
    fn has_formed(&self) -> bool {
        let seen_leader = self.members.values().filter_map(Member::etcd).any(|etcd| etcd.leader.is_some());
        self.list.is_some()
            || seen_leader
            || self.own_claims().any(|(_, facts)| facts.formed.is_some())
            || self.status().is_some_and(|status| status.formed)
    }

    fn known_cluster_id(&self) -> Option<ClusterId> {
        self.list
            .map(|list| list.cluster_id)
            .or_else(|| most_frequent(self.own_claims().filter_map(|(_, facts)| facts.formed)))
            .or_else(|| self.status()?.cluster_id.as_deref().and_then(ClusterId::parse))
    }

    fn latest_bootstrap(&self) -> Option<Bootstrap> {
        let on_claims = self.own_claims().filter_map(|(_, facts)| match facts.origin.as_ref()? {
            Origin::First { attempt, token, members } => {
                Bootstrap::parse(&self.cluster, *attempt, token, members)
            }
            Origin::Added { .. } => None,
        });
        let on_claims = on_claims.max_by_key(|bootstrap| bootstrap.attempt);
        let in_status = self.status().and_then(|status| status.bootstrap.as_ref()).and_then(|record| {
            Bootstrap::parse(&self.cluster, record.attempt, &record.token, &record.members)
        });
        match (on_claims, in_status) {
            (Some(claims), Some(status)) if status.attempt > claims.attempt => Some(status),
            (Some(claims), _) => Some(claims),
            (None, status) => status,
        }
    }

    fn running_version(&self) -> Option<EtcdVersion> {
        most_frequent(self.own_claims().filter_map(|(_, facts)| facts.version))
            .or_else(|| EtcdVersion::parse(self.status()?.version.as_deref()?))
    }

    /// etcd's token for members that join: the one that the cluster formed with, as far as anybody recorded it.
    pub fn token(&self) -> String {
        let of_claims = self.own_claims().find_map(|(_, facts)| facts.origin.as_ref().map(Origin::token));
        match (of_claims, &self.bootstrap) {
            (Some(token), _) => token.to_owned(),
            (None, Some(bootstrap)) => bootstrap.token.clone(),
            (None, None) => self.cluster.token(1),
        }
    }

    /// The next attempt to form the cluster, above all that anything records, claims set aside included.
    pub fn next_attempt(&self) -> i64 {
        let of_claims =
            self.members.values().filter_map(|member| member.facts.as_ref()?.origin.as_ref()?.attempt());
        let of_record = self.bootstrap.as_ref().map(|bootstrap| bootstrap.attempt);
        of_claims.chain(of_record).max().unwrap_or(0).saturating_add(1)
    }

    /// Since when the status says that a member has not answered.
    pub fn silent_since(&self, name: &MemberName) -> Option<Timestamp> {
        let recorded = self.status()?.members.iter().find(|member| member.name == name.as_str())?;
        recorded.silent_since.as_ref().map(|since| since.0)
    }

    /// Members in the list, learners included.
    pub fn listed(&self) -> impl Iterator<Item = &Member<'a>> {
        self.members.values().filter(|member| member.listed.is_some())
    }

    /// Voting members in the list.
    pub fn voters(&self) -> impl Iterator<Item = &Member<'a>> {
        self.listed().filter(|member| member.is_voter())
    }

    /// The learner in the list; etcd allows one.
    pub fn learner(&self) -> Option<&Member<'a>> {
        self.listed().find(|member| !member.is_voter())
    }

    /// The votes. Strangers are counted as voters that are not healthy: nobody here can vouch for them.
    pub fn votes(&self) -> Votes {
        let strange = self.strangers.iter().filter(|member| !member.is_learner).count();
        Votes {
            voters: self.voters().count() + strange,
            healthy: self.voters().filter(|member| member.votes()).count(),
        }
    }

    /// The member that leads: whom the answer of the highest term names.
    pub fn leader(&self) -> Option<MemberId> {
        let answers = self.members.values().filter_map(Member::etcd);
        answers.filter(|etcd| etcd.leader.is_some()).max_by_key(|etcd| etcd.raft_term)?.leader
    }

    /// Whether this member leads.
    pub fn leads(&self, member: &Member<'_>) -> bool {
        member.id().is_some_and(|id| Some(id) == self.leader())
    }

    /// The leader's own answer.
    pub fn leader_answer(&self) -> Option<&'a EtcdAnswer> {
        let leader = self.leader()?;
        self.members.values().filter_map(Member::etcd).find(|etcd| etcd.member_id == leader)
    }

    /// A name that nothing bears or ever bore, as far as there is a trace.
    pub fn fresh_names(&self, count: usize) -> BTreeSet<MemberName> {
        let mut names = BTreeSet::new();
        while names.len() < count {
            let name = self
                .observed
                .entropy
                .member_name(&self.cluster, |name| names.contains(name) || self.members.contains_key(name));
            names.insert(name);
        }
        names
    }
}

/// Whether something seen at `at` still speaks of `as_of`.
fn is_fresh(as_of: Timestamp, at: Timestamp) -> bool {
    as_of.duration_since(at) <= FRESH
}

/// The value that occurs most often; of several the smallest.
fn most_frequent<T: Ord>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut best: Option<(T, usize)> = None;
    for (value, count) in counts {
        if best.as_ref().is_none_or(|(_, most)| count > *most) {
            best = Some((value, count));
        }
    }
    best.map(|(value, _)| value)
}

type Arranged<'a> = (BTreeMap<MemberName, Member<'a>>, Vec<&'a ListedMember>);

/// Collects the traces of each member.
fn arrange<'a>(
    observed: &'a Observed,
    cluster: &ClusterIdentity,
    list: Option<&'a KnownMembers>,
) -> Arranged<'a> {
    let mut members: BTreeMap<MemberName, Member<'a>> = BTreeMap::new();
    let mut strangers = Vec::new();
    for object in &observed.stateful_sets {
        if let Some(name) = MemberName::parse(cluster, &object.name_any()) {
            entry(&mut members, name).stateful_set = Some(object);
        }
    }
    for object in &observed.claims {
        if let Some(name) = MemberName::of_claim(cluster, &object.name_any()) {
            let member = entry(&mut members, name);
            member.facts = Some(ClaimFacts::read(object));
            member.claim = Some(object);
        }
    }
    for object in &observed.pods {
        if let Some(name) = MemberName::of_pod(cluster, &object.name_any()) {
            let member = entry(&mut members, name);
            member.answer = fresh_answer(observed, object.metadata.uid.as_deref());
            member.pod = Some(object);
        }
    }
    for listed in list.iter().flat_map(|list| &list.members) {
        match listed.peer_urls.iter().find_map(|url| cluster.member_of_peer_url(url)) {
            Some(name) => entry(&mut members, name).listed = Some(listed),
            None => strangers.push(listed),
        }
    }
    (members, strangers)
}

fn entry<'m, 'a>(members: &'m mut BTreeMap<MemberName, Member<'a>>, name: MemberName) -> &'m mut Member<'a> {
    members.entry(name.clone()).or_insert_with(|| Member::new(name))
}

/// The pod's answer, unless it is too old, or a gate's answer for another pod.
fn fresh_answer<'a>(observed: &'a Observed, pod_uid: Option<&str>) -> Option<&'a Answer> {
    let probe = observed.probes.get(pod_uid?)?;
    let is_for_pod = match &probe.answer {
        Answer::Gate(report) => Some(report.pod_uid.as_str()) == pod_uid,
        Answer::Etcd(_) | Answer::Silent(_) => true,
    };
    (is_for_pod && is_fresh(observed.as_of, probe.at)).then_some(&probe.answer)
}
