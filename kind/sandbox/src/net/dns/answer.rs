//! What a question to the name server is answered: records in the shape and with the values that CoreDNS gives them. Pure.

use crate::net::names::{CLUSTER_DOMAIN, Names, Place};
use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA, SRV};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::str::FromStr as _;

/// How long an answer may be remembered. Short, as CoreDNS has it for names of the cluster.
const TIME_TO_LIVE_SECONDS: u32 = 5;
/// What all places of a name weigh together.
const WHOLE_WEIGHT: usize = 100;
/// The most that we send over UDP, whatever the asker could take.
const LARGEST_DATAGRAM: u16 = 4096;

/// How a question came, which decides how long its answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Datagram,
    Connection,
}

/// The reply to one message as bytes, or nothing when it is no question. What is too long for a datagram says so, and the asker
/// comes back with a connection.
pub(super) fn answer(question: &[u8], names: &Names, transport: Transport) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let reply = reply(&question, names)?;
    let limit = match transport {
        Transport::Datagram => question.max_payload().min(LARGEST_DATAGRAM),
        Transport::Connection => u16::MAX,
    };
    encode(reply, limit).ok()
}

/// Addresses that nobody asked for are left out first: an answer without them is a whole one.
fn encode(mut reply: Message, limit: u16) -> Result<Vec<u8>, ProtoError> {
    let whole = reply.to_vec()?;
    if whole.len() <= usize::from(limit) {
        return Ok(whole);
    }
    reply.additionals.clear();
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(limit);
    reply.emit(&mut encoder)?;
    Ok(bytes)
}

fn reply(question: &Message, names: &Names) -> Option<Message> {
    if question.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.add_queries(question.queries.iter().cloned());
    if question.edns.is_some() {
        let mut extensions = Edns::new();
        extensions.set_max_payload(LARGEST_DATAGRAM);
        reply.set_edns(extensions);
    }
    let [query] = question.queries.as_slice() else {
        reply.metadata.response_code = ResponseCode::FormErr;
        return Some(reply);
    };
    if question.metadata.op_code != OpCode::Query || query.query_class() != DNSClass::IN {
        reply.metadata.response_code = ResponseCode::NotImp;
        return Some(reply);
    }
    reply.metadata.authoritative = true;
    add_records(&mut reply, query, names);
    Some(reply)
}

fn add_records(reply: &mut Message, query: &Query, names: &Names) {
    let name = query.name().to_string().to_lowercase();
    let found = names.find(&name);
    if found.is_none() {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    // A name that exists and has nothing of the type is not the same as a name that does not exist.
    let places = found.unwrap_or_default();
    match query.query_type() {
        RecordType::A => {
            let addresses: BTreeSet<Ipv4Addr> = places.iter().map(|place| place.address).collect();
            reply
                .add_answers(addresses.into_iter().map(|address| record(query.name(), RData::A(A(address)))));
        }
        RecordType::SRV => add_services(reply, query.name(), &places),
        _ => {}
    }
    if reply.answers.is_empty() {
        reply.add_authorities(authority(&name));
    }
}

/// The host and port of each place, all equally good, and the addresses of these hosts beside them.
fn add_services(reply: &mut Message, name: &Name, places: &[&Place]) {
    let weight = u16::try_from(WHOLE_WEIGHT / places.len().max(1)).unwrap_or_default().max(1);
    let served: Vec<(Name, u16, Ipv4Addr)> = places
        .iter()
        .filter_map(|place| Some((Name::from_str(&place.host).ok()?, place.port?, place.address)))
        .collect();
    let services: BTreeSet<_> = served.iter().map(|(host, port, _)| (host.clone(), *port)).collect();
    let addresses: BTreeSet<_> = served.into_iter().map(|(host, _, address)| (host, address)).collect();
    let service = |(host, port)| record(name, RData::SRV(SRV::new(0, weight, port, host)));
    reply.add_answers(services.into_iter().map(service));
    reply.add_additionals(addresses.into_iter().map(|(host, address)| record(&host, RData::A(A(address)))));
}

fn record(name: &Name, data: RData) -> Record {
    Record::from_rdata(name.clone(), TIME_TO_LIVE_SECONDS, data)
}

/// Says how long a negative answer may be remembered (RFC 2308), for names of ours.
fn authority(name: &str) -> Option<Record> {
    let domain = format!("{CLUSTER_DOMAIN}.");
    if name != domain && !name.ends_with(&format!(".{domain}")) {
        return None;
    }
    let (server, mailbox) = (format!("ns.dns.{domain}"), format!("hostmaster.{domain}"));
    let (server, mailbox) = (Name::from_str(&server).ok()?, Name::from_str(&mailbox).ok()?);
    let start = SOA::new(server, mailbox, 1, 7200, 1800, 86400, TIME_TO_LIVE_SECONDS);
    Some(record(&Name::from_str(&domain).ok()?, RData::SOA(start)))
}

#[cfg(test)]
mod tests;
