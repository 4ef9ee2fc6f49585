//! An `EtcdCluster` as its user reads it: conditions, holds and members, by the words of the status. Decides nothing.

use chaos::subject::etcd;
use kube::api::DynamicObject;
use serde_json::Value;

/// One reading of the object.
pub(super) struct Picture(pub(super) DynamicObject);

impl Picture {
    fn list(&self, pointer: &str) -> impl Iterator<Item = &Value> {
        self.0.data.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
    }

    fn condition(&self, kind: &str) -> Option<&Value> {
        self.list("/status/conditions").find(|condition| condition["type"] == kind)
    }

    /// Whether the condition is `True` and speaks of the present spec.
    pub(super) fn is(&self, kind: &str) -> bool {
        etcd::condition_is_true(&self.0, kind)
    }

    /// The condition's reason.
    pub(super) fn reason(&self, kind: &str) -> &str {
        self.condition(kind).and_then(|condition| condition["reason"].as_str()).unwrap_or_default()
    }

    /// The message of the hold with this reason.
    pub(super) fn hold(&self, reason: &str) -> Option<&str> {
        self.list("/status/holds").find(|hold| hold["reason"] == reason)?["message"].as_str()
    }

    /// Whether some condition has this reason.
    pub(super) fn has_reason(&self, reason: &str) -> bool {
        self.list("/status/conditions").any(|condition| condition["reason"] == reason)
    }

    /// What the status says of each member that is not well.
    pub(super) fn messages(&self) -> Vec<&str> {
        self.list("/status/members").filter_map(|member| member["message"].as_str()).collect()
    }

    /// Whether what it says of some member contains all of these words, whatever their case.
    pub(super) fn quotes(&self, words: &[&str]) -> bool {
        self.messages().into_iter().any(|message| {
            let message = message.to_lowercase();
            words.iter().all(|word| message.contains(&word.to_lowercase()))
        })
    }

    /// The members by name, sorted.
    pub(super) fn members(&self) -> Vec<&str> {
        self.list("/status/members").filter_map(|member| member["name"].as_str()).collect()
    }

    /// The cluster's ID in etcd.
    pub(super) fn cluster_id(&self) -> Option<&str> {
        self.0.data.pointer("/status/clusterId").and_then(Value::as_str)
    }

    /// Conditions, holds and messages, for what a test says when it fails.
    pub(super) fn describe(&self) -> String {
        let holds: Vec<String> = self.list("/status/holds").map(Value::to_string).collect();
        format!(
            "{}; holds [{}]; members say {:?}",
            etcd::describe_conditions(&self.0),
            holds.join(", "),
            self.messages()
        )
    }
}
