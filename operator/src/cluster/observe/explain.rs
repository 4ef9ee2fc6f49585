//! What Kubernetes says of objects that do not come up, and where volumes are bound to. Asked only where something is amiss, and
//! never decided by here: a failure to ask is no news.

use crate::telemetry::chain;
use etcd_operator_core::cluster::observed::WarnedKind;
use etcd_operator_core::cluster::world::is_cut_off;
use k8s_openapi::api::core::v1::{Node, PersistentVolume};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ListParams};
use std::collections::{BTreeMap, BTreeSet};

/// The last warning about each of some objects, given with their UIDs, where there is one. What was said of an earlier object of the
/// same name is no news of this one.
pub(super) async fn warnings(
    client: &Client,
    namespace: &str,
    objects: BTreeMap<(WarnedKind, String), String>,
) -> BTreeMap<(WarnedKind, String), String> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let mut warnings = BTreeMap::new();
    for ((kind, name), uid) in objects {
        let fields = format!("regarding.kind={},regarding.name={name},type=Warning", kind.as_str());
        let is_about =
            |event: &Event| event.regarding.as_ref().and_then(|it| it.uid.as_deref()) == Some(&uid);
        match events.list(&ListParams::default().fields(&fields)).await {
            Ok(list) => {
                if let Some(last) = list.items.into_iter().filter(is_about).max_by_key(last_seen) {
                    warnings.insert((kind, name), describe(&last));
                }
            }
            Err(error) => {
                tracing::debug!(error = chain(&error), kind = kind.as_str(), name, "read Events");
            }
        }
    }
    warnings
}

/// When an Event was last seen: by its series, by its own time, or as its older form says.
fn last_seen(event: &Event) -> Option<jiff::Timestamp> {
    let series = event.series.as_ref().map(|series| &series.last_observed_time);
    let time = series.or(event.event_time.as_ref()).map(|MicroTime(time)| *time);
    let older = event.deprecated_last_timestamp.as_ref().map(|time| time.0);
    time.max(older)
}

fn describe(event: &Event) -> String {
    let reason = event.reason.as_deref().unwrap_or("Warning");
    format!("{reason}: {}", event.note.as_deref().unwrap_or_default())
}

/// Which of some volumes, by claim, can be used on no node that is ready. `None` if this operator may not ask.
pub(super) async fn cut_off(
    client: &Client,
    volumes: &BTreeMap<String, String>,
) -> Result<BTreeSet<String>, AskError> {
    let api: Api<PersistentVolume> = Api::all(client.clone());
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&ListParams::default()).await.map_err(AskError::from)?.items;
    let mut cut_off = BTreeSet::new();
    for (claim, name) in volumes {
        // A volume that is gone can be used nowhere either.
        let volume = api.get_opt(name).await.map_err(AskError::from)?;
        if volume.is_none_or(|volume| is_cut_off(&volume, &nodes)) {
            cut_off.insert(claim.clone());
        }
    }
    Ok(cut_off)
}

/// Why nodes and volumes were not read.
pub(super) enum AskError {
    /// This operator has no right to.
    NotAllowed,
    /// They could not be read now.
    Failed(kube::Error),
}

impl From<kube::Error> for AskError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 403 => AskError::NotAllowed,
            other => AskError::Failed(other),
        }
    }
}
