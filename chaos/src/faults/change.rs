//! The spec is changed by a merge patch: no damage by itself, but the operator has to do what the change asks for, or to say why it
//! cannot. In force from the patch; over at once, or, for a change that cannot be carried out, once the spec was put back. Seen
//! through when the members are what the change makes of them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::case::{Case, Owed, POLL};
use super::roll;
use crate::history::MemberId;
use crate::live::samples;
use crate::record::{ConditionSample, Proof, StatusSample};
use crate::scenario::ChangeEffect;
use crate::subject::etcd;

/// How long the API server may take to accept that a change is taken back.
const TAKING_BACK: Duration = Duration::from_secs(30);

pub(super) async fn carry_out(
    case: &Case<'_>,
    spec: &Map<String, Value>,
    effect: ChangeEffect,
    lasting: Duration,
) -> Result<()> {
    let context = case.context;
    let found = case.cluster().await?;
    let (pods, members) = (roll::pods(case), members(case));
    let changed = etcd::change(&context.client, &context.namespace, &context.cluster, spec).await?;
    let before = etcd::generation(&found)?;
    let generation = etcd::generation(&changed)?;
    let resource_version = changed.resource_version().unwrap_or_default();
    case.prove(None, Proof::ChangeDeclared { before, generation, resource_version });
    case.injected();
    match effect {
        ChangeEffect::Restarted => {
            case.healed();
            roll::see_restarts(case, &pods).await;
        }
        ChangeEffect::CarriedOut => {
            case.healed();
            let ready = "all as it is declared";
            if let Owed::Paid(_) = case.wait_for_operator(ready, || is_observed(case, generation)).await {
                roll::see_restarts(case, &pods).await;
            }
        }
        ChangeEffect::Replaced => {
            case.healed();
            see_replaced(case, None, &members, &members).await;
        }
        ChangeEffect::None => {
            case.healed();
            see_observed(case, generation).await;
        }
        ChangeEffect::Refused => {
            see_refused(case, generation, lasting).await;
            let as_it_was = found.data.get("spec").and_then(Value::as_object).context("spec")?;
            let generation = take_back(case, &inverse(as_it_was, spec)).await?;
            case.healed();
            see_as_before(case, &members, generation).await;
        }
    }
    Ok(())
}

/// The identities of the members as they were last seen.
pub(super) fn members(case: &Case<'_>) -> BTreeSet<MemberId> {
    case.context.board.borrow().view.members.iter().map(|member| member.id).collect()
}

/// Waits until the cluster is whole without the members that are to go, and proves it.
pub(super) async fn see_replaced(
    case: &Case<'_>,
    pod: Option<&str>,
    all: &BTreeSet<MemberId>,
    to_go: &BTreeSet<MemberId>,
) {
    let replaced = async || {
        let now = members(case);
        let whole = case.context.board.borrow().is_whole(Instant::now());
        Ok((whole && now.is_disjoint(to_go)).then(|| now.difference(all).copied().collect()))
    };
    if let Owed::Paid(after) = case.wait_for_operator("another member in the place of each", replaced).await {
        case.prove(pod, Proof::MembersReplaced { before: to_go.iter().copied().collect(), after });
    }
}

/// Waits until the operator has looked at the change and calls the cluster ready, and proves it.
async fn see_observed(case: &Case<'_>, generation: i64) {
    let observed = case.wait_for_operator("the change being observed", || is_observed(case, generation));
    if let Owed::Paid(generation) = observed.await {
        case.prove(None, Proof::ChangeObserved { generation });
    }
}

/// Whether the operator has looked at a generation and calls the cluster ready; the generation that it looked at.
async fn is_observed(case: &Case<'_>, generation: i64) -> Result<Option<i64>> {
    let status = status(case).await?;
    Ok(status.observed_generation.filter(|seen| *seen >= generation && status.is_true("Ready")))
}

/// Looks at the status for as long as the change stands. What it says at the end counts: a member that is away for a moment is no
/// refusal.
async fn see_refused(case: &Case<'_>, generation: i64, lasting: Duration) {
    let until = Instant::now() + lasting;
    let mut last = None;
    while Instant::now() < until {
        tokio::select! {
            biased;
            () = case.context.ending.cancelled() => break,
            () = tokio::time::sleep(POLL) => {}
        }
        // One question that was not answered says nothing.
        if let Ok(status) = status(case).await {
            last = complaint(&status, generation);
        }
    }
    match last {
        Some((generation, condition)) => case.prove(None, Proof::ChangeRefused { generation, condition }),
        None => {
            let said = "the status did not say why the change is not carried out";
            case.context.recorder.note(format!("{}: {said}", case.step.name));
        }
    }
}

