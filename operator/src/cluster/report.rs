//! Tells the user: the status, Events and metrics. The status is written only if it says something new, so that a
//! cluster at rest causes no write. What is said comes from the core.

use crate::distortion::Distortion;
use crate::events::Events;
use crate::metrics::{ClusterHealth, Metrics};
use crate::reconcile::ReportError;
use etcd_operator_core::api::condition::ConditionType;
use etcd_operator_core::api::{EtcdCluster, EtcdClusterStatus};
use etcd_operator_core::cluster::events::{of_action, of_new_holds};
use etcd_operator_core::cluster::observed::{MemberList, Observed};
use etcd_operator_core::cluster::plan::{Action, Plan};
use etcd_operator_core::cluster::status::{differ_in_words_only, status, unobserved};
use etcd_operator_core::key::Key;
use etcd_operator_core::names::FIELD_MANAGER;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Whether a status reached the API server. One about an object that has changed meanwhile does not; the next look is close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It did.
    Yes,
    /// It said nothing new, or came too late.
    No,
}

/// All that is needed to tell.
pub struct Reporter {
    /// For the status.
    pub client: Client,
    /// For Events.
    pub events: Events,
    /// For metrics.
    pub metrics: Metrics,
    /// What the metrics show of each cluster, so that it can be taken back.
    pub shown: Mutex<BTreeMap<Key, ClusterHealth>>,
    /// What a deliberately wrong operator says instead.
    pub distortion: Distortion,
}

impl Reporter {
    /// Tells of one action that was carried out.
    pub async fn acted(&self, cluster: &EtcdCluster, action: &Action) {
        if let Some(event) = of_action(action) {
            self.events.publish(&cluster.object_ref(&()), &event).await;
        }
    }

    /// What the user is to be told.
    pub fn status(&self, observed: &Observed, plan: &Plan) -> EtcdClusterStatus {
        self.distortion.status(status(observed, plan))
    }

    /// Tells what was seen and planned. How far something is that goes on is not written at each pass.
    pub async fn report(
        &self,
        key: &Key,
        observed: &Observed,
        plan: &Plan,
        status: &EtcdClusterStatus,
        is_progress_due: bool,
    ) -> Result<Written, ReportError> {
        self.show(key, health(observed, plan, status));
        let regarding: ObjectReference = observed.cluster.object_ref(&());
        for event in of_new_holds(observed, plan) {
            self.events.publish(&regarding, &event).await;
        }
        if plan.actions.iter().any(|one| matches!(one.action, Action::RecordBootstrap { .. })) {
            // That action wrote the status itself; what else is to say follows from the next look.
            return Ok(Written::No);
        }
        let before = observed.cluster.status.as_ref();
        if !is_progress_due && before.is_some_and(|before| differ_in_words_only(before, status)) {
            return Ok(Written::No);
        }
        self.write(&observed.cluster, status).await
    }

    /// Tells that the cluster's objects could not be read. The metrics say so at once; the status once it has been so for a while,
    /// because a single failed read says nothing.
    pub async fn unobserved(
        &self,
        key: &Key,
        cluster: Option<(&EtcdCluster, Timestamp)>,
        why: &str,
    ) -> Result<(), ReportError> {
        self.metrics.unobserved(&key.namespace, &key.name);
        match cluster {
            Some((cluster, as_of)) => self.write(cluster, &unobserved(cluster, as_of, why)).await.map(drop),
            None => Ok(()),
        }
    }

    /// Takes back what the metrics show of a cluster that no longer exists.
    pub fn forget(&self, key: &Key) {
        let previous = self.shown.lock().ok().and_then(|mut shown| shown.remove(key));
        self.metrics.forget_cluster(&key.namespace, &key.name, previous.as_ref());
    }

    fn show(&self, key: &Key, health: ClusterHealth) {
        let Ok(mut shown) = self.shown.lock() else { return };
        self.metrics.show_cluster(&key.namespace, &key.name, shown.get(key), &health);
        shown.insert(key.clone(), health);
    }

    async fn write(&self, cluster: &EtcdCluster, status: &EtcdClusterStatus) -> Result<Written, ReportError> {
        let old = serde_json::to_value(cluster.status.clone().unwrap_or_default())?;
        let new = serde_json::to_value(status)?;
        let changes = if cluster.status.is_some() { merge_patch(&old, &new) } else { new };
        if changes.as_object().is_some_and(Map::is_empty) {
            return Ok(Written::No);
        }
        // A status speaks of the object that was seen: if that has changed or was made anew, the next look follows soon.
        let patch = json!({
            "metadata": { "uid": cluster.uid(), "resourceVersion": cluster.resource_version() },
            "status": changes,
        });
        let namespace = cluster.namespace().unwrap_or_default();
        let api: Api<EtcdCluster> = Api::namespaced(self.client.clone(), &namespace);
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match api.patch_status(&cluster.name_any(), &parameters, &Patch::Merge(patch)).await {
            Ok(_) => Ok(Written::Yes),
            Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => Ok(Written::No),
            Err(error) => Err(ReportError::Write(error)),
        }
    }
}

fn health(observed: &Observed, plan: &Plan, status: &EtcdClusterStatus) -> ClusterHealth {
    let voters = match &observed.member_list {
        MemberList::Known(known) => known.members.iter().filter(|member| !member.is_learner).count(),
        MemberList::Unknown(_) => 0,
    };
    let available = ConditionType::Available.as_str();
    let has_quorum =
        status.conditions.iter().any(|condition| condition.type_ == available && condition.status == "True");
    ClusterHealth {
        wanted: i64::from(observed.cluster.spec.size),
        voters: i64::try_from(voters).unwrap_or(i64::MAX),
        healthy: i64::from(status.ready_members),
        has_quorum,
        holds: plan.holds.iter().map(|hold| hold.reason().as_str().to_owned()).collect(),
    }
}

/// The merge patch (RFC 7396) that turns one JSON object into another.
fn merge_patch(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return new.clone() };
    let removed = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter(|(key, value)| old.get(*key) != Some(value)).map(|(key, value)| {
        let value = old.get(key).map_or_else(|| value.clone(), |old| merge_patch(old, value));
        (key.clone(), value)
    });
    Value::Object(removed.chain(changed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_names_only_what_differs_and_nulls_what_is_gone() {
        let old = json!({ "same": 1, "gone": 2, "list": [1, 2], "deep": { "a": 1, "b": 2 } });
        let new = json!({ "same": 1, "list": [2], "deep": { "a": 1, "c": 3 } });
        let expected = json!({ "gone": null, "list": [2], "deep": { "b": null, "c": 3 } });
        assert_eq!(merge_patch(&old, &new), expected);
        assert_eq!(merge_patch(&old, &old), json!({}));
    }
}
