//! Tells the user: the status, Events and metrics. The status is written only if it says something new, so that a
//! cluster at rest causes no write. What is said comes from the core.

use crate::distortion::Distortion;
use crate::events::Events;
use crate::metrics::{BackupHealth, ClusterHealth, Expiry, Metrics};
use crate::reconcile::ReportError;
use crate::status::{Written, write_status};
use etcd_operator_core::api::condition::ConditionType;
use etcd_operator_core::api::{EtcdCluster, EtcdClusterStatus};
use etcd_operator_core::cluster::events::{of_action, of_new_holds};
use etcd_operator_core::cluster::observed::{MemberList, Observed};
use etcd_operator_core::cluster::plan::{Action, Plan};
use etcd_operator_core::cluster::status::{differ_in_words_only, status, unobserved};
use etcd_operator_core::key::Key;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Client, Resource};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// All that is needed to tell.
pub struct Reporter {
    /// For the status.
    pub client: Client,
    /// For Events.
    pub events: Events,
    /// For metrics.
    pub metrics: Metrics,
    /// What the metrics show of each cluster, so that it can be taken back.
    pub shown: Mutex<BTreeMap<Key, ClusterHealth>>,
    /// What a deliberately wrong operator says instead.
    pub distortion: Distortion,
}

impl Reporter {
    /// Tells of one action that was carried out.
    pub async fn acted(&self, cluster: &EtcdCluster, action: &Action) {
        if let Some(event) = of_action(action) {
            self.events.publish(&cluster.object_ref(&()), &event).await;
        }
    }

    /// What the user is to be told.
    pub fn status(&self, observed: &Observed, plan: &Plan) -> EtcdClusterStatus {
        self.distortion.status(status(observed, plan))
    }

    /// Tells what was seen and planned. How far something is that goes on is not written at each pass.
    pub async fn report(
        &self,
        key: &Key,
        observed: &Observed,
        plan: &Plan,
        status: &EtcdClusterStatus,
        is_progress_due: bool,
    ) -> Result<Written, ReportError> {
        self.show(key, health(observed, plan, status));
        let regarding: ObjectReference = observed.cluster.object_ref(&());
        for event in of_new_holds(observed, plan) {
            self.events.publish(&regarding, &event).await;
        }
        if plan.actions.iter().any(|one| matches!(one.action, Action::RecordBootstrap { .. })) {
            // That action wrote the status itself; what else is to say follows from the next look.
            return Ok(Written::No);
        }
        let before = observed.cluster.status.as_ref();
        if !is_progress_due && before.is_some_and(|before| differ_in_words_only(before, status)) {
            return Ok(Written::No);
        }
        write(&self.client, &observed.cluster, status).await
    }

    /// Tells that the cluster's objects could not be read. The metrics say so at once; the status once it has been so for a while,
    /// because a single failed read says nothing.
    pub async fn unobserved(
        &self,
        key: &Key,
        cluster: Option<(&EtcdCluster, Timestamp)>,
        why: &str,
    ) -> Result<(), ReportError> {
        self.metrics.unobserved(&key.namespace, &key.name);
        match cluster {
            Some((cluster, as_of)) => {
                write(&self.client, cluster, &unobserved(cluster, as_of, why)).await.map(drop)
            }
            None => Ok(()),
        }
    }

    /// Takes back what the metrics show of a cluster that no longer exists.
    pub fn forget(&self, key: &Key) {
        let previous = self.shown.lock().ok().and_then(|mut shown| shown.remove(key));
        self.metrics.forget_cluster(&key.namespace, &key.name, previous.as_ref());
    }

    fn show(&self, key: &Key, health: ClusterHealth) {
        let Ok(mut shown) = self.shown.lock() else { return };
        self.metrics.show_cluster(&key.namespace, &key.name, shown.get(key), &health);
        shown.insert(key.clone(), health);
    }
}

fn health(observed: &Observed, plan: &Plan, status: &EtcdClusterStatus) -> ClusterHealth {
    let voters = match &observed.member_list {
        MemberList::Known(known) => known.members.iter().filter(|member| !member.is_learner).count(),
        MemberList::Unknown(_) => 0,
    };
    let backups = observed.cluster.spec.backup.as_ref().map(|_| BackupHealth {
        newest_proved_at: status.backup.as_ref().map(|backup| backup.asked_for_at.0.as_second()),
        is_young: is_true(status, ConditionType::BackedUp),
    });
    ClusterHealth {
        wanted: i64::from(observed.cluster.spec.size),
        voters: i64::try_from(voters).unwrap_or(i64::MAX),
        healthy: i64::from(status.ready_members),
        has_quorum: is_true(status, ConditionType::Available),
        holds: plan.holds.iter().map(|hold| hold.reason().as_str().to_owned()).collect(),
        backups,
        expiry: expiry(status),
    }
}

fn expiry(status: &EtcdClusterStatus) -> Expiry {
    let tls = status.tls.clone().unwrap_or_default();
    let seconds = |at: Option<Time>| at.map(|at| at.0.as_second());
    Expiry {
        certificates: seconds(tls.certificates_expire),
        peers: seconds(tls.peer_authority_expires),
        clients: seconds(tls.client_authority_expires),
    }
}

fn is_true(status: &EtcdClusterStatus, kind: ConditionType) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|condition| condition.type_ == kind.as_str() && condition.status == "True")
}

async fn write(
    client: &Client,
    cluster: &EtcdCluster,
    status: &EtcdClusterStatus,
) -> Result<Written, ReportError> {
    write_status(client, cluster, cluster.status.as_ref(), status).await
}
