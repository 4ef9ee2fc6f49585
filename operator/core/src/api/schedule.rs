//! `EtcdBackupSchedule`: backups of a cluster by the clock, and which of them are kept. Never reads or decides.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backup::{default_deadline_seconds, default_prove};
use super::{ResourcesSpec, StoreSpec};

/// Backups of a cluster by the clock. Kubernetes' own CronJob takes them, so that they go on while the operator is gone.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "etcd.operators.rs",
    version = "v1beta1",
    kind = "EtcdBackupSchedule",
    plural = "etcdbackupschedules",
    singular = "etcdbackupschedule",
    namespaced,
    status = "EtcdBackupScheduleStatus",
    derive = "PartialEq",
    doc = "Backups of an etcd cluster by the clock, and which of them are kept.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster", description = "The cluster that is backed up"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule", description = "When"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", description = "None is taken"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Backups are taken as the spec says"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why they are, or are not"),
    printcolumn(name = "Last Proved", type_ = "date", json_path = ".status.lastProvedAt",
        description = "When the newest proved one was asked for"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    // A CronJob has the same name, and Kubernetes appends eleven characters for its Jobs.
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$')")
        .message("the name must be a DNS label, 52 characters at most, because a CronJob is named after it"),
)]
#[serde(rename_all = "camelCase")]
pub struct EtcdBackupScheduleSpec {
    /// The EtcdCluster of the same namespace.
    #[x_kube(validation = Rule::new("self == oldSelf").message("create another schedule for another cluster"))]
    #[schemars(length(min = 1, max = 46))]
    pub cluster: String,
    /// When, in the five fields of cron: `17 * * * *` is each hour at its 17th minute.
    #[schemars(length(min = 1, max = 256))]
    pub schedule: String,
    /// The time zone of `schedule` and of the days, weeks, months and years of `retention`, for example `Europe/Berlin`.
    #[schemars(length(min = 1, max = 64))]
    #[serde(default = "default_time_zone")]
    pub time_zone: String,
    /// Takes no backups for the time being. One that runs goes on.
    #[serde(default)]
    pub suspend: bool,
    /// What happens if one still runs when the next one is due.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// For how long after its time one that was missed is still taken, in seconds.
    #[schemars(range(min = 10, max = 604800))]
    #[serde(default = "default_starting_deadline_seconds")]
    pub starting_deadline_seconds: i64,
    /// Which backups of this schedule are kept; all if absent. What any of its rules keeps is kept, and so is the newest one that was
    /// proved, whatever the rules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionSpec>,
    /// Where they are kept; where the cluster's `spec.backup.store` says if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreSpec>,
    /// Whether each is restored into an etcd of its own to prove that it has the cluster's data.
    #[serde(default = "default_prove")]
    pub prove: bool,
    /// A Secret of the same namespace with `username` and `password` of a user of etcd that has the role `root`, where users are in
    /// force; what the cluster's `spec.backup.userSecret` says if absent.
    #[schemars(length(min = 1, max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_secret: Option<String>,
    /// Each is given up after this time, in seconds.
    #[schemars(range(min = 60, max = 604800))]
    #[serde(default = "default_deadline_seconds")]
    pub deadline_seconds: i64,
    /// Requests and limits of the Jobs' container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,
}

fn default_time_zone() -> String {
    "Etc/UTC".to_owned()
}

/// Half an hour: a control plane that was away comes back within it, and one missed backup is not worth two at once.
fn default_starting_deadline_seconds() -> i64 {
    1800
}

/// What happens if a backup still runs when the next one is due.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConcurrencyPolicy {
    /// Both run.
    Allow,
    /// The next one is left out.
    #[default]
    Forbid,
    /// The one that runs is ended.
    Replace,
}

impl ConcurrencyPolicy {
    /// As Kubernetes has it.
    pub fn as_str(self) -> &'static str {
        match self {
            ConcurrencyPolicy::Allow => "Allow",
            ConcurrencyPolicy::Forbid => "Forbid",
            ConcurrencyPolicy::Replace => "Replace",
        }
    }
}

/// Which backups are kept. Each rule keeps some, and what none keeps is deleted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new("[has(self.last), has(self.withinSeconds), has(self.hourly), has(self.daily), has(self.weekly), \
    has(self.monthly), has(self.yearly)].exists(is_there, is_there)").message("a retention without any rule would keep nothing"))]
#[serde(rename_all = "camelCase")]
pub struct RetentionSpec {
    /// The newest of all, so many.
    #[schemars(range(min = 1, max = 10000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
    /// All that were asked for within this time, in seconds.
    #[schemars(range(min = 60, max = 315360000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_seconds: Option<i64>,
    /// The newest of each hour, of so many hours that have one.
    #[schemars(range(min = 1, max = 10000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly: Option<u32>,
    /// The newest of each day, of so many days that have one.
    #[schemars(range(min = 1, max = 10000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<u32>,
    /// The newest of each week, of so many weeks that have one. Weeks begin on Monday.
    #[schemars(range(min = 1, max = 10000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<u32>,
    /// The newest of each month, of so many months that have one.
    #[schemars(range(min = 1, max = 10000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<u32>,
    /// The newest of each year, of so many years that have one.
    #[schemars(range(min = 1, max = 10000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yearly: Option<u32>,
}

/// What became of a schedule.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct EtcdBackupScheduleStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When Kubernetes began the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// When the newest one that was proved was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_proved_at: Option<Time>,
    /// The newest EtcdBackup of this schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_backup: Option<String>,
    /// Jobs that are there and have had an EtcdBackup: one that was deleted is not made again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recorded_jobs: Vec<String>,
    /// Ready.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
