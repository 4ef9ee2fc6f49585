//! Silence and places: whose silence is counted, which volumes' nodes must be asked for, and whether a volume can be used anywhere.
//! Never judges whether a member is lost.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume, VolumeNodeAffinity,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Member, World};
use crate::cluster::observed::WarnedKind;
use crate::names::MemberName;

/// The field by which a term names a node itself.
const FIELD_NAME: &str = "metadata.name";

impl World<'_> {
    /// Members that nobody answered for in this observation.
    pub fn silent_members(&self) -> BTreeSet<MemberName> {
        let is_silent = |member: &&Member<'_>| {
            let is_used = member.facts.as_ref().is_some_and(super::ClaimFacts::may_hold_data);
            (member.listed.is_some() || is_used) && !member.answers()
        };
        self.members.values().filter(is_silent).map(|member| member.name.clone()).collect()
    }

    /// Objects of members that do not come up, whose Events may say why, with their UIDs.
    pub fn objects_to_explain(&self) -> BTreeMap<(WarnedKind, String), String> {
        let mut objects = BTreeMap::new();
        let mut add = |kind, metadata: &ObjectMeta| {
            if let (Some(name), Some(uid)) = (&metadata.name, &metadata.uid) {
                objects.insert((kind, name.clone()), uid.clone());
            }
        };
        for member in self.members.values().filter(|member| !member.answers()) {
            let phase = member.live_claim().and_then(|claim| claim.status.as_ref()?.phase.as_deref());
            if let Some(claim) = member.live_claim().filter(|_| phase != Some("Bound")) {
                add(WarnedKind::Claim, &claim.metadata);
            }
            if let Some(pod) = member.live_pod().filter(|_| !member.has_container_started()) {
                add(WarnedKind::Pod, &pod.metadata);
            }
            if let Some(live) = member.stateful_set.filter(|_| member.pod.is_none()) {
                add(WarnedKind::StatefulSet, &live.metadata);
            }
        }
        objects
    }

    /// Volumes whose nodes decide whether a silent member may still come: by claim, the name of the volume. Only of pods whose
    /// container never started, since the silence of others counts by itself.
    pub fn volumes_to_place(&self) -> BTreeMap<String, String> {
        let silent = self.silent_members();
        let volume = |member: &Member<'_>| {
            let name = member.live_claim()?.spec.as_ref()?.volume_name.clone()?;
            Some((member.name.claim(), name))
        };
        self.listed()
            .filter(|member| silent.contains(&member.name) && !member.has_container_started())
            .filter_map(volume)
            .collect()
    }
}

/// Whether every node that the volume is bound to is gone or not ready. One that is bound to none can be used anywhere.
pub fn is_cut_off(volume: &PersistentVolume, nodes: &[Node]) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let Some(VolumeNodeAffinity { required: Some(required) }) = affinity else { return false };
    let is_bound_to = |node: &&Node| required.node_selector_terms.iter().any(|term| matches(term, node));
    nodes.iter().filter(is_bound_to).all(|node| !is_ready(node))
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether a term selects a node, as the scheduler reads it: all its requirements, and a term without any selects nothing.
fn matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let fields: BTreeMap<String, String> =
        node.metadata.name.iter().map(|name| (FIELD_NAME.to_owned(), name.clone())).collect();
    let by_labels = term.match_expressions.iter().flatten().map(|one| is_met(one, &labels));
    let by_fields = term.match_fields.iter().flatten().map(|one| is_met(one, &fields));
    let all: Vec<bool> = by_labels.chain(by_fields).collect();
    !all.is_empty() && all.into_iter().all(|is_met| is_met)
}

fn is_met(requirement: &NodeSelectorRequirement, values: &BTreeMap<String, String>) -> bool {
    let value = values.get(&requirement.key);
    let listed = requirement.values.as_deref().unwrap_or_default();
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|value| listed.contains(value)),
        "NotIn" => value.is_none_or(|value| !listed.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        // Comparisons of numbers name no node that a volume is bound to; taken for met, the volume counts as usable.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn volume(affinity: serde_json::Value) -> PersistentVolume {
        serde_json::from_value(json!({"spec": {"nodeAffinity": affinity}})).expect("a volume")
    }

    fn node(name: &str, ready: &str) -> Node {
        let labels = json!({"kubernetes.io/hostname": name});
        let conditions = json!([{"type": "Ready", "status": ready}]);
        let node =
            json!({"metadata": {"name": name, "labels": labels}, "status": {"conditions": conditions}});
        serde_json::from_value(node).expect("a node")
    }

    fn on(name: &str) -> PersistentVolume {
        let expression = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [name]});
        volume(json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}))
    }

    #[test]
    fn a_volume_on_a_node_that_is_gone_or_not_ready_can_be_used_nowhere() {
        let nodes = [node("a", "True"), node("b", "Unknown")];
        assert!(!is_cut_off(&on("a"), &nodes));
        assert!(is_cut_off(&on("b"), &nodes));
        assert!(is_cut_off(&on("gone"), &nodes));
    }

    #[test]
    fn a_volume_that_is_bound_to_no_node_can_be_used_anywhere() {
        assert!(!is_cut_off(&volume(json!(null)), &[node("a", "False")]));
    }

    #[test]
    fn a_term_may_name_the_node_itself() {
        let field = json!({"key": "metadata.name", "operator": "In", "values": ["a"]});
        let volume = volume(json!({"required": {"nodeSelectorTerms": [{"matchFields": [field]}]}}));
        assert!(!is_cut_off(&volume, &[node("a", "True")]));
        assert!(is_cut_off(&volume, &[node("a", "False"), node("b", "True")]));
    }
}
