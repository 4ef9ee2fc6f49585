//! Watches: from which revision, which objects, and how a change looks to a client that sees only some of them.
//!
//! The plan and the translation are pure; waiting is done in [`super::serve`].

use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::{Cluster, Target};
use super::convert;
use super::defects::Defect;
use super::error::ApiError;
use super::read;
use super::render::Form;
use super::request::ApiRequest;
use crate::store::selector::Selector;
use crate::store::{Change, ChangeKind};

/// Events carry this when the server was asked for initial events and has sent them all.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// What a watch shows and for how long.
#[derive(Clone, Debug)]
pub(crate) struct WatchPlan {
    pub(crate) target: Target,
    pub(crate) selector: Selector,
    /// `None`: begin with the present state.
    pub(crate) after: Option<u64>,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial_events: bool,
    pub(crate) timeout_seconds: u64,
    pub(crate) form: Form,
}

/// An event of the watch protocol.
#[derive(Clone, Debug)]
pub(crate) struct WatchEvent {
    pub(crate) kind: &'static str,
    pub(crate) object: Arc<Value>,
}

impl WatchPlan {
    pub(crate) fn new(target: &Target, request: &ApiRequest) -> Result<Self, ApiError> {
        let query = &request.query;
        read::check_options(query)?;
        // A watch that begins with what is there is told where that ends, unless it says how it wants to begin.
        let unsaid = query.get("sendInitialEvents").is_none() && query.get("resourceVersionMatch").is_none();
        let from_now = matches!(query.get("resourceVersion"), None | Some("" | "0"));
        let send_initial_events = query.flag("sendInitialEvents") || unsaid && from_now;
        let after = query.number("resourceVersion")?.filter(|version| *version > 0 && !send_initial_events);
        Ok(Self {
            target: target.clone(),
            selector: read::selector(target, query)?,
            after,
            bookmarks: query.flag("allowWatchBookmarks"),
            send_initial_events,
            // Without a wish a real server chooses between half an hour and an hour.
            timeout_seconds: query.number("timeoutSeconds")?.unwrap_or(1800),
            form: Form::of(request),
        })
    }

    /// The first events, and the revision that they reach.
    pub(crate) fn first(&self, cluster: &Cluster) -> (Vec<WatchEvent>, u64) {
        if let Some(after) = self.after {
            return (Vec::new(), after);
        }
        let revision = cluster.store.revision();
        let storage = self.target.definition.storage();
        let mut events = Vec::new();
        for (key, object) in cluster.store.list(&storage, self.target.namespace.as_deref()) {
            let object = convert::from_storage(&self.target, &object);
            if self.names(&key.name) && self.selector.matches(&object) {
                events.push(WatchEvent { kind: "ADDED", object });
            }
        }
        if self.send_initial_events && self.bookmarks {
            events.push(self.bookmark(revision, true));
        }
        (events, revision)
    }

    /// The events after a revision, and the revision that they reach.
    pub(crate) fn next(&self, cluster: &Cluster, after: u64) -> Result<(Vec<WatchEvent>, u64), ApiError> {
        let changes = cluster.store.changes_since(&self.target.definition.storage(), after);
        let changes = match changes {
            Err(_) if Defect::ExpiryIgnored.is_planted() => Ok(Vec::new()),
            other => other,
        };
        let changes = changes.map_err(|gone| ApiError::expired(gone.to_string()))?;
        let events = changes.iter().filter_map(|change| self.event(change)).collect();
        Ok((events, cluster.store.revision().max(after)))
    }

    /// Tells the client up to which revision it has seen everything.
    pub(crate) fn bookmark(&self, revision: u64, initial_events_end: bool) -> WatchEvent {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial_events_end {
            metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        let kind = &self.target.definition.kind;
        let object = json!({"kind": kind, "apiVersion": self.target.api_version(), "metadata": metadata});
        WatchEvent { kind: "BOOKMARK", object: Arc::new(object) }
    }

    fn names(&self, name: &str) -> bool {
        self.target.name.as_deref().is_none_or(|wanted| wanted == name)
    }

    fn event(&self, change: &Change) -> Option<WatchEvent> {
        let namespace = self.target.namespace.as_deref();
        if namespace.is_some() && change.key.namespace.as_deref() != namespace
            || !self.names(&change.key.name)
        {
            return None;
        }
        let object = convert::from_storage(&self.target, &change.object);
        let is_seen = change.kind != ChangeKind::Deleted && self.selector.matches(&object);
        let previous = change.previous.as_ref().map(|previous| convert::from_storage(&self.target, previous));
        let was_seen = previous.as_ref().is_some_and(|previous| self.selector.matches(previous));
        if change.kind == ChangeKind::Deleted && Defect::WatchMissesDeletions.is_planted() {
            return None;
        }
        if change.kind != ChangeKind::Deleted
            && was_seen
            && !is_seen
            && Defect::WatchKeepsLeavers.is_planted()
        {
            return Some(WatchEvent { kind: "MODIFIED", object });
        }
        match (was_seen, is_seen) {
            (false, true) => Some(WatchEvent { kind: "ADDED", object }),
            (true, true) => Some(WatchEvent { kind: "MODIFIED", object }),
            (true, false) => {
                // An object that left the selection is shown as it last was in it, at the revision of the change.
                let mut last = Value::clone(previous.as_ref()?);
                last["metadata"]["resourceVersion"] = json!(change.revision.to_string());
                Some(WatchEvent { kind: "DELETED", object: Arc::new(last) })
            }
            (false, false) => None,
        }
    }
}
