//! The scenario file as it is written: names of keys and their types, nothing checked beyond that.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::{Ask, CertificateDamage, ChangeEffect, ClusterObject, Direction, Peers};

/// A value with its place in the file.
pub(super) type At<T> = Spanned<T>;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawScenario {
    pub(super) name: At<String>,
    #[serde(default)]
    pub(super) seed: Option<u64>,
    pub(super) subject: At<RawSubject>,
    #[serde(default)]
    pub(super) load: RawLoad,
    pub(super) faults: At<Vec<RawFault>>,
    #[serde(default)]
    pub(super) expect: RawExpect,
    #[serde(default)]
    pub(super) allow: RawAllow,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawSubject {
    #[serde(default)]
    pub(super) cluster: Option<RawCluster>,
    #[serde(default)]
    pub(super) selector: Option<RawSelector>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawCluster {
    pub(super) size: At<u64>,
    #[serde(default)]
    pub(super) version: Option<At<String>>,
    #[serde(default)]
    pub(super) storage: Option<At<String>>,
    #[serde(default)]
    pub(super) soak: Option<At<String>>,
    #[serde(default)]
    pub(super) tls: Option<At<Map<String, Value>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawSelector {
    pub(super) namespace: At<String>,
    pub(super) labels: At<BTreeMap<String, String>>,
    pub(super) size: At<u64>,
    #[serde(default)]
    pub(super) container: Option<At<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawLoad {
    pub(super) clients: Option<At<u64>>,
    pub(super) requests_per_second: Option<At<u64>>,
    pub(super) keys: Option<At<u64>>,
    pub(super) value_bytes: Option<At<u64>>,
    pub(super) mix: Option<At<RawMix>>,
    pub(super) request_timeout: Option<At<String>>,
    pub(super) warm_up: Option<At<String>>,
    pub(super) cool_down: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawMix {
    #[serde(default)]
    pub(super) put: u32,
    #[serde(default)]
    pub(super) get: u32,
    #[serde(default)]
    pub(super) transaction: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawFault {
    pub(super) kind: At<RawKind>,
    pub(super) name: Option<At<String>>,
    pub(super) at: Option<At<String>>,
    pub(super) when: Option<At<RawWhen>>,
    pub(super) jitter: Option<At<String>>,
    pub(super) target: Option<At<RawTarget>>,
    pub(super) same_target_as: Option<At<String>>,
    #[serde(rename = "for")]
    pub(super) lasting: Option<At<String>>,
    pub(super) grace: Option<At<String>>,
    pub(super) direction: Option<At<RawDirection>>,
    pub(super) peers: Option<At<Peers>>,
    pub(super) object: Option<At<ClusterObject>>,
    pub(super) damage: Option<At<CertificateDamage>>,
    pub(super) size: Option<At<u64>>,
    pub(super) version: Option<At<String>>,
    pub(super) spec: Option<At<Map<String, Value>>>,
    pub(super) effect: Option<At<ChangeEffect>>,
    pub(super) ask: Option<At<Ask>>,
}

/// The words of `kind:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawKind {
    PodKill,
    ProcessKill,
    ProcessPause,
    DiskLost,
    DirectoryWiped,
    Partition,
    Corrupt,
    Certificate,
    DeleteObject,
    Intrude,
    Resize,
    Roll,
    Upgrade,
    Change,
    Request,
    Backup,
    OperatorKill,
    OperatorPause,
    VolumeDeletionStuck,
}

/// The words of `target:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawTarget {
    Leader,
    Follower,
    Member,
    Minority,
    All,
    Operator,
    Cluster,
}

/// The words of `direction:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawDirection {
    Both,
    Inbound,
    Outbound,
    Any,
}

impl RawDirection {
    /// The direction; nothing if the seed chooses it.
    pub(super) fn fixed(self) -> Option<Direction> {
        match self {
            RawDirection::Both => Some(Direction::Both),
            RawDirection::Inbound => Some(Direction::Inbound),
            RawDirection::Outbound => Some(Direction::Outbound),
            RawDirection::Any => None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawWhen {
    pub(super) event: Option<At<RawEvent>>,
    pub(super) members: Option<At<u64>>,
    pub(super) fault_ended: Option<At<String>>,
    pub(super) fault_injected: Option<At<String>>,
    pub(super) within: Option<At<String>>,
}

/// The words of `when.event:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawEvent {
    MemberRemoved,
    MemberAdded,
    LearnerAdded,
    LeaderChanged,
    Healthy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawExpect {
    pub(super) quorum_back_within: Option<At<String>>,
    pub(super) recovery_within: Option<At<String>>,
    pub(super) status_lag_within: Option<At<String>>,
    pub(super) steady_for: Option<At<String>>,
    pub(super) repair_within: Option<At<String>>,
    pub(super) longest_outage: Option<At<String>>,
    pub(super) acknowledged_writes: Option<At<u64>>,
    pub(super) acknowledged_writes_per_fault: Option<At<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawAllow {
    pub(super) quorum_loss: Option<RawQuorumLoss>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawQuorumLoss {
    pub(super) quorum_back_within: At<String>,
}
