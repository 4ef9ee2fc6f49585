//! The member loses its disk: volume claim and pod are deleted. Over once it happened; proved by the claim being gone and a
//! new claim, never seen before, in its place.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, DeleteParams, Preconditions};

use super::case::{Case, Entered, Owed, Victims};
use super::{pod, volume};
use crate::record::{ObjectIdentity, Proof};

pub(super) async fn carry_out(case: &Case<'_>, victims: &Victims) -> Result<()> {
    let claims = volume::claims(case, victims).await?;
    let mut known = volume::all(case.context).await?;
    let targets = case.entered(victims);
    for claim in &claims {
        delete_claim(case, claim).await?;
    }
    // The claim stays, protected, as long as a pod uses it.
    try_join_all(targets.iter().map(|target: &Entered| pod::delete(case, target, Duration::ZERO))).await?;
    case.injected();
    case.healed();
    for (claim, target) in claims.iter().zip(&targets) {
        prove_replaced(case, claim, &mut known, &target.pod).await?;
    }
    Ok(())
}

async fn delete_claim(case: &Case<'_>, claim: &ObjectIdentity) -> Result<()> {
    let preconditions = Preconditions { uid: Some(claim.uid.clone()), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let api: Api<PersistentVolumeClaim> = volume::api(case.context);
    let deleted = api.delete(&claim.name, &parameters).await;
    deleted.map(drop).with_context(|| format!("failed to delete the volume claim {}", claim.name))
}

/// Waits until the claim is gone and a claim that was not there before stands in for it.
async fn prove_replaced(
    case: &Case<'_>,
    claim: &ObjectIdentity,
    known: &mut Vec<ObjectIdentity>,
    pod: &str,
) -> Result<()> {
    let what = format!("the end of the volume claim {}", claim.name);
    let gone = async || Ok(volume::is_gone(case.context, claim).await?.then_some(()));
    case.wait_for(&what, case.context.repair_within, gone).await?;
    let new = async || {
        let now = volume::all(case.context).await?;
        Ok(now.into_iter().find(|now| known.iter().all(|known| known.uid != now.uid)))
    };
    let what = format!("a new volume claim in the place of {}", claim.name);
    if let Owed::Paid(after) = case.wait_for_operator(&what, new).await {
        known.push(after.clone());
        case.prove(Some(pod), Proof::VolumeReplaced { before: claim.clone(), after });
    }
    Ok(())
}
