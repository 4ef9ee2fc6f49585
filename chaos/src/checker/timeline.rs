//! The run by the wall clock: probe rounds, status samples, and the story of each fault. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::clocks::Clocks;
use crate::history::{Elapsed, ListedMember, MemberId, ProbeRound, UnixNanoseconds};
use crate::record::{Event, EventLine, Proof, RunRecord, StatusSample, TargetedPod};
use crate::scenario::{ClusterSize, Fault, FaultName, Peers, Step, Target};

/// Rounds of the probe come four times a second; further apart than this, nobody watched in between.
const MOST_APART: Duration = Duration::from_secs(3);
/// So long after all members were healthy for the first time, something of a fault may still come: it is not yet steady.
const AFTER_RECOVERY: Duration = Duration::from_secs(5);

/// A follower that was just cut off may answer a read that was under way, and an old leader one or two that its lease covers.
const SETTLING: Duration = Duration::from_millis(1_500);
/// With fewer rounds of the probe nothing can be said about a fault's effect.
const ROUNDS_THAT_TELL: usize = 4;

/// The run by the wall clock.
pub struct Timeline<'a> {
    /// What the probe saw.
    pub rounds: Vec<Round<'a>>,
    /// What the API server showed of the `EtcdCluster`.
    pub statuses: Vec<(UnixNanoseconds, &'a StatusSample)>,
    /// Each fault of the schedule, in its order.
    pub faults: Vec<Story<'a>>,
    /// How the files of load and probe lie on the harness's clock.
    pub clocks: Clocks,
    /// What was seen of pods.
    pub pods: Pods<'a>,
    sizes: Vec<(UnixNanoseconds, ClusterSize)>,
}

/// One round of the probe.
#[derive(Clone, Copy)]
pub struct Round<'a> {
    /// Before the first question.
    pub start: UnixNanoseconds,
    /// After the last answer.
    pub end: UnixNanoseconds,
    /// What was seen.
    pub seen: &'a ProbeRound,
}

/// What happened to one fault of the schedule.
pub struct Story<'a> {
    /// What was to be done.
    pub step: &'a Step,
    /// What people call it.
    pub title: String,
    /// In whom; nothing if it never came to that.
    pub targets: Option<&'a [TargetedPod]>,
    /// When the harness was about to inject it.
    pub injecting: Option<UnixNanoseconds>,
    /// When it was in force.
    pub injected: Option<UnixNanoseconds>,
    /// When it was over.
    pub healed: Option<UnixNanoseconds>,
    /// The fact that it waited for was not seen.
    pub not_triggered: bool,
    /// Why it was not injected.
    pub refused: Option<&'a str>,
    /// What went wrong in the harness.
    pub failed: Vec<&'a str>,
    /// What was measured, with the pod it was measured in.
    pub proofs: Vec<(UnixNanoseconds, Option<&'a str>, &'a Proof)>,
    /// A target that the probe saw serving all the time while it was to be away: whoever was hit, it was not this one.
    pub unfelt: Option<&'a TargetedPod>,
    /// How often it was said to be injected, or to be over: more than once is no fault of this schedule.
    pub told: usize,
    /// Until when what it hit may still be away: a little after all members were healthy again, for the first time after its end and
    /// its last proof. Nothing if they never were.
    pub excused_until: Option<UnixNanoseconds>,
}

/// What the API server showed of pods.
#[derive(Default)]
pub struct Pods<'a> {
    /// The addresses of each pod, by uid.
    addresses: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// When processes of each member were first seen, by the member's name.
    starts: BTreeMap<&'a str, Vec<UnixNanoseconds>>,
    /// The name of each pod, by uid.
    pods: BTreeMap<&'a str, &'a str>,
    /// The processes that were seen in each pod, by uid.
    processes: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// The names of members by identity.
    names: BTreeMap<MemberId, String>,
}

