//! Checks on the watches: now and then one watched object is read by itself, and compared with what its watch told last. So an event
//! that never came is found, late but surely. It reads metadata alone, and what it finds has one consequence: a look.

use crate::telemetry::chain;
use crate::watch::{resource, version};
use etcd_operator_core::seen::{ObjectName, Version};
use kube::Client;
use kube::api::{Api, DynamicObject};
use std::time::Duration;

/// The shortest pause between two reads: what a large fleet may cost the API server.
const AT_LEAST: Duration = Duration::from_millis(500);
/// In a small fleet each object is read once in this time.
const ROUND: Duration = Duration::from_secs(300);

/// What one read found.
#[derive(Debug)]
pub struct Found {
    /// Of which object.
    pub name: ObjectName,
    /// Its version, or none if it is gone; an error is no finding.
    pub version: Option<Option<Version>>,
}

/// The pause before the next read, with so many objects known.
pub fn pause(objects: usize) -> Duration {
    let objects = u32::try_from(objects).unwrap_or(u32::MAX).max(1);
    (ROUND / objects).max(AT_LEAST)
}

/// Reads one object.
pub async fn read(client: Client, name: ObjectName) -> Found {
    let api: Api<DynamicObject> = Api::namespaced_with(client, &name.namespace, &resource(name.kind));
    let version = match api.get_metadata_opt(&name.name).await {
        Ok(found) => Some(found.and_then(|object| version(&object.metadata))),
        Err(error) => {
            tracing::debug!(error = chain(&error), ?name, "failed to check on a watch");
            None
        }
    };
    Found { name, version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_fleet_is_read_in_minutes_and_a_large_one_costs_two_reads_a_second() {
        assert_eq!(pause(0), ROUND);
        assert_eq!(pause(12), Duration::from_secs(25));
        assert_eq!(pause(12_000), Duration::from_millis(500));
    }
}
