//! Asks each member: etcd on its client port, or the gate that holds it back. Then one linearizable member list from
//! whoever can give it. What the answers mean is the core's to say.

use crate::clock::SharedClock;
use crate::etcd::{EtcdError, EtcdPort};
use crate::http;
use crate::telemetry::chain;
use ::http::{StatusCode, Uri};
use etcd_operator_core::gate::GateReport;
use etcd_operator_core::names::{CLIENT_PORT, METRICS_PORT, MemberId};
use etcd_operator_core::observed::{Answer, EtcdAnswer, KnownMembers, LinearizableRead, MemberList, Probe};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::time::Duration;

/// A gate answers from memory.
const GATE_TIMEOUT: Duration = Duration::from_secs(1);

/// Where members answered: whom the executor may ask.
#[derive(Debug, Clone, Default)]
pub struct Contact {
    /// Client endpoints of voters, the leader's first.
    pub voters: Vec<String>,
    /// The endpoint at which each member answered.
    pub by_member: BTreeMap<MemberId, String>,
}

/// All answers.
pub(super) struct Asked {
    pub(super) probes: BTreeMap<String, Probe>,
    pub(super) member_list: MemberList,
    pub(super) contact: Contact,
}

/// A pod with an address.
struct Asking {
    pod_uid: String,
    address: String,
}

/// Asks each of these pods that has an address, all at once.
pub(super) async fn ask<'a>(
    etcd: &dyn EtcdPort,
    clock: &SharedClock,
    pods: impl Iterator<Item = &'a Pod>,
) -> Asked {
    let asking: Vec<_> = pods.filter_map(with_address).collect();
    let answers = join_all(asking.iter().map(|pod| ask_one(etcd, clock, pod))).await;
    let contact = contact(asking.iter().zip(&answers));
    let probes = asking.iter().map(|pod| pod.pod_uid.clone()).zip(answers).collect();
    let member_list = list(etcd, clock, &contact).await;
    Asked { probes, member_list, contact }
}

fn with_address(pod: &Pod) -> Option<Asking> {
    let address = pod.status.as_ref()?.pod_ip.clone().filter(|address| !address.is_empty())?;
    Some(Asking { pod_uid: pod.uid()?, address })
}

async fn ask_one(etcd: &dyn EtcdPort, clock: &SharedClock, pod: &Asking) -> Probe {
    let member = etcd.member(&client_endpoint(&pod.address));
    // All at once, so that a member that stands still costs one time-out and not three.
    let (status, read, gate) = futures::join!(member.status(), member.read(), ask_gate(pod));
    let answer = match (status, gate) {
        (Ok(status), _) => Answer::Etcd(with_read(status, read)),
        (Err(_), Ok(report)) => Answer::Gate(report),
        (Err(EtcdError::NotAuthorized { .. }), Err(_)) => Answer::Refused(outcome(read)),
        (Err(status), Err(gate)) => Answer::Silent(format!("etcd: {}; gate: {gate}", chain(&status))),
    };
    Probe { at: clock.wall(), answer }
}

/// The answer of a voter with what came of the read; a learner serves none.
fn with_read(status: EtcdAnswer, read: Result<(), EtcdError>) -> EtcdAnswer {
    let read = if status.is_learner { LinearizableRead::NotTried } else { outcome(read) };
    EtcdAnswer { read, ..status }
}

fn outcome(read: Result<(), EtcdError>) -> LinearizableRead {
    match read {
        Ok(()) => LinearizableRead::Served,
        Err(EtcdError::NotAuthorized { message, .. }) => LinearizableRead::Refused(message),
        Err(error) => LinearizableRead::Failed(chain(&error)),
    }
}

/// The gate's report, or in words why there is none. A report of another pod, which had the address before, is none.
async fn ask_gate(pod: &Asking) -> Result<GateReport, String> {
    let address: Uri = format!("http://{}/gate", host(&pod.address, METRICS_PORT))
        .parse()
        .map_err(|error| format!("{error}"))?;
    let (status, body) = http::get(&address, GATE_TIMEOUT).await.map_err(|error| chain(&error))?;
    if status != StatusCode::OK {
        return Err(format!("answered {status}"));
    }
    let report: GateReport = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    if report.pod_uid != pod.pod_uid {
        return Err(format!("the gate of another pod ({}) answered", report.pod_uid));
    }
    Ok(report)
}

/// Orders the voters that answered: those that serve reads first, of them the leader of the highest term, then by member ID.
fn contact<'a>(answers: impl Iterator<Item = (&'a Asking, &'a Probe)>) -> Contact {
    let mut voters: Vec<(&EtcdAnswer, String)> = Vec::new();
    let mut contact = Contact::default();
    for (pod, probe) in answers {
        let Answer::Etcd(answer) = &probe.answer else { continue };
        let endpoint = client_endpoint(&pod.address);
        contact.by_member.insert(answer.member_id, endpoint.clone());
        if !answer.is_learner {
            voters.push((answer, endpoint));
        }
    }
    voters.sort_by_key(|(answer, _)| {
        let serves = matches!(answer.read, LinearizableRead::Served | LinearizableRead::Refused(_));
        let leads = answer.leader == Some(answer.member_id);
        (!serves, !leads, u64::MAX - answer.raft_term, answer.member_id)
    });
    contact.voters = voters.into_iter().map(|(_, endpoint)| endpoint).collect();
    contact
}

/// The list from the leader; if that fails, from whichever other voter can give it.
async fn list(etcd: &dyn EtcdPort, clock: &SharedClock, contact: &Contact) -> MemberList {
    let Some((first, others)) = contact.voters.split_first() else {
        return MemberList::Unknown("no voting member answered".to_owned());
    };
    let mut failures = Vec::new();
    match list_from(etcd, clock, first).await {
        Ok(known) => return MemberList::Known(known),
        Err(error) => failures.push(chain(&error)),
    }
    for outcome in join_all(others.iter().map(|endpoint| list_from(etcd, clock, endpoint))).await {
        match outcome {
            Ok(known) => return MemberList::Known(known),
            Err(error) => failures.push(chain(&error)),
        }
    }
    MemberList::Unknown(failures.join("; "))
}

async fn list_from(
    etcd: &dyn EtcdPort,
    clock: &SharedClock,
    endpoint: &str,
) -> Result<KnownMembers, EtcdError> {
    let member = etcd.member(endpoint);
    let list = member.members().await?;
    let at = clock.wall();
    let alarms = member.alarms().await?;
    Ok(KnownMembers { at, cluster_id: list.cluster_id, members: list.members, alarms })
}

fn client_endpoint(address: &str) -> String {
    format!("http://{}", host(address, CLIENT_PORT))
}

/// Host and port, with the brackets that an IPv6 address needs.
fn host(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_asked_at_addresses_of_either_family() {
        assert_eq!(client_endpoint("10.0.0.1"), "http://10.0.0.1:2379");
        assert_eq!(client_endpoint("fd00::1"), "http://[fd00::1]:2379");
        for address in ["10.0.0.1", "fd00::1"] {
            let endpoint: Uri = client_endpoint(address).parse().unwrap();
            assert_eq!(endpoint.port_u16(), Some(CLIENT_PORT), "{endpoint}");
        }
    }
}
