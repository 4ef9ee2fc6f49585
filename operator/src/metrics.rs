//! What the operator counts, in Prometheus' terms. It only records; nothing decides by it.

use etcd_operator_core::cluster::vigil::{Comparison, HealthAnswer};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// How a reconcile ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// What kind of action was taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabel {
    action: String,
    outcome: &'static str,
}

/// What a member answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabel {
    answer: &'static str,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClusterLabel {
    namespace: String,
    cluster: String,
}

/// What of one cluster's certificates.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabel {
    namespace: String,
    cluster: String,
    what: &'static str,
}

/// Why something was held back in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HoldLabel {
    namespace: String,
    cluster: String,
    reason: String,
}

/// What is known of one cluster after a reconcile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterHealth {
    /// Members that the specification asks for.
    pub wanted: i64,
    /// Voting members in etcd's list.
    pub voters: i64,
    /// Members that answered healthily.
    pub healthy: i64,
    /// Whether a linearizable read succeeded.
    pub has_quorum: bool,
    /// Why actions were held back, one entry each.
    pub holds: Vec<String>,
    /// Its backups, where its specification says something of them.
    pub backups: Option<BackupHealth>,
    /// When its certificates end, in seconds since 1970, where it has any.
    pub expiry: Expiry,
}

/// When certificates of one cluster end, in seconds since 1970, as far as there are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expiry {
    /// The first of those that members and clients show.
    pub certificates: Option<i64>,
    /// The authority of members.
    pub peers: Option<i64>,
    /// The authority of clients.
    pub clients: Option<i64>,
}

/// What is known of the backups of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupHealth {
    /// When the newest proved one was asked for, in seconds since 1970, if there is one.
    pub newest_proved_at: Option<i64>,
    /// Whether it is young enough.
    pub is_young: bool,
}

/// All metrics of the process. Clones share their values.
#[derive(Clone)]
pub struct Metrics {
    reconciles: Family<OutcomeLabel, Counter>,
    reconcile_seconds: Histogram,
    late_seconds: Histogram,
    probes: Family<AnswerLabel, Counter>,
    comparisons: Family<OutcomeLabel, Counter>,
    actions: Family<ActionLabel, Counter>,
    holds: Family<HoldLabel, Gauge>,
    wanted: Family<ClusterLabel, Gauge>,
    voters: Family<ClusterLabel, Gauge>,
    healthy: Family<ClusterLabel, Gauge>,
    has_quorum: Family<ClusterLabel, Gauge>,
    observed: Family<ClusterLabel, Gauge>,
    newest_backup: Family<ClusterLabel, Gauge>,
    backed_up: Family<ClusterLabel, Gauge>,
    expiry: Family<CertificateLabel, Gauge>,
    lease_held: Gauge,
}

/// From one quick pass without writes to one that waits for every time-out in it.
const RECONCILE_SECONDS_BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

