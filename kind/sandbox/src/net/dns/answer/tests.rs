//! The answers beside CoreDNS's, which are recorded in `coredns.txt`, and what it has no say in: lengths.
//!
//! `COREDNS=ADDRESS UPDATE_GOLDEN=1` records them anew, from a CoreDNS (plugin `kubernetes cluster.local`) for a cluster in whose
//! namespace `shop` stands `objects.yaml`.

use super::*;
use crate::net::services::Tables;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use serde::de::DeserializeOwned;
use std::io::{Read as _, Write as _};

const OBJECTS: &str = include_str!("objects.yaml");
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/net/dns/answer/coredns.txt");

const QUESTIONS: [&str; 32] = [
    "A db.shop.svc.cluster.local.",
    "A DB.Shop.svc.cluster.local.",
    "AAAA db.shop.svc.cluster.local.",
    "SRV db.shop.svc.cluster.local.",
    "SRV _client._tcp.db.shop.svc.cluster.local.",
    "SRV _CLIENT._TCP.db.shop.svc.cluster.local.",
    "SRV _peer._tcp.db.shop.svc.cluster.local.",
    "SRV _client._udp.db.shop.svc.cluster.local.",
    "SRV _other._tcp.db.shop.svc.cluster.local.",
    "SRV _tcp.db.shop.svc.cluster.local.",
    "A _client._tcp.db.shop.svc.cluster.local.",
    "A db-a-0.db.shop.svc.cluster.local.",
    "SRV db-a-0.db.shop.svc.cluster.local.",
    "A db-c-0.db.shop.svc.cluster.local.",
    "A 10-244-0-14.db.shop.svc.cluster.local.",
    "A 10-244-0-11.db.shop.svc.cluster.local.",
    "A web.shop.svc.cluster.local.",
    "SRV web.shop.svc.cluster.local.",
    "SRV _http._tcp.web.shop.svc.cluster.local.",
    "SRV _names._udp.web.shop.svc.cluster.local.",
    "A front.web.shop.svc.cluster.local.",
    "SRV front.web.shop.svc.cluster.local.",
    "SRV plain.shop.svc.cluster.local.",
    "A silent.shop.svc.cluster.local.",
    "SRV _client._tcp.silent.shop.svc.cluster.local.",
    "A portless.shop.svc.cluster.local.",
    "SRV portless.shop.svc.cluster.local.",
    "A nobody.shop.svc.cluster.local.",
    "A shop.svc.cluster.local.",
    "A svc.cluster.local.",
    "A cluster.local.",
    "A shop.other.cluster.local.",
];

fn objects<K: DeserializeOwned>(kind: &str) -> Vec<K> {
    let list: serde_json::Value = serde_saphyr::from_str(OBJECTS).unwrap();
    let items = list["items"].as_array().unwrap();
    let wanted = items.iter().filter(|item| item["kind"] == kind);
    wanted.map(|item| serde_json::from_value(item.clone()).unwrap()).collect()
}

fn names() -> Names {
    let (services, slices) = (objects::<Service>("Service"), objects::<EndpointSlice>("EndpointSlice"));
    Tables::build(&services, &slices).names
}

fn question(text: &str) -> Message {
    let (kind, name) = text.split_once(' ').unwrap();
    let mut question = Message::new(7, MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_str(name).unwrap(), RecordType::from_str(kind).unwrap()));
    question
}

fn ask(question: &Message, names: &Names, transport: Transport) -> (usize, Message) {
    let bytes = answer(&question.to_vec().unwrap(), names, transport).unwrap();
    (bytes.len(), Message::from_vec(&bytes).unwrap())
}

