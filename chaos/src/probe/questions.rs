//! The questions to one member, and how its answers are read. Each question is limited in time and asked once.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use etcd_client::{Client, HashKvResponse, MemberListResponse, ResponseHeader, StatusResponse};
use tokio::time::timeout;

use crate::history::{
    AlarmKind, ClusterId, ListedMember, MemberHash, MemberId, MemberStatus, Observation, QuorumRead,
    Revision, no_answer,
};
use crate::in_pod::Clock;

/// `Maintenance.Status`.
pub(super) async fn status(mut client: Client, limit: Duration) -> Observation<MemberStatus> {
    observed(limit, client.status(), read_status).await
}

/// A linearizable read. The key need not exist.
pub(super) async fn read(
    mut client: Client,
    key: &str,
    limit: Duration,
    clock: Clock,
) -> Observation<QuorumRead> {
    observed(limit, client.get(key, None), |answer| {
        let header = answer.header().ok_or("an answer without a header")?;
        Ok(QuorumRead {
            revision: revision(header)?,
            cluster_id: ClusterId(header.cluster_id()),
            at: clock.now(),
        })
    })
    .await
}

/// The member list as this member knows it. Asked after its linearizable read, it holds every change that was committed
/// before that read.
pub(super) async fn list(mut client: Client, limit: Duration) -> Observation<Vec<ListedMember>> {
    observed(limit, client.member_list(), |answer| Ok(read_list(answer))).await
}

/// `HashKV` at a revision.
pub(super) async fn hash(mut client: Client, revision: Revision, limit: Duration) -> Observation<MemberHash> {
    let wanted = i64::try_from(revision.0).unwrap_or(i64::MAX);
    observed(limit, client.hash_kv(wanted), |answer| read_hash(answer, revision)).await
}

async fn observed<Answer, T, E: Display>(
    limit: Duration,
    call: impl Future<Output = Result<Answer, E>>,
    read: impl FnOnce(&Answer) -> Result<T, String>,
) -> Observation<T> {
    match timeout(limit, call).await {
        Ok(Ok(answer)) => read(&answer).map_or_else(Observation::Failed, Observation::Answered),
        Ok(Err(error)) => Observation::Failed(error.to_string()),
        Err(_) => Observation::Failed(no_answer(limit)),
    }
}

fn read_status(answer: &StatusResponse) -> Result<MemberStatus, String> {
    let header = answer.header().ok_or("an answer without a header")?;
    Ok(MemberStatus {
        member_id: MemberId(header.member_id()),
        cluster_id: ClusterId(header.cluster_id()),
        leader: (answer.leader() != 0).then(|| MemberId(answer.leader())),
        term: answer.raft_term(),
        learner: answer.is_learner(),
        version: answer.version().to_owned(),
        revision: revision(header)?,
        committed_index: Some(answer.raft_index()),
        applied_index: Some(answer.raft_applied_index()),
        alarms: alarms(answer.errors()),
    })
}

/// etcd puts alarms among its errors, as `memberID:… alarm:NOSPACE`; other errors, such as a missing leader, are none.
pub(super) fn alarms(errors: &[String]) -> BTreeSet<AlarmKind> {
    let kind = |error: &String| {
        let (_, alarm) = error.split_once("alarm:")?;
        Some(match alarm.trim() {
            "NOSPACE" => AlarmKind::NoSpace,
            "CORRUPT" => AlarmKind::Corrupt,
            _ => AlarmKind::Other,
        })
    };
    errors.iter().filter_map(kind).collect()
}

fn read_list(answer: &MemberListResponse) -> Vec<ListedMember> {
    let mut members: Vec<ListedMember> = answer
        .members()
        .iter()
        .map(|member| ListedMember {
            member_id: MemberId(member.id()),
            name: member.name().to_owned(),
            learner: member.is_learner(),
        })
        .collect();
    members.sort();
    members
}

fn read_hash(answer: &HashKvResponse, asked: Revision) -> Result<MemberHash, String> {
    let header = answer.header().ok_or("an answer without a header")?;
    // Servers before 3.6 leave `hash_revision` empty and hash what they were asked for.
    let hashed = match answer.hash_revision() {
        0 => asked,
        revision => Revision(u64::try_from(revision).map_err(|_| "a negative revision")?),
    };
    Ok(MemberHash {
        member_id: MemberId(header.member_id()),
        hash: answer.hash(),
        revision: hashed,
        compact_revision: answer.compact_version(),
    })
}

fn revision(header: &ResponseHeader) -> Result<Revision, String> {
    u64::try_from(header.revision()).map(Revision).map_err(|_| "a negative revision".to_owned())
}
