//! What each proof must hold: a complete one has no gaps, and each thing taken from it is missed.

use std::net::SocketAddrV4;

use super::*;
use crate::agent::protocol::{
    Dial, DialOutcome, Direction, DropCounters, PROTOCOL_FORMAT, PauseFault, ProcessState, SpoilFault,
    WipeFault,
};

fn peer() -> SocketAddrV4 {
    "10.244.0.5:2380".parse().unwrap()
}

fn uncut() -> SocketAddrV4 {
    "10.96.0.1:443".parse().unwrap()
}

fn proof(fault: AgentFault, events: Vec<ProofEvent>) -> AgentProof {
    let line = |event| ProofLine { format: PROTOCOL_FORMAT, at_unix_nanoseconds: 1, event };
    AgentProof {
        pod: "demo-abcde-0".to_owned(),
        pod_uid: "u".to_owned(),
        container: "chaos-x".to_owned(),
        fault,
        lines: events.into_iter().map(line).collect(),
    }
}

fn partition(direction: Direction) -> AgentFault {
    AgentFault::Partition(PartitionFault {
        peers: vec![peer()],
        direction,
        ports: vec![],
        uncut: vec![uncut()],
        duration_milliseconds: 1000,
    })
}

/// What is measured: whether the peer and the other answer, packets dropped in and out, whether the cut is in force.
fn network(peer_answers: bool, other_answers: bool, dropped: (u64, u64), in_force: bool) -> Observation {
    let dial = |address, answers| Dial {
        address,
        outcome: if answers { DialOutcome::Connected } else { DialOutcome::TimedOut },
        milliseconds: 1,
    };
    Observation::Network {
        peers: vec![dial(peer(), peer_answers)],
        uncut: vec![dial(uncut(), other_answers)],
        dropped: DropCounters { inbound_packets: dropped.0, outbound_packets: dropped.1 },
        cut_addresses: if in_force { vec![*peer().ip()] } else { vec![] },
    }
}

fn partition_events() -> Vec<ProofEvent> {
    vec![
        ProofEvent::Before { observation: network(true, true, (0, 0), false) },
        ProofEvent::Applied { ends_at_unix_nanoseconds: Some(9) },
        ProofEvent::During { observation: network(false, true, (4, 7), true) },
        ProofEvent::Expired { observation: network(true, true, (4, 7), false) },
        ProofEvent::After { observation: network(true, true, (0, 0), false) },
        ProofEvent::Finished,
    ]
}

fn with(mut events: Vec<ProofEvent>, index: usize, event: ProofEvent) -> Vec<ProofEvent> {
    events[index] = event;
    events
}

fn without(mut events: Vec<ProofEvent>, index: usize) -> Vec<ProofEvent> {
    events.remove(index);
    events
}

fn gaps_of_partition(events: Vec<ProofEvent>) -> Vec<Gap> {
    proof(partition(Direction::Both), events).gaps()
}

#[test]
fn a_measured_partition_is_proved_in_each_direction() {
    for direction in [Direction::Both, Direction::Inbound, Direction::Outbound] {
        assert_eq!(proof(partition(direction), partition_events()).gaps(), [], "{direction:?}");
    }
}

#[test]
fn a_partition_without_any_one_of_its_measurements_is_not_proved() {
    for index in [0, 1, 2, 4, 5] {
        // The kernel's end is also seen by the measurement after it, so `Expired` alone may be missing.
        assert_ne!(gaps_of_partition(without(partition_events(), index)), [], "without event {index}");
    }
}

#[test]
fn a_partition_that_let_a_peer_through_or_cut_somebody_else_is_not_proved() {
    let during = |observation| with(partition_events(), 2, ProofEvent::During { observation });
    let leaky = gaps_of_partition(during(network(true, true, (4, 7), true)));
    assert_eq!(leaky, [Gap::StillReachable(peer())]);
    let greedy = gaps_of_partition(during(network(false, false, (4, 7), true)));
    assert_eq!(greedy, [Gap::CutTooMuch(uncut())]);
}

#[test]
fn a_partition_that_dropped_nothing_in_its_direction_is_not_proved() {
    let events = |dropped| {
        with(partition_events(), 2, ProofEvent::During { observation: network(false, true, dropped, true) })
    };
    let gaps = |direction, dropped| proof(partition(direction), events(dropped)).gaps();
    assert_eq!(gaps(Direction::Outbound, (9, 0)), [Gap::NothingDropped("outbound".to_owned())]);
    assert_eq!(gaps(Direction::Inbound, (0, 9)), [Gap::NothingDropped("inbound".to_owned())]);
    assert_eq!(gaps(Direction::Both, (9, 0)), [Gap::NothingDropped("outbound".to_owned())]);
}

