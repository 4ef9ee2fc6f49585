//! Asks voters what their data is, all at one revision. Asked only where it may differ, and now and then at rest, because a member
//! reads all of its data to answer. Whose data is right is the core's to say.

use super::members::with_read;
use crate::etcd::{Access, EtcdPort};
use crate::telemetry::chain;
use etcd_operator_core::cluster::observed::{Answer, DataHash, EtcdAnswer, LinearizableRead, Probe};
use etcd_operator_core::names::{Endpoint, MemberId};
use futures::future::join_all;
use std::collections::BTreeMap;

/// What the data is of all who answer at these addresses.
pub async fn hashes_at(
    etcd: &dyn EtcdPort,
    access: &Access,
    addresses: impl Iterator<Item = &str>,
) -> BTreeMap<MemberId, DataHash> {
    let ask = |address: &str| {
        let member = etcd.member(&access.endpoint(address), access);
        async move {
            let (status, read) = futures::join!(member.status(), member.read());
            Some((member.endpoint().clone(), with_read(status.ok()?, read)))
        }
    };
    let answers: Vec<_> = join_all(addresses.map(ask)).await.into_iter().flatten().collect();
    hashes(etcd, access, answers.iter().map(|(endpoint, answer)| (endpoint, answer))).await
}

/// What the data is of those who have just answered a look.
pub(super) async fn hashes_of(
    etcd: &dyn EtcdPort,
    access: &Access,
    probes: &BTreeMap<String, Probe>,
    endpoints: &BTreeMap<MemberId, Endpoint>,
) -> BTreeMap<MemberId, DataHash> {
    let answers = probes.values().filter_map(|probe| match &probe.answer {
        Answer::Etcd(answer) => Some((endpoints.get(&answer.member_id)?, answer)),
        Answer::Gate(_) | Answer::Refused(_) | Answer::Silent(_) => None,
    });
    hashes(etcd, access, answers).await
}

/// At the lowest revision that anybody has of those who serve linearizable reads: all of them have it.
async fn hashes<'a>(
    etcd: &dyn EtcdPort,
    access: &Access,
    answers: impl Iterator<Item = (&'a Endpoint, &'a EtcdAnswer)>,
) -> BTreeMap<MemberId, DataHash> {
    let is_up_to_date = |(_, answer): &(&Endpoint, &EtcdAnswer)| answer.read == LinearizableRead::Served;
    let up_to_date: Vec<_> = answers.filter(is_up_to_date).collect();
    let Some(revision) = up_to_date.iter().map(|(_, answer)| answer.revision).min() else {
        return BTreeMap::new();
    };
    let ask = |(endpoint, answer): (&'a Endpoint, &'a EtcdAnswer)| async move {
        match etcd.member(endpoint, access).data_hash(revision).await {
            Ok(hash) => Some((answer.member_id, hash)),
            Err(error) => {
                tracing::debug!(error = chain(&error), %endpoint, revision, "no hash of its data");
                None
            }
        }
    };
    join_all(up_to_date.into_iter().map(ask)).await.into_iter().flatten().collect()
}
