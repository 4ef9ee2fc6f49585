//! The ReplicaSets of a Deployment: which one is the newest, how one is made, what its annotations say. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::Context;
use crate::controllers::hash::template_hash;
use crate::controllers::write::controlled_by;

/// The label that keeps the pods of different templates apart.
pub(super) const HASH_LABEL: &str = "pod-template-hash";
/// The annotation that counts templates.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// The annotation that holds the revisions that a template had before others came.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The revision in an object's annotations, 0 without one.
pub(super) fn revision<K: ResourceExt>(object: &K) -> i64 {
    object.annotations().get(REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

/// The size that a ReplicaSet is asked to have.
pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// The number of available pods of a ReplicaSet.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}

/// Takes the ReplicaSet of the present template, the oldest if there are two, out of the others.
pub(super) fn split(
    mut sets: Vec<Arc<ReplicaSet>>,
    template: &PodTemplateSpec,
) -> (Option<Arc<ReplicaSet>>, Vec<Arc<ReplicaSet>>) {
    let position = sets.iter().position(|set| has_template(set, template));
    (position.map(|position| sets.remove(position)), sets)
}

fn has_template(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let mut held = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
    if let Some(labels) = held.metadata.as_mut().and_then(|meta| meta.labels.as_mut()) {
        labels.remove(HASH_LABEL);
    }
    let mut wanted = template.clone();
    for meta in [&mut held, &mut wanted].into_iter().filter_map(|template| template.metadata.as_mut()) {
        meta.labels = meta.labels.take().filter(|labels| !labels.is_empty());
        meta.creation_timestamp = None;
    }
    held == wanted
}

/// The name and hash of the ReplicaSet for the present template.
pub(super) fn name_and_hash(context: &Context<'_>) -> (String, String) {
    let collisions = context.deployment.status.as_ref().and_then(|status| status.collision_count);
    let hash = template_hash(&context.spec.template, collisions);
    (format!("{}-{hash}", context.name()), hash)
}

/// The ReplicaSet for the present template.
pub(super) fn render(context: &Context<'_>, size: i32, surge: i32, revision: i64) -> ReplicaSet {
    let (name, hash) = name_and_hash(context);
    let mut template = context.spec.template.clone();
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(HASH_LABEL.into(), hash.clone());
    let labels = labels.clone();
    let mut selector = context.spec.selector.clone();
    selector.match_labels.get_or_insert_default().insert(HASH_LABEL.into(), hash);
    let metadata = ObjectMeta {
        name: Some(name),
        namespace: context.deployment.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: Some(annotations(context, surge, revision)),
        owner_references: Some(vec![controlled_by(context.deployment)]),
        ..ObjectMeta::default()
    };
    let spec = ReplicaSetSpec {
        replicas: Some(size),
        min_ready_seconds: context.spec.min_ready_seconds,
        selector,
        template: Some(template),
    };
    ReplicaSet { metadata, spec: Some(spec), status: None }
}

/// The Deployment's own annotations and the controller's.
pub(super) fn annotations(context: &Context<'_>, surge: i32, revision: i64) -> BTreeMap<String, String> {
    let mut annotations = context.deployment.annotations().clone();
    annotations.remove(LAST_APPLIED);
    annotations.insert(REVISION.into(), revision.to_string());
    annotations.extend(size_annotations(context, surge));
    annotations
}

/// Notes the revision that a ReplicaSet had until its template came back.
pub(super) fn remember_revision(before: &ReplicaSet, renewed: &mut ReplicaSet) {
    let had = revision(before);
    if had == 0 || had == revision(renewed) {
        return;
    }
    let earlier = before.annotations().get(HISTORY).filter(|earlier| !earlier.is_empty());
    let history = earlier.map_or_else(|| had.to_string(), |earlier| format!("{earlier},{had}"));
    renewed.annotations_mut().insert(HISTORY.into(), history);
}

/// The annotations by which a change of the Deployment's size is noticed.
pub(super) fn size_annotations(context: &Context<'_>, surge: i32) -> [(String, String); 2] {
    let wanted = context.wanted();
    [(DESIRED.into(), wanted.to_string()), (MAXIMUM.into(), (wanted + surge).to_string())]
}

/// Whether the ReplicaSet was sized for another size of the Deployment.
pub(super) fn is_sized_for_another(context: &Context<'_>, set: &ReplicaSet) -> bool {
    let held = set.annotations().get(DESIRED).and_then(|desired| desired.parse::<i32>().ok());
    size(set) > 0 && held.is_some_and(|held| held != context.wanted())
}

/// The largest number of pods that the ReplicaSet's size was computed for.
pub(super) fn former_maximum(set: &ReplicaSet) -> Option<i32> {
    set.annotations().get(MAXIMUM).and_then(|maximum| maximum.parse().ok())
}
