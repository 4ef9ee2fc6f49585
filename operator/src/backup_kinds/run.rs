//! The five verbs of an `EtcdBackup`. They decide nothing: parsing, planning and what the user is told are in the core.

use super::{Hands, get, list};
use crate::events::Events;
use crate::reconcile::{Next, ObserveError, ReportError, Verbs};
use crate::status::{Written, write_status};
use crate::telemetry::chain;
use crate::watch::identify;
use crate::write::{WriteError, create, delete, patch};
use etcd_operator_core::api::{EtcdBackup, EtcdCluster};
use etcd_operator_core::backup::run::observed::Observed;
use etcd_operator_core::backup::run::{Action, Course, Plan, deletion_name, event, plan, status};
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
            deletion_job: None,
            deletion_pods: Vec::new(),
        };
        let is_to_go = backup.metadata.deletion_timestamp.is_some();
        if !is_to_go && backup.status.as_ref().is_some_and(|status| status.phase.is_over()) {
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
        if is_to_go {
            let deletion = deletion_name(backup);
            observed.deletion_job = get::<Job>(client, &namespace, &deletion).await?;
            observed.deletion_pods =
                list::<Pod>(client, &namespace, &format!("{LABEL_JOB}={deletion}")).await?;
        } else {
            observed.pods.retain(is_of_job);
        }
        observed.cluster = get::<EtcdCluster>(client, &namespace, &backup.spec.cluster).await?;
        Ok(observed)
    }

    fn plan(&self, observed: &Observed) -> Plan {
        plan(observed)
    }

    async fn execute(&self, key: &Key, observed: &Observed, plan: &mut Plan, (): &mut ()) {
        let Some(mut action) = plan.action.clone() else { return };
        let mut done = self.carry_out(key, &action).await;
        if let Some(let_go) = instead(observed, plan, &done) {
            tracing::warn!(object = %key, "its namespace is being deleted: its backup stays in the store");
            self.hands.metrics.acted(action.kind(), false);
            action = let_go;
            done = self.carry_out(key, &action).await;
        }
        self.hands.metrics.acted(action.kind(), done.is_ok());
        match done {
            Ok(()) => tracing::info!(object = %key, kind = action.kind(), "done"),
            Err(error) => {
                tracing::info!(object = %key, kind = action.kind(), error = chain(&error), "not done");
                note(plan, &error);
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
            // What was not done is tried again; what was is told by the watch.
            Course::Over if plan.action.is_some() => Some(WHILE_WAITING),
            Course::Over | Course::Succeeded(_) | Course::Failed { .. } => None,
            Course::Running { .. } | Course::Deleting { .. } => Some(WHILE_RUNNING),
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

/// What is done where nothing new can be made any more.
fn instead(observed: &Observed, plan: &Plan, done: &Result<(), WriteError>) -> Option<Action> {
    let is_ending = done.as_ref().is_err_and(WriteError::is_of_ending_namespace);
    if is_ending { plan.in_ending_namespace(&observed.backup) } else { None }
}

/// What was refused is told; what can be tried again, or was overtaken, is simply looked at again.
fn note(plan: &mut Plan, error: &WriteError) {
    match error.setback() {
        SetbackKind::Refused(message) => *plan = plan.clone().refused(&message),
        SetbackKind::Overtaken | SetbackKind::NotNow(_) | SetbackKind::Undone | SetbackKind::NotOurs => {}
    }
}

impl BackupVerbs {
    async fn carry_out(&self, key: &Key, action: &Action) -> Result<(), WriteError> {
        self.hands.may_write()?;
        let (client, namespace) = (&self.hands.client, &key.namespace);
        match action {
            Action::CreateJob(job) => create(client, job.as_ref()).await,
            Action::DeleteJob { name, uid } => delete::<Job>(client, namespace, name, uid).await,
            Action::Keep(operations) | Action::LetGo(operations) => {
                patch::<EtcdBackup>(client, namespace, &key.name, operations).await
            }
        }
    }
}