impl Metrics {
    /// Creates all metrics and registers them by their public names.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            reconcile_seconds: Histogram::new(RECONCILE_SECONDS_BUCKETS),
            late_seconds: Histogram::new(RECONCILE_SECONDS_BUCKETS),
            probes: Family::default(),
            comparisons: Family::default(),
            actions: Family::default(),
            holds: Family::default(),
            wanted: Family::default(),
            voters: Family::default(),
            healthy: Family::default(),
            has_quorum: Family::default(),
            observed: Family::default(),
            newest_backup: Family::default(),
            backed_up: Family::default(),
            expiry: Family::default(),
            lease_held: Gauge::default(),
        };
        let operator = registry.sub_registry_with_prefix("etcd_operator");
        operator.register("reconciles", "Reconciles by outcome", metrics.reconciles.clone());
        operator.register("reconcile_seconds", "Duration of reconciles", metrics.reconcile_seconds.clone());
        operator.register(
            "reconcile_late_seconds",
            "For how long reconciles had been due when they began",
            metrics.late_seconds.clone(),
        );
        operator.register("probes", "Answers of members to whether they are well", metrics.probes.clone());
        operator.register(
            "data_comparisons",
            "Comparisons of all voters' data by outcome",
            metrics.comparisons.clone(),
        );
        operator.register("actions", "Actions by kind and outcome", metrics.actions.clone());
        operator.register("holds", "What is being held back, by reason", metrics.holds.clone());
        operator.register("cluster_members_wanted", "Members asked for", metrics.wanted.clone());
        operator.register("cluster_voters", "Voters in etcd's member list", metrics.voters.clone());
        operator.register(
            "cluster_members_healthy",
            "Members that answer healthily",
            metrics.healthy.clone(),
        );
        operator.register(
            "cluster_has_quorum",
            "1 if a linearizable read succeeded",
            metrics.has_quorum.clone(),
        );
        operator.register(
            "cluster_observed",
            "1 if the cluster's objects could be read at the last look; 0 says that all else here is old",
            metrics.observed.clone(),
        );
        operator.register(
            "cluster_newest_proved_backup_timestamp_seconds",
            "When the newest proved backup was asked for",
            metrics.newest_backup.clone(),
        );
        operator.register(
            "cluster_backed_up",
            "1 if the newest proved backup is as young as the specification asks",
            metrics.backed_up.clone(),
        );
        operator.register(
            "cluster_certificate_expiry_timestamp_seconds",
            "When the first of a cluster's certificates, or one of its authorities, ends",
            metrics.expiry.clone(),
        );
        operator.register("lease_held", "1 while this process is the leader", metrics.lease_held.clone());
        metrics
    }

    /// Counts one reconcile.
    pub fn reconciled(&self, succeeded: bool, duration: Duration) {
        self.reconciles.get_or_create(&OutcomeLabel { outcome: outcome(succeeded) }).inc();
        self.reconcile_seconds.observe(duration.as_secs_f64());
    }

    /// Notes for how long a reconcile had been due when it began.
    pub fn began_late(&self, by: Duration) {
        self.late_seconds.observe(by.as_secs_f64());
    }

    /// Counts one comparison of all voters' data.
    pub fn compared(&self, comparison: Comparison) {
        self.comparisons.get_or_create(&OutcomeLabel { outcome: comparison.as_str() }).inc();
    }

    /// Counts one answer of a member.
    pub fn probed(&self, answer: HealthAnswer) {
        self.probes.get_or_create(&AnswerLabel { answer: answer.as_str() }).inc();
    }

    /// Counts one action.
    pub fn acted(&self, action: &str, succeeded: bool) {
        let label = ActionLabel { action: action.to_owned(), outcome: outcome(succeeded) };
        self.actions.get_or_create(&label).inc();
    }

    /// Shows whether this process holds the Lease.
    pub fn set_lease_held(&self, held: bool) {
        self.lease_held.set(i64::from(held));
    }

    /// Replaces all that is shown of a cluster: reasons that no longer hold disappear.
    pub fn show_cluster(
        &self,
        namespace: &str,
        cluster: &str,
        previous: Option<&ClusterHealth>,
        health: &ClusterHealth,
    ) {
        let label = ClusterLabel { namespace: namespace.to_owned(), cluster: cluster.to_owned() };
        self.wanted.get_or_create(&label).set(health.wanted);
        self.voters.get_or_create(&label).set(health.voters);
        self.healthy.get_or_create(&label).set(health.healthy);
        self.has_quorum.get_or_create(&label).set(i64::from(health.has_quorum));
        self.observed.get_or_create(&label).set(1);
        self.show_backups(&label, health.backups.as_ref());
        self.show_expiry(&label, &health.expiry);
        self.clear_holds(namespace, cluster, previous);
        for reason in &health.holds {
            self.holds.get_or_create(&hold_label(namespace, cluster, reason)).inc();
        }
    }

    /// Shows that a cluster's objects could not be read: what is shown of it besides is not known to be so any more.
    pub fn unobserved(&self, namespace: &str, cluster: &str) {
        let label = ClusterLabel { namespace: namespace.to_owned(), cluster: cluster.to_owned() };
        self.observed.get_or_create(&label).set(0);
        self.has_quorum.get_or_create(&label).set(0);
        self.healthy.get_or_create(&label).set(0);
    }

    /// Forgets a cluster that no longer exists.
    pub fn forget_cluster(&self, namespace: &str, cluster: &str, previous: Option<&ClusterHealth>) {
        let label = ClusterLabel { namespace: namespace.to_owned(), cluster: cluster.to_owned() };
        for family in [&self.wanted, &self.voters, &self.healthy, &self.has_quorum, &self.observed] {
            family.remove(&label);
        }
        self.show_backups(&label, None);
        self.show_expiry(&label, &Expiry::default());
        self.clear_holds(namespace, cluster, previous);
    }

    /// What is not known has no number: none stands for "never".
    fn show_backups(&self, label: &ClusterLabel, backups: Option<&BackupHealth>) {
        match backups {
            Some(backups) => drop(self.backed_up.get_or_create(label).set(i64::from(backups.is_young))),
            None => drop(self.backed_up.remove(label)),
        }
        match backups.and_then(|backups| backups.newest_proved_at) {
            Some(at) => drop(self.newest_backup.get_or_create(label).set(at)),
            None => drop(self.newest_backup.remove(label)),
        }
    }

    fn show_expiry(&self, cluster: &ClusterLabel, expiry: &Expiry) {
        let Expiry { certificates, peers, clients } = expiry;
        for (what, at) in [("certificates", certificates), ("peers", peers), ("clients", clients)] {
            let ClusterLabel { namespace, cluster } = cluster.clone();
            let label = CertificateLabel { namespace, cluster, what };
            match at {
                Some(at) => drop(self.expiry.get_or_create(&label).set(*at)),
                None => drop(self.expiry.remove(&label)),
            }
        }
    }

    fn clear_holds(&self, namespace: &str, cluster: &str, previous: Option<&ClusterHealth>) {
        for reason in previous.iter().flat_map(|health| &health.holds) {
            self.holds.remove(&hold_label(namespace, cluster, reason));
        }
    }
}

