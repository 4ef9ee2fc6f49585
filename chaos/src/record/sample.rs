//! What the API server showed during a run: the status, Events, pods. Plain data, reduced to what is judged or drawn.

use serde::{Deserialize, Serialize};

use super::ProcessIdentity;
use crate::history::MemberId;

/// The `EtcdCluster` at one resource version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusSample {
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed_generation: Option<i64>,
    /// `spec.size`.
    pub size: u8,
    /// `status.conditions`.
    pub conditions: Vec<ConditionSample>,
    /// `status.members`.
    pub members: Vec<StatusMember>,
}

impl StatusSample {
    /// Whether a condition is there and true.
    pub fn is_true(&self, kind: &str) -> bool {
        self.conditions
            .iter()
            .any(|condition| condition.kind == kind && condition.status == ConditionStatus::True)
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConditionSample {
    /// `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `status`.
    pub status: ConditionStatus,
    /// `reason`.
    #[serde(default)]
    pub reason: String,
    /// `message`.
    #[serde(default)]
    pub message: String,
}

impl ConditionSample {
    /// Whether it says, with a reason, that not all is as declared.
    pub fn is_complaint(&self) -> bool {
        let complains = match self.kind.as_str() {
            "Ready" => self.status != ConditionStatus::True,
            "Degraded" => self.status == ConditionStatus::True,
            _ => false,
        };
        complains && !self.reason.is_empty()
    }
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// The operator cannot tell.
    Unknown,
}

/// What the status says about one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusMember {
    /// The member's name.
    pub name: String,
    /// Its identity in etcd, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// Whether it is said to lead.
    pub leader: bool,
    /// Whether it is said to be a learner.
    pub learner: bool,
    /// Whether it is said to be healthy.
    pub healthy: bool,
}

/// An Event of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesEvent {
    /// `reportingController` (or `source.component`).
    pub reporter: String,
    /// `type`: Normal or Warning.
    #[serde(rename = "type")]
    pub kind: String,
    /// `reason`.
    pub reason: String,
    /// `action`.
    #[serde(default)]
    pub action: String,
    /// `note` (or `message`).
    pub note: String,
    /// `regarding.kind` and `regarding.name`, as `Pod/c-abcde-0`.
    pub regarding: String,
    /// How often it has been seen.
    pub count: u32,
}

/// A pod of the subject or of the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodSample {
    /// `metadata.name`.
    pub pod: String,
    /// `metadata.uid`.
    pub uid: String,
    /// The member's name; none for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// `status.podIP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `status.phase`.
    pub phase: String,
    /// Whether the Ready condition is true.
    pub ready: bool,
    /// Whether it has a deletion time.
    pub deleting: bool,
    /// Whether this is the last sight of it: the API server has removed it.
    pub gone: bool,
    /// The running process of the main container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessIdentity>,
}
