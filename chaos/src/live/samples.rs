//! Reduces objects of the API to what the record keeps. Pure: an object in, a sample out.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::api::events::v1::Event as ClusterEvent;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::record::{
    ConditionSample, KubernetesEvent, PodSample, ProcessIdentity, StatusMember, StatusSample,
};
use crate::subject::etcd;
use crate::targeting::MemberPod;

/// A pod of the subject or of the operator. `container` is the one whose process counts.
#[must_use]
pub fn pod(pod: &Pod, container: &str, gone: bool) -> PodSample {
    let status = pod.status.as_ref();
    PodSample {
        pod: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        member: pod.labels().get(etcd::MEMBER_LABEL).cloned(),
        address: status.and_then(|status| status.pod_ip.clone()),
        phase: status.and_then(|status| status.phase.clone()).unwrap_or_default(),
        ready: is_ready(pod),
        deleting: pod.metadata.deletion_timestamp.is_some(),
        gone,
        process: process(pod, container),
    }
}

/// A member's pod as target choice sees it; nothing for a pod without a member's label.
#[must_use]
pub fn member_pod(pod: &Pod) -> Option<MemberPod> {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
    Some(MemberPod {
        member: pod.labels().get(etcd::MEMBER_LABEL)?.clone(),
        pod: pod.name_any(),
        uid: pod.uid()?,
        address: address.and_then(|address| address.parse().ok()),
        ready: is_ready(pod),
        terminating: pod.metadata.deletion_timestamp.is_some(),
    })
}

/// The running process of a container.
#[must_use]
pub fn process(pod: &Pod, container: &str) -> Option<ProcessIdentity> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let status: &ContainerStatus = statuses.iter().find(|status| status.name == container)?;
    let running = status.state.as_ref()?.running.as_ref()?;
    Some(ProcessIdentity {
        container_id: status.container_id.clone()?,
        started_at: running.started_at.as_ref().map(|time| time.0.to_string()).unwrap_or_default(),
        restart_count: u32::try_from(status.restart_count).unwrap_or_default(),
    })
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The `EtcdCluster` as it stands. Fields of the status that the operator has not written yet are absent.
pub fn status(cluster: &DynamicObject) -> Result<StatusSample> {
    let field = |pointer: &str| cluster.data.pointer(pointer).cloned().unwrap_or(Value::Null);
    let list =
        |pointer: &str| cluster.data.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let conditions = list("/status/conditions").iter().map(condition).collect::<Result<Vec<_>>>()?;
    let members = list("/status/members").iter().map(member).collect::<Result<Vec<_>>>()?;
    let size = field("/spec/size").as_u64().unwrap_or_default();
    Ok(StatusSample {
        resource_version: cluster.resource_version().unwrap_or_default(),
        generation: cluster.metadata.generation.unwrap_or_default(),
        observed_generation: field("/status/observedGeneration").as_i64(),
        size: u8::try_from(size).context("spec.size")?,
        conditions,
        members,
    })
}

fn condition(value: &Value) -> Result<ConditionSample> {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let status = serde_json::from_value(value["status"].clone()).context("a condition's status")?;
    Ok(ConditionSample { kind: text("type"), status, reason: text("reason"), message: text("message") })
}

fn member(value: &Value) -> Result<StatusMember> {
    let name = value["name"].as_str().context("a member's name")?.to_owned();
    let is = |field: &str| value[field].as_bool().unwrap_or_default();
    let healthy = value["health"] == "Healthy";
    let id = value["id"].as_str().filter(|id| !id.is_empty());
    let member_id =
        id.map(|id| serde_json::from_value(Value::from(id)).context("a member's id")).transpose()?;
    Ok(StatusMember { name, member_id, leader: is("leader"), learner: is("learner"), healthy })
}

/// An Event of Kubernetes, in either of its generations of fields.
#[must_use]
pub fn cluster_event(event: &ClusterEvent) -> KubernetesEvent {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let source = event.deprecated_source.as_ref().and_then(|source| source.component.clone());
    let regarding = event.regarding.as_ref();
    let named = regarding.map(|object| format!("{}/{}", text(&object.kind), text(&object.name)));
    let series = event.series.as_ref().map(|series| series.count);
    let count = series.or(event.deprecated_count).unwrap_or(1);
    KubernetesEvent {
        reporter: event
            .reporting_controller
            .clone()
            .filter(|name| !name.is_empty())
            .or(source)
            .unwrap_or_default(),
        kind: text(&event.type_),
        reason: text(&event.reason),
        action: text(&event.action),
        note: text(&event.note),
        regarding: named.unwrap_or_default(),
        count: u32::try_from(count).unwrap_or(1),
    }
}
