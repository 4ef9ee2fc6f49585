//! Watches a cluster's members between two looks: a cheap question to each, on a connection that is kept, and now and then what etcd
//! says of itself. Any difference ends it. It decides nothing, and reads nothing from Kubernetes.

use crate::cluster::observe::{etcd_view, hashes_at};
use crate::etcd::{Access, EtcdPort};
use crate::kept::{Kept, KeptConnections};
use crate::metrics::Metrics;
use crate::reconcile::{self, Disturbed};
use bytes::Bytes;
use etcd_operator_core::cluster::observed::Observed;
use etcd_operator_core::cluster::pace::Pace;
use etcd_operator_core::cluster::vigil::{Comparison, Disturbance, EtcdView, HealthAnswer, Vigil, Watched};
use etcd_operator_core::names::{Endpoint, Entropy};
use futures::future::join_all;
use http::StatusCode;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often each member is asked whether it is well. With the time-outs of one question and of the look that follows, a dead member
/// shows in the status within ten seconds.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(3);
/// A member that takes longer to say whether it is well is silent.
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(1500);
/// One member is asked about etcd at every so many questions for its members' health: once a minute.
const ETCD_EVERY: u32 = 20;
/// Where etcd says whether it is well: it makes a linearizable read, and looks for alarms and a leader
/// (`server/etcdserver/api/etcdhttp/health.go`). It asks nobody for credentials.
const HEALTH_PATH: &str = "/health";

/// What vigils need.
#[derive(Clone)]
pub struct Watcher {
    /// For what etcd says of itself.
    pub etcd: Arc<dyn EtcdPort>,
    /// For the members' health.
    pub connections: KeptConnections,
    /// Counts answers.
    pub metrics: Metrics,
    /// How often the data of all voters is compared at rest.
    pub compare_every: Duration,
    /// Clusters whose members' data was seen to differ.
    pub suspected: Suspected,
}

/// UIDs of clusters whose members' data was seen to differ, until the look that follows takes them.
#[derive(Clone, Default)]
pub struct Suspected(Arc<Mutex<BTreeSet<String>>>);

impl Suspected {
    fn add(&self, cluster_uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(cluster_uid.to_owned());
    }

    /// Whether a cluster is one of them; it is not any more.
    pub fn take(&self, cluster_uid: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(cluster_uid)
    }
}

/// One member's answer about itself.
#[derive(Deserialize)]
struct Health {
    health: String,
}

impl Watcher {
    /// What goes on until the next look, if that is not due before the first question.
    pub fn watch(
        &self,
        vigil: Vigil,
        access: Access,
        observed: &Observed,
        pace: Pace,
    ) -> Option<reconcile::Vigil> {
        let Entropy(random) = &observed.entropy;
        // Clusters that were looked at in one moment are asked in many.
        let first = PROBE_INTERVAL * u32::from(random[0]) / 256;
        let first_comparison = self.compare_every * (u32::from(random[1]) + 1) / 256;
        if vigil.members().is_empty() || pace.pause().is_some_and(|pause| pause <= first) {
            return None;
        }
        let watcher = self.clone();
        let cluster_uid = observed.cluster.metadata.uid.clone().unwrap_or_default();
        Some(Box::pin(async move {
            tokio::time::sleep(first).await;
            let compared = vigil.clone();
            // Reading all data may take long, and a member that dies meanwhile must be noticed.
            let disturbance = tokio::select! {
                biased;
                disturbance = watcher.keep(vigil, &access, pace.is_at_rest()) => disturbance,
                disturbance = watcher.compare(&compared, &access, first_comparison), if pace.is_at_rest() => {
                    watcher.suspected.add(&cluster_uid);
                    disturbance
                }
            };
            let may_be_slow =
                matches!(disturbance, Disturbance::Health { now: HealthAnswer::Silent, address: _ });
            Disturbed { why: disturbance.to_string(), may_be_slow }
        }))
    }

    /// Asks until something is different. While something is amiss the looks themselves ask etcd.
    async fn keep(&self, mut vigil: Vigil, access: &Access, is_at_rest: bool) -> Disturbance {
        let members = vigil.members().iter();
        let mut members: Vec<_> = members.map(|(uid, member)| (uid.clone(), self.line_to(member))).collect();
        let mut question = 0_u32;
        loop {
            question += 1;
            let answers =
                join_all(members.iter_mut().map(|(uid, line)| async { (&*uid, ask_health(line).await) }))
                    .await;
            for (pod_uid, answer) in answers {
                self.metrics.probed(answer);
                if let Some(disturbance) = vigil.hear(pod_uid, answer) {
                    return disturbance;
                }
            }
            if is_at_rest && question.is_multiple_of(ETCD_EVERY) {
                let member = question / ETCD_EVERY;
                let view = self.etcd_view(&vigil, access, member as usize).await;
                if let Some(disturbance) = view.map_or(Some(Disturbance::Etcd), |view| vigil.compare(&view)) {
                    return disturbance;
                }
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    }

    /// Compares the data of all voters time after time, until it differs.
    async fn compare(&self, vigil: &Vigil, access: &Access, first: Duration) -> Disturbance {
        let mut pause = first;
        loop {
            tokio::time::sleep(pause).await;
            pause = self.compare_every;
            let addresses = vigil.members().values().map(|member| member.address.as_str());
            let hashes = hashes_at(self.etcd.as_ref(), access, addresses).await;
            let comparison = vigil.compare_data(&hashes);
            self.metrics.compared(comparison);
            match comparison {
                Comparison::Different => return Disturbance::Data,
                Comparison::Same | Comparison::Unknown => {}
            }
        }
    }

    /// From one member after the other, time after time.
    async fn etcd_view(&self, vigil: &Vigil, access: &Access, turn: usize) -> Option<EtcdView> {
        let member = vigil.members().values().cycle().nth(turn % vigil.members().len())?;
        etcd_view(self.etcd.as_ref(), access, &member.address).await
    }

    fn line_to(&self, member: &Watched) -> Kept {
        self.connections.to(&Endpoint::of_metrics(&member.address))
    }
}

/// What a member says of its health, on a line to its metrics port.
pub async fn ask_health(line: &mut Kept) -> HealthAnswer {
    match line.get(HEALTH_PATH, PROBE_TIMEOUT).await {
        Ok((status, body)) if says_well(status, &body) => HealthAnswer::Well,
        Ok(_) => HealthAnswer::Unwell,
        Err(_) => HealthAnswer::Silent,
    }
}

fn says_well(status: StatusCode, body: &Bytes) -> bool {
    let health: Option<Health> = serde_json::from_slice(body).ok();
    status == StatusCode::OK && health.is_some_and(|health| health.health == "true")
}
