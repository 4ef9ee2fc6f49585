//! The pod is deleted, at once or with a grace period. Over once it happened; proved by another pod of the same name.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use kube::api::{DeleteParams, Preconditions};

use super::case::{Case, Entered, Victims};
use crate::record::{ObjectIdentity, Proof};
use crate::subject::operator;

pub(super) async fn carry_out(case: &Case<'_>, victims: &Victims, grace: Duration) -> Result<()> {
    let targets = case.entered(victims);
    try_join_all(targets.iter().map(|target| delete(case, target, grace))).await?;
    case.injected();
    case.healed();
    try_join_all(targets.iter().map(|target| prove_replaced(case, target))).await?;
    Ok(())
}

/// Deletes this very pod and no later one of its name.
pub(super) async fn delete(case: &Case<'_>, target: &Entered, grace: Duration) -> Result<()> {
    let parameters = DeleteParams {
        grace_period_seconds: Some(u32::try_from(grace.as_secs()).unwrap_or(u32::MAX)),
        preconditions: Some(Preconditions { uid: Some(target.uid.clone()), resource_version: None }),
        ..DeleteParams::default()
    };
    let deleted = case.pods(&target.namespace).delete(&target.pod, &parameters).await;
    deleted.map(drop).with_context(|| format!("failed to delete pod {}", target.pod))
}

/// Waits for another pod in this one's place and records it.
pub(super) async fn prove_replaced(case: &Case<'_>, target: &Entered) -> Result<ObjectIdentity> {
    let what = format!("another pod in the place of {}", target.pod);
    let after =
        case.wait_for(&what, case.context.repair_within, async || successor(case, target).await).await?;
    let before = ObjectIdentity { name: target.pod.clone(), uid: target.uid.clone() };
    case.prove(Some(&target.pod), Proof::PodReplaced { before, after: after.clone() });
    Ok(after)
}

/// A member's pod comes back under its own name, the operator's under another.
async fn successor(case: &Case<'_>, target: &Entered) -> Result<Option<ObjectIdentity>> {
    let candidates = if target.container == operator::NAME {
        operator::pods(&case.context.client).await?
    } else {
        let pod =
            case.pods(&target.namespace).get_opt(&target.pod).await.context("failed to read the pod")?;
        pod.into_iter().collect()
    };
    let other = candidates.into_iter().find(|pod| pod.metadata.uid.as_deref() != Some(target.uid.as_str()));
    let identity = |metadata: kube::api::ObjectMeta| ObjectIdentity {
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
    };
    Ok(other.map(|pod| identity(pod.metadata)))
}
