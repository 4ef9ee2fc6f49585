//! What a run knows at this moment: one board that watchers write and everybody else reads or waits on. Holds no history
//! beyond the facts that a fault may wait for, and talks to nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::history::{MemberId, ProbeRound};
use crate::load::Progress;
use crate::record::ProcessIdentity;
use crate::scenario::{Condition, FaultName};
use crate::targeting::{MemberPod, SeenMember, View};

/// A probe round older than this says nothing about now.
pub const ROUND_IS_STALE_AFTER: Duration = Duration::from_secs(5);

/// A round counts as begun after a moment only if it began this much later: the probe's clock is known a little too late.
const CLOCK_MARGIN: Duration = Duration::from_millis(300);

/// Something that was seen to happen, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A member left the member list.
    MemberRemoved(MemberId),
    /// A member joined the member list as a voter.
    VoterAdded(MemberId),
    /// A member joined the member list as a learner.
    LearnerAdded(MemberId),
    /// Another member leads than before.
    LeaderChanged(MemberId),
}

/// Where a fault stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultState {
    /// When the harness began to inject it.
    pub began: Option<Instant>,
    /// When it was seen to be in force.
    pub injected: Option<Instant>,
    /// When it was seen to be over.
    pub ended: Option<Instant>,
    /// The members that it hit, by name.
    pub hit: Vec<String>,
    /// Whether the members that it hit count as away until it is released.
    pub holds: bool,
    /// When its last proof was there.
    pub released: Option<Instant>,
}

/// Everything known now.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// When the newest probe round was read.
    pub round_read_at: Option<Instant>,
    /// The cluster as last seen.
    pub view: View,
    /// The member that led when one was last known.
    pub last_leader: Option<MemberId>,
    /// The load's counters.
    pub progress: Option<Progress>,
    /// What was seen to happen, and when.
    pub facts: Vec<(Instant, Fact)>,
    /// Every fault that has begun.
    pub faults: BTreeMap<FaultName, FaultState>,
    /// How many voters the cluster shall have now.
    pub size: usize,
    /// Whether the status of the `EtcdCluster` says Ready.
    pub status_ready: bool,
    /// Every process that was seen in each pod, by the pod's uid: a fast operator removes a pod before anybody asks for it.
    pub processes: BTreeMap<String, Vec<ProcessIdentity>>,
    round: Option<ProbeRound>,
    pods: Vec<MemberPod>,
    /// The moment that the probe counts from, as far as known: never earlier than in truth.
    probe_zero: Option<Instant>,
}

/// The board's writing end; any number of readers subscribe.
pub type BoardSender = watch::Sender<Board>;

impl Board {
    /// The board of a cluster that shall have `size` voters and of which nothing is known yet.
    #[must_use]
    pub fn new(size: usize) -> Board {
        Board { size, ..Board::default() }
    }

    /// Takes a new probe round in.
    pub fn take_round(&mut self, round: ProbeRound, now: Instant) {
        // A round was read after it ended. The smallest difference seen is the nearest to the truth.
        let zero = now.checked_sub(Duration::from_nanos(round.end.nanoseconds()));
        self.probe_zero = match (self.probe_zero, zero) {
            (Some(known), Some(zero)) => Some(known.min(zero)),
            (known, zero) => known.or(zero),
        };
        self.round = Some(round);
        self.round_read_at = Some(now);
        self.refresh(now);
    }

    /// Takes the process in that a pod was seen with.
    pub fn take_process(&mut self, pod_uid: &str, process: &ProcessIdentity) {
        let seen = self.processes.entry(pod_uid.to_owned()).or_default();
        if !seen.contains(process) {
            seen.push(process.clone());
        }
    }

    /// Takes a new list of member pods in.
    pub fn take_pods(&mut self, pods: Vec<MemberPod>, now: Instant) {
        self.pods = pods;
        self.refresh(now);
    }

    fn refresh(&mut self, now: Instant) {
        let empty = ProbeRound {
            number: None,
            start: Default::default(),
            end: Default::default(),
            members: Vec::new(),
            resolve_error: None,
        };
        let mut view = View::new(self.round.as_ref().unwrap_or(&empty), &self.pods);
        if view.members.is_empty() {
            // Without an answer the last list stands, and nobody in it answers.
            view.members = std::mem::take(&mut self.view.members);
            for member in &mut view.members {
                member.answers = false;
                member.pod = self.pods.iter().find(|pod| pod.member == member.name).cloned();
            }
        } else {
            let seen = facts_between(&self.view, &view, self.last_leader);
            self.facts.extend(seen.into_iter().map(|fact| (now, fact)));
        }
        self.last_leader = view.leader.or(self.last_leader);
        self.view = view;
    }

    /// The members that faults in force hold, by name.
    #[must_use]
    pub fn held(&self) -> BTreeSet<String> {
        self.faults.values().filter(|fault| fault.holds).flat_map(|fault| fault.hit.iter().cloned()).collect()
    }

    /// The members that faults other than this one hold, by name.
    #[must_use]
    pub fn held_by_others(&self, own: &FaultName) -> BTreeSet<String> {
        let others = self.faults.iter().filter(|(name, fault)| *name != own && fault.holds);
        others.flat_map(|(_, fault)| fault.hit.iter().cloned()).collect()
    }

