//! The observation, arranged by member and by the order of truth: what disks and etcd say comes before what claims
//! record, and that before what the status records. Everything here can be computed again from the next observation.
//! Never decides what to do about it.

mod arrange;
mod bootstrap;
mod broken;
mod claim;
mod data;
mod identity;
mod keeper;
mod member;
mod places;
mod targets;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};

pub use bootstrap::Bootstrap;
pub use claim::{ClaimFacts, Issued, Origin, VolumeRequest};
pub use data::Agreement;
pub use identity::{Ownership, is_own};
pub use keeper::Keeper;
pub use member::{Health, Member};
pub use places::is_cut_off;
pub use trouble::container_restarts;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use crate::api::EtcdClusterStatus;
use crate::cluster::desired::EtcdVersion;
use crate::cluster::observed::{
    AlarmKind, Answer, EtcdAnswer, KnownMembers, LinearizableRead, ListedMember, MemberList, Observed,
};
use crate::names::{ClusterId, ClusterIdentity, MemberId, MemberName, Naming};
use crate::quorum::Votes;

/// Answers older than this say nothing about the present. A pass takes well below a second when members answer, and the
/// status must not speak of what was ten seconds ago.
pub const FRESH: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);

/// The observation of one cluster, arranged.
#[derive(Debug)]
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
    /// Claims that bear a name of this cluster's members and were made for another object: never used, changed or deleted.
    pub claims_of_others: Vec<&'a PersistentVolumeClaim>,
    /// Every member name that anything bears, whosever it is.
    taken: BTreeSet<MemberName>,
    /// Whether the cluster has ever had a quorum. No member starts as of a new cluster after that.
    pub formed: bool,
    /// The cluster's ID, from the first of: the member list, the claims, the status.
    pub cluster_id: Option<ClusterId>,
    /// The first members: of the latest attempt that is recorded on a claim or in the status.
    pub bootstrap: Option<Bootstrap>,
    /// The version that the members run, as most claims record it; else as the status does. What one member runs is its own
    /// [`Member::target`].
    pub version: Option<EtcdVersion>,
    /// Whether the voters' data is the same.
    pub agreement: Agreement,
}

