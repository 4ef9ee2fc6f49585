//! Checks on the watches: now and then one watched object is read by itself, and compared with what its watch told last. So an event
//! that never came is found, late but surely. It reads metadata alone, and what it finds has one consequence: a look.

use crate::telemetry::chain;
use crate::watch::{resource, version};
use etcd_operator_core::seen::{ObjectName, Version};
use kube::Client;
use kube::api::{Api, DynamicObject};
use std::time::Duration;

/// How often watched objects are read.
#[derive(Debug, Clone, Copy)]
pub struct Audit {
    /// The shortest pause between two reads: what a large fleet may cost the API server.
    pub at_least: Duration,
    /// In a small fleet each object is read once in this time.
    pub round: Duration,
}

impl Default for Audit {
    /// Five minutes in a small fleet; in one of a thousand clusters, two reads a second, and an hour and a half.
    fn default() -> Self {
        Self { at_least: Duration::from_millis(500), round: Duration::from_secs(300) }
    }
}

impl Audit {
    /// The pause before the next read, with so many objects known.
    pub fn pause(&self, objects: usize) -> Duration {
        let objects = u32::try_from(objects).unwrap_or(u32::MAX).max(1);
        (self.round / objects).max(self.at_least)
    }
}

/// Reads one object: its version, or none if it is gone. A read that failed has found nothing.
pub async fn read(client: Client, name: ObjectName) -> Option<(ObjectName, Option<Version>)> {
    let api: Api<DynamicObject> = Api::namespaced_with(client, &name.namespace, &resource(name.kind));
    match api.get_metadata_opt(&name.name).await {
        Ok(found) => {
            let version = found.and_then(|object| version(&object.metadata));
            Some((name, version))
        }
        Err(error) => {
            tracing::debug!(error = chain(&error), ?name, "failed to check on a watch");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_fleet_is_read_in_minutes_and_a_large_one_costs_two_reads_a_second() {
        let audit = Audit::default();
        assert_eq!(audit.pause(0), audit.round);
        assert_eq!(audit.pause(12), Duration::from_secs(25));
        assert_eq!(audit.pause(12_000), audit.at_least);
    }
}
