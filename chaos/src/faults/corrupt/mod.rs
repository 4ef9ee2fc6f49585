//! The operator is paused, an object of the cluster is changed for the worse, a member restarts under it, and only then may
//! the operator repair it. The pause ends by its own timer; the repair is the operator's work, never the harness's.

mod felt;

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::future::join_all;
use kube::ResourceExt as _;
use kube::api::DynamicObject;

use super::case::{Case, Owed, Victims};
use super::objects::{Change, Field, Located, corruption, identity, last_manager};
use super::{agents, pause};
use crate::record::Proof;
use crate::scenario::ClusterObject;

pub(super) use felt::spared_target;

/// An object that was changed, and what its field held before.
pub(super) struct Changed {
    pub(super) located: Located,
    pub(super) object: ClusterObject,
    /// The target's pod, for objects that each member has.
    pub(super) pod: Option<String>,
    pub(super) field: Field,
    pub(super) before: serde_json::Value,
    pub(super) at: DynamicObject,
}

pub(super) async fn carry_out(
    case: &Case<'_>,
    victims: &Victims,
    object: ClusterObject,
    lasting: Duration,
) -> Result<()> {
    let paused = pause::stop_operator(case, lasting).await?;
    let until = tokio::time::Instant::now() + lasting;
    let changed = change_all(case, victims, object, corruption).await?;
    case.injected();
    let remaining = until.saturating_duration_since(tokio::time::Instant::now());
    let felt = tokio::time::timeout(remaining, felt::make_felt(case, victims, &changed)).await;
    case.hold(until.saturating_duration_since(tokio::time::Instant::now())).await;
    let finished = agents::finish(case, paused).await;
    case.healed();
    join_all(changed.iter().map(|changed| prove_repaired(case, changed))).await;
    finished?;
    felt.context("the corruption was not felt while the operator was paused")?
}

/// An object that others write is tried to be changed for so long.
const OVERTAKEN: Duration = Duration::from_secs(5);

/// Which change is made to an object: [`corruption`], or [`addition`](super::objects::addition).
pub(super) type Choice = fn(ClusterObject, &DynamicObject) -> Result<Change>;

/// Changes the object of each victim, or the one object of the cluster, and records each as seen changed.
///
/// # Errors
/// If there is none, or if one could not be changed.
pub(super) async fn change_all(
    case: &Case<'_>,
    victims: &Victims,
    object: ClusterObject,
    choice: Choice,
) -> Result<Vec<Changed>> {
    let members: Vec<Option<&str>> = if object.belongs_to_member() {
        victims.members.iter().map(|member| Some(member.name.as_str())).collect()
    } else {
        vec![None]
    };
    if members.is_empty() {
        bail!("there is no {object} to change");
    }
    let mut changed = Vec::new();
    for member in members {
        changed.push(change(case, victims, object, member, choice).await?);
    }
    Ok(changed)
}

async fn change(
    case: &Case<'_>,
    victims: &Victims,
    object: ClusterObject,
    member: Option<&str>,
    choice: Choice,
) -> Result<Changed> {
    let context = case.context;
    let located =
        Located::find(&context.client, &context.namespace, &context.cluster, object, member).await?;
    // The operator may write the object between our look and our change, above all while it changes members anyway.
    let set = async || {
        let now = located.get().await?.with_context(|| format!("{object} {} is not there", located.name))?;
        let Change { field, value } = choice(object, &now)?;
        let before = field.value(&now);
        let at = located.set(&now, &field, &value).await?;
        Ok(Some((field, before, at)))
    };
    let (field, before, at) = case.wait_for("the object as it was changed", OVERTAKEN, set).await?;
    let changed = Changed { located, object, pod: case.pod_of(victims, member), field, before, at };
    prove_changed(case, &changed)?;
    Ok(changed)
}

/// Records that the object was seen changed.
///
/// # Errors
/// If it does not differ from before: then nothing was broken.
fn prove_changed(case: &Case<'_>, changed: &Changed) -> Result<()> {
    let Changed { object, field, before, at, .. } = changed;
    let after = field.value(at);
    if after == *before {
        bail!("{object} {} still holds {before} in {}", at.name_any(), field.name);
    }
    case.prove(
        changed.pod.as_deref(),
        Proof::ObjectChanged {
            object: *object,
            identity: identity(at),
            resource_version: at.resource_version().unwrap_or_default(),
            field: field.name.to_owned(),
            before: before.to_string(),
            after: after.to_string(),
        },
    );
    Ok(())
}

/// Waits until the field holds again what it held before, at another resource version, and records by whose hand.
pub(super) async fn prove_repaired(case: &Case<'_>, changed: &Changed) {
    let what = format!("the repair of {} of {}", changed.field.name, changed.located.name);
    let repaired = async || {
        let now = changed.located.get().await?;
        let other = |now: &DynamicObject| now.resource_version() != changed.at.resource_version();
        Ok(now.filter(|now| other(now) && changed.field.value(now) == changed.before))
    };
    let proof = match case.wait_for_operator(&what, repaired).await {
        Owed::Paid(now) => Proof::ObjectRepaired {
            object: changed.object,
            identity: identity(&now),
            resource_version: now.resource_version().unwrap_or_default(),
            field: changed.field.name.to_owned(),
            value: changed.before.to_string(),
            manager: last_manager(changed.object, &now),
        },
        Owed::Missing => {
            Proof::still_broken(changed.object, identity(&changed.at), case.context.repair_within)
        }
        Owed::Untold => return,
    };
    case.prove(changed.pod.as_deref(), proof);
}
