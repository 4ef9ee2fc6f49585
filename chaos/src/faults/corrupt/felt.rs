//! Makes a corruption felt while the operator cannot repair it: a member restarts under it, and its effect is looked for.
//! Only deletes a pod that the guard permitted or that a quorum can spare.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ListParams};
use tokio::time::Instant;

use super::super::case::{Case, Entered, POLL, Victims};
use super::super::pod;
use super::Changed;
use crate::record::Proof;
use crate::scenario::ClusterObject;
use crate::targeting::{SeenMember, permit};

pub(super) async fn make_felt(case: &Case<'_>, victims: &Victims, changed: &[Changed]) -> Result<()> {
    for changed in changed {
        let observation = match changed.object {
            ClusterObject::StatefulSetScale => scaled_away(case, victims, changed).await?,
            ClusterObject::StatefulSetTemplate | ClusterObject::StatefulSet => {
                let member = victims.members.iter().find(|member| member.name == changed.located.name);
                let member = member.context("the corrupted member is no target")?;
                let member = spared_target(case, member).await?;
                carries_variable(&restart(case, &member).await?)?
            }
            ClusterObject::ServiceSelector | ClusterObject::ClientService => {
                let lost = no_endpoints(case, &case.context.cluster).await?;
                format!("{lost}; {}", restart_spare(case).await?)
            }
            ClusterObject::PeerService => {
                let lost = no_endpoints(case, &changed.located.name).await?;
                format!("{lost}; {}", restart_spare(case).await?)
            }
            ClusterObject::DisruptionBudget => {
                let open = budget_protects_nobody(case).await?;
                format!("{open}; {}", restart_spare(case).await?)
            }
            ClusterObject::ClusterRecord => restart_spare(case).await?,
        };
        case.prove(changed.pod.as_deref(), Proof::CorruptionFelt { observation });
    }
    Ok(())
}

