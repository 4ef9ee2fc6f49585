//! Somebody else adds something to an object of the cluster. Over once it happened; proved by the addition being seen, and
//! taken away again by somebody who is not the harness.

use anyhow::{Context as _, Result};

use super::case::{Case, Victims};
use super::corrupt::{Changed, prove_changed, prove_repaired};
use super::objects::{Located, addition};
use crate::scenario::ClusterObject;

pub(super) async fn carry_out(case: &Case<'_>, victims: &Victims, object: ClusterObject) -> Result<()> {
    let members: Vec<Option<&str>> = if object.belongs_to_member() {
        victims.members.iter().map(|member| Some(member.name.as_str())).collect()
    } else {
        vec![None]
    };
    let mut changed = Vec::new();
    for member in members {
        changed.push(intrude(case, victims, object, member).await?);
    }
    case.injected();
    case.healed();
    for changed in &changed {
        prove_repaired(case, changed).await;
    }
    Ok(())
}

async fn intrude(
    case: &Case<'_>,
    victims: &Victims,
    object: ClusterObject,
    member: Option<&str>,
) -> Result<Changed> {
    let context = case.context;
    let located = Located::new(&context.client, &context.namespace, &context.cluster, object, member)?;
    let now = located.get().await?.with_context(|| format!("{object} {} is not there", located.name))?;
    let change = addition(object, &now)?;
    let before = change.field.value(&now);
    let at = located.set(&now, &change.field, &change.value).await?;
    let changed =
        Changed { located, object, pod: case.pod_of(victims, member), field: change.field, before, at };
    prove_changed(case, &changed)?;
    Ok(changed)
}
