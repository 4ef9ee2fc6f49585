//! An object of the cluster is deleted. Over once it happened; proved by an object of the same name and another uid.

use anyhow::{Context as _, Result, bail};
use futures::future::join_all;
use kube::ResourceExt as _;
use kube::api::DynamicObject;

use super::case::{Case, Owed, Victims};
use super::objects::{Located, identity, last_manager};
use crate::record::Proof;
use crate::scenario::ClusterObject;

pub(super) async fn carry_out(case: &Case<'_>, victims: &Victims, object: ClusterObject) -> Result<()> {
    if object == ClusterObject::ClusterRecord {
        bail!("the cluster record is a status: it can be corrupted, not deleted");
    }
    let members: Vec<Option<&str>> = if object.belongs_to_member() {
        victims.members.iter().map(|member| Some(member.name.as_str())).collect()
    } else {
        vec![None]
    };
    let mut deleted = Vec::new();
    for member in members {
        let pod = case.pod_of(victims, member);
        let (located, before) = delete(case, object, member, pod.as_deref()).await?;
        deleted.push((located, before, pod));
    }
    case.injected();
    case.healed();
    let owed = deleted.iter();
    let owed =
        owed.map(|(located, before, pod)| prove_recreated(case, object, located, before, pod.as_deref()));
    join_all(owed).await;
    Ok(())
}

async fn delete(
    case: &Case<'_>,
    object: ClusterObject,
    member: Option<&str>,
    pod: Option<&str>,
) -> Result<(Located, DynamicObject)> {
    let context = case.context;
    let located =
        Located::find(&context.client, &context.namespace, &context.cluster, object, member).await?;
    let before = located.get().await?.with_context(|| format!("{object} {} is not there", located.name))?;
    located.delete(&before).await?;
    let what = format!("the end of {object} {}", located.name);
    case.wait_for(&what, case.context.repair_within, async || {
        let now = located.get().await?;
        Ok(now.is_none_or(|now| now.uid() != before.uid()).then_some(()))
    })
    .await?;
    case.prove(pod, Proof::ObjectDeleted { object, identity: identity(&before) });
    Ok((located, before))
}

async fn prove_recreated(
    case: &Case<'_>,
    object: ClusterObject,
    located: &Located,
    before: &DynamicObject,
    pod: Option<&str>,
) {
    let what = format!("{object} {} there again", located.name);
    let recreated = async || Ok(located.get().await?.filter(|now| now.uid() != before.uid()));
    let proof = match case.wait_for_operator(&what, recreated).await {
        Owed::Paid(now) => {
            Proof::ObjectRecreated { object, identity: identity(&now), manager: last_manager(object, &now) }
        }
        Owed::Missing => Proof::still_broken(object, identity(before), case.context.repair_within),
        Owed::Untold => return,
    };
    case.prove(pod, proof);
}
