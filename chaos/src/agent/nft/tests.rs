//! The bytes of messages, and what is read back from them.

use super::attributes::{Attributes, find, parse};
use super::expressions::{Expressions, counted_packets};
use super::ruleset::cut;
use crate::agent::protocol::{Direction, PartitionFault};

fn partition(direction: Direction, ports: Vec<u16>) -> PartitionFault {
    PartitionFault {
        peers: vec!["10.244.0.5:2380".parse().unwrap(), "10.244.0.6:2380".parse().unwrap()],
        direction,
        ports,
        uncut: Vec::new(),
        duration_milliseconds: 3000,
    }
}

#[test]
fn attributes_are_padded_to_four_bytes_and_read_back_without_the_padding() {
    let bytes = Attributes::new().text(1, "etcd").number32(2, 0x0102_0304).into_bytes();
    assert_eq!(bytes.len(), 12 + 8);
    assert_eq!(find(&bytes, 1), Some(b"etcd\0".as_slice()));
    assert_eq!(find(&bytes, 2), Some([1, 2, 3, 4].as_slice()));
    assert_eq!(find(&bytes, 3), None);
}

#[test]
fn attributes_that_are_cut_short_end_the_reading() {
    let bytes = Attributes::new().text(1, "etcd").text(2, "operator").into_bytes();
    assert_eq!(parse(&bytes[..bytes.len() - 6]).count(), 1);
    assert_eq!(parse(&bytes[..3]).count(), 0);
}

#[test]
fn the_packets_of_a_rule_are_those_of_its_counter() {
    let rule = Expressions::new().address_in_set(12, "cut").count_and_drop().into_attributes().into_bytes();
    assert_eq!(counted_packets(&rule), 0);
    let counter = Attributes::new().number64(1, 900).number64(2, 15);
    let expression = Attributes::new().text(1, "counter").nested(2, counter);
    let rule = Attributes::new().nested(1, expression).into_bytes();
    assert_eq!(counted_packets(&rule), 15);
}

#[test]
fn each_direction_has_its_own_rules_and_ports_are_cut_at_both_ends() {
    let rules = |direction, ports| cut(&partition(direction, ports)).len() - cut_without_rules();
    assert_eq!(rules(Direction::Both, vec![]), 2);
    assert_eq!(rules(Direction::Inbound, vec![]), 1);
    assert_eq!(rules(Direction::Outbound, vec![]), 1);
    assert_eq!(rules(Direction::Both, vec![2379, 2380]), 8);
}

/// Table, its removal, table again, set, elements and two chains.
fn cut_without_rules() -> usize {
    7
}
