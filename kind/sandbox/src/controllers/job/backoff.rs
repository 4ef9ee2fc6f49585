//! How long a Job waits before it replaces a failed pod: 10 seconds, doubled with each failure in a row, at most 10
//! minutes. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::View;
use crate::controllers::pods::{Phase, phase};

const FIRST: SignedDuration = SignedDuration::from_secs(10);
const LONGEST: SignedDuration = SignedDuration::from_mins(10);

impl View<'_> {
    /// Until when no pod is made, if failures say so.
    pub(super) fn wait_until(&self) -> Option<Timestamp> {
        let times = |wanted: &dyn Fn(&Pod) -> bool| -> Vec<Timestamp> {
            self.pods.iter().filter(|pod| wanted(pod)).map(|pod| finish_time(pod)).collect()
        };
        let last_success = times(&|pod| phase(pod) == Phase::Succeeded).into_iter().max();
        let failures: Vec<Timestamp> = times(&|pod| self.has_failed(pod))
            .into_iter()
            .filter(|time| last_success.is_none_or(|success| *time > success))
            .collect();
        let last = failures.iter().max()?;
        let pause = (1..failures.len()).fold(FIRST, |pause, _| (pause * 2).min(LONGEST));
        last.checked_add(pause).ok().filter(|end| *end > self.now)
    }
}

/// When a pod ended, as well as it can be told.
fn finish_time(pod: &Pod) -> Timestamp {
    let of_containers = || {
        let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
        let ends: Option<Vec<Timestamp>> = statuses
            .iter()
            .map(|status| Some(status.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0))
            .collect();
        ends?.into_iter().max()
    };
    let of_condition = || {
        let conditions = pod.status.as_ref()?.conditions.as_ref()?;
        let unready = conditions.iter().find(|one| one.type_ == "Ready" && one.status == "False")?;
        unready.last_transition_time.as_ref().map(|time| time.0)
    };
    let of_deletion = || {
        let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
        pod.metadata.deletion_timestamp.as_ref().and_then(|time| time.0.checked_sub(grace).ok())
    };
    let created = || pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    of_containers().or_else(of_condition).or_else(of_deletion).unwrap_or_else(created)
}