impl<'a> Timeline<'a> {
    /// Lays out a record.
    pub fn new(record: &'a RunRecord) -> Timeline<'a> {
        let statuses = record.events.iter().filter_map(|line| match &line.event {
            Event::Status(sample) => Some((line.at, sample)),
            _ => None,
        });
        let faults: Vec<Story<'_>> = stories(record);
        let mut sizes = vec![(UnixNanoseconds(0), record.schedule.subject.size())];
        sizes.extend(faults.iter().filter_map(|story| match story.step.fault {
            Fault::Resize { size } => Some((story.injected?, size)),
            _ => None,
        }));
        sizes.sort_by_key(|(at, _)| *at);
        let clocks = Clocks::of(record);
        let rounds = rounds(record, &clocks);
        let pods = Pods::new(record, &rounds);
        let mut timeline = Timeline { rounds, statuses: statuses.collect(), faults, clocks, pods, sizes };
        let excused: Vec<Option<UnixNanoseconds>> =
            timeline.faults.iter().map(|story| timeline.excused_until(story)).collect();
        let unfelt: Vec<Option<&TargetedPod>> =
            timeline.faults.iter().map(|story| timeline.unfelt(story)).collect();
        for ((story, until), unfelt) in timeline.faults.iter_mut().zip(excused).zip(unfelt) {
            story.excused_until = until;
            story.unfelt = unfelt;
        }
        timeline
    }

    /// A target that answered linearizable reads throughout, though it stood still or was cut off from a quorum.
    fn unfelt(&self, story: &Story<'a>) -> Option<&'a TargetedPod> {
        let cuts_quorum = match story.step.fault {
            Fault::ProcessPause { .. } => true,
            Fault::Partition { peers, .. } => peers != Peers::Leader,
            _ => false,
        };
        let (from, until) = (story.injected?.plus(SETTLING), story.healed?);
        let rounds: Vec<&Round<'_>> =
            self.rounds.iter().filter(|round| from <= round.start && round.end <= until).collect();
        let served = |target: &&TargetedPod| {
            target.member_id.is_some_and(|id| rounds.iter().all(|round| round.answers(id)))
        };
        let enough = rounds.len() >= ROUNDS_THAT_TELL;
        story.targets?.iter().find(|target| cuts_quorum && enough && served(target))
    }

    fn excused_until(&self, story: &Story<'_>) -> Option<UnixNanoseconds> {
        let over = story.healed.or(story.injected)?.max(story.effect_seen().unwrap_or_default());
        Some(self.healthy_after(over)?.plus(AFTER_RECOVERY))
    }

    /// How many voters were declared at a moment.
    pub fn size_at(&self, at: UnixNanoseconds) -> ClusterSize {
        let until = self.sizes.partition_point(|(since, _)| *since <= at);
        self.sizes[until.max(1) - 1].1
    }

    /// The end of the first round, begun at or after a moment, in which all declared members were healthy voters.
    pub fn healthy_after(&self, moment: UnixNanoseconds) -> Option<UnixNanoseconds> {
        let first = self.rounds.partition_point(|round| round.start < moment);
        let healthy = self.rounds[first..].iter().find(|round| round.is_healthy(self.size_at(round.start)));
        healthy.map(|round| round.end)
    }

    /// The end of the first round, begun at or after a moment, from which on all declared members were healthy voters in every
    /// round for so long. Rounds too far apart do not belong to one stretch.
    pub fn steadily_healthy_after(
        &self,
        moment: UnixNanoseconds,
        steady: Duration,
    ) -> Option<UnixNanoseconds> {
        let first = self.rounds.partition_point(|round| round.start < moment);
        let mut stretch: Option<(&Round<'_>, UnixNanoseconds)> = None;
        for round in &self.rounds[first..] {
            let healthy = round.is_healthy(self.size_at(round.start));
            stretch = match stretch {
                Some((begun, last)) if healthy && round.start.since(last) <= MOST_APART => {
                    Some((begun, round.start))
                }
                Some(_) | None if healthy => Some((round, round.start)),
                Some(_) | None => None,
            };
            if let Some((begun, last)) = stretch.filter(|(begun, last)| last.since(begun.start) >= steady) {
                debug_assert!(begun.start <= last, "rounds are in order");
                return Some(begun.end);
            }
        }
        None
    }

    /// The stretches between two moments in which the probe asked nobody for too long: from when to when.
    pub fn blind(
        &self,
        from: UnixNanoseconds,
        until: UnixNanoseconds,
    ) -> Vec<(UnixNanoseconds, UnixNanoseconds)> {
        let asked =
            self.rounds.iter().filter(|round| !round.seen.members.is_empty()).map(|round| round.start);
        let mut since = from;
        let mut blind = Vec::new();
        for at in asked.filter(|at| from < *at && *at < until).chain([until]) {
            if at.since(since) > MOST_APART {
                blind.push((since, at));
            }
            since = since.max(at);
        }
        blind
    }

    /// Whether two moments have a stretch between them, or a part of one, in which the probe asked nobody for too long.
    pub fn was_blind(&self, from: UnixNanoseconds, until: UnixNanoseconds) -> bool {
        let last = self.last_seen().unwrap_or(until).max(until);
        self.blind(from, last).iter().any(|(since, _)| *since < until)
    }

    /// Why names did not resolve between two moments, if so.
    pub fn resolve_error_between(&self, from: UnixNanoseconds, until: UnixNanoseconds) -> Option<&str> {
        let between = self.rounds.iter().filter(|round| from <= round.start && round.start <= until);
        between.filter_map(|round| round.seen.resolve_error.as_deref()).next()
    }

    /// When the first fault after a moment was about to be injected.
    pub fn next_fault_after(&self, moment: UnixNanoseconds) -> Option<UnixNanoseconds> {
        self.faults.iter().filter_map(|story| story.injecting).filter(|at| *at > moment).min()
    }

    /// The faults that were in force, or not yet recovered from, at some time between two moments.
    pub fn in_force(&self, from: UnixNanoseconds, until: UnixNanoseconds) -> Vec<String> {
        let stories = self.faults.iter().filter(|story| story.may_be_felt(from, until));
        stories.map(|story| story.step.name.to_string()).collect()
    }

    /// Whether a fault was aimed at the member with this address, and was in force or not yet recovered from.
    pub fn is_aimed_at(&self, address: &str, from: UnixNanoseconds, until: UnixNanoseconds) -> bool {
        self.may_have_hit(from, until, |target| self.pods.has_address(&target.uid, address))
    }

    /// Whether such a target may have felt a fault at some time between two moments: one that was aimed at it, or whose targets
    /// nobody knows.
    pub fn may_have_hit(
        &self,
        from: UnixNanoseconds,
        until: UnixNanoseconds,
        is_it: impl Fn(&TargetedPod) -> bool,
    ) -> bool {
        let mut felt = self.faults.iter().filter(|story| story.may_be_felt(from, until));
        felt.any(|story| story.hit_nobody_knows() || story.is_aimed_at(&is_it))
    }

    /// The last round that told a member list, of those that began before a moment by more than `margin`.
    pub fn last_told_before(&self, moment: UnixNanoseconds, margin: Duration) -> Option<&Round<'a>> {
        let until = self.rounds.partition_point(|round| round.start.plus(margin) < moment);
        self.rounds[..until].iter().rev().find(|round| round.tells_members())
    }

    /// The last round that told a member list.
    pub fn last_told(&self) -> Option<&Round<'a>> {
        self.rounds.iter().rev().find(|round| round.tells_members())
    }

    /// When processes of a member were first seen.
    pub fn starts_of(&self, id: MemberId) -> impl Iterator<Item = UnixNanoseconds> {
        let name = self.pods.names.get(&id);
        let starts = name.and_then(|name| self.pods.starts.get(name.as_str()));
        starts.into_iter().flatten().copied()
    }

    /// The end of the last round.
    pub fn last_seen(&self) -> Option<UnixNanoseconds> {
        self.rounds.iter().map(|round| round.end).max()
    }

    /// When the last fault was over; nothing if none was injected.
    pub fn faults_over(&self) -> Option<UnixNanoseconds> {
        self.faults.iter().filter_map(|story| story.healed.or(story.injected)).max()
    }

    /// When the first fault was injected.
    pub fn faults_began(&self) -> Option<UnixNanoseconds> {
        self.faults.iter().filter_map(|story| story.injecting.or(story.injected)).min()
    }
}

impl Story<'_> {
    /// When the last measurement was made.
    pub fn effect_seen(&self) -> Option<UnixNanoseconds> {
        self.proofs.iter().map(|(at, ..)| *at).max()
    }

