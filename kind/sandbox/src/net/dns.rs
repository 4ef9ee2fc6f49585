//! The name server of pods: answers from the tables that Services and EndpointSlices give. It knows no name outside the
//! cluster and asks nobody else.

use super::services::Tables;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::watch;

/// How long an answer may be remembered. Short, as CoreDNS has it for names of the cluster.
const TIME_TO_LIVE_SECONDS: u32 = 5;

/// A bound name server, not yet answering.
pub(crate) struct NameServer {
    socket: UdpSocket,
}

impl NameServer {
    /// Binds the address.
    pub(crate) async fn bind(address: SocketAddrV4) -> io::Result<NameServer> {
        Ok(NameServer { socket: UdpSocket::bind(address).await? })
    }

    /// Answers until dropped. An answer that can't be sent is the asker's loss; it will ask again.
    pub(crate) async fn run(self, tables: watch::Receiver<Arc<Tables>>) -> io::Result<()> {
        // The largest question over UDP without extensions is 512 bytes; with them askers still stay far below this.
        let mut buffer = [0; 4096];
        loop {
            let (length, asker) = match self.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                // An earlier answer that came back as "port unreachable" shows up here.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            let tables = tables.borrow().clone();
            let reply =
                Message::from_vec(&buffer[..length]).ok().and_then(|question| answer(&question, &tables));
            if let Some(bytes) = reply.and_then(|reply| reply.to_vec().ok()) {
                let _ = self.socket.send_to(&bytes, asker).await;
            }
        }
    }
}

/// The reply to one message, or nothing when it is no question.
fn answer(question: &Message, tables: &Tables) -> Option<Message> {
    if question.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.add_queries(question.queries.iter().cloned());
    let [query] = question.queries.as_slice() else {
        reply.metadata.response_code = ResponseCode::FormErr;
        return Some(reply);
    };
    if question.metadata.op_code != OpCode::Query || query.query_class() != DNSClass::IN {
        reply.metadata.response_code = ResponseCode::NotImp;
        return Some(reply);
    }
    reply.metadata.authoritative = true;
    match tables.names.get(&query.name().to_string().to_lowercase()) {
        None => reply.metadata.response_code = ResponseCode::NXDomain,
        Some(addresses) if query.query_type() == RecordType::A => {
            let record = |address| {
                Record::from_rdata(query.name().clone(), TIME_TO_LIVE_SECONDS, RData::A(A(address)))
            };
            reply.add_answers(addresses.iter().copied().map(record));
        }
        // The name exists and has nothing of that type, which is not the same as a name that does not exist.
        Some(_) => {}
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Query;
    use hickory_proto::rr::Name;
    use std::net::Ipv4Addr;
    use std::str::FromStr;

    fn ask(name: &str, record_type: RecordType) -> Message {
        let mut question = Message::new(7, MessageType::Query, OpCode::Query);
        question.add_query(Query::query(Name::from_str(name).unwrap(), record_type));
        let names = [("db.shop.svc.cluster.local.".to_owned(), vec![Ipv4Addr::new(10, 244, 0, 11)])].into();
        answer(&question, &Tables { names, ..Tables::default() }).unwrap()
    }

    #[test]
    fn a_known_name_is_answered_whatever_its_case() {
        let reply = ask("DB.shop.svc.cluster.local.", RecordType::A);
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        assert_eq!(reply.answers[0].data, RData::A(A(Ipv4Addr::new(10, 244, 0, 11))));
    }

    #[test]
    fn a_known_name_without_records_of_the_type_is_an_empty_answer() {
        let reply = ask("db.shop.svc.cluster.local.", RecordType::AAAA);
        assert_eq!((reply.metadata.response_code, reply.answers.len()), (ResponseCode::NoError, 0));
    }

    #[test]
    fn an_unknown_name_does_not_exist() {
        assert_eq!(
            ask("db.svc.cluster.local.", RecordType::A).metadata.response_code,
            ResponseCode::NXDomain
        );
    }
}
