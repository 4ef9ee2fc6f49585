//! The state of the API server: the store, what is served, and the lookups that every verb needs.
//!
//! Pure. Time and identifiers come in as [`Inputs`] with each request; cloning it is cheap, which is how a dry run works.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::custom;
use super::definition::{Definition, built_in};
use super::error::ApiError;
use super::inputs::Identifiers;
use super::request::ResourcePath;
use crate::store::{GroupResource, ObjectKey, Store};

/// The two things that a decision may not make up.
pub(crate) struct Inputs<'a> {
    pub(crate) now: Timestamp,
    pub(crate) identifiers: &'a mut dyn Identifiers,
    /// What the client is to be warned of, in the order in which it was found.
    pub(crate) warnings: Vec<String>,
}

impl Inputs<'_> {
    /// Now, as object metadata shows it: whole seconds.
    pub(crate) fn now_text(&self) -> Value {
        Value::String(time_text(self.now))
    }
}

/// A time as `metav1.Time` prints it.
pub(crate) fn time_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// All state behind the API server's one lock.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) store: Store,
    pub(crate) definitions: BTreeMap<GroupResource, Arc<Definition>>,
    /// The certificate that `kube-root-ca.crt` carries, in PEM.
    pub(crate) root_certificate: String,
    /// Signs the tokens of ServiceAccounts.
    pub(crate) signing_key: [u8; 32],
    /// The bearer token of the administrator, if there is one.
    pub(crate) administrator_token: Option<String>,
}

/// What a path means: a resource in a version, perhaps one object, perhaps a subresource.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) definition: Arc<Definition>,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Target {
    /// The key of the named object.
    pub(crate) fn key(&self) -> Result<ObjectKey, ApiError> {
        let name = self.name.as_deref().ok_or_else(ApiError::method_not_allowed)?;
        if self.definition.namespaced && self.namespace.is_none() {
            return Err(ApiError::no_such_path());
        }
        Ok(self.definition.key(self.namespace.as_deref(), name))
    }

    pub(crate) fn api_version(&self) -> String {
        self.definition.api_version(&self.version)
    }

    /// The same resource, at another object.
    pub(crate) fn named(&self, namespace: Option<&str>, name: &str) -> Self {
        Self { namespace: namespace.map(str::to_owned), name: Some(name.to_owned()), ..self.clone() }
    }
}

impl Cluster {
    pub(crate) fn new(history_length: usize) -> Self {
        let definitions = built_in().into_iter().map(|one| (one.id.clone(), Arc::new(one))).collect();
        Self {
            store: Store::new(history_length),
            definitions,
            root_certificate: String::new(),
            signing_key: [0; 32],
            administrator_token: None,
        }
    }

    /// Resolves a path.
    pub(crate) fn target(&self, path: &ResourcePath) -> Result<Target, ApiError> {
        let id = GroupResource::new(path.group.as_str(), path.resource.as_str());
        let definition = self.definitions.get(&id).filter(|found| found.versions.contains(&path.version));
        let definition = definition.ok_or_else(|| self.nothing_at(path))?.clone();
        if !definition.namespaced && path.namespace.is_some() {
            return Err(ApiError::no_such_path());
        }
        Ok(Target {
            definition,
            version: path.version.clone(),
            namespace: path.namespace.clone(),
            name: path.name.clone(),
            subresource: path.subresource.clone(),
        })
    }

    /// Groups of custom resources are served resource by resource; of built-in groups a router knows the versions.
    fn nothing_at(&self, path: &ResourcePath) -> ApiError {
        let served = |one: &Arc<Definition>| {
            !one.is_custom() && one.id.group == path.group && one.versions.contains(&path.version)
        };
        if self.definitions.values().any(served) {
            ApiError::no_such_path()
        } else {
            ApiError::no_such_group()
        }
    }

    /// A target for a built-in resource, for the server's own writes.
    pub(crate) fn own_target(&self, group: &str, resource: &str) -> Target {
        let id = GroupResource::new(group, resource);
        let definition = self.definitions.get(&id).expect("built-in resources are always defined").clone();
        let version = definition.versions[0].clone();
        Target { definition, version, namespace: None, name: None, subresource: None }
    }

    /// The stored object, or 404.
    pub(crate) fn existing(&self, target: &Target) -> Result<(ObjectKey, Arc<Value>), ApiError> {
        let key = target.key()?;
        match self.store.get(&key) {
            Some(object) => Ok((key, object)),
            None => Err(ApiError::not_found(&target.definition.id, &key.name)),
        }
    }

    /// The namespace object of a name.
    pub(crate) fn namespace(&self, name: &str) -> Option<Arc<Value>> {
        let resource = GroupResource::new("", "namespaces");
        self.store.get(&ObjectKey { resource, namespace: None, name: name.to_owned() })
    }

    /// Takes over a CRD's definition after it was written, or drops it after it was removed.
    pub(crate) fn refresh_definition(&mut self, crd: &Value, removed: bool) {
        let Some(definition) = custom::definition(crd) else { return };
        if removed {
            self.definitions.remove(&definition.id);
        } else {
            self.store.begin_history(&definition.id);
            self.definitions.insert(definition.id.clone(), Arc::new(definition));
        }
    }
}
