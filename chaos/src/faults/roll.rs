//! What is declared is changed a little, so that every member must restart: no damage by itself, but the operator has to take every
//! member down. In force from the declaration; over at once; seen through when every member runs in another pod.

use std::collections::BTreeSet;

use anyhow::Result;
use kube::ResourceExt as _;

use super::case::{Case, Owed};
use crate::record::Proof;
use crate::subject::etcd;

pub(super) async fn carry_out(case: &Case<'_>) -> Result<()> {
    let context = case.context;
    let before = pods(case);
    let after = etcd::declare_restart(&context.client, &context.namespace, &context.cluster).await?;
    let generation = etcd::generation(&after)?;
    let resource_version = after.resource_version().unwrap_or_default();
    case.prove(None, Proof::RestartDeclared { generation, resource_version });
    case.injected();
    case.healed();
    see_restarts(case, &before).await;
    Ok(())
}

/// Waits until every member runs in another pod than before, and proves it.
pub(super) async fn see_restarts(case: &Case<'_>, before: &BTreeSet<String>) {
    let restarted = async || {
        let now = pods(case);
        let board = case.context.board.borrow();
        let whole = board.is_whole(tokio::time::Instant::now());
        // Not as many as before: a member that was just being restarted had no pod then.
        Ok((whole && now.len() == board.size && now.is_disjoint(before)).then_some(now.len()))
    };
    if let Owed::Paid(members) = case.wait_for_operator("another pod of every member", restarted).await {
        case.prove(None, Proof::RestartsSeen { members: members as u64 });
    }
}

/// The uids of the members' pods as they were last seen.
pub(super) fn pods(case: &Case<'_>) -> BTreeSet<String> {
    let board = case.context.board.borrow();
    board.view.members.iter().filter_map(|member| member.pod.as_ref().map(|pod| pod.uid.clone())).collect()
}
