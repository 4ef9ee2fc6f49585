//! The cluster's declared size is changed: no damage by itself, but the longest work that an operator does. In force from
//! the declaration; over when a linearizable member list has as many voters.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use tokio::time::Instant;

use super::case::Case;
use crate::record::Proof;
use crate::scenario::ClusterSize;
use crate::subject::etcd;

/// How long growing or shrinking may take; what is too long is judged by the scenario's own expectation.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) async fn carry_out(case: &Case<'_>, to: ClusterSize) -> Result<()> {
    let context = case.context;
    let before = case.cluster().await?;
    let from = before.data.pointer("/spec/size").and_then(serde_json::Value::as_u64).context("spec.size")?;
    let from = ClusterSize::new(from).context("spec.size")?;
    let size = u32::try_from(to.members()).context("the new size")?;
    let after = etcd::resize(&context.client, &context.namespace, &context.cluster, size).await?;
    context.board.send_modify(|board| board.size = to.members());
    let resource_version = after.resource_version().unwrap_or_default();
    case.prove(None, Proof::SizeDeclared { from, to, resource_version });
    case.injected();
    case.healed();
    if reached(case, to).await {
        case.prove(None, Proof::SizeReached { voters: to.members() as u64 });
    } else {
        context.recorder.note(format!("{}: {to} voters were not reached", case.step.name));
    }
    Ok(())
}

/// Waits until a linearizable member list has as many voters as declared, and nobody else.
async fn reached(case: &Case<'_>, to: ClusterSize) -> bool {
    let mut board = case.context.board.subscribe();
    let reached = board.wait_for(|board| {
        let view = &board.view;
        let as_declared = view.members.len() == to.members() && view.voters().len() == to.members();
        as_declared && view.has_quorum() && board.is_fresh(Instant::now())
    });
    tokio::select! {
        biased;
        () = case.context.ending.cancelled() => false,
        reached = tokio::time::timeout(PATIENCE, reached) => matches!(reached, Ok(Ok(_))),
    }
}
