//! The pod of one ordinal: its name, labels, host name and volumes. Pure.

use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume};

use super::{Context, claims};
use crate::controllers::pods::pod_from_template;

/// The label that carries the pod's revision.
pub(super) const REVISION_LABEL: &str = "controller-revision-hash";
const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// The ordinal in a pod's name, if the name is one of the set's.
pub(super) fn ordinal_of(set_name: &str, pod: &Pod) -> Option<i32> {
    let ordinal = pod.metadata.name.as_deref()?.strip_prefix(set_name)?.strip_prefix('-')?;
    let canonical = !ordinal.starts_with(['+', '-']) && (ordinal == "0" || !ordinal.starts_with('0'));
    ordinal.parse().ok().filter(|_| canonical)
}

/// The name of the pod at an ordinal.
pub(super) fn name_of(context: &Context<'_>, ordinal: i32) -> String {
    format!("{}-{ordinal}", context.name())
}

/// The name of the pod's revision.
pub(super) fn revision_of(pod: &Pod) -> Option<&str> {
    pod.metadata.labels.as_ref()?.get(REVISION_LABEL).map(String::as_str)
}

/// The pod to create at an ordinal: below the partition of a rolling update from the current revision, else from the
/// newest.
pub(super) fn render(context: &Context<'_>, ordinal: i32) -> Pod {
    let keeps_current =
        context.partition().is_some_and(|partition| ordinal < context.ordinals().start + partition);
    let revisions = context.revisions;
    let (template, revision) = match revisions.current_template.as_deref().filter(|_| keeps_current) {
        Some(template) => (template, &revisions.current),
        None => (&context.spec.template, &revisions.update),
    };
    let mut pod = pod_from_template(template, context.set);
    let revision = revision.metadata.name.clone().unwrap_or_default();
    pod.metadata.labels.get_or_insert_default().insert(REVISION_LABEL.into(), revision);
    pod.metadata.name = Some(name_of(context, ordinal));
    // It is not used, as the name is given, but it is written.
    pod.metadata.generate_name = Some(format!("{}-", context.name()));
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = pod.metadata.name.clone();
    spec.subdomain = context.spec.service_name.clone();
    set_identity(context, ordinal, &mut pod);
    set_storage(context, ordinal, &mut pod);
    pod
}

/// Sets the labels that name the pod and its ordinal.
pub(super) fn set_identity(context: &Context<'_>, ordinal: i32, pod: &mut Pod) {
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(POD_NAME_LABEL.into(), name_of(context, ordinal));
    labels.insert(POD_INDEX_LABEL.into(), ordinal.to_string());
}

fn set_storage(context: &Context<'_>, ordinal: i32, pod: &mut Pod) {
    let templates = context.spec.volume_claim_templates.iter().flatten();
    let mut volumes: Vec<Volume> =
        templates.map(|template| claim_volume(context, ordinal, template)).collect();
    let spec = pod.spec.get_or_insert_default();
    for volume in spec.volumes.take().into_iter().flatten() {
        if !volumes.iter().any(|claimed| claimed.name == volume.name) {
            volumes.push(volume);
        }
    }
    spec.volumes = (!volumes.is_empty()).then_some(volumes);
}

fn claim_volume(
    context: &Context<'_>,
    ordinal: i32,
    template: &k8s_openapi::api::core::v1::PersistentVolumeClaim,
) -> Volume {
    let source = PersistentVolumeClaimVolumeSource {
        claim_name: claims::name_of(context, template, ordinal),
        read_only: None,
    };
    Volume {
        name: template.metadata.name.clone().unwrap_or_default(),
        persistent_volume_claim: Some(source),
        ..Volume::default()
    }
}

/// The template that a ControllerRevision holds.
pub(super) fn template_in(data: &serde_json::Value) -> Option<PodTemplateSpec> {
    serde_json::from_value(data.pointer("/spec/template")?.clone()).ok()
}
