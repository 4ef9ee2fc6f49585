//! A partition in real network namespaces: it cuts what it should and nothing else, proves it, and ends without help.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use chaos::agent::proof::Gap;
use chaos::agent::protocol::{
    AgentFault, CheckHealFault, Direction, DropCounters, Observation, PartitionFault, ProofEvent, ProofLine,
};

use crate::support::agent::{CHAOS, RunningAgent, is_applied, is_during};
use crate::support::namespace::{Wire, peer};
use crate::support::wait_until;

const SOON: Duration = Duration::from_millis(300);

fn partition(direction: Direction, milliseconds: u64) -> PartitionFault {
    PartitionFault {
        peers: vec![peer(0), peer(1)],
        direction,
        ports: Vec::new(),
        uncut: vec![peer(2)],
        duration_milliseconds: milliseconds,
    }
}

fn start(wire: &Wire, fault: PartitionFault) -> RunningAgent {
    RunningAgent::start(wire.target.command(CHAOS), AgentFault::Partition(fault))
}

fn dropped(line: &ProofLine) -> DropCounters {
    match &line.event {
        ProofEvent::During { observation: Observation::Network { dropped, .. } } => *dropped,
        other => panic!("not a measurement of a partition: {other:?}"),
    }
}

fn table_exists(wire: &Wire) -> bool {
    wire.target.inside(|| chaos::agent::has_left_a_table().unwrap())
}

#[test]
fn a_partition_cuts_its_peers_both_ways_and_nobody_else_and_heals_by_itself() {
    let wire = Wire::new();
    let mut agent = start(&wire, partition(Direction::Both, 2500));
    agent.read_until(is_applied);
    assert!(!wire.reaches(0, SOON), "a cut peer answered");
    assert!(wire.reaches(2, SOON), "a peer that was not cut did not answer");
    let proof = agent.finish();
    assert_eq!(proof.gaps(), []);
    assert!(wire.reaches(0, SOON) && wire.reaches(1, SOON));
    assert!(!table_exists(&wire), "the agent left its table");
}

#[test]
fn a_one_way_partition_drops_packets_of_that_way_only_and_still_no_connection_is_made() {
    for (direction, inbound, outbound) in
        [(Direction::Inbound, true, false), (Direction::Outbound, false, true)]
    {
        let wire = Wire::new();
        let mut agent = start(&wire, partition(direction, 1500));
        let counters = dropped(&agent.read_until(is_during));
        assert_eq!(counters.inbound_packets > 0, inbound, "{direction:?}: {counters:?}");
        assert_eq!(counters.outbound_packets > 0, outbound, "{direction:?}: {counters:?}");
        assert_eq!(agent.finish().gaps(), [], "{direction:?}");
    }
}

#[test]
fn established_connections_are_cut_and_go_on_after_the_partition() {
    let wire = Wire::new();
    let mut here = wire.target.inside(|| TcpStream::connect(peer(0)).unwrap());
    let mut there = wire.accept(0);
    let mut agent = start(&wire, partition(Direction::Both, 1500));
    agent.read_until(is_applied);
    here.write_all(b"x").unwrap();
    there.set_read_timeout(Some(SOON)).unwrap();
    assert!(there.read(&mut [0]).is_err(), "a byte crossed the partition");
    assert_eq!(agent.finish().gaps(), []);
    there.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(there.read(&mut [0]).unwrap(), 1, "TCP did not send the byte again");
}

#[test]
fn a_partition_of_certain_ports_leaves_the_others_open() {
    let wire = Wire::new();
    let client_port = std::net::SocketAddrV4::new(*peer(0).ip(), 2379);
    let _listener = wire.peers.inside(|| std::net::TcpListener::bind(client_port).unwrap());
    let fault = PartitionFault { ports: vec![2380], ..partition(Direction::Both, 1500) };
    let mut agent = start(&wire, fault);
    agent.read_until(is_applied);
    assert!(!wire.reaches(0, SOON));
    assert!(wire.target.inside(|| TcpStream::connect_timeout(&client_port.into(), SOON).is_ok()));
    assert_eq!(agent.finish().gaps(), []);
}

#[test]
fn the_kernel_ends_a_partition_on_time_when_its_agent_was_killed_and_check_heal_removes_the_rest() {
    let wire = Wire::new();
    let mut agent = start(&wire, partition(Direction::Both, 2000));
    agent.read_until(is_applied);
    let start_of_cut = Instant::now();
    agent.process.kill();
    assert!(!wire.reaches(0, SOON), "the cut ended with its agent");
    wait_until("the cut peer is reachable again", Duration::from_secs(5), || wire.reaches(0, SOON));
    assert!(start_of_cut.elapsed() > Duration::from_millis(1900), "the cut ended early");
    assert!(table_exists(&wire), "nobody was there to remove the table");

    let check = AgentFault::CheckHeal(CheckHealFault { reachable: vec![peer(0), peer(1)] });
    let proof = RunningAgent::start(wire.target.command(CHAOS), check).finish();
    assert_eq!(proof.gaps(), []);
    assert!(!table_exists(&wire));
}

#[test]
fn a_second_partition_replaces_what_a_killed_agent_has_left() {
    let wire = Wire::new();
    let mut first = start(&wire, partition(Direction::Both, 60_000));
    first.read_until(is_applied);
    first.process.kill();
    let only_the_third =
        PartitionFault { peers: vec![peer(2)], uncut: vec![], ..partition(Direction::Outbound, 1000) };
    let mut second = start(&wire, only_the_third);
    second.read_until(is_applied);
    assert!(wire.reaches(0, SOON), "the first partition is still in force");
    assert_eq!(second.finish().gaps(), []);
}

#[test]
fn a_partition_from_a_peer_that_was_silent_before_proves_nothing() {
    let wire = Wire::new();
    let nobody = std::net::SocketAddrV4::new([10, 9, 0, 77].into(), 2380);
    let fault = PartitionFault { peers: vec![nobody], ..partition(Direction::Both, 500) };
    let agent = start(&wire, fault);
    // Its own time-out bounds the wait for the peer to come back.
    let gaps = agent.finish().gaps();
    assert!(gaps.contains(&Gap::UnreachableBefore(nobody)), "{gaps:?}");
}

#[test]
fn an_agent_refuses_what_it_does_not_understand_and_says_so_in_its_proof() {
    let output = std::process::Command::new(CHAOS)
        .args(["agent", r#"{"format":1,"fault":{"kind":"partition","peers":[],"durationMilliseconds":900}}"#])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let line: ProofLine = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        matches!(&line.event, ProofEvent::Failed { message } if message.contains("names no peers")),
        "{line:?}"
    );
}
