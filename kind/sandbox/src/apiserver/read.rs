//! Get and list.
//!
//! Pure. A list that is continued shows every page at the first page's revision.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::cluster::{Cluster, Target};
use super::convert;
use super::error::ApiError;
use super::request::Query;
use crate::store::selector::Selector;
use crate::store::{Compacted, ObjectKey};

/// A page of objects, not yet given a form.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Arc<Value>>,
    pub(crate) resource_version: u64,
    pub(crate) next: Option<String>,
    pub(crate) remaining: Option<u64>,
}

/// One object in the version asked for.
pub(crate) fn get(cluster: &Cluster, target: &Target) -> Result<Arc<Value>, ApiError> {
    let (_, object) = cluster.existing(target)?;
    Ok(convert::from_storage(target, &object))
}

/// The selector of a request; paths that the resource does not index are refused, as by Kubernetes.
pub(crate) fn selector(target: &Target, query: &Query) -> Result<Selector, ApiError> {
    let selector = query.selector()?;
    for path in selector.field_paths() {
        let known = matches!(path, "metadata.name" | "metadata.namespace") || indexed(target, path);
        if !known {
            let why = format!("field label not supported: {path}");
            return Err(ApiError::bad_request(why));
        }
    }
    Ok(selector)
}

fn indexed(target: &Target, path: &str) -> bool {
    let id = &target.definition.id;
    let paths: &[&str] = match (id.group.as_str(), id.resource.as_str()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => {
            &["regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "reason", "type"]
        }
        ("", "secrets") => &["type"],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("apps", "replicasets") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        _ => &[],
    };
    paths.contains(&path)
}

/// A list, or a page of one.
pub(crate) fn list(cluster: &Cluster, target: &Target, query: &Query) -> Result<Page, ApiError> {
    let selector = selector(target, query)?;
    let namespace = target.namespace.as_deref();
    let limit = query.number("limit")?.filter(|limit| *limit > 0);
    let from = query.get("continue").filter(|token| !token.is_empty()).map(Position::parse).transpose()?;
    let exact = query.get("resourceVersionMatch") == Some("Exact");
    let asked = if exact { query.number("resourceVersion")? } else { None };
    let revision =
        from.as_ref().map(|position| position.revision).or(asked).unwrap_or(cluster.store.revision());
    let storage = target.definition.storage();
    let all =
        cluster.store.list_at(&storage, namespace, revision).map_err(|gone| expired(gone, from.is_some()))?;
    let after = |key: &ObjectKey| from.as_ref().is_none_or(|position| position.before(key));
    let found: Vec<(ObjectKey, Arc<Value>)> = all
        .into_iter()
        .filter(|(key, _)| after(key))
        .map(|(key, object)| (key, convert::from_storage(target, &object)))
        .filter(|(_, object)| selector.matches(object))
        .collect();
    let total = found.len();
    let taken = limit.map_or(total, |limit| total.min(usize::try_from(limit).unwrap_or(usize::MAX)));
    let last = found.get(taken.wrapping_sub(1)).map(|(key, _)| key.clone()).filter(|_| taken < total);
    Ok(Page {
        items: found.into_iter().take(taken).map(|(_, object)| object).collect(),
        resource_version: revision,
        next: last.map(|key| Position { revision, namespace: key.namespace, name: key.name }.token()),
        remaining: (taken < total && selector.is_empty()).then_some((total - taken) as u64),
    })
}

fn expired(gone: Compacted, continued: bool) -> ApiError {
    if continued {
        return ApiError::expired(
            "The provided continue parameter is too old to display a consistent list result. \
             You must start a new list without the continue parameter.",
        );
    }
    ApiError::expired(gone.to_string())
}

/// Where the next page begins; sent to the client as an opaque token.
struct Position {
    revision: u64,
    namespace: Option<String>,
    name: String,
}

impl Position {
    fn parse(token: &str) -> Result<Self, ApiError> {
        let malformed = || ApiError::bad_request("continue key is not valid");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| malformed())?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
        let name = value["name"].as_str().ok_or_else(malformed)?.to_owned();
        let namespace = value["namespace"].as_str().map(str::to_owned);
        Ok(Self { revision: value["revision"].as_u64().ok_or_else(malformed)?, namespace, name })
    }

    fn token(&self) -> String {
        let value = json!({"revision": self.revision, "namespace": self.namespace, "name": self.name});
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn before(&self, key: &ObjectKey) -> bool {
        (&key.namespace, &key.name) > (&self.namespace, &self.name)
    }
}
