//! Carries out one write of a controller, and returns what the API server's answer says of the object. It decides
//! nothing and tries nothing twice: a refused write means that the controller has to look again.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::snapshot::{Kind, Object, ObjectKey};
use super::write::{Action, Announcement, NAME, Order, Part, Severity, Target, Write, to_json};

/// How long a call may take before it counts as failed.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a write was not made, or is not known to have been made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecuteError {
    /// The object changed or went since the decision; or one of that name is there already.
    #[error("the decision was based on an outdated state")]
    Outdated(#[source] kube::Error),
    /// Who the write was made for is leaving, or gone and followed by another of its name.
    #[error("the owner is leaving")]
    OwnerLeaves,
    /// The API server refused, or could not be reached.
    #[error("failed to ask the API server")]
    Client(#[source] kube::Error),
    /// No answer in time.
    #[error("the API server did not answer in time")]
    Slow,
    /// The answer is not an object of the kind.
    #[error("failed to read the API server's answer")]
    Answer(#[source] serde_json::Error),
}

impl ExecuteError {
    /// What the API server said, where it refused the write for good.
    pub(crate) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Client(kube::Error::Api(status)) => Some(&status.message),
            Self::Client(_) | Self::Outdated(_) | Self::OwnerLeaves | Self::Slow | Self::Answer(_) => None,
        }
    }
}

impl From<kube::Error> for ExecuteError {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if matches!(status.code, 404 | 409) => ExecuteError::Outdated(error),
            _ => ExecuteError::Client(error),
        }
    }
}

/// What an answer says.
#[derive(Debug)]
pub(crate) enum Learned {
    /// The object is this now.
    Exists(Object),
    /// The object is gone.
    Gone(Kind, ObjectKey, String),
    /// Nothing that matters to a snapshot.
    Nothing,
}

/// Makes one write.
pub(crate) async fn execute(client: &Client, write: &Write) -> Result<Learned, ExecuteError> {
    let made = async {
        if let Some(owner) = &write.staying {
            check_stays(client, owner).await?;
        }
        call(client, &write.action).await
    };
    timeout(CALL_TIMEOUT, made).await.map_err(|_| ExecuteError::Slow)?
}

/// Looks at an owner afresh, as Kubernetes' controllers do before they adopt.
async fn check_stays(client: &Client, owner: &Target) -> Result<(), ExecuteError> {
    let found = api(client, owner.kind, owner.namespace.as_deref()).get(&owner.name).await?;
    let same = found.metadata.uid.as_deref() == Some(owner.uid.as_str());
    if same && found.metadata.deletion_timestamp.is_none() { Ok(()) } else { Err(ExecuteError::OwnerLeaves) }
}

async fn call(client: &Client, action: &Action) -> Result<Learned, ExecuteError> {
    match action {
        Action::Create { kind, namespace, body } => {
            let object = serde_json::from_value(body.clone()).map_err(ExecuteError::Answer)?;
            let created =
                api(client, *kind, namespace.as_deref()).create(&PostParams::default(), &object).await?;
            exists(*kind, &created)
        }
        Action::Patch { target, part, patch } => {
            let api = api(client, target.kind, target.namespace.as_deref());
            let guarded = guard(target, patch.clone());
            let (parameters, patch) = (PatchParams::default(), Patch::Merge(guarded));
            let patched = match part {
                Part::Main => api.patch(&target.name, &parameters, &patch).await?,
                Part::Status => api.patch_status(&target.name, &parameters, &patch).await?,
            };
            if has_left(&patched) { Ok(gone(target)) } else { exists(target.kind, &patched) }
        }
        Action::Delete { target, grace_seconds, order } => {
            let api = api(client, target.kind, target.namespace.as_deref());
            let answer = api.delete(&target.name, &deletion(target, *grace_seconds, *order)).await?;
            match answer.left().filter(|object| !has_left(object)) {
                Some(object) => exists(target.kind, &object),
                None => Ok(gone(target)),
            }
        }
        Action::Bind { target, node } => bind(client, target, node).await,
    }
}

fn api(client: &Client, kind: Kind, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = kind.api_resource();
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Binds a patch to the incarnation and the version that the decision was based on.
fn guard(target: &Target, mut patch: Value) -> Value {
    let version = json!({"metadata": {"uid": target.uid, "resourceVersion": target.resource_version}});
    json_patch::merge(&mut patch, &version);
    patch
}

fn deletion(target: &Target, grace_seconds: Option<u32>, order: Order) -> DeleteParams {
    let parameters = match order {
        Order::Background => DeleteParams::background(),
        Order::Foreground => DeleteParams::foreground(),
    };
    DeleteParams {
        grace_period_seconds: grace_seconds,
        preconditions: Some(Preconditions { uid: Some(target.uid.clone()), resource_version: None }),
        ..parameters
    }
}

/// Whether an answered object is the last state of one that is gone: under deletion, and nothing holds it any more.
fn has_left(object: &DynamicObject) -> bool {
    let meta = &object.metadata;
    let is_held = meta.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty());
    let has_grace = meta.deletion_grace_period_seconds.is_some_and(|seconds| seconds > 0);
    meta.deletion_timestamp.is_some() && !is_held && !has_grace
}

