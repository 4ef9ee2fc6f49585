//! The rule of the election, pure: given what was seen of the Lease and when, may this process take it?
//!
//! It is client-go's rule (`k8s.io/client-go/tools/leaderelection`): times written in the Lease are never compared
//! with a clock of ours. A Lease is free once *we* have seen it unchanged for its whole validity, on our monotonic
//! clock, so clocks that differ or jump cannot make two leaders.

use k8s_openapi::api::coordination::v1::Lease;
use std::time::Duration;

/// How long things take. `retry < renew_within < validity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durations {
    /// For how long a renewal keeps others from leading.
    pub validity: Duration,
    /// A leader that could not renew for this long gives up.
    pub renew_within: Duration,
    /// Pause between two looks at the Lease.
    pub retry: Duration,
}

impl Default for Durations {
    /// The values that Kubernetes' own components use.
    fn default() -> Self {
        Self {
            validity: Duration::from_secs(15),
            renew_within: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// The Lease as last seen changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    record: Option<Record>,
    changed_at: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    resource_version: String,
    holder: String,
    validity: Duration,
}

impl Observation {
    /// What is known after one more look at `now`: a change restarts the time, an unchanged Lease does not.
    pub fn update(earlier: Option<Observation>, lease: Option<&Lease>, now: Duration) -> Self {
        let record = lease.map(Record::of);
        match earlier {
            Some(earlier) if earlier.record == record => earlier,
            Some(_) | None => Self { record, changed_at: now },
        }
    }
}

impl Record {
    fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            resource_version: lease.metadata.resource_version.clone().unwrap_or_default(),
            holder: spec.holder_identity.unwrap_or_default(),
            validity: Duration::from_secs(seconds.unwrap_or(0)),
        }
    }
}

/// What a candidate does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is no Lease: make it.
    Create,
    /// It is ours: renew it.
    Renew,
    /// It is free, given back or run out: take it.
    Take,
    /// Somebody holds it.
    Wait {
        /// Who does.
        holder: String,
    },
}

/// The step that is allowed at `now`.
pub fn step(seen: &Observation, identity: &str, durations: &Durations, now: Duration) -> Step {
    let Some(record) = &seen.record else { return Step::Create };
    if record.holder == identity {
        return Step::Renew;
    }
    // A holder may have been configured with a longer validity than ours; the longer one counts.
    let validity = record.validity.max(durations.validity);
    let ran_out = now.saturating_sub(seen.changed_at) > validity;
    if record.holder.is_empty() || ran_out {
        return Step::Take;
    }
    Step::Wait { holder: record.holder.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn lease(holder: &str, resource_version: &str) -> Lease {
        let metadata =
            ObjectMeta { resource_version: Some(resource_version.to_owned()), ..ObjectMeta::default() };
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            // Far in the past by any clock: it must not matter.
            renew_time: Some(MicroTime(jiff::Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    fn step_at(seen: &Observation, now: Duration) -> Step {
        step(seen, "me", &Durations::default(), now)
    }

    #[test]
    fn a_missing_lease_is_created() {
        let seen = Observation::update(None, None, seconds(0));
        assert_eq!(step_at(&seen, seconds(0)), Step::Create);
    }

    #[test]
    fn ones_own_lease_is_retaken_at_once() {
        let seen = Observation::update(None, Some(&lease("me", "1")), seconds(0));
        assert_eq!(step_at(&seen, seconds(0)), Step::Renew);
    }

    #[test]
    fn a_lease_that_was_given_back_is_taken_at_once() {
        let seen = Observation::update(None, Some(&lease("", "1")), seconds(0));
        assert_eq!(step_at(&seen, seconds(0)), Step::Take);
    }

    #[test]
    fn a_foreign_lease_is_waited_for_even_if_its_time_is_long_past() {
        let seen = Observation::update(None, Some(&lease("other", "1")), seconds(100));
        assert_eq!(step_at(&seen, seconds(115)), Step::Wait { holder: "other".to_owned() });
    }

    #[test]
    fn a_foreign_lease_seen_unchanged_for_its_whole_validity_is_taken() {
        let first = Observation::update(None, Some(&lease("other", "1")), seconds(100));
        let second = Observation::update(Some(first), Some(&lease("other", "1")), seconds(114));
        assert_eq!(step_at(&second, seconds(116)), Step::Take);
    }

    #[test]
    fn a_renewal_seen_in_between_restarts_the_wait() {
        let first = Observation::update(None, Some(&lease("other", "1")), seconds(100));
        let second = Observation::update(Some(first), Some(&lease("other", "2")), seconds(114));
        assert_eq!(step_at(&second, seconds(128)), Step::Wait { holder: "other".to_owned() });
        assert_eq!(step_at(&second, seconds(130)), Step::Take);
    }
}
