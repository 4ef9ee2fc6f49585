//! Get and list.
//!
//! Pure. A list that is continued shows every page at the first page's revision.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::cluster::{Cluster, Target};
use super::convert;
use super::definition::Shape;
use super::error::{ApiError, Cause};
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
            let id = &target.definition.id;
            let of_its_own = matches!(
                (id.group.as_str(), id.resource.as_str()),
                ("", "pods" | "events" | "secrets" | "namespaces" | "nodes")
                    | ("apps", "replicasets")
                    | ("batch", "jobs")
                    | ("events.k8s.io", "events")
            ) || target.definition.is_custom();
            let why = match of_its_own {
                true => format!("field label not supported: {path}"),
                false => format!(
                    "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                ),
            };
            return Err(ApiError::bad_request(why));
        }
    }
    Ok(selector)
}

fn indexed(target: &Target, path: &str) -> bool {
    if let Shape::Custom(schema) = &target.definition.shape {
        let spoken = schema.versions.get(&target.version);
        return spoken.is_some_and(|version| version.selectable.iter().any(|field| field == path));
    }
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
        ("events.k8s.io", "events") => &[
            "reason",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reportingController",
            "type",
        ],
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
    check_options(query)?;
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
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut rest = all.into_iter().filter(|(key, _)| after(key));
    let (mut items, mut last) = (Vec::new(), None);
    while items.len() < limit
        && let Some((key, object)) = rest.next()
    {
        let object = convert::from_storage(target, &object);
        if selector.matches(&object) {
            items.push(object);
        }
        last = Some(key);
    }
    // A page that is full has a successor if anything is left, whether the selector will find it or not.
    let left = rest.count();
    let next = last.filter(|_| left > 0);
    Ok(Page {
        items,
        resource_version: revision,
        next: next.map(|key| Position { revision, namespace: key.namespace, name: key.name }.token()),
        remaining: (left > 0 && selector.is_empty()).then_some(left as u64),
    })
}

/// Refuses versions that are none, and ways to match them that make no sense.
pub(crate) fn check_options(query: &Query) -> Result<(), ApiError> {
    let value = |name: &str| query.get(name).filter(|text| !text.is_empty());
    let refused = |cause: Cause| Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[cause]));
    match (value("resourceVersionMatch"), value("resourceVersion")) {
        (Some("Exact" | "NotOlderThan"), None) if !query.flag("watch") => {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return refused(Cause::forbidden("resourceVersionMatch", why));
        }
        (Some(other), _) if !matches!(other, "Exact" | "NotOlderThan") => {
            let supported = ["Exact", "NotOlderThan", ""].map(str::to_owned);
            return refused(Cause::unsupported("resourceVersionMatch", &json!(other), &supported));
        }
        _ => {}
    }
    if query.flag("watch")
        && query.flag("sendInitialEvents")
        && value("resourceVersionMatch") != Some("NotOlderThan")
    {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return refused(Cause::forbidden("resourceVersionMatch", why));
    }
    match value("resourceVersion") {
        Some(version) if version.parse::<u64>().is_err() && query.flag("watch") => {
            Err(ApiError::storage(format!(
                "resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
            )))
        }
        Some(version) if version.parse::<u64>().is_err() => Err(ApiError::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
        ))),
        Some(_) | None => Ok(()),
    }
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