    /// Whether one of its targets is such a one, and feels it.
    pub fn is_aimed_at(&self, is_it: impl Fn(&TargetedPod) -> bool) -> bool {
        self.step.fault.traits().hits_targets && self.targets.unwrap_or_default().iter().any(is_it)
    }

    /// Whether it was to hit members, and the record does not say which, or is wrong about it: anybody may have felt it.
    pub fn hit_nobody_knows(&self) -> bool {
        let unknown = self.targets.unwrap_or_default().is_empty() || self.unfelt.is_some();
        let hits = self.step.fault.traits().hits_targets;
        hits && unknown && !matches!(self.step.target, Target::Cluster | Target::Operator)
    }

    /// Whether it was in force, or not yet recovered from, at some time between two moments.
    pub fn may_be_felt(&self, from: UnixNanoseconds, until: UnixNanoseconds) -> bool {
        let begun = self.injecting.or(self.injected).is_some_and(|begun| begun <= until);
        begun && self.excused_until.is_none_or(|over| from <= over)
    }
}

impl<'a> Pods<'a> {
    fn new(record: &'a RunRecord, rounds: &[Round<'_>]) -> Pods<'a> {
        let mut pods = Pods::default();
        for line in &record.events {
            let Event::Pod(sample) = &line.event else { continue };
            pods.pods.insert(&sample.uid, &sample.pod);
            if let Some(address) = &sample.address {
                pods.addresses.entry(&sample.uid).or_default().insert(address);
            }
            let Some(process) = &sample.process else { continue };
            let is_new = pods.processes.entry(&sample.uid).or_default().insert(&process.container_id);
            if let Some(member) = sample.member.as_ref().filter(|_| is_new) {
                pods.starts.entry(member).or_default().push(line.at);
            }
        }
        for round in rounds {
            pods.names.extend(round.names().into_iter().filter(|(_, name)| !name.is_empty()));
        }
        pods
    }

    /// Whether a pod was seen, by its uid and under its name.
    pub fn was_seen(&self, uid: &str, pod: &str) -> bool {
        self.pods.get(uid) == Some(&pod)
    }

    /// The identity that member lists give to a name; the last one, if a name was ever used twice.
    pub fn id_of(&self, name: &str) -> Option<MemberId> {
        self.names.iter().rev().find(|(_, known)| *known == name).map(|(id, _)| *id)
    }

    /// The name that member lists give to an identity.
    pub fn name_of(&self, id: MemberId) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// The processes that were seen in a pod; nothing if it was not seen with one.
    pub fn processes_of(&self, uid: &str) -> Option<&BTreeSet<&'a str>> {
        self.processes.get(uid)
    }

    /// Whether a pod was seen with an address.
    pub fn has_address(&self, uid: &str, address: &str) -> bool {
        self.addresses.get(uid).is_some_and(|addresses| addresses.contains(address))
    }
}

