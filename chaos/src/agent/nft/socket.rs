//! Sends nftables messages to the kernel of the network namespace that this thread is in, and reads its answers. The kernel
//! answers within the sending call, so nothing here waits.

use std::io;
use std::net::Ipv4Addr;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

use super::attributes::{Attributes, find, parse};
use super::expressions::{address_of_key, counted_packets};
use super::message::{Kind, Message};
use super::ruleset::{INBOUND, OUTBOUND, cut, elements_request, removal, rules_request, table_request};
use crate::agent::protocol::{DropCounters, PartitionFault};

const RECEIVE_BYTES: usize = 256 * 1024;
const RULE_EXPRESSIONS: u16 = 4;
const ELEMENT_LIST: u16 = 3;
const ELEMENT_KEY: u16 = 1;

/// Why the kernel's packet filter could not be changed or read.
#[derive(Debug, thiserror::Error)]
pub(in crate::agent) enum FirewallError {
    /// The socket did not work.
    #[error("failed to {attempt} the netfilter socket")]
    Socket {
        /// What was tried.
        attempt: &'static str,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a message.
    #[error(
        "failed to {attempt} our nftables table: the kernel refused (it needs CAP_NET_ADMIN and nf_tables)"
    )]
    Refused {
        /// What was tried.
        attempt: &'static str,
        /// The kernel's word.
        #[source]
        source: io::Error,
    },
    /// The kernel's answer could not be read.
    #[error("failed to read the kernel's answer about our nftables table")]
    Answer {
        /// What is wrong with it.
        #[source]
        source: netlink_packet_core::DecodeError,
    },
}

/// Replaces whatever our table held by the cut that a fault asks for, in one transaction.
///
/// # Errors
/// When the kernel refuses; then nothing has changed.
pub(in crate::agent) fn install(fault: &PartitionFault) -> Result<(), FirewallError> {
    transact("install", cut(fault))
}

/// Removes our table, if it is there; says whether it was.
///
/// # Errors
/// When the kernel refuses.
pub(in crate::agent) fn remove() -> Result<bool, FirewallError> {
    let present = is_present()?;
    if present {
        transact("remove", removal())?;
    }
    Ok(present)
}

/// Whether our table is there.
///
/// # Errors
/// When the kernel refuses.
pub(in crate::agent) fn is_present() -> Result<bool, FirewallError> {
    Ok(!dump("look for", table_request(), 0)?.is_empty())
}

/// The packets that our rules have dropped; zeros if our table is not there.
///
/// # Errors
/// When the kernel refuses.
pub(in crate::agent) fn counters() -> Result<DropCounters, FirewallError> {
    let of_chain = |chain: &str| -> Result<u64, FirewallError> {
        let rules = dump("read", rules_request(chain), NLM_F_DUMP)?;
        let expressions = rules.iter().filter_map(|rule| find(rule.attributes(), RULE_EXPRESSIONS));
        Ok(expressions.map(counted_packets).sum())
    };
    Ok(DropCounters { inbound_packets: of_chain(INBOUND)?, outbound_packets: of_chain(OUTBOUND)? })
}

/// The addresses that are cut at this moment; those whose time is over are not among them.
///
/// # Errors
/// When the kernel refuses.
pub(in crate::agent) fn cut_addresses() -> Result<Vec<Ipv4Addr>, FirewallError> {
    let mut addresses = Vec::new();
    for message in dump("read", elements_request(), NLM_F_DUMP)? {
        let elements = find(message.attributes(), ELEMENT_LIST).unwrap_or_default();
        addresses.extend(
            parse(elements).filter_map(|(_, element)| find(element, ELEMENT_KEY)).filter_map(address_of_key),
        );
    }
    addresses.sort_unstable();
    Ok(addresses)
}

fn transact(attempt: &'static str, messages: Vec<Message>) -> Result<(), FirewallError> {
    let socket = open()?;
    let expected = messages.len();
    let mut buffer = Vec::new();
    let mut sequence = 0;
    let mut add = |message: Message, flags: u16| {
        sequence += 1;
        append(&mut buffer, message, NLM_F_REQUEST | flags, sequence);
    };
    add(Message::new(Kind::BatchBegin, Attributes::new()), 0);
    for message in messages {
        add(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND);
    }
    add(Message::new(Kind::BatchEnd, Attributes::new()), 0);
    send(&socket, &buffer)?;
    let mut acknowledged = 0;
    while acknowledged < expected {
        for message in receive(&socket)? {
            let NetlinkPayload::Error(answer) = message.payload else { continue };
            if answer.code.is_some() {
                return Err(FirewallError::Refused { attempt, source: answer.to_io() });
            }
            acknowledged += 1;
        }
    }
    Ok(())
}

/// Every message that the kernel answers to a request; none if what is asked for does not exist.
fn dump(attempt: &'static str, request: Message, flags: u16) -> Result<Vec<Message>, FirewallError> {
    let socket = open()?;
    let mut buffer = Vec::new();
    append(&mut buffer, request, NLM_F_REQUEST | NLM_F_ACK | flags, 1);
    send(&socket, &buffer)?;
    let mut found = Vec::new();
    loop {
        for message in receive(&socket)? {
            match message.payload {
                NetlinkPayload::InnerMessage(inner) => found.push(inner),
                NetlinkPayload::Done(_) => return Ok(found),
                NetlinkPayload::Error(answer) if answer.code.is_none() => return Ok(found),
                NetlinkPayload::Error(answer) if answer.raw_code() == -libc::ENOENT => return Ok(found),
                NetlinkPayload::Error(answer) => {
                    return Err(FirewallError::Refused { attempt, source: answer.to_io() });
                }
                // Noop and overrun carry nothing of ours; the enum leaves room for more of their kind.
                _ => {}
            }
        }
    }
}

fn append(buffer: &mut Vec<u8>, message: Message, flags: u16, sequence: u32) {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let start = buffer.len();
    buffer.resize(start + message.buffer_len(), 0);
    message.serialize(&mut buffer[start..]);
}

fn open() -> Result<Socket, FirewallError> {
    let failed = |attempt| move |source| FirewallError::Socket { attempt, source };
    let mut socket = Socket::new(NETLINK_NETFILTER).map_err(failed("open"))?;
    socket.bind_auto().map_err(failed("bind"))?;
    socket.connect(&SocketAddr::new(0, 0)).map_err(failed("connect"))?;
    socket.set_non_blocking(true).map_err(failed("configure"))?;
    Ok(socket)
}

fn send(socket: &Socket, buffer: &[u8]) -> Result<(), FirewallError> {
    let failed = |source| FirewallError::Socket { attempt: "send on", source };
    match socket.send(buffer, 0).map_err(failed)? {
        sent if sent == buffer.len() => Ok(()),
        _ => Err(failed(io::Error::from(io::ErrorKind::WriteZero))),
    }
}

fn receive(socket: &Socket) -> Result<Vec<NetlinkMessage<Message>>, FirewallError> {
    let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
    let failed = |source| FirewallError::Socket { attempt: "receive on", source };
    socket.recv(&mut buffer, 0).map_err(failed)?;
    let mut messages = Vec::new();
    let mut rest = buffer.as_slice();
    while !rest.is_empty() {
        let message = NetlinkMessage::<Message>::deserialize(rest)
            .map_err(|source| FirewallError::Answer { source })?;
        let length = (message.header.length as usize).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
        messages.push(message);
    }
    Ok(messages)
}
