//! What the user is told of an `EtcdBackupSchedule`. Never decides.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::observed::Observed;
use super::plan::{Plan, created, recorded_now};
use crate::api::EtcdBackupScheduleStatus;
use crate::conditions::{About, Finding, Truth};

/// The condition: backups are taken as the spec says.
const READY: &str = "Ready";

/// The status that follows from what was seen and what is planned.
pub fn status(observed: &Observed, plan: &Plan) -> EtcdBackupScheduleStatus {
    let schedule = &observed.schedule;
    let before = schedule.status.clone().unwrap_or_default();
    let proved = observed.backups.iter().filter_map(|backup| {
        let status = backup.status.as_ref().filter(|status| status.proved_at.is_some())?;
        status.asked_for_at.as_ref().map(|time| time.0)
    });
    let about =
        About { generation: schedule.metadata.generation, before: &before.conditions, as_of: observed.as_of };
    let truth = if plan.standing.is_ready { Truth::True } else { Truth::False };
    let ready = Finding {
        status: truth,
        reason: plan.standing.reason.as_str(),
        message: plan.standing.message.clone(),
    };
    EtcdBackupScheduleStatus {
        observed_generation: schedule.metadata.generation,
        last_schedule_time: observed
            .cron_job
            .as_ref()
            .and_then(|cron_job| cron_job.status.as_ref()?.last_schedule_time.clone()),
        last_proved_at: proved.max().map(Time).or(before.last_proved_at),
        last_backup: observed.backups.iter().max_by_key(|backup| created(backup)).map(ResourceExt::name_any),
        recorded_jobs: recorded_now(observed),
        conditions: vec![about.condition(READY, ready)],
    }
}
