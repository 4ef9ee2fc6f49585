//! The five verbs of an `EtcdBackupSchedule`. They decide nothing: planning and what the user is told are in the core.

use super::{Hands, get, list};
use crate::reconcile::{Next, ObserveError, ReportError, Verbs};
use crate::status::write_status;
use crate::telemetry::chain;
use crate::watch::identify;
use crate::write::{WriteError, create, delete, patch};
use etcd_operator_core::api::{EtcdBackup, EtcdBackupSchedule, EtcdCluster};
use etcd_operator_core::backup::schedule::observed::Observed;
use etcd_operator_core::backup::schedule::{Action, Plan, plan, status};
use etcd_operator_core::cluster::plan::SetbackKind;
use etcd_operator_core::key::{Key, OwnKind};
use etcd_operator_core::names::LABEL_BACKUP_SCHEDULE;
use etcd_operator_core::seen::WatchedKind;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::ResourceExt;
use std::time::Duration;

/// Pause before the next look when nothing is told of: the image follows the cluster's version.
const AT_REST: Duration = Duration::from_secs(60);
/// Pause after something was done.
const AFTER_ACTION: Duration = Duration::from_secs(2);
/// Pause after something could not be done.
const AFTER_SETBACK: Duration = Duration::from_secs(10);
/// So often the same is set in a CronJob at looks that follow each other, before it is taken for undone by somebody.
const SET_IN_A_ROW: u32 = 3;

/// What is remembered of a schedule from look to look.
#[derive(Debug, Default)]
pub struct Memory {
    /// What was set in the CronJob, and at how many looks in a row.
    set: Vec<String>,
    times: u32,
}

/// What came of a plan's actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do.
    Nothing,
    /// All was done.
    Done,
    /// Something was not.
    Setback,
}

/// What the operator does with schedules.
pub struct ScheduleVerbs {
    /// What it does it with.
    pub hands: Hands,
}

impl Verbs for ScheduleVerbs {
    type Object = EtcdBackupSchedule;
    type Memory = Memory;
    type Sight = Observed;
    type Plan = Plan;
    type Done = Outcome;

    const KIND: OwnKind = OwnKind::EtcdBackupSchedule;

    async fn observe(
        &self,
        schedule: &EtcdBackupSchedule,
        _memory: &mut Memory,
    ) -> Result<Observed, ObserveError> {
        let client = &self.hands.client;
        let (namespace, name) = (schedule.namespace().unwrap_or_default(), schedule.name_any());
        let of_schedule = format!("{LABEL_BACKUP_SCHEDULE}={name}");
        Ok(Observed {
            // Jobs before the objects that stand for them: no object is taken for missing that was just made.
            jobs: list::<Job>(client, &namespace, &of_schedule).await?,
            backups: list::<EtcdBackup>(client, &namespace, &of_schedule).await?,
            cron_job: get::<CronJob>(client, &namespace, &name).await?,
            cluster: get::<EtcdCluster>(client, &namespace, &schedule.spec.cluster).await?,
            as_of: self.hands.clock.wall(),
            operator_image: self.hands.operator_image.clone(),
            schedule: schedule.clone(),
        })
    }

    fn plan(&self, observed: &Observed) -> Plan {
        plan(observed)
    }

    async fn execute(
        &self,
        key: &Key,
        _observed: &Observed,
        plan: &mut Plan,
        memory: &mut Memory,
    ) -> Outcome {
        memory.note(plan);
        let mut outcome = if plan.actions.is_empty() { Outcome::Nothing } else { Outcome::Done };
        for action in plan.actions.clone() {
            let done = self.carry_out(key, &action).await;
            self.hands.metrics.acted(action.kind(), done.is_ok());
            match done {
                Ok(()) => tracing::info!(object = %key, kind = action.kind(), "done"),
                Err(error) => {
                    tracing::info!(object = %key, kind = action.kind(), error = chain(&error), "not done");
                    outcome = Outcome::Setback;
                    if let SetbackKind::Refused(message) = error.setback() {
                        plan.refused(&message);
                    }
                }
            }
        }
        outcome
    }

    async fn report(
        &self,
        _key: &Key,
        observed: Observed,
        plan: &Plan,
        outcome: Outcome,
        _memory: &mut Memory,
    ) -> Result<Next, ReportError> {
        let schedule = &observed.schedule;
        write_status(&self.hands.client, schedule, schedule.status.as_ref(), &status(&observed, plan))
            .await?;
        let mut read: Vec<_> =
            identify(WatchedKind::EtcdBackupSchedule, &schedule.metadata).into_iter().collect();
        read.extend(observed.cron_job.iter().filter_map(|it| identify(WatchedKind::CronJob, &it.metadata)));
        read.extend(observed.jobs.iter().filter_map(|it| identify(WatchedKind::ScheduledJob, &it.metadata)));
        let after = match outcome {
            Outcome::Nothing => AT_REST,
            Outcome::Done => AFTER_ACTION,
            Outcome::Setback => AFTER_SETBACK,
        };
        Ok(Next::Look { after: Some(after), vigil: None, read, is_slow: false, wakes: Vec::new() })
    }

    /// The CronJob goes on; what was said of it is true for as long as nothing else is known.
    async fn unobserved(
        &self,
        _key: &Key,
        _seen: Option<(&EtcdBackupSchedule, &mut Memory)>,
        _error: &ObserveError,
    ) -> Result<(), ReportError> {
        Ok(())
    }

    fn forget(&self, _key: &Key) {}
}

impl Memory {
    /// Takes in what is to be set, and takes it out of the plan if the same was set again and again.
    fn note(&mut self, plan: &mut Plan) {
        let set = plan.actions.iter().find_map(|action| match action {
            Action::SetCronJob { fields, .. } => Some(fields.clone()),
            Action::CreateCronJob(_) | Action::CreateBackup(_) | Action::DeleteBackup { .. } => None,
        });
        let set = set.unwrap_or_default();
        self.times = if set.is_empty() || set != self.set { 0 } else { self.times + 1 };
        self.set = set;
        // One look in between that sets nothing begins anew, a minute later.
        if self.times >= SET_IN_A_ROW {
            plan.undone(&std::mem::take(&mut self.set));
        }
    }
}

impl ScheduleVerbs {
    async fn carry_out(&self, key: &Key, action: &Action) -> Result<(), WriteError> {
        self.hands.may_write()?;
        let client = &self.hands.client;
        match action {
            Action::CreateCronJob(cron_job) => create(client, cron_job.as_ref()).await,
            Action::SetCronJob { name, fields, operations } => {
                tracing::info!(object = %key, ?fields, "the CronJob is made what it should be");
                patch::<CronJob>(client, &key.namespace, name, operations).await
            }
            Action::CreateBackup(backup) => create(client, backup.as_ref()).await,
            Action::DeleteBackup { name, uid } => {
                delete::<EtcdBackup>(client, &key.namespace, name, uid).await
            }
        }
    }
}
