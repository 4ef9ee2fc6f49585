//! The status.

use crate::api::EtcdClusterStatus;
use crate::observed::Observed;
use crate::plan::Plan;

/// The status that follows from what was seen and what is planned. It equals the observed one if nothing changed, and
/// then nothing need be written.
pub fn status(observed: &Observed, plan: &Plan) -> EtcdClusterStatus {
    let _ = plan;
    observed.cluster.status.clone().unwrap_or_default()
}
