//! The history of a set's template as ControllerRevisions: finding, creating and forgetting them. Pure.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::{Value, json};

use super::{Context, pod};
use crate::controllers::hash::revision_hash;
use crate::controllers::pods::is_controlled_by;
use crate::controllers::snapshot::Snapshot;
use crate::controllers::write::{Write, controlled_by, to_json};

const HASH_LABEL: &str = "controller.kubernetes.io/hash";
const DEFAULT_HISTORY_LIMIT: i32 = 10;

/// The revision that the set comes from and the one that it goes to.
pub(super) struct Revisions {
    pub(super) current: Arc<ControllerRevision>,
    pub(super) update: Arc<ControllerRevision>,
    /// The template of the current revision, where it differs from the newest.
    pub(super) current_template: Option<Box<PodTemplateSpec>>,
}

/// What is known of a set's revisions.
pub(super) enum Resolution {
    /// Both exist.
    Known(Revisions),
    /// They can be found after this write.
    After(Option<Box<Write>>),
}

/// Finds the set's revisions, or says what is to be written before they can be found.
pub(super) fn resolve(snapshot: &Snapshot, set: &StatefulSet, spec: &StatefulSetSpec) -> Resolution {
    let history = history(snapshot, set);
    let data = data_of(&spec.template);
    let newest = history.last().map_or(0, |revision| revision.revision);
    let Some(update) = history.iter().rev().find(|revision| holds(revision, &data)) else {
        return Resolution::After(create(snapshot, set, spec, data, newest + 1).map(Box::new));
    };
    if update.revision < newest {
        // The template went back to an earlier one, which thereby becomes the newest.
        let mut renewed = ControllerRevision::clone(update);
        renewed.revision = newest + 1;
        return Resolution::After(Write::update(&**update, &renewed).map(Box::new));
    }
    let named = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
    let current =
        history.iter().find(|revision| revision.metadata.name.as_deref() == named).unwrap_or(update);
    let differs = current.metadata.name != update.metadata.name;
    let held =
        current.data.as_ref().filter(|_| differs).and_then(|data| pod::template_in(&data.0)).map(Box::new);
    Resolution::Known(Revisions { current: current.clone(), update: update.clone(), current_template: held })
}

/// The set's revisions, oldest first.
fn history(snapshot: &Snapshot, set: &StatefulSet) -> Vec<Arc<ControllerRevision>> {
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    let all = snapshot.controller_revisions.in_namespace(namespace);
    let mut owned: Vec<_> =
        all.filter(|revision| is_controlled_by(&revision.metadata, &set.metadata)).cloned().collect();
    owned.sort_by_key(|revision| revision.revision);
    owned
}

fn holds(revision: &ControllerRevision, data: &Value) -> bool {
    revision.data.as_ref().is_some_and(|held| held.0 == *data)
}

fn data_of(template: &PodTemplateSpec) -> Value {
    let mut template = to_json(template);
    template["$patch"] = json!("replace");
    json!({ "spec": { "template": template } })
}

fn create(
    snapshot: &Snapshot,
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    data: Value,
    revision: i64,
) -> Option<Write> {
    let collisions = set.status.as_ref().and_then(|status| status.collision_count);
    let hash = revision_hash(&data, collisions.unwrap_or(0));
    let name = format!("{}-{hash}", set.metadata.name.as_deref().unwrap_or_default());
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    if snapshot.controller_revisions.get(namespace, &name).is_some() {
        // The name is taken by other content or by another owner: another hash is needed.
        let mut collided = set.clone();
        collided.status.get_or_insert_default().collision_count = Some(collisions.unwrap_or(0) + 1);
        return Write::update_status(set, &collided);
    }
    let mut labels = spec.template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default();
    labels.insert(HASH_LABEL.into(), hash);
    let metadata = ObjectMeta {
        name: Some(name),
        namespace: set.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: set.metadata.annotations.clone(),
        owner_references: Some(vec![controlled_by(set)]),
        ..ObjectMeta::default()
    };
    Some(Write::create(&ControllerRevision { metadata, data: Some(RawExtension(data)), revision }))
}

/// Deletes the oldest revisions beyond the limit that nothing uses.
pub(super) fn truncate(context: &Context<'_>) -> Vec<Write> {
    let in_use = |revision: &ControllerRevision| {
        let name = revision.metadata.name.as_deref();
        let of_the_set = [&context.revisions.current, &context.revisions.update];
        of_the_set.iter().any(|held| held.metadata.name.as_deref() == name)
            || context.pods.values().any(|pod| pod::revision_of(pod) == name)
    };
    let unused: Vec<_> =
        history(context.snapshot, context.set).into_iter().filter(|revision| !in_use(revision)).collect();
    let limit = context.spec.revision_history_limit.unwrap_or(DEFAULT_HISTORY_LIMIT);
    let surplus = unused.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    unused.iter().take(surplus).map(|revision| Write::delete(&**revision)).collect()
}