fn ask_server(question: &Message, address: &str) -> Message {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let bytes = question.to_vec().unwrap();
    stream.write_all(&u16::try_from(bytes.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    Message::from_vec(&reply).unwrap()
}

/// An answer as text: records sorted, as their order means nothing; of the SOA, whose number is a time, only what a cache uses.
fn show(question: &str, reply: &Message) -> String {
    let flags = reply.metadata;
    let mut text = format!("{question}\n  {:?}", flags.response_code);
    for (name, set) in [
        ("authoritative", flags.authoritative),
        ("truncated", flags.truncation),
        ("recursive", flags.recursion_available),
    ] {
        text += if set { " " } else { "" };
        text += if set { name } else { "" };
    }
    text.push('\n');
    for (section, records) in
        [("answer", &reply.answers), ("authority", &reply.authorities), ("additional", &reply.additionals)]
    {
        let mut lines: Vec<String> = records.iter().map(|record| show_record(section, record)).collect();
        lines.sort();
        text.extend(lines);
    }
    text
}

fn show_record(section: &str, record: &Record) -> String {
    match &record.data {
        RData::SOA(start) => {
            let (zone, server, mailbox, negative) = (&record.name, &start.mname, &start.rname, start.minimum);
            format!("  {section}: {zone} {} IN SOA {server} {mailbox} … {negative}\n", record.ttl)
        }
        _ => format!("  {section}: {record}\n").to_lowercase(),
    }
}

#[test]
fn every_answer_is_that_of_coredns() {
    if let (Ok(address), true) = (std::env::var("COREDNS"), std::env::var_os("UPDATE_GOLDEN").is_some()) {
        let said = QUESTIONS.map(|text| show(text, &ask_server(&question(text), &address))).concat();
        std::fs::write(RECORDED, said).unwrap();
        return;
    }
    let names = names();
    let ours =
        QUESTIONS.map(|text| show(text, &ask(&question(text), &names, Transport::Connection).1)).concat();
    assert_eq!(std::fs::read_to_string(RECORDED).unwrap(), ours);
}

/// The names of a headless Service with so many endpoints behind it.
fn names_of_many(count: usize) -> Names {
    let (services, mut slices) = (objects::<Service>("Service"), objects::<EndpointSlice>("EndpointSlice"));
    let endpoint = |number| Endpoint {
        addresses: vec![format!("10.244.1.{number}")],
        hostname: Some(format!("a-member-with-a-long-name-{number}")),
        ..Endpoint::default()
    };
    slices[0].endpoints = (0..count).map(endpoint).collect();
    Tables::build(&services, &slices).names
}

#[test]
fn an_answer_too_long_for_its_datagram_loses_first_what_nobody_asked_for() {
    let mut question = question("SRV _client._tcp.db.shop.svc.cluster.local.");
    let mut seen = BTreeSet::new();
    for count in 1..=40 {
        let names = names_of_many(count);
        let (length, reply) = ask(&question, &names, Transport::Datagram);
        assert!(length <= 512, "{length} bytes for {count}");
        seen.insert(match (reply.answers.len(), reply.additionals.len(), reply.metadata.truncation) {
            (answers, additionals, false) if answers == count && additionals == count => "whole",
            (answers, 0, false) if answers == count => "without addresses",
            (answers, 0, true) if answers < count => "cut",
            other => panic!("{other:?} for {count}"),
        });
        let whole = ask(&question, &names, Transport::Connection).1;
        assert_eq!((whole.answers.len(), whole.additionals.len()), (count, count));
    }
    assert_eq!(seen, BTreeSet::from(["whole", "without addresses", "cut"]));

    question.set_edns(Edns::new());
    question.edns.as_mut().unwrap().set_max_payload(1232);
    let (length, reply) = ask(&question, &names_of_many(10), Transport::Datagram);
    assert!(length > 512 && reply.edns.is_some() && reply.answers.len() == 10, "{length}");
}

#[test]
fn what_is_no_question_is_not_answered() {
    let mut reply = question("A db.shop.svc.cluster.local.");
    reply.metadata.message_type = MessageType::Response;
    assert_eq!(answer(&reply.to_vec().unwrap(), &names(), Transport::Datagram), None);
    assert_eq!(answer(b"no message", &names(), Transport::Datagram), None);
}