#[test]
fn a_partition_that_did_not_end_is_not_proved() {
    let expired = ProofEvent::Expired { observation: network(false, true, (4, 7), true) };
    assert_eq!(gaps_of_partition(with(partition_events(), 3, expired)), [Gap::NotExpired(*peer().ip())]);
    let after = ProofEvent::After { observation: network(false, true, (0, 0), false) };
    assert_eq!(gaps_of_partition(with(partition_events(), 4, after)), [Gap::UnreachableAfter(peer())]);
}

#[test]
fn a_peer_that_was_silent_before_makes_its_silence_say_nothing() {
    let before = ProofEvent::Before { observation: network(false, true, (0, 0), false) };
    assert_eq!(gaps_of_partition(with(partition_events(), 0, before)), [Gap::UnreachableBefore(peer())]);
}

#[test]
fn an_agent_that_failed_proves_nothing() {
    let failed = ProofEvent::Failed { message: "no nf_tables".to_owned() };
    let gaps = proof(partition(Direction::Both), vec![failed]).gaps();
    assert!(gaps.contains(&Gap::AgentFailed("no nf_tables".to_owned())) && gaps.contains(&Gap::NeverApplied));
}

fn process(state: char, start_time_ticks: u64) -> Observation {
    let process = ProcessState {
        process_id: 1,
        command: "etcd".to_owned(),
        start_time_ticks,
        threads_by_state: [(state, 8)].into(),
        threads_by_wait_channel: Default::default(),
    };
    Observation::Process { process: Some(process) }
}

fn gaps_of_pause(during: Observation, after: Observation) -> Vec<Gap> {
    let events = vec![
        ProofEvent::Before { observation: process('S', 5) },
        ProofEvent::Applied { ends_at_unix_nanoseconds: Some(9) },
        ProofEvent::During { observation: during },
        ProofEvent::After { observation: after },
        ProofEvent::Finished,
    ];
    proof(AgentFault::Pause(PauseFault { duration_milliseconds: 1000 }), events).gaps()
}

#[test]
fn a_pause_is_proved_when_every_thread_stood_still_and_the_same_process_went_on() {
    assert_eq!(gaps_of_pause(process('t', 5), process('S', 5)), []);
    assert_eq!(gaps_of_pause(process('S', 5), process('S', 5)), [Gap::NotStopped]);
    assert_eq!(gaps_of_pause(process('t', 5), process('t', 5)), [Gap::NotContinued]);
    assert_eq!(gaps_of_pause(process('t', 5), process('S', 6)), [Gap::NotContinued]);
    assert_eq!(gaps_of_pause(process('t', 5), Observation::Process { process: None }), [Gap::NotContinued]);
}

#[test]
fn a_kill_is_proved_up_to_its_moment_when_there_was_a_process() {
    let applied = || ProofEvent::Applied { ends_at_unix_nanoseconds: None };
    let killed = vec![ProofEvent::Before { observation: process('S', 5) }, applied()];
    assert_eq!(proof(AgentFault::Kill, killed).gaps(), []);
    assert_eq!(proof(AgentFault::Kill, vec![applied()]).gaps(), [Gap::NoProcess]);
    let nobody = ProofEvent::Before { observation: Observation::Process { process: None } };
    assert_eq!(proof(AgentFault::Kill, vec![nobody, applied()]).gaps(), [Gap::NoProcess]);
}

fn gaps_of_wipe(before: u64, after: u64) -> Vec<Gap> {
    let directory = |entries| Observation::Directory { entries, bytes: entries * 100, process_stopped: true };
    let events = vec![
        ProofEvent::Before { observation: directory(before) },
        ProofEvent::During { observation: directory(after) },
        ProofEvent::Applied { ends_at_unix_nanoseconds: None },
    ];
    proof(AgentFault::Wipe(WipeFault { path: "/data".into(), then_kill: true }), events).gaps()
}

#[test]
fn a_wipe_is_proved_when_something_was_there_and_nothing_is_left() {
    assert_eq!(gaps_of_wipe(7, 0), []);
    assert_eq!(gaps_of_wipe(0, 0), [Gap::NothingToWipe]);
    assert_eq!(gaps_of_wipe(7, 2), [Gap::NotEmptied(2)]);
}

fn gaps_of_spoiling(before: u64, after: u64) -> Vec<Gap> {
    let events = vec![
        ProofEvent::Before { observation: Observation::File { places: before } },
        ProofEvent::Applied { ends_at_unix_nanoseconds: None },
        ProofEvent::After { observation: Observation::File { places: after } },
        ProofEvent::Finished,
    ];
    let fault = SpoilFault { path: "/data/db".into(), old: "right".to_owned(), new: "wrong".to_owned() };
    proof(AgentFault::Spoil(fault), events).gaps()
}

#[test]
fn a_spoiled_file_is_proved_when_the_text_was_there_and_is_not_any_more() {
    assert_eq!(gaps_of_spoiling(2, 0), []);
    assert_eq!(gaps_of_spoiling(0, 0), [Gap::NothingToSpoil]);
    assert_eq!(gaps_of_spoiling(2, 1), [Gap::NotSpoiled(1)]);
}