fn hold_label(namespace: &str, cluster: &str, reason: &str) -> HoldLabel {
    HoldLabel { namespace: namespace.to_owned(), cluster: cluster.to_owned(), reason: reason.to_owned() }
}

fn outcome(succeeded: bool) -> &'static str {
    if succeeded { "ok" } else { "error" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn a_hold_disappears_from_the_metrics_once_it_no_longer_holds() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let held = ClusterHealth { holds: vec!["QuorumLost".to_owned()], ..ClusterHealth::default() };
        metrics.show_cluster("ns", "c", None, &held);
        assert!(text(&registry).contains("reason=\"QuorumLost\"} 1"));
        metrics.show_cluster("ns", "c", Some(&held), &ClusterHealth::default());
        assert!(!text(&registry).contains("QuorumLost"));
    }

    #[test]
    fn the_end_of_certificates_is_shown_for_as_long_as_there_are_any() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let expiry = Expiry { certificates: Some(7), peers: Some(8), clients: None };
        let with_tls = ClusterHealth { expiry, ..ClusterHealth::default() };
        metrics.show_cluster("ns", "c", None, &with_tls);
        let shown = text(&registry);
        assert!(shown.contains("what=\"certificates\"} 7") && shown.contains("what=\"peers\"} 8"), "{shown}");
        assert!(!shown.contains("what=\"clients\""), "{shown}");
        metrics.forget_cluster("ns", "c", Some(&with_tls));
        assert!(!text(&registry).contains("what="));
    }

    #[test]
    fn actions_are_counted_by_kind_and_outcome() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.acted("RemoveMember", true);
        metrics.acted("RemoveMember", false);
        let text = text(&registry);
        assert!(
            text.contains("etcd_operator_actions_total{action=\"RemoveMember\",outcome=\"ok\"} 1"),
            "{text}"
        );
        assert!(text.contains("outcome=\"error\"} 1"), "{text}");
    }
}
