//! What the controllers ask about pods: phase, readiness, availability, and whose they are. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::core::{Selector, SelectorExt};

use super::snapshot::Stored;
use super::write::{Write, controlled_by};

/// The pod's phase; a pod without one is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Accepted, not all containers started.
    Pending,
    /// Bound, containers started.
    Running,
    /// All containers ended well and stay ended.
    Succeeded,
    /// All containers ended, one of them badly.
    Failed,
    /// The node can't be asked.
    Unknown,
}

/// Reads a pod's phase.
pub(crate) fn phase(pod: &Pod) -> Phase {
    match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        None | Some("" | "Pending") => Phase::Pending,
        Some("Running") => Phase::Running,
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        Some(_) => Phase::Unknown,
    }
}

/// Whether the pod has ended for good.
pub(crate) fn has_ended(pod: &Pod) -> bool {
    match phase(pod) {
        Phase::Succeeded | Phase::Failed => true,
        Phase::Pending | Phase::Running | Phase::Unknown => false,
    }
}

/// Whether somebody has asked for the pod's deletion.
pub(crate) fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Since when the pod's condition Ready is true, if it is.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready =
        conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    Some(ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0))
}

/// Whether the pod's condition Ready is true.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    ready_since(pod).is_some()
}

/// Running and ready, which is what a StatefulSet waits for.
pub(crate) fn is_running_and_ready(pod: &Pod) -> bool {
    phase(pod) == Phase::Running && is_ready(pod)
}

/// Whether a pod has been ready for long enough, and if not, from when on it will have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// Ready for the minimum time.
    Available,
    /// Ready, but not yet for long enough; it becomes available at this time if it stays ready.
    From(Timestamp),
    /// Not ready.
    Unready,
}

/// Judges a pod by `minReadySeconds`.
pub(crate) fn availability(pod: &Pod, minimum_ready_seconds: i32, now: Timestamp) -> Availability {
    let Some(since) = ready_since(pod) else { return Availability::Unready };
    let from = since.saturating_add(SignedDuration::from_secs(minimum_ready_seconds.max(0).into()));
    match from {
        Ok(from) if from > now => Availability::From(from),
        Ok(_) | Err(_) => Availability::Available,
    }
}

/// The reference to the controller of an object, if it has one.
pub(crate) fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// Whether the object is controlled by the owner with this uid.
pub(crate) fn is_controlled_by(meta: &ObjectMeta, owner: &ObjectMeta) -> bool {
    controller_of(meta).is_some_and(|reference| Some(&reference.uid) == owner.uid.as_ref())
}

/// Whether a label selector takes in these labels. An absent or unreadable selector takes in nothing, an empty one all.
pub(crate) fn selects(selector: Option<&LabelSelector>, meta: &ObjectMeta) -> bool {
    let labels = meta.labels.clone().unwrap_or_default();
    let parsed = selector.cloned().map(Selector::try_from);
    parsed.and_then(Result::ok).is_some_and(|selector| selector.matches(&labels))
}

/// What a controller has to do with an object that it may or may not own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It owns it.
    Owned,
    /// Nobody owns it and the selector takes it in: it is to be adopted.
    Adopt,
    /// It owns it, but the selector no longer takes it in: it is to be let go.
    Release,
    /// Not its business.
    Foreign,
}

/// Sorts an object by ownership and selector, as every Kubernetes controller does.
pub(crate) fn claim(object: &ObjectMeta, owner: &ObjectMeta, selector: &LabelSelector) -> Claim {
    let matches = selects(Some(selector), object);
    let leaving = object.deletion_timestamp.is_some() || owner.deletion_timestamp.is_some();
    match controller_of(object) {
        Some(_) if !is_controlled_by(object, owner) => Claim::Foreign,
        Some(_) if matches => Claim::Owned,
        Some(_) if leaving => Claim::Foreign,
        Some(_) => Claim::Release,
        None if matches && !leaving => Claim::Adopt,
        None => Claim::Foreign,
    }
}

/// Makes the owner the controller of the object, if it stays.
pub(crate) fn adopt<K: Stored, O: Stored>(object: &K, owner: &O) -> Option<Write> {
    let mut adopted = object.clone();
    adopted.meta_mut().owner_references.get_or_insert_default().push(controlled_by(owner));
    Some(Write::update(object, &adopted)?.while_stays(owner))
}

/// Takes the owner's reference off the object.
pub(crate) fn release<K: Stored, O: Stored>(object: &K, owner: &O) -> Option<Write> {
    let mut released = object.clone();
    let owners = released.meta_mut().owner_references.get_or_insert_default();
    owners.retain(|reference| Some(&reference.uid) != owner.meta().uid.as_ref());
    Write::update(object, &released)
}

/// A pod made from a template, not yet named.
pub(crate) fn pod_from_template<O: Stored>(template: &PodTemplateSpec, owner: &O) -> Pod {
    let template_meta = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            namespace: owner.meta().namespace.clone(),
            labels: template_meta.labels,
            annotations: template_meta.annotations,
            finalizers: template_meta.finalizers,
            owner_references: Some(vec![controlled_by(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{at, pod_owned_by, ready, stateful_set};

    #[test]
    fn a_pod_becomes_available_after_its_minimum_ready_time() {
        let set = stateful_set("web", 1);
        let pod = ready(pod_owned_by(&set, "web-0"), at(100));
        assert_eq!(availability(&pod, 10, at(105)), Availability::From(at(110)));
        assert_eq!(availability(&pod, 10, at(110)), Availability::Available);
        assert_eq!(availability(&pod_owned_by(&set, "web-0"), 10, at(110)), Availability::Unready);
    }

    #[test]
    fn an_owned_pod_whose_labels_left_the_selector_is_released_and_an_orphan_inside_it_adopted() {
        let set = stateful_set("web", 1);
        let selector = &set.spec.as_ref().unwrap().selector;
        let mut pod = pod_owned_by(&set, "web-0");
        assert_eq!(claim(&pod.metadata, &set.metadata, selector), Claim::Owned);
        let owners = pod.metadata.owner_references.take();
        assert_eq!(claim(&pod.metadata, &set.metadata, selector), Claim::Adopt);
        pod.metadata.owner_references = owners;
        pod.metadata.labels = None;
        assert_eq!(claim(&pod.metadata, &set.metadata, selector), Claim::Release);
        pod.metadata.owner_references.as_mut().unwrap()[0].uid = "another".into();
        assert_eq!(claim(&pod.metadata, &set.metadata, selector), Claim::Foreign);
    }

    #[test]
    fn an_absent_selector_selects_nothing_and_an_empty_one_everything() {
        let meta = ObjectMeta::default();
        assert!(!selects(None, &meta));
        assert!(selects(Some(&LabelSelector::default()), &meta));
    }
}
