//! What the lanes of the timeline show, as data: who was in which state from when to when. Pure.

use std::collections::BTreeMap;

use super::time::Span;
use crate::checker::{Round, Timeline};
use crate::history::{MemberId, Outcome, UnixNanoseconds};
use crate::record::{ConditionStatus, RunRecord};

/// A stretch of time in one state.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment<S> {
    pub(super) from: UnixNanoseconds,
    pub(super) until: UnixNanoseconds,
    pub(super) state: S,
}

/// What a member was, as the probe saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberState {
    Leader,
    Follower,
    Learner,
    /// Its process answers, but no linearizable read goes through it.
    CutOff,
    /// Listed as a member, and it does not answer.
    Down,
    /// Not a member.
    Absent,
}

impl MemberState {
    /// The word for it: also the name of its colour.
    pub(super) fn word(self) -> &'static str {
        match self {
            MemberState::Leader => "leader",
            MemberState::Follower => "follower",
            MemberState::Learner => "learner",
            MemberState::CutOff => "no-quorum",
            MemberState::Down => "down",
            MemberState::Absent => "absent",
        }
    }
}

/// The lanes of all members that were ever seen, by name.
pub(super) fn members(timeline: &Timeline<'_>) -> Vec<(String, Vec<Segment<MemberState>>)> {
    let mut names: BTreeMap<MemberId, String> = BTreeMap::new();
    for round in &timeline.rounds {
        names.extend(round.names().into_iter().filter(|(_, name)| !name.is_empty()));
        for status in round.seen.members.iter().filter_map(|member| member.status.answer()) {
            names.entry(status.member_id).or_insert_with(|| status.member_id.to_string());
        }
    }
    let mut lanes: Vec<(String, Vec<Segment<MemberState>>)> = names
        .into_iter()
        .map(|(id, name)| (name, segments(timeline, |round, before| member_state(round, id, before))))
        .collect();
    lanes.sort_by(|left, right| left.0.cmp(&right.0));
    lanes
}

fn member_state(round: &Round<'_>, id: MemberId, before: Option<MemberState>) -> MemberState {
    let own = round.seen.members.iter().find_map(|member| {
        let status = member.status.answer().filter(|status| status.member_id == id)?;
        Some((member, status))
    });
    if let Some((member, status)) = own {
        return match (status.learner, member.read.answer(), status.leader) {
            (true, _, _) => MemberState::Learner,
            (false, None, _) => MemberState::CutOff,
            (false, Some(_), Some(leader)) if leader == id => MemberState::Leader,
            (false, Some(_), _) => MemberState::Follower,
        };
    }
    let mut lists = round.seen.members.iter().filter_map(|member| member.members.answer()).peekable();
    if lists.peek().is_none() {
        // Nobody tells who is a member: whoever was one before is one that does not answer.
        return if before.is_none_or(|before| before == MemberState::Absent) {
            MemberState::Absent
        } else {
            MemberState::Down
        };
    }
    if lists.flatten().any(|listed| listed.member_id == id) { MemberState::Down } else { MemberState::Absent }
}

fn segments<S: PartialEq + Copy>(
    timeline: &Timeline<'_>,
    state_of: impl Fn(&Round<'_>, Option<S>) -> S,
) -> Vec<Segment<S>> {
    let mut segments: Vec<Segment<S>> = Vec::new();
    for (index, round) in timeline.rounds.iter().enumerate() {
        let until = timeline.rounds.get(index + 1).map_or(round.end, |next| next.start);
        let state = state_of(round, segments.last().map(|last| last.state));
        match segments.last_mut() {
            Some(last) if last.state == state => last.until = until,
            _ => segments.push(Segment { from: round.start, until, state }),
        }
    }
    segments
}

/// The lane of one condition of the status.
pub(super) fn condition(timeline: &Timeline<'_>, kind: &str, span: &Span) -> Vec<Segment<ConditionStatus>> {
    let mut segments: Vec<Segment<ConditionStatus>> = Vec::new();
    for (at, sample) in &timeline.statuses {
        let found = sample.conditions.iter().find(|condition| condition.kind == kind);
        let state = found.map_or(ConditionStatus::Unknown, |condition| condition.status);
        if let Some(last) = segments.last_mut() {
            last.until = *at;
            if last.state == state {
                continue;
            }
        }
        segments.push(Segment { from: *at, until: *at, state });
    }
    if let Some(last) = segments.last_mut() {
        last.until = span.end();
    }
    segments
}

/// What the clients saw during one part of the run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    pub(super) acknowledged: u64,
    pub(super) failed: u64,
    pub(super) unknown: u64,
    /// The slowest acknowledged call but for one in a hundred, in nanoseconds.
    pub(super) latency: u64,
}

/// What the clients saw, in so many equal parts of the run.
pub(super) fn clients(record: &RunRecord, span: &Span, count: usize) -> Vec<Bucket> {
    let mut buckets = vec![Bucket::default(); count];
    let mut latencies: Vec<Vec<u64>> = vec![Vec::new(); count];
    let Some(header) = &record.load.header else { return buckets };
    for operation in &record.load.operations {
        let index = span.bucket(header.wall(operation.end), count);
        match &operation.outcome {
            Outcome::Acknowledged(_) => {
                buckets[index].acknowledged += 1;
                latencies[index].push(operation.end.0.saturating_sub(operation.start.0));
            }
            Outcome::Failed { .. } => buckets[index].failed += 1,
            Outcome::Unknown { .. } => buckets[index].unknown += 1,
        }
    }
    for (bucket, latencies) in buckets.iter_mut().zip(&mut latencies) {
        latencies.sort_unstable();
        let rank = (latencies.len() * 99).div_ceil(100).max(1) - 1;
        bucket.latency = latencies.get(rank).copied().unwrap_or_default();
    }
    buckets
}
