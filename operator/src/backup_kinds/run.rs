//! The five verbs of an `EtcdBackup`. They decide nothing: parsing, planning and what the user is told are in the core.

use super::{Hands, get, list};
use crate::events::Events;
use crate::reconcile::{Next, ObserveError, ReportError, Verbs};
use crate::status::{Written, write_status};
use crate::telemetry::chain;
use crate::watch::identify;
use crate::write::{WriteError, create};
use etcd_operator_core::api::{EtcdBackup, EtcdCluster};
use etcd_operator_core::backup::run::observed::Observed;
use etcd_operator_core::backup::run::{Action, Course, Plan, event, plan, status};
use etcd_operator_core::cluster::plan::SetbackKind;
use etcd_operator_core::key::{Key, OwnKind};
use etcd_operator_core::names::{LABEL_BACKUP_SCHEDULE, LABEL_JOB};
use etcd_operator_core::seen::WatchedKind;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, ResourceExt};
use std::time::Duration;

/// Pause before the next look at a Job that goes on: a watch tells of its end, and nobody of what keeps its pod from starting.
const WHILE_RUNNING: Duration = Duration::from_secs(5);
/// Pause before the next look at one that cannot begin.
const WHILE_WAITING: Duration = Duration::from_secs(10);

/// What the operator does with backups.
pub struct BackupVerbs {
    /// What it does it with.
    pub hands: Hands,
    /// Writes Events.
    pub events: Events,
}

impl Verbs for BackupVerbs {
    type Object = EtcdBackup;
    type Memory = ();
    type Sight = Observed;
    type Plan = Plan;
    type Done = ();

    const KIND: OwnKind = OwnKind::EtcdBackup;

    async fn observe(&self, backup: &EtcdBackup, (): &mut ()) -> Result<Observed, ObserveError> {
        let mut observed = Observed {
            as_of: self.hands.clock.wall(),
            operator_image: self.hands.operator_image.clone(),
            backup: backup.clone(),
            cluster: None,
            job: None,
            pods: Vec::new(),
        };
        if backup.status.as_ref().is_some_and(|status| status.phase.is_over()) {
            return Ok(observed);
        }
        let client = &self.hands.client;
        let namespace = backup.namespace().unwrap_or_default();
        let name = backup.name_any();
        // The Job before its pods: when it is over they have said all that they are going to say.
        observed.job = get::<Job>(client, &namespace, &name).await?;
        let job_uid = observed.job.as_ref().and_then(ResourceExt::uid);
        observed.pods = list::<Pod>(client, &namespace, &format!("{LABEL_JOB}={name}")).await?;
        // Of an earlier Job of this name a pod may still be there.
        let is_of_job =
            |pod: &Pod| pod.owner_references().iter().any(|owner| Some(&owner.uid) == job_uid.as_ref());
        observed.pods.retain(is_of_job);
        observed.cluster = get::<EtcdCluster>(client, &namespace, &backup.spec.cluster).await?;
        Ok(observed)
    }

    fn plan(&self, observed: &Observed) -> Plan {
        plan(observed)
    }

    async fn execute(&self, key: &Key, _observed: &Observed, plan: &mut Plan, (): &mut ()) {
        let Some(Action::CreateJob(job)) = &plan.action else { return };
        let outcome = match self.hands.may_write() {
            Ok(()) => create(&self.hands.client, job.as_ref()).await,
            Err(error) => Err(error),
        };
        self.hands.metrics.acted("CreateJob", outcome.is_ok());
        match outcome {
            Ok(()) => tracing::info!(object = %key, "its Job was created"),
            Err(error) => {
                tracing::info!(object = %key, error = chain(&error), "its Job was not created");
                self.note(plan, &error);
            }
        }
    }

    async fn report(
        &self,
        key: &Key,
        observed: Observed,
        plan: &Plan,
        (): (),
        (): &mut (),
    ) -> Result<Next, ReportError> {
        let backup = &observed.backup;
        let written =
            write_status(&self.hands.client, backup, backup.status.as_ref(), &status(&observed, plan))
                .await?;
        if let (Written::Yes, Some(event)) = (written, event(&observed, plan)) {
            self.events.publish(&backup.object_ref(&()), &event).await;
        }
        let mut read: Vec<_> = identify(WatchedKind::EtcdBackup, &backup.metadata).into_iter().collect();
        read.extend(observed.job.iter().filter_map(|job| identify(WatchedKind::Job, &job.metadata)));
        let after = match &plan.course {
            // What could not be written is found again: nothing is lost by a status that came too late.
            Course::Succeeded(_) | Course::Failed { .. } if written == Written::No => Some(WHILE_RUNNING),
            Course::Over | Course::Succeeded(_) | Course::Failed { .. } => None,
            Course::Running { .. } => Some(WHILE_RUNNING),
            Course::Pending { .. } if observed.job.is_some() || plan.action.is_some() => Some(WHILE_RUNNING),
            Course::Pending { .. } => Some(WHILE_WAITING),
        };
        let wakes = if plan.is_just_over() { dependants(key, backup) } else { Vec::new() };
        Ok(Next::Look { after, vigil: None, read, is_slow: false, wakes })
    }

    /// What was known of it still stands: it is about a Job, and not about the present.
    async fn unobserved(
        &self,
        _key: &Key,
        _seen: Option<(&EtcdBackup, &mut ())>,
        _error: &ObserveError,
    ) -> Result<(), ReportError> {
        Ok(())
    }

    fn forget(&self, _key: &Key) {}
}

/// Who tells of backups that are over: the cluster, and the schedule that took it.
fn dependants(key: &Key, backup: &EtcdBackup) -> Vec<Key> {
    let mut dependants = vec![Key::of_cluster(&key.namespace, &backup.spec.cluster)];
    let schedule = backup.labels().get(LABEL_BACKUP_SCHEDULE);
    dependants.extend(schedule.map(|name| Key::of(OwnKind::EtcdBackupSchedule, &key.namespace, name)));
    dependants
}

impl BackupVerbs {
    /// What was refused is told; what can be tried again, or was overtaken, is simply looked at again.
    fn note(&self, plan: &mut Plan, error: &WriteError) {
        match error.setback() {
            SetbackKind::Refused(message) => *plan = plan.clone().refused(&message),
            SetbackKind::Overtaken | SetbackKind::NotNow(_) | SetbackKind::Undone | SetbackKind::NotOurs => {}
        }
    }
}
