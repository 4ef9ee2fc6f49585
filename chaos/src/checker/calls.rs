//! Where calls went while faults were in force, and whether every call of every client is in the record. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::context::Context;
use super::human;
use super::judgement::CallCounts;
use super::timeline::Story;
use crate::history::{ClientId, Operation, Outcome, SentTo, is_no_answer};

/// A fault that is over once it happened is in force at least so long: until its victims are gone for their clients.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Calls that were open at some time while a fault was in force.
pub(super) struct Calls {
    /// To its targets.
    pub(super) at_target: CallCounts,
    /// To its targets, and over in the second before it began.
    pub(super) at_target_before: u64,
    /// To other members, and through the Service.
    pub(super) elsewhere: CallCounts,
}

/// Sorts the calls that were open while a fault was in force; nothing if the record does not say where calls were sent, or the fault
/// was not injected.
pub(super) fn during(context: &Context<'_>, story: &Story<'_>) -> Option<Calls> {
    let from = story.injecting.or(story.injected)?;
    let ended = story.healed.or(story.injected)?;
    let until = match story.step.fault.lasting() {
        Some(_) => ended,
        None => ended.plus(AT_LEAST).max(story.effect_seen().unwrap_or(ended)),
    };
    let operations = &context.record.load.operations;
    if operations.iter().all(|operation| operation.sent_to.is_none()) {
        return None;
    }
    let targets = story.targets.unwrap_or_default();
    let is_target =
        |address: &str| targets.iter().any(|target| context.timeline.pods.has_address(&target.uid, address));
    let mut calls =
        Calls { at_target: CallCounts::default(), at_target_before: 0, elsewhere: CallCounts::default() };
    for operation in operations {
        let (began, over) = (context.wall(operation.start)?, context.wall(operation.end)?);
        let is_just_before = over < from && from.since(over) <= AT_LEAST;
        if began > until || (over < from && !is_just_before) {
            continue;
        }
        match &operation.sent_to {
            Some(SentTo::Member(address)) if is_just_before => {
                calls.at_target_before += u64::from(is_target(address));
            }
            _ if is_just_before => {}
            Some(SentTo::Member(address)) if is_target(address) => calls.at_target.count(operation),
            Some(SentTo::Member(_) | SentTo::Service) => calls.elsewhere.count(operation),
            None => {}
        }
    }
    Some(calls)
}

impl CallCounts {
    fn count(&mut self, operation: &Operation) {
        match &operation.outcome {
            Outcome::Acknowledged(_) => self.answered += 1,
            Outcome::Failed { .. } => self.refused += 1,
            Outcome::Unknown { error } if is_no_answer(error) => self.timed_out += 1,
            Outcome::Unknown { .. } => self.unknown += 1,
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.answered + self.refused + self.timed_out + self.unknown
    }
}

impl fmt::Display for CallCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.answered, "answered"),
            (self.refused, "refused"),
            (self.timed_out, "timed out"),
            (self.unknown, "broken off"),
        ];
        let said: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", human::count(*count)))
            .collect();
        formatter.write_str(&if said.is_empty() { "no calls".to_owned() } else { said.join(", ") })
    }
}

/// Calls that are missing: a client numbers its calls, and has one open at a time.
pub(super) fn gaps(context: &Context<'_>) -> Vec<String> {
    let mut clients: BTreeMap<ClientId, Vec<&Operation>> = BTreeMap::new();
    for operation in &context.record.load.operations {
        clients.entry(operation.client).or_default().push(operation);
    }
    let mut gaps = Vec::new();
    if context.record.load.header.is_some() {
        let all = (0..context.record.schedule.load.clients).map(ClientId);
        gaps.extend(
            all.filter(|client| !clients.contains_key(client)).map(|client| format!("{client} has no call")),
        );
    }
    for (client, mut operations) in clients {
        operations.sort_by_key(|operation| operation.sequence);
        let wrong = operations.iter().zip(0..).find(|(operation, expected)| operation.sequence != *expected);
        if let Some((_, missing)) = wrong {
            gaps.push(format!("call {missing} of {client} is missing"));
        }
        if let Some(pair) = operations.windows(2).find(|pair| pair[1].start < pair[0].end) {
            gaps.push(format!(
                "calls {} and {} of {client} were open at once",
                pair[0].sequence, pair[1].sequence
            ));
        }
    }
    gaps
}