impl<'a> World<'a> {
    /// Arranges the observation of a cluster.
    pub fn read(observed: &'a Observed, cluster: ClusterIdentity) -> World<'a> {
        let list = match &observed.member_list {
            MemberList::Known(known) if is_fresh(observed.as_of, known.at) => Some(known),
            MemberList::Known(_) | MemberList::Unknown(_) => None,
        };
        let arranged = arrange::arrange(observed, &cluster, list);
        let mut world = World {
            observed,
            cluster,
            members: arranged.members,
            list,
            strangers: arranged.strangers,
            claims_of_others: arranged.claims_of_others,
            taken: arranged.taken,
            formed: false,
            cluster_id: None,
            bootstrap: None,
            version: None,
            agreement: Agreement::Unknown,
        };
        world.compare_data();
        world.cluster.naming = world.published_naming();
        world.formed = world.has_formed();
        world.cluster_id = world.known_cluster_id();
        world.bootstrap = world.latest_bootstrap();
        world.version = world.running_version();
        world.resolve_targets();
        world
    }

    fn compare_data(&mut self) {
        let voters = self.voters().filter_map(Member::id);
        let strangers = self.strangers.iter().filter(|member| !member.is_learner).map(|member| member.id);
        self.agreement = Agreement::of(&voters.chain(strangers).collect(), &self.observed.hashes);
        if let Agreement::Majority { differing, .. } = &self.agreement {
            for member in self.members.values_mut() {
                member.is_corrupt |= member.id().is_some_and(|id| differing.contains(&id));
            }
        }
    }

    /// Whether there is a sign that members' data is not the same, so that it is to be compared.
    pub fn may_data_differ(&self) -> bool {
        self.is_alarmed_about_data() || self.listed().any(|member| member.broken_data().is_some())
    }

    /// Whether etcd says that data differs, for whomever.
    pub fn is_alarmed_about_data(&self) -> bool {
        let mut alarms = self.list.iter().flat_map(|list| &list.alarms);
        alarms.any(|alarm| alarm.kind == AlarmKind::Corrupt)
    }

    /// Whether all voters are known to have the same data.
    pub fn has_same_data(&self) -> bool {
        self.agreement.is_of_all(self.votes().voters)
    }

    /// How the cluster's names are formed: as its members have published them, from the first of the member list, the
    /// StatefulSets and the claims; by UID if nothing has been published.
    fn published_naming(&self) -> Naming {
        let listed = self.list.iter().flat_map(|list| &list.members);
        let of_list = listed
            .flat_map(|listed| &listed.peer_urls)
            .find_map(|url| self.cluster.member_of_peer_url(url).map(|(_, naming)| naming));
        let of_stateful_sets = || {
            let by_name = self.cluster.with_naming(Naming::ByName).peers_service();
            let live = self.members.values().find_map(|member| member.stateful_set?.spec.as_ref());
            let service = live.and_then(|spec| spec.service_name.as_deref())?;
            Some(if service == by_name { Naming::ByName } else { Naming::ByUid })
        };
        let of_claims = || self.own_claims().find_map(|(_, facts)| facts.origin.as_ref().map(Origin::naming));
        of_list.or_else(of_stateful_sets).or_else(of_claims).unwrap_or(Naming::ByUid)
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
        // Readiness is etcd's own word, given to the kubelet: the operator may be the one that is cut off.
        let seen_ready = self.members.values().any(Member::is_ready_by_kubelet);
        let seen_refusal = self.members.values().any(|member| member.refusal().is_some());
        self.list.is_some()
            || seen_leader
            || seen_ready
            || seen_refusal
            || self.own_claims().any(|(_, facts)| facts.formed.is_some())
            || self.status().is_some_and(|status| status.formed)
    }

    fn known_cluster_id(&self) -> Option<ClusterId> {
        self.list
            .map(|list| list.cluster_id)
            .or_else(|| most_frequent(self.own_claims().filter_map(|(_, facts)| facts.formed)))
            .or_else(|| self.status()?.cluster_id.as_deref().and_then(ClusterId::parse))
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

    /// Members in the list, learners included.
    pub fn listed(&self) -> impl Iterator<Item = &Member<'a>> + Clone {
        self.members.values().filter(|member| member.listed.is_some())
    }

    /// Voting members in the list.
    pub fn voters(&self) -> impl Iterator<Item = &Member<'a>> + Clone {
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

    /// The member of this name, if there is any trace of it.
    pub fn member(&self, name: &MemberName) -> Option<&Member<'a>> {
        self.members.get(name)
    }

    /// Whether a member refused a read for want of credentials.
    pub fn refuses_for_authentication(&self) -> bool {
        let is_refusal = |member: &Member<'_>| match member.answer {
            Some(Answer::Refused(_)) => true,
            Some(Answer::Etcd(etcd)) => matches!(etcd.read, LinearizableRead::Refused(_)),
            Some(Answer::Gate(_) | Answer::Silent(_)) | None => false,
        };
        self.members.values().any(is_refusal)
    }

    /// Whether a quorum confirmed a read just now: the list was read behind one, or etcd refused one for want of credentials, which
    /// it looks at only after that.
    pub fn has_quorum(&self) -> bool {
        let confirmed = |member: &Member<'_>| matches!(member.refusal(), Some(LinearizableRead::Refused(_)));
        self.list.is_some() || self.members.values().any(confirmed)
    }

    /// Alarms of members that are in the list.
    pub fn raised_alarms(&self) -> impl Iterator<Item = (&Member<'a>, AlarmKind)> {
        let alarms = self.list.iter().flat_map(|list| &list.alarms);
        alarms.filter_map(|alarm| {
            let member = self.listed().find(|member| member.id() == Some(alarm.member_id))?;
            Some((member, alarm.kind))
        })
    }

    /// A name that nothing bears or ever bore, as far as there is a trace.
    pub fn fresh_names(&self, count: usize) -> BTreeSet<MemberName> {
        let mut names = BTreeSet::new();
        while names.len() < count {
            let name = self
                .observed
                .entropy
                .member_name(&self.cluster, |name| names.contains(name) || self.taken.contains(name));
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