impl Round<'_> {
    /// When something of this round happened, by the harness's clock.
    pub fn at(&self, elapsed: Elapsed) -> UnixNanoseconds {
        self.wall(elapsed.nanoseconds())
    }

    /// When a linearizable read was first answered in this round.
    pub fn quorum_at(&self) -> Option<UnixNanoseconds> {
        self.answered_at().min()
    }

    /// When linearizable reads of this round were answered.
    fn answered_at(&self) -> impl Iterator<Item = UnixNanoseconds> {
        let answers = self.seen.members.iter().filter_map(|member| member.read.answer());
        answers.map(|read| self.wall(read.at.nanoseconds()))
    }

    fn wall(&self, elapsed: u64) -> UnixNanoseconds {
        self.start.plus_nanoseconds(elapsed.saturating_sub(self.seen.start.nanoseconds()))
    }

    /// Why the declared members are not all healthy voters; nothing if they are.
    pub fn unhealthy(&self, size: ClusterSize) -> Option<String> {
        if let Some(wrong) = self.listed_wrong(size) {
            return Some(wrong);
        }
        let Some(list) = self.lists().next() else {
            return Some("no member answered with a member list".to_owned());
        };
        let silent: Vec<String> = list
            .iter()
            .filter(|listed| !self.answers(listed.member_id))
            .map(
                |listed| {
                    if listed.name.is_empty() { listed.member_id.to_string() } else { listed.name.clone() }
                },
            )
            .collect();
        (!silent.is_empty()).then(|| format!("no linearizable read through {}", silent.join(", ")))
    }

    /// Why a member list of this round is not what is declared; nothing if all that were told are.
    pub fn listed_wrong(&self, size: ClusterSize) -> Option<String> {
        self.lists().find_map(|list| {
            let voters = list.iter().filter(|member| !member.learner).count();
            let learners = list.len() - voters;
            if learners > 0 {
                return Some(format!("the member list has {learners} learners"));
            }
            (voters != size.members())
                .then(|| format!("the member list has {voters} voters, {size} are declared"))
        })
    }

    /// The member lists that were told in this round.
    pub fn lists(&self) -> impl Iterator<Item = &Vec<ListedMember>> {
        self.seen.members.iter().filter_map(|member| member.members.answer())
    }

    /// Whether a member list was told in this round.
    pub fn tells_members(&self) -> bool {
        self.lists().next().is_some()
    }

    /// Whether a member list of this round gives this name to somebody.
    pub fn lists_name(&self, name: &str) -> bool {
        self.names().values().any(|listed| listed == name)
    }

    /// The voters of all member lists that were told in this round.
    pub fn voters(&self) -> BTreeSet<MemberId> {
        self.lists().flatten().filter(|member| !member.learner).map(|member| member.member_id).collect()
    }

    /// Whether all declared members are healthy voters.
    pub fn is_healthy(&self, size: ClusterSize) -> bool {
        self.unhealthy(size).is_none()
    }

    /// Whether a member, known by its identity, answered a linearizable read.
    pub fn answers(&self, id: MemberId) -> bool {
        self.seen.members.iter().any(|member| {
            let same = member.status.answer().is_some_and(|status| status.member_id == id);
            same && member.read.answer().is_some()
        })
    }

    /// The names that the member lists of this round give to identities.
    pub fn names(&self) -> BTreeMap<MemberId, String> {
        self.lists().flatten().map(|listed| (listed.member_id, listed.name.clone())).collect()
    }
}