    /// The state of things in one line for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        let breaking: Vec<&str> = self
            .faults
            .iter()
            .filter(|(_, fault)| fault.began.is_some() && fault.ended.is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        let mut parts = Vec::new();
        if !breaking.is_empty() {
            parts.push(format!("broken now: {}", breaking.join(", ")));
        }
        let up = self.view.members.iter().filter(|member| member.answers && !member.learner).count();
        parts.push(format!("{up}/{} members up", self.size));
        let leader = self.view.members.iter().find(|member| Some(member.id) == self.view.leader);
        parts.push(leader.map_or_else(|| "no leader".to_owned(), |leader| format!("leader {}", leader.name)));
        if let Some(progress) = &self.progress {
            parts.push(format!("{} writes acknowledged", progress.acknowledged_writes));
            parts.push(format!("{} errors", progress.failed + progress.unknown));
        }
        parts.join(" · ")
    }

    /// The members that each fault has hit, by name.
    #[must_use]
    pub fn hits(&self) -> BTreeMap<FaultName, Vec<String>> {
        self.faults.iter().map(|(name, fault)| (name.clone(), fault.hit.clone())).collect()
    }

    /// Whether a client asks this member itself, so that a fault of it is felt. A member without a pod is asked by nobody.
    #[must_use]
    pub fn is_asked(&self, member: &SeenMember) -> bool {
        let address = member.pod.as_ref().and_then(|pod| pod.address).map(IpAddr::V4);
        let asked = self.progress.as_ref().map(|progress| &progress.asked_members);
        asked.zip(address).is_some_and(|(asked, address)| asked.contains(&address))
    }

    /// Whether clients ask every voter themselves.
    #[must_use]
    pub fn every_voter_is_asked(&self) -> bool {
        self.view.voters().into_iter().all(|voter| self.is_asked(voter))
    }

    /// Whether the cluster is as declared and every member is well, by a round that is not stale.
    #[must_use]
    pub fn is_whole(&self, now: Instant) -> bool {
        self.is_fresh(now) && self.view.is_whole(self.size)
    }

    /// The version of etcd that each member answers with, by the member's identity.
    #[must_use]
    pub fn versions(&self) -> BTreeMap<MemberId, String> {
        let asked = self.round.iter().flat_map(|round| &round.members);
        let answers = asked.filter_map(|member| member.status.answer());
        answers.map(|status| (status.member_id, status.version.clone())).collect()
    }

    /// Whether what is seen was asked after every fault so far had its last proof, so that it shows what they left.
    #[must_use]
    pub fn shows_the_past(&self, now: Instant) -> bool {
        let released = self.faults.values().filter_map(|fault| fault.released).max();
        released.is_none_or(|released| self.shows(released)) && self.is_fresh(now)
    }

    /// Whether what is seen was asked after a moment.
    #[must_use]
    pub fn shows(&self, since: Instant) -> bool {
        self.round_began().is_some_and(|began| began >= since + CLOCK_MARGIN)
    }

    /// Whether nothing is broken any more: no fault is under way, and the cluster is whole by a round asked after the last.
    #[must_use]
    pub fn is_healthy(&self, now: Instant) -> bool {
        let under_way = self.faults.values().any(|fault| fault.began.is_some() && fault.released.is_none());
        !under_way && self.shows_the_past(now) && self.is_whole(now)
    }

    /// When the newest round began, at the latest.
    fn round_began(&self) -> Option<Instant> {
        let round = self.round.as_ref()?;
        Some(self.probe_zero? + Duration::from_nanos(round.start.nanoseconds()))
    }

    /// Whether the newest probe round still speaks about now.
    #[must_use]
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.round_read_at.is_some_and(|read| now.duration_since(read) < ROUND_IS_STALE_AFTER)
    }

    /// Whether `condition` was met at or after `since`.
    #[must_use]
    pub fn has_seen(&self, condition: &Condition, since: Instant, now: Instant) -> bool {
        let fact =
            |wanted: fn(&Fact) -> bool| self.facts.iter().any(|(at, fact)| *at >= since && wanted(fact));
        match condition {
            Condition::MemberRemoved => fact(|fact| matches!(fact, Fact::MemberRemoved(_))),
            Condition::MemberAdded => {
                fact(|fact| matches!(fact, Fact::VoterAdded(_) | Fact::LearnerAdded(_)))
            }
            Condition::LearnerAdded => fact(|fact| matches!(fact, Fact::LearnerAdded(_))),
            Condition::LeaderChanged => fact(|fact| matches!(fact, Fact::LeaderChanged(_))),
            Condition::Members { count } => self.view.voters().len() == usize::from(*count),
            Condition::Healthy => self.is_healthy(now),
            // These name a fault of the schedule, so the time of the step before does not matter.
            Condition::FaultEnded { fault } => {
                self.faults.get(fault).is_some_and(|fault| fault.ended.is_some())
            }
            Condition::FaultInjected { fault } => {
                self.faults.get(fault).is_some_and(|fault| fault.injected.is_some())
            }
        }
    }
}

fn facts_between(before: &View, after: &View, last_leader: Option<MemberId>) -> Vec<Fact> {
    if before.members.is_empty() {
        return Vec::new();
    }
    let ids = |view: &View| view.members.iter().map(|member| member.id).collect::<BTreeSet<_>>();
    let (old, new) = (ids(before), ids(after));
    let mut facts: Vec<Fact> = old.difference(&new).copied().map(Fact::MemberRemoved).collect();
    for member in after.members.iter().filter(|member| !old.contains(&member.id)) {
        facts.push(if member.learner { Fact::LearnerAdded(member.id) } else { Fact::VoterAdded(member.id) });
    }
    if let (Some(leader), Some(last)) = (after.leader, last_leader)
        && leader != last
    {
        facts.push(Fact::LeaderChanged(leader));
    }
    facts
}
