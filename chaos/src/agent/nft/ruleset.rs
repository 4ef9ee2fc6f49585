//! The table that cuts a pod off. Pure: from a fault to messages; the socket sends them in one transaction, so that the
//! cut is there as a whole or not at all.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::attributes::Attributes;
use super::expressions::{
    DESTINATION_ADDRESS_OFFSET, DESTINATION_PORT_OFFSET, Expressions, SOURCE_ADDRESS_OFFSET,
    SOURCE_PORT_OFFSET, key_of_address,
};
use super::message::{Kind, Message};
use crate::agent::protocol::PartitionFault;

/// The table. Whatever is in it is ours.
pub(in crate::agent) const TABLE: &str = "etcd-chaos";
/// The set of addresses that are cut; its elements vanish at the kernel's own time-out.
pub(super) const SET: &str = "cut";
/// The chain that sees packets for this pod.
pub(super) const INBOUND: &str = "inbound";
/// The chain that sees packets of this pod.
pub(super) const OUTBOUND: &str = "outbound";

const SET_WITH_TIMEOUT: u32 = 0x10;
/// nft's own number for the type `ipv4_addr`, so that `nft list` can print the set.
const TYPE_IPV4_ADDRESS: u32 = 7;
const HOOK_INPUT: u32 = 1;
const HOOK_OUTPUT: u32 = 3;
/// Before connection tracking, so that established connections are cut like new ones.
const PRIORITY: i32 = -400;

/// The messages that replace whatever our table held by the cut that a fault asks for.
pub(super) fn cut(fault: &PartitionFault) -> Vec<Message> {
    // Adding the table first makes the removal succeed whether it was there or not.
    let mut messages = vec![new_table(), delete_table(), new_table(), new_set()];
    let addresses: BTreeSet<Ipv4Addr> = fault.peers.iter().map(|peer| *peer.ip()).collect();
    messages.push(new_elements(&addresses, fault.duration_milliseconds));
    messages.push(new_chain(INBOUND, HOOK_INPUT));
    messages.push(new_chain(OUTBOUND, HOOK_OUTPUT));
    if fault.direction.drops_inbound() {
        messages.extend(drop_rules(INBOUND, SOURCE_ADDRESS_OFFSET, &fault.ports));
    }
    if fault.direction.drops_outbound() {
        messages.extend(drop_rules(OUTBOUND, DESTINATION_ADDRESS_OFFSET, &fault.ports));
    }
    messages
}

/// The messages that remove our table, whether it is there or not.
pub(super) fn removal() -> Vec<Message> {
    vec![new_table(), delete_table()]
}

/// The request for the elements of our set.
pub(super) fn elements_request() -> Message {
    Message::new(Kind::GetElements, Attributes::new().text(1, TABLE).text(2, SET))
}

/// The request for the rules of one of our chains.
pub(super) fn rules_request(chain: &str) -> Message {
    Message::new(Kind::GetRule, Attributes::new().text(1, TABLE).text(2, chain))
}

/// The request for our table.
pub(super) fn table_request() -> Message {
    Message::new(Kind::GetTable, Attributes::new().text(1, TABLE))
}

fn new_table() -> Message {
    Message::new(Kind::NewTable, Attributes::new().text(1, TABLE).number32(2, 0))
}

fn delete_table() -> Message {
    Message::new(Kind::DeleteTable, Attributes::new().text(1, TABLE))
}

fn new_set() -> Message {
    let set = Attributes::new().text(1, TABLE).text(2, SET).number32(3, SET_WITH_TIMEOUT);
    Message::new(Kind::NewSet, set.number32(4, TYPE_IPV4_ADDRESS).number32(5, 4).number32(10, 1))
}

fn new_elements(addresses: &BTreeSet<Ipv4Addr>, milliseconds: u64) -> Message {
    let elements = addresses.iter().fold(Attributes::new(), |elements, address| {
        let element = Attributes::new().nested(1, key_of_address(*address)).number64(4, milliseconds);
        elements.nested(1, element)
    });
    Message::new(Kind::NewElements, Attributes::new().text(1, TABLE).text(2, SET).nested(3, elements))
}

fn new_chain(chain: &str, hook: u32) -> Message {
    let hook = Attributes::new().number32(1, hook).bytes(2, &PRIORITY.to_be_bytes());
    let chain = Attributes::new().text(1, TABLE).text(3, chain).nested(4, hook);
    Message::new(Kind::NewChain, chain.text(7, "filter"))
}

/// Without ports one rule drops every packet; with ports, a connection is cut whichever end it was opened from.
fn drop_rules(chain: &str, address_offset: u32, ports: &[u16]) -> Vec<Message> {
    let from_cut_address = || Expressions::new().address_in_set(address_offset, SET);
    if ports.is_empty() {
        return vec![new_rule(chain, from_cut_address().count_and_drop())];
    }
    let mut rules = Vec::new();
    for port in ports {
        for offset in [SOURCE_PORT_OFFSET, DESTINATION_PORT_OFFSET] {
            rules.push(new_rule(chain, from_cut_address().tcp_port(offset, *port).count_and_drop()));
        }
    }
    rules
}

fn new_rule(chain: &str, expressions: Expressions) -> Message {
    let rule = Attributes::new().text(1, TABLE).text(2, chain);
    Message::new(Kind::NewRule, rule.nested(4, expressions.into_attributes()))
}
