//! The objects of the cluster with their revisions: what etcd and its watch cache are to a real API server.
//!
//! Pure and synchronous. It knows keys, revisions, owners and history; it never looks at the clock, never
//! validates, and knows nothing of HTTP.

mod log;
pub mod selector;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use log::ChangeLog;
pub use log::{Change, ChangeKind, Compacted};

/// A kind of object as stored: the API group ("" is the core group) and the plural resource name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupResource {
    /// API group, "" for the core group.
    pub group: String,
    /// Plural, lower case.
    pub resource: String,
}

impl GroupResource {
    /// Names a resource of a group.
    pub fn new(group: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { group: group.into(), resource: resource.into() }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => write!(formatter, "{}", self.resource),
            group => write!(formatter, "{}.{group}", self.resource),
        }
    }
}

/// Where an object lives. `namespace` is `None` for cluster-scoped objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The kind of object.
    pub resource: GroupResource,
    /// The namespace of a namespaced object.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

type Place = (Option<String>, String);

/// All objects, the revision of the newest write, and a bounded history for watches.
#[derive(Clone, Debug)]
pub struct Store {
    revision: u64,
    objects: BTreeMap<GroupResource, BTreeMap<Place, Arc<Value>>>,
    logs: BTreeMap<GroupResource, ChangeLog>,
    by_uid: BTreeMap<String, ObjectKey>,
    dependents: BTreeMap<String, BTreeSet<ObjectKey>>,
    history_length: usize,
}

impl Store {
    /// An empty store that keeps the newest `history_length` changes of each resource for watches.
    pub fn new(history_length: usize) -> Self {
        Self {
            revision: 1,
            objects: BTreeMap::new(),
            logs: BTreeMap::new(),
            by_uid: BTreeMap::new(),
            dependents: BTreeMap::new(),
            history_length,
        }
    }

    /// The revision of the newest write.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The object at `key`.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        let place = (key.namespace.clone(), key.name.clone());
        self.objects.get(&key.resource)?.get(&place).cloned()
    }

    /// The object with this uid, wherever it is.
    pub fn key_of_uid(&self, uid: &str) -> Option<&ObjectKey> {
        self.by_uid.get(uid)
    }

    /// The objects whose `ownerReferences` name this uid.
    pub fn dependents_of(&self, uid: &str) -> Vec<ObjectKey> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// The objects of a resource, of one namespace or of all, ordered by namespace and name.
    pub fn list(&self, resource: &GroupResource, namespace: Option<&str>) -> Vec<(ObjectKey, Arc<Value>)> {
        let Some(objects) = self.objects.get(resource) else { return Vec::new() };
        objects
            .iter()
            .filter(|((of, _), _)| namespace.is_none() || of.as_deref() == namespace)
            .map(|((of, name), object)| (key(resource, of, name), object.clone()))
            .collect()
    }

    /// As [`Store::list`], as it was at an earlier revision.
    ///
    /// # Errors
    /// [`Compacted`] when the history no longer reaches back to `revision`.
    pub fn list_at(
        &self,
        resource: &GroupResource,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Vec<(ObjectKey, Arc<Value>)>, Compacted> {
        let mut found: BTreeMap<ObjectKey, Arc<Value>> = self.list(resource, namespace).into_iter().collect();
        for change in self.changes_since(resource, revision)?.into_iter().rev() {
            if namespace.is_some() && change.key.namespace.as_deref() != namespace {
                continue;
            }
            match change.previous {
                Some(previous) => found.insert(change.key, previous),
                None => found.remove(&change.key),
            };
        }
        Ok(found.into_iter().collect())
    }

    /// Every key inside a namespace.
    pub fn keys_in_namespace(&self, namespace: &str) -> Vec<ObjectKey> {
        let within = |(resource, objects): (&GroupResource, &BTreeMap<Place, Arc<Value>>)| {
            let places = objects.keys().filter(|(of, _)| of.as_deref() == Some(namespace));
            places.map(|(of, name)| key(resource, of, name)).collect::<Vec<_>>()
        };
        self.objects.iter().flat_map(within).collect()
    }

    /// Writes an object, new or changed, at a new revision, which becomes its `metadata.resourceVersion`.
    pub fn put(&mut self, key: &ObjectKey, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        set_resource_version(&mut object, self.revision);
        let object = Arc::new(object);
        let place = (key.namespace.clone(), key.name.clone());
        let previous = self.objects.entry(key.resource.clone()).or_default().insert(place, object.clone());
        if let Some(previous) = &previous {
            self.forget_references(key, previous);
        }
        self.remember_references(key, &object);
        let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.record(kind, key, object.clone(), previous);
        object
    }

    /// Removes an object at a new revision and returns its last state, carrying that revision.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<Arc<Value>> {
        let place = (key.namespace.clone(), key.name.clone());
        let previous = self.objects.get_mut(&key.resource)?.remove(&place)?;
        self.revision += 1;
        self.forget_references(key, &previous);
        let mut last = Value::clone(&previous);
        set_resource_version(&mut last, self.revision);
        let last = Arc::new(last);
        self.record(ChangeKind::Deleted, key, last.clone(), Some(previous));
        Some(last)
    }

    /// The changes of a resource after `revision`, oldest first.
    ///
    /// # Errors
    /// [`Compacted`] when some of them are no longer kept.
    pub fn changes_since(&self, resource: &GroupResource, revision: u64) -> Result<Vec<Change>, Compacted> {
        match self.logs.get(resource) {
            Some(log) => log.since(revision),
            None => Ok(Vec::new()),
        }
    }

    /// Forgets the history of every resource, as a compaction does: older watches end with 410.
    pub fn compact(&mut self) {
        self.logs.values_mut().for_each(ChangeLog::compact);
    }

    /// A resource that was not served before has no history from before.
    pub fn begin_history(&mut self, resource: &GroupResource) {
        if !self.logs.contains_key(resource) {
            let mut log = ChangeLog::new(self.history_length);
            log.begin(self.revision);
            self.logs.insert(resource.clone(), log);
        }
    }

    fn record(
        &mut self,
        kind: ChangeKind,
        key: &ObjectKey,
        object: Arc<Value>,
        previous: Option<Arc<Value>>,
    ) {
        let change = Change { revision: self.revision, kind, key: key.clone(), object, previous };
        let log =
            self.logs.entry(key.resource.clone()).or_insert_with(|| ChangeLog::new(self.history_length));
        log.push(change);
    }

    fn remember_references(&mut self, key: &ObjectKey, object: &Value) {
        if let Some(uid) = object.pointer("/metadata/uid").and_then(Value::as_str) {
            self.by_uid.insert(uid.to_owned(), key.clone());
        }
        for owner in owner_uids(object) {
            self.dependents.entry(owner.to_owned()).or_default().insert(key.clone());
        }
    }

    fn forget_references(&mut self, key: &ObjectKey, object: &Value) {
        if let Some(uid) = object.pointer("/metadata/uid").and_then(Value::as_str) {
            self.by_uid.remove(uid);
        }
        for owner in owner_uids(object) {
            if let Some(keys) = self.dependents.get_mut(owner) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}

/// The uids that an object's `ownerReferences` name.
pub fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    let references = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    references.into_iter().flatten().filter_map(|reference| reference.get("uid")?.as_str())
}

fn key(resource: &GroupResource, namespace: &Option<String>, name: &str) -> ObjectKey {
    ObjectKey { resource: resource.clone(), namespace: namespace.clone(), name: name.to_owned() }
}

fn set_resource_version(object: &mut Value, revision: u64) {
    object["metadata"]["resourceVersion"] = Value::String(revision.to_string());
}
