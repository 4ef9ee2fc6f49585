//! One pass over one object of the operator's own kinds: observe, parse and plan, execute, report. What each of these verbs does is
//! its kind's ([`Verbs`]); that they follow each other, and what is counted and remembered of it, is the same for all and stands here.

use crate::clock::SharedClock;
use crate::metrics::Metrics;
use crate::telemetry::chain;
use etcd_operator_core::key::{Key, OwnKind};
use etcd_operator_core::seen::{ObjectName, Version};
use futures::future::BoxFuture;
use kube::api::Api;
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;
use thiserror::Error;

/// Pause after a failed pass.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Why an object was looked at early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disturbed {
    /// In words, for the log.
    pub why: String,
    /// Whether the look may have to wait for somebody who does not answer.
    pub may_be_slow: bool,
}

/// What goes on between two looks. It ends when something makes the next one come early, and is dropped when that begins.
pub type Vigil = BoxFuture<'static, Disturbed>;

/// When an object is looked at next, unless something changes before.
pub enum Next {
    /// After a pause, or never by itself.
    Look {
        /// The pause, if there is one.
        after: Option<Duration>,
        /// What is watched meanwhile.
        vigil: Option<Vigil>,
        /// The watched objects that the look has read.
        read: Vec<(ObjectName, Version)>,
        /// Whether looks at it wait for somebody who does not answer.
        is_slow: bool,
        /// Other objects that depend on what was found here, and are looked at now.
        wakes: Vec<Key>,
    },
    /// Never: it no longer exists.
    Forget,
}

impl Next {
    /// After a pass that failed: soon, with nothing watched meanwhile.
    pub fn after_error() -> Self {
        Next::Look {
            after: Some(AFTER_ERROR),
            vigil: None,
            read: Vec::new(),
            is_slow: false,
            wakes: Vec::new(),
        }
    }
}