fn exists(kind: Kind, object: &DynamicObject) -> Result<Learned, ExecuteError> {
    Object::parse(kind, to_json(object)).map(Learned::Exists).map_err(ExecuteError::Answer)
}

fn gone(target: &Target) -> Learned {
    let key =
        ObjectKey { namespace: target.namespace.clone().unwrap_or_default(), name: target.name.clone() };
    Learned::Gone(target.kind, key, target.uid.clone())
}

async fn bind(client: &Client, target: &Target, node: &str) -> Result<Learned, ExecuteError> {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": target.name, "namespace": target.namespace, "uid": target.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let namespace = target.namespace.as_deref();
    let pods = api(client, Kind::Pod, namespace);
    let _: Value = pods.create_subresource("binding", &target.name, &PostParams::default(), &body).await?;
    Ok(Learned::Nothing)
}

/// Writes the Event of a write that was made. A lost Event loses nothing that matters.
pub(crate) async fn announce(
    client: &Client,
    controller: &str,
    write: &Write,
    learned_name: Option<&str>,
    now: Timestamp,
) {
    let Some(announcement) = &write.announcement else { return };
    let message = announcement.message.replace(NAME, learned_name.unwrap_or_default());
    let announcement = &Announcement { message, ..announcement.clone() };
    // Whether it was written makes no difference to what comes.
    let _told = tell(client, controller, announcement, now).await;
}

/// An Event that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    name: String,
    times: u32,
}

fn events_of(client: &Client, announcement: &Announcement) -> Api<Event> {
    Api::namespaced(client.clone(), announcement.about.namespace.as_deref().unwrap_or("default"))
}

/// Writes an Event; nothing if that failed.
pub(crate) async fn tell(
    client: &Client,
    controller: &str,
    announcement: &Announcement,
    now: Timestamp,
) -> Option<Told> {
    /// Two Events of the same nanosecond want the same name.
    const ATTEMPTS: i128 = 8;
    let namespace = announcement.about.namespace.as_deref().unwrap_or("default");
    let events = events_of(client, announcement);
    for attempt in 0..ATTEMPTS {
        let name = format!("{}.{:x}", announcement.about.name, now.as_nanosecond() + attempt);
        let event = serde_json::from_value(event(controller, announcement, namespace, &name, now)).ok()?;
        match timeout(CALL_TIMEOUT, events.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => return Some(Told { name, times: 1 }),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {}
            Ok(Err(error)) => {
                tracing::debug!(controller, %error, "an Event of a controller was not written");
                return None;
            }
            Err(_) => return None,
        }
    }
    None
}

/// Counts an Event that was written once more; nothing if it is gone.
pub(crate) async fn tell_again(
    client: &Client,
    announcement: &Announcement,
    told: Told,
    now: Timestamp,
) -> Option<Told> {
    let times = told.times.saturating_add(1);
    let patch = Patch::Merge(json!({"count": times, "lastTimestamp": to_json(&Time(now))}));
    let events = events_of(client, announcement);
    let written = timeout(CALL_TIMEOUT, events.patch(&told.name, &PatchParams::default(), &patch)).await;
    written.ok()?.ok()?;
    Some(Told { times, ..told })
}

fn event(
    controller: &str,
    announcement: &Announcement,
    namespace: &str,
    name: &str,
    now: Timestamp,
) -> Value {
    let Announcement { about, severity, reason, message } = announcement;
    let resource = about.kind.api_resource();
    let time = to_json(&Time(now));
    json!({
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
            "resourceVersion": about.resource_version,
        },
        "type": match severity { Severity::Normal => "Normal", Severity::Warning => "Warning" },
        "reason": reason,
        "message": message,
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "source": {"component": controller},
        "reportingComponent": controller,
        "reportingInstance": "",
    })
}

#[cfg(test)]
mod tests {
    use assert_matches::assert_matches;
    use k8s_openapi::api::apps::v1::StatefulSet;
    use k8s_openapi::api::core::v1::Pod;

    use super::*;
    use crate::apiserver::{ApiServer, ApiServerConfig};
    use crate::controllers::pods::adopt;

    #[tokio::test]
    async fn who_decided_before_its_owner_began_to_leave_adopts_nothing() {
        let server = ApiServer::new(ApiServerConfig::default());
        let client = server.client();
        let labels = json!({"app": "web"});
        let container = json!({"name": "main", "image": "x"});
        let sets: Api<StatefulSet> = Api::namespaced(client.clone(), "default");
        let set = json!({"metadata": {"name": "web", "finalizers": ["test/stays"]}, "spec": {
            "serviceName": "web", "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        }});
        let set = serde_json::from_value(set).unwrap();
        let set = sets.create(&PostParams::default(), &set).await.unwrap();
        let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
        let pod =
            json!({"metadata": {"name": "web-0", "labels": labels}, "spec": {"containers": [container]}});
        let pod = pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
        let adoption = adopt(&pod, &set).unwrap();
        sets.delete("web", &DeleteParams::default()).await.unwrap();
        assert_matches!(execute(&client, &adoption).await, Err(ExecuteError::OwnerLeaves));
        assert_eq!(pods.get("web-0").await.unwrap().metadata.owner_references, None);
    }
}
