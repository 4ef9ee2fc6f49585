//! Asks each member: etcd on its client port, or the gate that holds it back. Then one linearizable member list from
//! whoever can give it. What the answers mean is the core's to say.

use crate::clock::SharedClock;
use crate::etcd::{Access, EtcdError, EtcdMember, EtcdPort};
use crate::http;
use crate::telemetry::chain;
use ::http::{StatusCode, Uri};
use etcd_operator_core::cluster::observed::{
    Answer, EtcdAnswer, KnownMembers, LinearizableRead, MemberList, Probe,
};
use etcd_operator_core::cluster::vigil::EtcdView;
use etcd_operator_core::gate::GateReport;
use etcd_operator_core::names::{Endpoint, MemberId};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A gate answers from memory.
const GATE_TIMEOUT: Duration = Duration::from_secs(1);

/// Where members answered: whom the executor may ask.
#[derive(Debug, Clone, Default)]
pub struct Contact {
    /// How the cluster's members are reached.
    pub access: Access,
    /// Client endpoints of voters, the leader's first.
    pub voters: Vec<Endpoint>,
    /// The endpoint at which each member answered.
    pub by_member: BTreeMap<MemberId, Endpoint>,
}

/// All answers.
pub(super) struct Asked {
    pub(super) probes: BTreeMap<String, Probe>,
    pub(super) member_list: MemberList,
    pub(super) contact: Contact,
}

/// A pod with an address, and whoever answers there.
struct Asking {
    pod_uid: String,
    address: String,
    member: Arc<dyn EtcdMember>,
}

/// Asks each of these pods that has an address, all at once.
pub(super) async fn ask<'a>(
    etcd: &dyn EtcdPort,
    access: Access,
    clock: &SharedClock,
    pods: impl Iterator<Item = &'a Pod>,
) -> Asked {
    let asking: Vec<_> = pods.filter_map(|pod| with_address(etcd, &access, pod)).collect();
    let answers = join_all(asking.iter().map(|pod| ask_one(clock, pod))).await;
    let voters = voters(asking.iter().zip(&answers));
    let member_list = list(clock, &voters).await;
    let contact = contact(access, asking.iter().zip(&answers), &voters);
    let probes = asking.iter().map(|pod| pod.pod_uid.clone()).zip(answers).collect();
    Asked { probes, member_list, contact }
}

fn with_address(etcd: &dyn EtcdPort, access: &Access, pod: &Pod) -> Option<Asking> {
    let address = pod.status.as_ref()?.pod_ip.clone().filter(|address| !address.is_empty())?;
    let member = etcd.member(&access.endpoint(&address), access);
    Some(Asking { pod_uid: pod.uid()?, address, member })
}

async fn ask_one(clock: &SharedClock, pod: &Asking) -> Probe {
    let member = &pod.member;
    // All at once, so that a member that stands still costs one time-out and not three.
    let (status, read, known, gate) =
        futures::join!(member.status(), member.read(), member.known_members(), ask_gate(pod));
    let answer = match (status, gate) {
        (Ok(status), _) => Answer::Etcd(EtcdAnswer { members: known.ok(), ..with_read(status, read) }),
        (Err(_), Ok(report)) => Answer::Gate(report),
        (Err(EtcdError::NotAuthorized { .. }), Err(_)) => Answer::Refused(outcome(read)),
        (Err(status), Err(gate)) => Answer::Silent(format!("etcd: {}; gate: {gate}", chain(&status))),
    };
    Probe { at: clock.wall(), answer }
}

/// The answer of a voter with what came of the read; a learner serves none.
pub(super) fn with_read(status: EtcdAnswer, read: Result<(), EtcdError>) -> EtcdAnswer {
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
    let address: Uri =
        format!("{}/gate", Endpoint::of_metrics(&pod.address)).parse().map_err(|error| format!("{error}"))?;
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

/// What one member says of etcd, without a question to any gate. `None` if it does not answer or cannot give the list: that is for a
/// look to judge.
pub async fn etcd_view(etcd: &dyn EtcdPort, access: &Access, address: &str) -> Option<EtcdView> {
    let member = etcd.member(&access.endpoint(address), access);
    let answer = member.status().await.ok()?;
    let list = member.members().await.ok()?;
    Some(EtcdView::new(list.cluster_id, list.members, [&answer].into_iter()))
}

/// The voters that answered: those that serve reads first, of them the leader of the highest term, then by member ID.
fn voters<'a>(answers: impl Iterator<Item = (&'a Asking, &'a Probe)>) -> Vec<Arc<dyn EtcdMember>> {
    let mut voters: Vec<(&EtcdAnswer, &Asking)> = answers
        .filter_map(|(pod, probe)| match &probe.answer {
            Answer::Etcd(answer) if !answer.is_learner => Some((answer, pod)),
            Answer::Etcd(_) | Answer::Gate(_) | Answer::Refused(_) | Answer::Silent(_) => None,
        })
        .collect();
    voters.sort_by_key(|(answer, _)| {
        let serves = matches!(answer.read, LinearizableRead::Served | LinearizableRead::Refused(_));
        let leads = answer.leader == Some(answer.member_id);
        (!serves, !leads, u64::MAX - answer.raft_term, answer.member_id)
    });
    voters.into_iter().map(|(_, pod)| pod.member.clone()).collect()
}

fn contact<'a>(
    access: Access,
    answers: impl Iterator<Item = (&'a Asking, &'a Probe)>,
    voters: &[Arc<dyn EtcdMember>],
) -> Contact {
    let by_member = answers.filter_map(|(pod, probe)| match &probe.answer {
        Answer::Etcd(answer) => Some((answer.member_id, pod.member.endpoint().clone())),
        Answer::Gate(_) | Answer::Refused(_) | Answer::Silent(_) => None,
    });
    let by_member = by_member.collect();
    Contact { access, voters: voters.iter().map(|voter| voter.endpoint().clone()).collect(), by_member }
}

/// The list from the leader; if that fails, from whichever other voter can give it.
async fn list(clock: &SharedClock, voters: &[Arc<dyn EtcdMember>]) -> MemberList {
    let Some((first, others)) = voters.split_first() else {
        return MemberList::Unknown("no voting member answered".to_owned());
    };
    let mut failures = Vec::new();
    match list_from(clock, first.as_ref()).await {
        Ok(known) => return MemberList::Known(known),
        Err(error) => failures.push(chain(&error)),
    }
    for outcome in join_all(others.iter().map(|voter| list_from(clock, voter.as_ref()))).await {
        match outcome {
            Ok(known) => return MemberList::Known(known),
            Err(error) => failures.push(chain(&error)),
        }
    }
    MemberList::Unknown(failures.join("; "))
}

async fn list_from(clock: &SharedClock, member: &dyn EtcdMember) -> Result<KnownMembers, EtcdError> {
    let list = member.members().await?;
    let at = clock.wall();
    let alarms = member.alarms().await?;
    Ok(KnownMembers { at, cluster_id: list.cluster_id, members: list.members, alarms })
}