/// What the status says against a generation of the spec that the operator has looked at.
fn complaint(status: &StatusSample, generation: i64) -> Option<(i64, ConditionSample)> {
    let observed = status.observed_generation.filter(|seen| *seen >= generation)?;
    let condition = status.conditions.iter().find(|condition| condition.is_complaint())?;
    Some((observed, condition.clone()))
}

/// Puts the spec back, and says at which generation.
async fn take_back(case: &Case<'_>, patch: &Map<String, Value>) -> Result<i64> {
    let context = case.context;
    let put_back =
        async || etcd::change(&context.client, &context.namespace, &context.cluster, patch).await.map(Some);
    let restored = case.wait_for("the spec as it was", TAKING_BACK, put_back).await?;
    let generation = etcd::generation(&restored)?;
    let resource_version = restored.resource_version().unwrap_or_default();
    case.prove(None, Proof::ChangeTakenBack { generation, resource_version });
    Ok(generation)
}

/// Waits until the same members are there as before, all well, and the status says so; proves it.
async fn see_as_before(case: &Case<'_>, before: &BTreeSet<MemberId>, generation: i64) {
    let as_before = async || {
        let status = status(case).await?;
        let observed = status.observed_generation.is_some_and(|seen| seen >= generation);
        let whole = case.context.board.borrow().is_whole(Instant::now());
        let same = members(case) == *before;
        Ok((whole && same && observed && status.is_true("Ready")).then_some(()))
    };
    if let Owed::Paid(()) = case.wait_for_operator("every member as it was before", as_before).await {
        case.prove(None, Proof::MembersAsBefore { members: before.iter().copied().collect() });
    }
}

pub(super) async fn status(case: &Case<'_>) -> Result<StatusSample> {
    samples::status(&case.cluster().await?)
}

/// The merge patch that undoes another one: what was there comes back, and what was not there goes.
fn inverse(before: &Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    let back = |(key, change): (&String, &Value)| {
        let value = match (before.get(key), change) {
            (Some(Value::Object(before)), Value::Object(change)) => Value::Object(inverse(before, change)),
            (Some(before), _) => before.clone(),
            (None, _) => Value::Null,
        };
        (key.clone(), value)
    };
    patch.iter().map(back).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{complaint, inverse};
    use crate::record::{ConditionSample, ConditionStatus, StatusSample};

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("a mapping").clone()
    }

    /// What a merge patch makes of a value, by RFC 7396.
    fn merged(target: Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else { return patch.clone() };
        let mut merge = match target {
            Value::Object(target) => target,
            _ => Map::new(),
        };
        for (key, change) in patch {
            if change.is_null() {
                merge.remove(key);
            } else {
                let old = merge.remove(key).unwrap_or_default();
                merge.insert(key.clone(), merged(old, change));
            }
        }
        Value::Object(merge)
    }

    #[test]
    fn a_patch_and_its_inverse_leave_the_spec_as_it_was() {
        let before = json!({
            "size": 3,
            "image": {"repository": "etcd", "tag": "a"},
            "resources": {"requests": {"cpu": "10m"}},
            "list": [1, 2],
        });
        for patch in [
            json!({"image": {"repository": "registry.invalid/etcd"}}),
            json!({"pod": {"nodeSelector": {"nowhere": "true"}}}),
            json!({"resources": {"requests": {"cpu": "1000"}, "limits": {"cpu": "1000"}}}),
            json!({"image": null, "list": [3]}),
            json!({"resources": "none"}),
            json!({"size": {"of": {"a": 1}}}),
        ] {
            let changed = merged(before.clone(), &patch);
            assert_ne!(changed, before);
            let back = inverse(&object(before.clone()), &object(patch.clone()));
            assert_eq!(merged(changed, &Value::Object(back)), before, "{patch}");
        }
    }

    #[test]
    fn only_a_status_about_the_change_that_gives_a_reason_refuses_it() {
        let status = |observed: i64, kind: &str, status: ConditionStatus, reason: &str| StatusSample {
            resource_version: "7".to_owned(),
            generation: 2,
            observed_generation: Some(observed),
            size: 3,
            conditions: vec![ConditionSample {
                kind: kind.to_owned(),
                status,
                reason: reason.to_owned(),
                message: String::new(),
            }],
            members: Vec::new(),
        };
        let refuses = |sample: StatusSample| complaint(&sample, 2).is_some();
        assert!(refuses(status(2, "Ready", ConditionStatus::False, "ImageCannotBePulled")));
        assert!(refuses(status(2, "Degraded", ConditionStatus::True, "PodCannotBePlaced")));
        assert!(!refuses(status(1, "Ready", ConditionStatus::False, "ImageCannotBePulled")), "an old spec");
        assert!(!refuses(status(2, "Ready", ConditionStatus::False, "")), "no reason");
        assert!(!refuses(status(2, "Ready", ConditionStatus::True, "AllMembersHealthy")));
        assert!(!refuses(status(2, "Degraded", ConditionStatus::False, "Fine")));
    }
}