fn rounds<'a>(record: &'a RunRecord, clocks: &Clocks) -> Vec<Round<'a>> {
    let round = |seen: &'a ProbeRound| {
        Some(Round { start: clocks.of_probe(seen.start)?, end: clocks.of_probe(seen.end)?, seen })
    };
    let mut rounds: Vec<Round<'_>> = record.probes.rounds.iter().filter_map(round).collect();
    rounds.sort_by_key(|round| round.start);
    rounds
}

fn stories(record: &RunRecord) -> Vec<Story<'_>> {
    let mut stories: Vec<Story<'_>> =
        record.schedule.steps.iter().map(|step| Story::untold(step, record.schedule.title(step))).collect();
    let index: BTreeMap<FaultName, usize> =
        stories.iter().enumerate().map(|(index, story)| (story.step.name.clone(), index)).collect();
    for line in &record.events {
        if let Some(story) = line.event.fault().and_then(|fault| index.get(fault)) {
            stories[*story].tell(line);
        }
    }
    stories
}

impl<'a> Story<'a> {
    fn untold(step: &'a Step, title: String) -> Story<'a> {
        Story {
            step,
            title,
            targets: None,
            injecting: None,
            injected: None,
            healed: None,
            not_triggered: false,
            refused: None,
            failed: Vec::new(),
            proofs: Vec::new(),
            unfelt: None,
            told: 0,
            excused_until: None,
        }
    }

    fn tell(&mut self, line: &'a EventLine) {
        match &line.event {
            Event::FaultInjecting { targets, .. } => {
                self.told = self.told.max(1 + usize::from(self.injecting.is_some()));
                self.injecting = Some(line.at);
                self.targets = Some(targets);
            }
            Event::FaultInjected { .. } => {
                self.told = self.told.max(1 + usize::from(self.injected.is_some()));
                self.injected = Some(line.at);
            }
            Event::FaultHealed { .. } => {
                self.told = self.told.max(1 + usize::from(self.healed.is_some()));
                self.healed = Some(line.at);
            }
            Event::FaultNotTriggered { .. } => self.not_triggered = true,
            Event::FaultRefused { reason, .. } => self.refused = Some(reason),
            Event::FaultFailed { error, .. } => self.failed.push(error),
            Event::FaultProof { pod, proof, .. } => self.proofs.push((line.at, pod.as_deref(), proof)),
            // The facts around them carry all that is judged.
            _ => {}
        }
    }
}
