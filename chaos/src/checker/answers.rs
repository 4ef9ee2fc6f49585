//! Every answer that needs a quorum, to clients and to the probe, and every question that was asked in vain. Pure; judges nothing.

use std::time::Duration;

use super::timeline::Timeline;
use crate::history::{Observation, Outcome, SentTo, UnixNanoseconds};
use crate::record::RunRecord;

/// A time without an answer that needs a quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// The last answer before; the first question if there was none.
    pub(super) since: UnixNanoseconds,
    /// The first answer after; the last question if there was none.
    pub(super) until: UnixNanoseconds,
    /// Whether an answer ended it.
    pub(super) ended: bool,
}

impl Silence {
    /// How long it was at least, by clocks that are wrong by as much as `error`.
    pub(super) fn at_least(&self, error: Duration) -> Duration {
        self.until.since(self.since).saturating_sub(error * 2)
    }
}

/// Everything that a quorum must have agreed to, and what asked for it in vain.
#[derive(Default)]
pub(super) struct Quorum {
    /// When answers came, ascending.
    answers: Vec<UnixNanoseconds>,
    /// Questions without an answer to members that no fault in force was aimed at: from when to when.
    in_vain: Vec<(UnixNanoseconds, UnixNanoseconds)>,
    /// The first and the last moment at which anybody asked.
    asked: Option<(UnixNanoseconds, UnixNanoseconds)>,
}

impl Quorum {
    /// Gathers the answers and the silence of a record.
    pub(super) fn new(record: &RunRecord, timeline: &Timeline<'_>) -> Quorum {
        let mut quorum = Quorum::default();
        quorum.take_load(record, timeline);
        quorum.take_probes(timeline);
        quorum.answers.sort_unstable();
        quorum.in_vain.sort_unstable();
        quorum
    }

    fn take_load(&mut self, record: &RunRecord, timeline: &Timeline<'_>) {
        for operation in &record.load.operations {
            let (Some(start), Some(end)) =
                (timeline.clocks.of_load(operation.start), timeline.clocks.of_load(operation.end))
            else {
                return;
            };
            self.extend(start, end);
            match (&operation.outcome, &operation.sent_to) {
                (Outcome::Acknowledged(_), _) => self.answers.push(end),
                (Outcome::Failed { .. } | Outcome::Unknown { .. }, Some(SentTo::Member(address)))
                    if !timeline.is_aimed_at(address, start, end) =>
                {
                    self.in_vain.push((start, end));
                }
                // Whom the Service chose is not known, and a Service that chooses nobody is no lost quorum.
                (Outcome::Failed { .. } | Outcome::Unknown { .. }, _) => {}
            }
        }
    }

    fn take_probes(&mut self, timeline: &Timeline<'_>) {
        for round in &timeline.rounds {
            for member in &round.seen.members {
                self.extend(round.start, round.end);
                match (&member.status, &member.read) {
                    (_, Observation::Answered(read)) => self.answers.push(round.at(read.at)),
                    (_, Observation::Failed(_)) | (Observation::Failed(_), Observation::NotAsked)
                        if !timeline.is_aimed_at(&member.address, round.start, round.end) =>
                    {
                        self.in_vain.push((round.start, round.end));
                    }
                    (_, Observation::Failed(_) | Observation::NotAsked) => {}
                }
            }
        }
    }

    fn extend(&mut self, start: UnixNanoseconds, end: UnixNanoseconds) {
        let (first, last) = self.asked.unwrap_or((start, end));
        self.asked = Some((first.min(start), last.max(end)));
    }

    /// The silences that reach into a stretch of time, in order.
    pub(super) fn silences(
        &self,
        from: UnixNanoseconds,
        until: UnixNanoseconds,
    ) -> impl Iterator<Item = Silence> {
        let (first, last) = self.asked.unwrap_or_default();
        let before = self.answers.partition_point(|at| *at <= from);
        let edge = |index: usize| self.answers.get(index).copied();
        let ends = (before..=self.answers.len()).map(move |index| Silence {
            since: index.checked_sub(1).and_then(edge).unwrap_or(first),
            until: edge(index).unwrap_or(last),
            ended: edge(index).is_some(),
        });
        ends.filter(|silence| silence.since < silence.until).take_while(move |silence| silence.since < until)
    }

    /// The first answer at or after a moment.
    pub(super) fn answer_after(&self, moment: UnixNanoseconds) -> Option<UnixNanoseconds> {
        self.answers.get(self.answers.partition_point(|at| *at < moment)).copied()
    }

    /// Whether somebody who had to be answered asked in vain during a silence.
    pub(super) fn was_asked(&self, silence: &Silence) -> bool {
        let within = |start: UnixNanoseconds| silence.since <= start && start <= silence.until;
        let over = |start, end| start <= silence.since && silence.until <= end;
        self.in_vain.iter().any(|(start, end)| within(*start) || over(*start, *end))
    }

    /// The last moment at which anybody asked.
    pub(super) fn last_asked(&self) -> Option<UnixNanoseconds> {
        self.asked.map(|(_, last)| last)
    }
}
