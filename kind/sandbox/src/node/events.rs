//! Events about pods, as the kubelet writes them: one object for what repeats, with a count.

use super::context::{NODE_NAME, PodKey};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use std::collections::BTreeMap;

/// Whether an Event is bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    Normal,
    Warning,
}

/// Writes the Events of one pod.
pub(crate) struct PodEvents {
    events: Api<Event>,
    pod: PodKey,
    written: BTreeMap<(String, String, Option<String>), (String, i32)>,
}

impl PodEvents {
    pub(crate) fn new(client: Client, pod: PodKey) -> PodEvents {
        PodEvents { events: Api::namespaced(client, &pod.namespace), pod, written: BTreeMap::new() }
    }

    /// Writes an Event about the pod or one of its containers. Events are help for people: a failure is only logged.
    pub(crate) async fn write(
        &mut self,
        kind: EventType,
        reason: &str,
        message: &str,
        container: Option<&str>,
    ) {
        let key = (reason.to_owned(), message.to_owned(), container.map(str::to_owned));
        let written = match self.written.get(&key).cloned() {
            Some((name, count)) => self.repeat(&name, count + 1).await.map(|()| (name, count + 1)),
            None => self.create(kind, reason, message, container).await.map(|name| (name, 1)),
        };
        match written {
            Ok(entry) => drop(self.written.insert(key, entry)),
            Err(error) => tracing::debug!(pod = %self.pod, reason, %error, "an Event could not be written"),
        }
    }

    async fn repeat(&self, name: &str, count: i32) -> Result<(), kube::Error> {
        let patch = Patch::Merge(json!({"count": count, "lastTimestamp": Time(Timestamp::now())}));
        self.events.patch(name, &PatchParams::default(), &patch).await.map(drop)
    }

    async fn create(
        &self,
        kind: EventType,
        reason: &str,
        message: &str,
        container: Option<&str>,
    ) -> Result<String, kube::Error> {
        let now = Timestamp::now();
        let name = format!("{}.{:016x}", self.pod.name, now.as_nanosecond());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(self.pod.namespace.clone()),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                namespace: Some(self.pod.namespace.clone()),
                name: Some(self.pod.name.clone()),
                uid: Some(self.pod.uid.clone()),
                field_path: container.map(|name| format!("spec.containers{{{name}}}")),
                ..ObjectReference::default()
            },
            type_: Some(match kind {
                EventType::Normal => "Normal".into(),
                EventType::Warning => "Warning".into(),
            }),
            reason: Some(reason.into()),
            message: Some(message.into()),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(EventSource { component: Some("kubelet".into()), host: Some(NODE_NAME.into()) }),
            reporting_component: Some("kubelet".into()),
            reporting_instance: Some(NODE_NAME.into()),
            ..Event::default()
        };
        self.events.create(&PostParams::default(), &event).await.map(|_| name)
    }
}