/// Deletes one member's pod and waits for its successor to be ready, with nobody there to help it.
async fn restart(case: &Case<'_>, member: &SeenMember) -> Result<Pod> {
    let own = member.pod.as_ref().context("the member has no pod")?;
    let victims = Victims { members: vec![member.clone()], ..Victims::default() };
    let target: Entered = case.entered(&victims).pop().context("the member has no pod")?;
    pod::delete(case, &target, Duration::ZERO).await?;
    let what = format!("pod {} ready again", own.pod);
    let ready = async || {
        let pod =
            case.pods(&case.context.namespace).get_opt(&own.pod).await.context("failed to read the pod")?;
        Ok(pod.filter(|pod| pod.metadata.uid.as_deref() != Some(own.uid.as_str()) && is_ready(pod)))
    };
    case.wait_for(&what, case.context.repair_within, ready).await
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Waits until a member can be spared: an earlier fault may still be mending, and the operator may have restarted somebody in the last
/// moment before it stood still, so that only what is seen from now on counts. The operator's pause bounds the wait.
async fn spared(case: &Case<'_>, choose: impl Fn(&Case<'_>) -> Result<SeenMember>) -> Result<SeenMember> {
    let paused = Instant::now();
    loop {
        let chosen = if case.context.board.borrow().shows(paused) {
            choose(case)
        } else {
            Err(anyhow!("nobody has asked the members since the operator stands still"))
        };
        match chosen {
            Ok(member) => return Ok(member),
            Err(refusal) if case.context.ending.is_cancelled() => return Err(refusal),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// The target as it is, once a quorum can spare it.
///
/// # Errors
/// If the run ends before that.
pub(in super::super) async fn spared_target(case: &Case<'_>, target: &SeenMember) -> Result<SeenMember> {
    spared(case, |case| spare_target(case, target)).await
}

/// The target as it is now, if the quorum can spare it now.
fn spare_target(case: &Case<'_>, target: &SeenMember) -> Result<SeenMember> {
    let board = case.context.board.borrow();
    let member = board.view.members.iter().find(|member| member.id == target.id);
    let member = member.context("the corrupted member is no member any more")?;
    permit(&board.view, &[member], &board.held_by_others(&case.step.name))?;
    Ok(member.clone())
}

/// A corruption of the whole cluster has no member as its target: a member that can be spared restarts.
async fn restart_spare(case: &Case<'_>) -> Result<String> {
    let member = spared(case, spare).await?;
    case.also_hits(&member);
    restart(case, &member).await?;
    Ok(format!("member {} restarted under it, without the operator, and became ready", member.name))
}

/// The preferred voter that the quorum can spare now; the leader only if nobody else can go.
fn spare(case: &Case<'_>) -> Result<SeenMember> {
    let board = case.context.board.borrow();
    let voters = board.view.voters();
    let preferred = case.step.preference.iter().map(|rank| usize::from(*rank));
    let mut candidates: Vec<&SeenMember> = Vec::new();
    for rank in preferred.chain(0..voters.len()) {
        candidates.extend(voters.get(rank).filter(|member| member.pod.is_some()));
    }
    candidates.sort_by_key(|member| board.view.leader == Some(member.id));
    let held = board.held();
    let mut refusal = anyhow!("there is no member that could restart");
    for member in candidates {
        match permit(&board.view, &[member], &held) {
            Ok(()) => return Ok(member.clone()),
            Err(refused) => refusal = anyhow!(refused).context("no member can be spared"),
        }
    }
    Err(refusal)
}

fn carries_variable(pod: &Pod) -> Result<String> {
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let variables = containers.iter().flat_map(|container| container.env.iter().flatten());
    let found = variables.into_iter().find(|variable| variable.name == "ETCD_FORCE_NEW_CLUSTER");
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    match found {
        Some(variable) => {
            Ok(format!("pod {name} restarted with {} in its environment and became ready", variable.name))
        }
        None => bail!("the successor of pod {name} does not carry the added variable"),
    }
}

async fn scaled_away(case: &Case<'_>, victims: &Victims, changed: &Changed) -> Result<String> {
    let member = victims.members.iter().find(|member| member.name == changed.located.name);
    let own = member.and_then(|member| member.pod.as_ref()).context("the corrupted member has no pod")?;
    let what = format!("the end of pod {}", own.pod);
    let gone = async || {
        let pod =
            case.pods(&case.context.namespace).get_opt(&own.pod).await.context("failed to read the pod")?;
        Ok(pod.is_none_or(|pod| pod.metadata.uid.as_deref() != Some(own.uid.as_str())).then_some(()))
    };
    case.wait_for(&what, case.context.repair_within, gone).await?;
    Ok(format!("pod {} is gone and none came in its place", own.pod))
}

async fn no_endpoints(case: &Case<'_>, service: &str) -> Result<String> {
    let slices: Api<EndpointSlice> = Api::namespaced(case.context.client.clone(), &case.context.namespace);
    let labels = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
    let what = format!("Service {service} without endpoints");
    let empty = async || {
        let slices = slices.list(&labels).await.context("failed to list endpoint slices")?;
        Ok(slices.items.iter().all(|slice| slice.endpoints.is_empty()).then_some(()))
    };
    case.wait_for(&what, case.context.repair_within, empty).await?;
    Ok(format!("Service {service} had no endpoints"))
}

async fn budget_protects_nobody(case: &Case<'_>) -> Result<String> {
    let budgets: Api<PodDisruptionBudget> =
        Api::namespaced(case.context.client.clone(), &case.context.namespace);
    let name = &case.context.cluster;
    let open = async || {
        let budget = budgets.get(name).await.context("failed to read the PodDisruptionBudget")?;
        let generation = budget.metadata.generation;
        let status = budget.status.unwrap_or_default();
        let current = status.observed_generation == generation;
        Ok((current && status.desired_healthy == 0).then_some(status.disruptions_allowed))
    };
    let allowed =
        case.wait_for("a PodDisruptionBudget that protects nobody", case.context.repair_within, open).await?;
    Ok(format!("the PodDisruptionBudget allowed {allowed} evictions at once"))
}
