//! An annotation asks the operator for one thing: no damage by itself. In force from the annotation; over at once; seen through when
//! the operator acknowledges it in the status and its effect is there.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use tokio::time::Instant;

use super::case::{Case, Owed, Victims};
use super::{change, roll};
use crate::history::MemberId;
use crate::record::Proof;
use crate::scenario::{Ask, Step};
use crate::subject::etcd;
use crate::targeting::SeenMember;

pub(super) async fn carry_out(case: &Case<'_>, victims: &Victims, ask: Ask) -> Result<()> {
    let context = case.context;
    let (pods, members) = (roll::pods(case), change::members(case));
    let named = || victims.members.first().context("the request names nobody");
    let value = match ask {
        Ask::Restart | Ask::RotateAuthorities => token(case.step),
        Ask::Replace | Ask::MoveLeader => named()?.name.clone(),
    };
    let annotation = ask.annotation();
    let asked =
        etcd::annotate(&context.client, &context.namespace, &context.cluster, annotation, &value).await?;
    let pod = case.pod_of(victims, Some(&value));
    let resource_version = asked.resource_version().unwrap_or_default();
    let done = see_done(case, pod.as_deref(), ask, value.clone());
    let made = Proof::RequestMade { annotation: annotation.to_owned(), value, resource_version };
    case.prove(pod.as_deref(), made);
    case.injected();
    case.healed();
    match ask {
        Ask::Restart => {
            tokio::join!(done, roll::see_restarts(case, &pods));
        }
        // Members restart several times on the way.
        Ask::RotateAuthorities => {
            done.await;
            roll::see_restarts(case, &pods).await;
        }
        Ask::Replace => {
            let to_go = BTreeSet::from([named()?.id]);
            tokio::join!(done, change::see_replaced(case, pod.as_deref(), &members, &to_go));
        }
        Ask::MoveLeader => {
            tokio::join!(done, see_leading(case, pod.as_deref(), named()?));
        }
    }
    Ok(())
}

/// A value that no other request of the run has, drawn from the seed.
fn token(step: &Step) -> String {
    let drawn: String = step.preference.iter().map(ToString::to_string).collect();
    format!("{}-{drawn}", step.name)
}

/// Waits until the operator acknowledges the request, and proves it.
async fn see_done(case: &Case<'_>, pod: Option<&str>, ask: Ask, value: String) {
    let done = async || {
        let cluster = case.cluster().await?;
        let acknowledged = cluster.data.pointer(match ask {
            Ask::Restart => "/status/acknowledged/restart",
            Ask::Replace => "/status/acknowledged/replace",
            Ask::MoveLeader => "/status/acknowledged/moveLeader",
            Ask::RotateAuthorities => "/status/acknowledged/rotateAuthorities",
        });
        Ok((acknowledged.and_then(serde_json::Value::as_str) == Some(&value))
            .then(|| cluster.resource_version().unwrap_or_default()))
    };
    if let Owed::Paid(resource_version) = case.wait_for_operator("the request acknowledged", done).await {
        case.prove(pod, Proof::RequestDone { resource_version });
    }
}

/// Waits until a member leads, and proves it.
async fn see_leading(case: &Case<'_>, pod: Option<&str>, member: &SeenMember) {
    let leading = async || {
        let board = case.context.board.borrow();
        let leader: Option<MemberId> = board.view.leader.filter(|_| board.is_fresh(Instant::now()));
        Ok(leader.filter(|leader| *leader == member.id))
    };
    if let Owed::Paid(to) = case.wait_for_operator("the leadership of the target", leading).await {
        case.prove(pod, Proof::LeadershipMoved { to });
    }
}
