//! What recipes look for in a record, and how they change it.

use chaos::history::{
    Call, CommittedChange, CommittedEvent, Elapsed, Found, MemberStatus, Observation, Operation, Outcome,
    ProbeRound, Reply, UnixNanoseconds,
};
use chaos::record::{Event, EventLine, Proof, RunRecord};
use chaos::scenario::FaultName;

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const MILLISECOND: u64 = 1_000_000;

pub(super) fn name(fault: &str) -> FaultName {
    fault.parse().expect("a name")
}

/// The first moment at which an event of a kind was written about a fault.
fn moment(record: &RunRecord, fault: &str, wanted: fn(&Event) -> bool) -> u64 {
    let fault = name(fault);
    let line = record.events.iter().find(|line| wanted(&line.event) && line.event.fault() == Some(&fault));
    line.unwrap_or_else(|| panic!("{fault} is not in the record")).at.0
}

pub(super) fn injecting(record: &RunRecord, fault: &str) -> u64 {
    moment(record, fault, |event| matches!(event, Event::FaultInjecting { .. }))
}

pub(super) fn injected(record: &RunRecord, fault: &str) -> u64 {
    moment(record, fault, |event| matches!(event, Event::FaultInjected { .. }))
}

pub(super) fn healed(record: &RunRecord, fault: &str) -> u64 {
    moment(record, fault, |event| matches!(event, Event::FaultHealed { .. }))
}

/// A moment of the harness's clock on the load's.
pub(super) fn on_load(record: &RunRecord, at: u64) -> u64 {
    at - record.load.header.as_ref().expect("a header").zero.0
}

/// A moment of the harness's clock on the probe's.
pub(super) fn on_probe(record: &RunRecord, at: u64) -> u64 {
    at - record.probes.header.as_ref().expect("a header").zero.0
}

pub(super) fn is_acknowledged(operation: &Operation) -> bool {
    matches!(operation.outcome, Outcome::Acknowledged(_))
}

/// The revision that an acknowledged put made.
pub(super) fn put_revision(operation: &Operation) -> Option<u64> {
    match (&operation.call, &operation.outcome) {
        (Call::Put { .. }, Outcome::Acknowledged(answer)) => Some(answer.revision.0),
        _ => None,
    }
}

/// What an acknowledged get found.
pub(super) fn found_mut(operation: &mut Operation) -> Option<&mut Option<Found>> {
    match &mut operation.outcome {
        Outcome::Acknowledged(answer) => match &mut answer.reply {
            Reply::Get { found } => Some(found),
            _ => None,
        },
        _ => None,
    }
}

/// The middle one of the calls that fit.
pub(super) fn middle(record: &mut RunRecord, fits: impl Fn(&Operation) -> bool) -> &mut Operation {
    let fitting: Vec<usize> =
        (0..record.load.operations.len()).filter(|index| fits(&record.load.operations[*index])).collect();
    let index = fitting[fitting.len() / 2];
    &mut record.load.operations[index]
}

pub(super) fn found_of(event: &CommittedEvent) -> Found {
    match &event.change {
        CommittedChange::Put { value, version } => {
            Found { value: value.clone(), modified_at: event.revision, version: *version }
        }
        CommittedChange::Delete => panic!("the load never deletes"),
    }
}

pub(super) fn lost(operation: &mut Operation) {
    operation.outcome = Outcome::Unknown { error: "no answer within 2000 ms".to_owned() };
}

/// All statuses of the rounds from the middle of the run on.
pub(super) fn later_statuses(record: &mut RunRecord) -> impl Iterator<Item = &mut MemberStatus> {
    let half = record.probes.rounds.len() / 2;
    record.probes.rounds[half..].iter_mut().flat_map(statuses)
}

pub(super) fn statuses(round: &mut ProbeRound) -> impl Iterator<Item = &mut MemberStatus> {
    round.members.iter_mut().filter_map(|member| match &mut member.status {
        Observation::Answered(status) => Some(status),
        Observation::Failed(_) | Observation::NotAsked => None,
    })
}

/// No call is answered, and no linearizable read of the probe, between two moments of the harness's clock.
pub(super) fn silence(record: &mut RunRecord, from: u64, until: u64) {
    let (start, end) = (on_load(record, from), on_load(record, until));
    for operation in &mut record.load.operations {
        if is_acknowledged(operation) && start <= operation.end.0 && operation.end.0 < end {
            lost(operation);
        }
    }
    let (start, end) = (on_probe(record, from), on_probe(record, until));
    for member in record.probes.rounds.iter_mut().flat_map(|round| &mut round.members) {
        let during = member.read.answer().is_some_and(|read| start <= read.at.0 && read.at.0 < end);
        if during {
            member.read = Observation::Failed("no answer within 1000 ms".to_owned());
            member.members = Observation::NotAsked;
        }
    }
}

/// Adds an event where it belongs in the order of time.
pub(super) fn add(record: &mut RunRecord, at: u64, event: Event) {
    let place = record.events.iter().position(|line| line.at.0 > at).unwrap_or(record.events.len() - 1);
    record.events.insert(place, EventLine { at: UnixNanoseconds(at), event });
}

/// Changes the first measurement that is of a kind.
pub(super) fn change_proof(record: &mut RunRecord, change: impl Fn(&mut Proof) -> bool) {
    let done = record.events.iter_mut().any(|line| match &mut line.event {
        Event::FaultProof { proof, .. } => change(proof),
        _ => false,
    });
    assert!(done, "there is no such measurement");
}

pub(super) fn shift(moment: &mut Elapsed, by: i64) {
    moment.0 = moment.0.saturating_add_signed(by);
}
