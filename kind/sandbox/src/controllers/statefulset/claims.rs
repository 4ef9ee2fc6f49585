//! The volume claims of a set's pods: created with the pod, kept or deleted by the retention policy. Pure.
//! Rules: <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention>.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;

use super::{Context, pod};
use crate::controllers::write::{REFUSAL, Write, controlled_by};

/// What stands between an ordinal and its pod.
pub(super) enum Storage {
    /// All claims are there or can be created with these writes.
    Ready(Vec<Write>),
    /// A claim is on its way out; the pod waits until it is gone.
    Leaving,
}

/// The name of the claim of a template for an ordinal.
pub(super) fn name_of(context: &Context<'_>, template: &PersistentVolumeClaim, ordinal: i32) -> String {
    let template_name = template.metadata.name.as_deref().unwrap_or_default();
    format!("{template_name}-{}", pod::name_of(context, ordinal))
}

/// The claims that an ordinal lacks, or that one of them is leaving.
pub(super) fn missing(context: &Context<'_>, ordinal: i32) -> Storage {
    let mut writes = Vec::new();
    for template in context.spec.volume_claim_templates.iter().flatten() {
        match context.snapshot.claims.get(context.namespace(), &name_of(context, template, ordinal)) {
            None => writes.push(create(context, template, ordinal)),
            Some(claim) if claim.metadata.deletion_timestamp.is_some() => return Storage::Leaving,
            Some(claim) if is_left_by_an_earlier_pod(context, ordinal, claim) => return Storage::Leaving,
            Some(_) => {}
        }
    }
    Storage::Ready(writes)
}

/// A claim that belongs to a pod of this name which is gone will be collected with it.
fn is_left_by_an_earlier_pod(context: &Context<'_>, ordinal: i32, claim: &PersistentVolumeClaim) -> bool {
    let name = pod::name_of(context, ordinal);
    let held = context.pods.get(&ordinal).and_then(|pod| pod.metadata.uid.clone());
    let mut owners = claim.metadata.owner_references.iter().flatten();
    owners.any(|owner| owner.kind == "Pod" && owner.name == name && Some(&owner.uid) != held.as_ref())
}

fn create(context: &Context<'_>, template: &PersistentVolumeClaim, ordinal: i32) -> Write {
    let mut labels = template.metadata.labels.clone().unwrap_or_default();
    labels.extend(context.spec.selector.match_labels.clone().unwrap_or_default());
    let name = name_of(context, template, ordinal);
    let claim = PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: context.set.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: template.metadata.annotations.clone(),
            owner_references: deletes_with_set(context).then(|| vec![controlled_by(context.set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    };
    let message = format!(
        "create Claim {name} Pod {} in StatefulSet {} success",
        pod::name_of(context, ordinal),
        context.name()
    );
    let refused = format!(
        "create Claim {name} for Pod {} in StatefulSet {} failed error: {REFUSAL}",
        pod::name_of(context, ordinal),
        context.name()
    );
    Write::create(&claim).announce(context.set, "SuccessfulCreate", message).complain(
        context.set,
        "FailedCreate",
        refused,
    )
}

fn deletes_with_set(context: &Context<'_>) -> bool {
    let policy = context.spec.persistent_volume_claim_retention_policy.as_ref();
    policy.and_then(|policy| policy.when_deleted.as_deref()) == Some("Delete")
}

fn deletes_on_scale_down(context: &Context<'_>) -> bool {
    let policy = context.spec.persistent_volume_claim_retention_policy.as_ref();
    policy.and_then(|policy| policy.when_scaled.as_deref()) == Some("Delete")
}

/// Makes the owners of a pod's claims say what the retention policy says.
pub(super) fn retain(context: &Context<'_>, ordinal: i32, pod: &Pod) -> Vec<Write> {
    let templates = context.spec.volume_claim_templates.iter().flatten();
    let names = templates.map(|template| name_of(context, template, ordinal));
    let claims = names.filter_map(|name| context.snapshot.claims.get(context.namespace(), &name));
    claims.filter_map(|claim| retain_claim(context, ordinal, pod, claim)).collect()
}

fn retain_claim(
    context: &Context<'_>,
    ordinal: i32,
    pod: &Pod,
    claim: &PersistentVolumeClaim,
) -> Option<Write> {
    let condemned = !context.ordinals().contains(&ordinal);
    let with_pod = condemned && deletes_on_scale_down(context);
    let with_set = deletes_with_set(context) && !with_pod;
    let mut retained = claim.clone();
    let owners = retained.metadata.owner_references.get_or_insert_default();
    set_owner(owners, controlled_by(context.set), with_set);
    set_owner(owners, pod_owner(pod), with_pod);
    if owners.is_empty() {
        retained.metadata.owner_references = None;
    }
    Write::update(claim, &retained)
}

fn pod_owner(pod: &Pod) -> OwnerReference {
    OwnerReference { controller: Some(true), ..pod.owner_ref(&()).unwrap_or_default() }
}

fn set_owner(owners: &mut Vec<OwnerReference>, owner: OwnerReference, wanted: bool) {
    let present = owners.iter().any(|held| held.uid == owner.uid);
    match (wanted, present) {
        (true, false) => owners.push(owner),
        (false, true) => owners.retain(|held| held.uid != owner.uid),
        (true, true) | (false, false) => {}
    }
}
