//! A finalizer of the harness holds a member's volume claim, so that its deletion stays unfinished for a while. This is a
//! fault that needs our own hand to end, so it stands in the journal before it is made, and `chaos heal` finds it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use super::case::{Case, FaultContext, Victims};
use crate::live::journal::Undo;
use crate::record::{ObjectIdentity, Proof};
use crate::subject::etcd;

/// The finalizer that holds a claim.
pub const FINALIZER: &str = "etcd.operators.rs/chaos-hold";

pub(super) async fn carry_out(case: &Case<'_>, victims: &Victims, lasting: Duration) -> Result<()> {
    let claims = claims(case, victims).await?;
    let api = api(case.context);
    for claim in &claims {
        case.context.journal.will_do(Undo::finalizer(&case.context.namespace, claim))?;
        hold(&api, claim).await?;
    }
    case.injected();
    let pods: Vec<String> = case.entered(victims).into_iter().map(|target| target.pod).collect();
    let seen = see_held(case, &claims, &pods, lasting).await;
    for claim in &claims {
        release(&api, &claim.name).await?;
        case.context.journal.undone(&Undo::finalizer(&case.context.namespace, claim))?;
    }
    case.healed();
    seen?;
    for (claim, pod) in claims.iter().zip(&pods) {
        let what = format!("the end of the volume claim {}", claim.name);
        let gone = async || Ok(is_gone(case.context, claim).await?.then_some(()));
        case.wait_for(&what, case.context.repair_within, gone).await?;
        case.prove(Some(pod), Proof::VolumeReleased { claim: claim.clone() });
    }
    Ok(())
}

/// Watches the claims while they are held: each must be seen deleted and yet there.
async fn see_held(
    case: &Case<'_>,
    claims: &[ObjectIdentity],
    pods: &[String],
    lasting: Duration,
) -> Result<()> {
    let seen = async {
        for (claim, pod) in claims.iter().zip(pods) {
            let what = format!("the volume claim {} deleted and held", claim.name);
            let held = async || is_held(case.context, claim).await;
            case.wait_for(&what, lasting, held).await?;
            case.prove(Some(pod), Proof::VolumeHeld { claim: claim.clone() });
        }
        Ok(())
    };
    let (seen, ()) = tokio::join!(
        async {
            tokio::select! {
                biased;
                () = case.context.ending.cancelled() => Ok(()),
                seen = seen => seen,
            }
        },
        case.hold(lasting)
    );
    seen
}

/// The claims of the run's namespace.
#[must_use]
pub fn api(context: &FaultContext) -> Api<PersistentVolumeClaim> {
    Api::namespaced(context.client.clone(), &context.namespace)
}

/// The claim of each victim, as it is now.
pub(super) async fn claims(case: &Case<'_>, victims: &Victims) -> Result<Vec<ObjectIdentity>> {
    let mut claims = Vec::new();
    for member in &victims.members {
        let name = etcd::claim_of(&member.name);
        let claim = api(case.context).get(&name).await;
        let claim = claim.with_context(|| format!("failed to read the volume claim {name}"))?;
        claims.push(ObjectIdentity { uid: claim.uid().unwrap_or_default(), name });
    }
    Ok(claims)
}

/// Every claim of the cluster.
pub(super) async fn all(context: &FaultContext) -> Result<Vec<ObjectIdentity>> {
    let parameters = ListParams::default().labels(&format!("{}={}", etcd::CLUSTER_LABEL, context.cluster));
    let claims = api(context).list(&parameters).await.context("failed to list the volume claims")?;
    let identity = |claim: PersistentVolumeClaim| ObjectIdentity {
        name: claim.name_any(),
        uid: claim.uid().unwrap_or_default(),
    };
    Ok(claims.items.into_iter().map(identity).collect())
}

/// Whether this very claim is no longer there.
pub async fn is_gone(context: &FaultContext, claim: &ObjectIdentity) -> Result<bool> {
    let now = api(context).get_opt(&claim.name).await.context("failed to read the volume claim")?;
    Ok(now.is_none_or(|now| now.metadata.uid.as_deref() != Some(claim.uid.as_str())))
}

async fn is_held(context: &FaultContext, claim: &ObjectIdentity) -> Result<Option<()>> {
    let now = api(context).get_opt(&claim.name).await.context("failed to read the volume claim")?;
    let held = now.is_some_and(|now| {
        now.metadata.uid.as_deref() == Some(claim.uid.as_str()) && now.metadata.deletion_timestamp.is_some()
    });
    Ok(held.then_some(()))
}

async fn hold(api: &Api<PersistentVolumeClaim>, claim: &ObjectIdentity) -> Result<()> {
    let mut finalizers = api.get(&claim.name).await.context("failed to read the volume claim")?;
    let resource_version = finalizers.resource_version();
    let finalizers = finalizers.finalizers_mut();
    finalizers.push(FINALIZER.to_owned());
    let patch = json!({ "metadata": {
        "uid": claim.uid, "resourceVersion": resource_version, "finalizers": finalizers,
    } });
    let patched = api.patch(&claim.name, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched
        .map(drop)
        .with_context(|| format!("failed to put our finalizer on the volume claim {}", claim.name))
}

/// Takes our finalizer off a claim; one that is gone or does not carry it is fine.
pub async fn release(api: &Api<PersistentVolumeClaim>, name: &str) -> Result<bool> {
    for _ in 0..20 {
        let Some(mut claim) =
            api.get_opt(name).await.with_context(|| format!("failed to read the volume claim {name}"))?
        else {
            return Ok(false);
        };
        let resource_version = claim.resource_version();
        let finalizers = claim.finalizers_mut();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(false);
        }
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        let patch = json!({ "metadata": { "resourceVersion": resource_version, "finalizers": finalizers } });
        match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => return Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("failed to take our finalizer off the volume claim {name}"));
            }
        }
    }
    anyhow::bail!("the volume claim {name} changes all the time: our finalizer is still on it")
}