/// Why there is nothing to plan from.
#[derive(Debug, Error)]
pub enum ObserveError {
    /// A live read failed; acting on the rest could take an unseen object for an absent one.
    #[error("failed to read {what}")]
    Read {
        /// Which objects.
        what: String,
        /// What the API server said.
        #[source]
        source: kube::Error,
    },
    /// The object has no name, namespace or UID.
    #[error("failed to identify the object")]
    Identity(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why the user was not told.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The status is not JSON: a bug of ours.
    #[error("failed to write the status as JSON")]
    Json(#[from] serde_json::Error),
    /// The API server failed or refused.
    #[error("failed to write the status")]
    Write(#[source] kube::Error),
}

/// Why a pass ended early.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The world could not be seen.
    #[error("failed to observe it")]
    Observe(#[from] ObserveError),
    /// The user was not told.
    #[error("failed to report on it")]
    Report(#[from] ReportError),
}

/// What the operator does with one kind of object.
pub trait Verbs: Send + Sync + 'static {
    /// The kind in Kubernetes.
    type Object: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static;
    /// What is remembered from pass to pass. It may only make the operator slower, never bolder.
    type Memory: Default + Send;
    /// What was seen by live reads.
    type Sight: Send + Sync;
    /// What happens next.
    type Plan: Send + Sync;
    /// What came of it.
    type Done: Send + Sync;

    /// The kind in keys.
    const KIND: OwnKind;

    /// Looks at the world by live reads.
    fn observe(
        &self,
        object: &Self::Object,
        memory: &mut Self::Memory,
    ) -> impl Future<Output = Result<Self::Sight, ObserveError>> + Send;

    /// Parses what is asked for and decides what happens next. Pure.
    fn plan(&self, sight: &Self::Sight) -> Self::Plan;

    /// Carries the plan out, as far as it can be.
    fn execute(
        &self,
        key: &Key,
        sight: &Self::Sight,
        plan: &mut Self::Plan,
        memory: &mut Self::Memory,
    ) -> impl Future<Output = Self::Done> + Send;

    /// Tells the user, and says when the next look is due.
    fn report(
        &self,
        key: &Key,
        sight: Self::Sight,
        plan: &Self::Plan,
        done: Self::Done,
        memory: &mut Self::Memory,
    ) -> impl Future<Output = Result<Next, ReportError>> + Send;

    /// Tells that nothing could be seen. Without the object it could not even be read itself.
    fn unobserved(
        &self,
        key: &Key,
        seen: Option<(&Self::Object, &mut Self::Memory)>,
        error: &ObserveError,
    ) -> impl Future<Output = Result<(), ReportError>> + Send;

    /// Takes back what was told of an object that no longer exists.
    fn forget(&self, key: &Key);
}

/// The verbs of one kind, with what all kinds need.
pub struct Reconciler<V: Verbs> {
    /// For reading the object.
    pub client: Client,
    /// What is done with it.
    pub verbs: V,
    /// Times passes.
    pub clock: SharedClock,
    /// Counts passes.
    pub metrics: Metrics,
    /// What is remembered of each object, by its key and UID.
    pub memories: Mutex<BTreeMap<Key, (String, V::Memory)>>,
}

impl<V: Verbs> Reconciler<V> {
    /// One pass, with its outcome counted and logged.
    pub async fn reconcile(&self, key: &Key) -> Next {
        let began = self.clock.monotonic();
        let outcome = self.pass(key).await;
        self.metrics.reconciled(outcome.is_ok(), self.clock.monotonic().saturating_sub(began));
        outcome.unwrap_or_else(|error| {
            tracing::warn!(object = %key, error = chain(&error), "failed to reconcile");
            Next::after_error()
        })
    }

    async fn pass(&self, key: &Key) -> Result<Next, ReconcileError> {
        let object = match self.object(key).await {
            Ok(Some(object)) => object,
            Ok(None) => {
                self.forget(key);
                return Ok(Next::Forget);
            }
            Err(error) => {
                self.verbs.unobserved(key, None, &error).await?;
                return Err(error.into());
            }
        };
        let mut memory = self.recall(key, &object);
        let next = self.pass_over(key, &object, &mut memory).await;
        self.keep(key, &object, memory);
        next
    }

    /// What could not be executed is still reported on.
    async fn pass_over(
        &self,
        key: &Key,
        object: &V::Object,
        memory: &mut V::Memory,
    ) -> Result<Next, ReconcileError> {
        let sight = match self.verbs.observe(object, memory).await {
            Ok(sight) => sight,
            Err(error) => {
                self.verbs.unobserved(key, Some((object, memory)), &error).await?;
                return Err(error.into());
            }
        };
        let mut plan = self.verbs.plan(&sight);
        let done = self.verbs.execute(key, &sight, &mut plan, memory).await;
        Ok(self.verbs.report(key, sight, &plan, done, memory).await?)
    }

    async fn object(&self, key: &Key) -> Result<Option<V::Object>, ObserveError> {
        let api: Api<V::Object> = Api::namespaced(self.client.clone(), &key.namespace);
        api.get_opt(&key.name).await.map_err(|source| ObserveError::Read { what: key.to_string(), source })
    }

    /// What is remembered of this very object; nothing of an earlier one of the same name.
    fn recall(&self, key: &Key, object: &V::Object) -> V::Memory {
        let uid = object.uid().unwrap_or_default();
        let taken = self.memories.lock().ok().and_then(|mut memories| memories.remove(key));
        taken.filter(|(of, _)| *of == uid).map(|(_, memory)| memory).unwrap_or_default()
    }

    fn keep(&self, key: &Key, object: &V::Object, memory: V::Memory) {
        if let Ok(mut memories) = self.memories.lock() {
            memories.insert(key.clone(), (object.uid().unwrap_or_default(), memory));
        }
    }

    fn forget(&self, key: &Key) {
        self.verbs.forget(key);
        if let Ok(mut memories) = self.memories.lock() {
            memories.remove(key);
        }
    }
}
