//! The run by the wall clock: probe rounds, status samples, and the story of each fault. Pure.

use std::collections::BTreeMap;

use crate::history::{ListedMember, MemberId, ProbeRound, UnixNanoseconds};
use crate::record::{Event, EventLine, Proof, RunRecord, StatusSample, TargetedPod};
use crate::scenario::{ClusterSize, Fault, FaultName, Step};

/// The run by the wall clock.
pub struct Timeline<'a> {
    /// What the probe saw.
    pub rounds: Vec<Round<'a>>,
    /// What the API server showed of the `EtcdCluster`.
    pub statuses: Vec<(UnixNanoseconds, &'a StatusSample)>,
    /// Each fault of the schedule, in its order.
    pub faults: Vec<Story<'a>>,
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
        Timeline { rounds: rounds(record), statuses: statuses.collect(), faults, sizes }
    }

    /// How many voters were declared at a moment.
    pub fn size_at(&self, at: UnixNanoseconds) -> ClusterSize {
        let until = self.sizes.partition_point(|(since, _)| *since <= at);
        self.sizes[until.max(1) - 1].1
    }

    /// The first linearizable read that was answered at or after a moment: proof of a quorum. Rounds overlap, since a
    /// silent member takes longer to ask than the probe's interval; so all are looked at.
    pub fn quorum_after(&self, moment: UnixNanoseconds) -> Option<UnixNanoseconds> {
        let answers = self.rounds.iter().filter(|round| round.end >= moment).flat_map(Round::answered_at);
        answers.filter(|at| *at >= moment).min()
    }

    /// The end of the first round, begun at or after a moment, in which all declared members were healthy voters.
    pub fn healthy_after(&self, moment: UnixNanoseconds) -> Option<UnixNanoseconds> {
        let first = self.rounds.partition_point(|round| round.start < moment);
        let healthy = self.rounds[first..].iter().find(|round| round.is_healthy(self.size_at(round.start)));
        healthy.map(|round| round.end)
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

impl Round<'_> {
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

fn rounds(record: &RunRecord) -> Vec<Round<'_>> {
    let Some(header) = &record.probes.header else { return Vec::new() };
    let mut rounds: Vec<Round<'_>> = record
        .probes
        .rounds
        .iter()
        .map(|seen| Round { start: header.wall(seen.start), end: header.wall(seen.end), seen })
        .collect();
    rounds.sort_by_key(|round| round.start);
    rounds
}

fn stories(record: &RunRecord) -> Vec<Story<'_>> {
    let mut stories: Vec<Story<'_>> = record.schedule.steps.iter().map(Story::untold).collect();
    let index: BTreeMap<FaultName, usize> =
        stories.iter().enumerate().map(|(index, story)| (story.step.name.clone(), index)).collect();
    for line in &record.events {
        if let Some(story) = fault_of(&line.event).and_then(|fault| index.get(fault)) {
            stories[*story].tell(line);
        }
    }
    stories
}

fn fault_of(event: &Event) -> Option<&FaultName> {
    match event {
        Event::FaultWaiting { fault }
        | Event::FaultTriggered { fault, .. }
        | Event::FaultNotTriggered { fault }
        | Event::FaultRefused { fault, .. }
        | Event::FaultInjecting { fault, .. }
        | Event::FaultInjected { fault }
        | Event::FaultProof { fault, .. }
        | Event::FaultHealed { fault }
        | Event::FaultFailed { fault, .. } => Some(fault),
        Event::Opened { .. }
        | Event::Phase { .. }
        | Event::Status(_)
        | Event::Kubernetes(_)
        | Event::Pod(_)
        | Event::Note { .. }
        | Event::Interrupted
        | Event::Closed { .. } => None,
    }
}

impl<'a> Story<'a> {
    fn untold(step: &'a Step) -> Story<'a> {
        Story {
            step,
            targets: None,
            injecting: None,
            injected: None,
            healed: None,
            not_triggered: false,
            refused: None,
            failed: Vec::new(),
            proofs: Vec::new(),
        }
    }

    fn tell(&mut self, line: &'a EventLine) {
        match &line.event {
            Event::FaultInjecting { targets, .. } => {
                self.injecting = Some(line.at);
                self.targets = Some(targets);
            }
            Event::FaultInjected { .. } => self.injected = Some(line.at),
            Event::FaultHealed { .. } => self.healed = Some(line.at),
            Event::FaultNotTriggered { .. } => self.not_triggered = true,
            Event::FaultRefused { reason, .. } => self.refused = Some(reason),
            Event::FaultFailed { error, .. } => self.failed.push(error),
            Event::FaultProof { pod, proof, .. } => self.proofs.push((line.at, pod.as_deref(), proof)),
            // The facts around them carry all that is judged.
            _ => {}
        }
    }
}
