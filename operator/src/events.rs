//! Writes Kubernetes Events, so that `kubectl describe` tells what was done and what is held back. It decides only
//! whether the same thing was just said; what is said comes from the plan.
//!
//! An Event's name is formed from the fact that it tells of. So a repetition, by this process or by the next, finds the first one
//! and counts it up instead of adding another; and a repetition within [`QUIET`] is not written at all, unless each time is a fact of its own.

use crate::clock::SharedClock;
use crate::telemetry::chain;
use etcd_operator_core::event::{Again, Event as Notice};
use etcd_operator_core::names::hexadecimal;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// The same thing is said at most once in this time, unless each time counts.
pub const QUIET: Duration = Duration::from_secs(300);

/// Kubernetes' limit of an Event's note, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Writes Events in this process's name.
pub struct Events {
    client: Client,
    instance: String,
    clock: SharedClock,
    /// When each Event was last written. Forgetting it costs one repeated write.
    written: Mutex<BTreeMap<(String, String), Duration>>,
}

impl Events {
    /// `instance` is the name of the operator's pod.
    pub fn new(client: Client, instance: &str, clock: SharedClock) -> Self {
        Self { client, instance: instance.to_owned(), clock, written: Mutex::default() }
    }

    /// Says something about an object. A failure is logged: no Event is worth a failed reconcile.
    pub async fn publish(&self, regarding: &ObjectReference, notice: &Notice) {
        let namespace = regarding.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let name = event_name(regarding, notice);
        let is_due = self.is_due(&namespace, &name);
        if !is_due && notice.again == Again::Later {
            return;
        }
        if let Err(error) = self.write(&namespace, &name, regarding, notice).await {
            tracing::warn!(error = chain(&error), reason = notice.reason, "failed to write an Event");
        }
    }

    /// Whether this was not said lately; marks it as said.
    fn is_due(&self, namespace: &str, name: &str) -> bool {
        let now = self.clock.monotonic();
        let Ok(mut written) = self.written.lock() else { return true };
        written.retain(|_, at| now.saturating_sub(*at) < QUIET);
        written.insert((namespace.to_owned(), name.to_owned()), now).is_none()
    }

    async fn write(
        &self,
        namespace: &str,
        name: &str,
        regarding: &ObjectReference,
        notice: &Notice,
    ) -> kube::Result<()> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let now = MicroTime(self.clock.wall());
        match api.create(&PostParams::default(), &self.event(name, regarding, notice, &now)).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            other => return other.map(drop),
        }
        let earlier = api.get(name).await?;
        let count = earlier.series.map_or(1, |series| series.count);
        let series = json!({ "series": { "count": count + 1, "lastObservedTime": now } });
        api.patch(name, &PatchParams::default(), &Patch::Merge(series)).await.map(drop)
    }

    fn event(&self, name: &str, regarding: &ObjectReference, notice: &Notice, now: &MicroTime) -> Event {
        Event {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            event_time: Some(now.clone()),
            type_: Some(notice.severity.as_str().to_owned()),
            reason: Some(notice.reason.to_owned()),
            action: Some(notice.action.to_owned()),
            note: Some(shortened(&notice.note)),
            regarding: Some(regarding.clone()),
            reporting_controller: Some("etcd.operators.rs/etcd-operator".to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

/// What is said of one fact has one name, in whatever words.
fn event_name(regarding: &ObjectReference, notice: &Notice) -> String {
    let mut hasher = Sha256::new();
    for part in [
        regarding.uid.as_deref().unwrap_or_default(),
        notice.severity.as_str(),
        notice.reason,
        notice.action,
        &notice.fact,
    ] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let digest = hexadecimal(&hasher.finalize()[..8]);
    format!("{}.{digest}", regarding.name.as_deref().unwrap_or("unnamed"))
}

/// The note, cut between two characters if Kubernetes would refuse its length.
fn shortened(note: &str) -> String {
    if note.len() <= LONGEST_NOTE {
        return note.to_owned();
    }
    let end = (0..=LONGEST_NOTE - 3).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", &note[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_operator_core::event::Severity;

    fn notice(note: &str) -> Notice {
        Notice {
            severity: Severity::Warning,
            reason: "QuorumLost",
            action: "Reconcile",
            fact: note.to_owned(),
            note: note.to_owned(),
            again: Again::Later,
        }
    }

    #[test]
    fn equal_things_have_equal_names_and_others_do_not() {
        let regarding = ObjectReference { name: Some("c".to_owned()), ..ObjectReference::default() };
        assert_eq!(event_name(&regarding, &notice("a")), event_name(&regarding, &notice("a")));
        assert_ne!(event_name(&regarding, &notice("a")), event_name(&regarding, &notice("b")));
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let short = shortened(&"ä".repeat(LONGEST_NOTE));
        assert!(short.len() <= LONGEST_NOTE, "{}", short.len());
        assert!(short.ends_with("..."));
    }
}
