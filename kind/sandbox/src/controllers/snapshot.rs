//! What the controllers know of the cluster: one store for each kind they read, fed by watches and by the answers to
//! their own writes. It never talks to the API server and never invents an object.
//!
//! Two rules keep a stale watch from undoing what an answer already taught us: of two versions of an object the one with
//! the higher resourceVersion wins (Kubernetes 1.35 made that order official, KEP-5504), and an object whose deletion
//! was answered stays buried until its watch has told the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::ApiResource;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::reflector::{Observation, reflect};

/// Where an object lives inside its kind. The namespace is empty for objects of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectKey {
    /// The namespace, empty for cluster-scoped kinds.
    pub(crate) namespace: String,
    /// The object's name.
    pub(crate) name: String,
}

/// A kind that the controllers read.
pub(crate) trait Stored:
    Resource<DynamicType = ()>
    + Clone
    + DeserializeOwned
    + Serialize
    + std::fmt::Debug
    + PartialEq
    + Send
    + Sync
    + 'static
{
    /// The kind's name in [`Kind`].
    const KIND: Kind;
    /// Wraps one object for the way from a watch to the snapshot.
    fn into_object(self) -> Object;
}

macro_rules! kinds {
    ($($kind:ident => $field:ident),* $(,)?) => {
        /// The kinds that the controllers read and write.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind { $(
            #[doc = concat!("`", stringify!($kind), "`")]
            $kind
        ),* }

        impl Kind {
            /// Every kind, in a fixed order.
            pub(crate) const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            /// The address of the kind in the API.
            pub(crate) fn api_resource(self) -> ApiResource {
                match self { $(Kind::$kind => ApiResource::erase::<$kind>(&())),* }
            }
        }

        /// One object of any of the kinds.
        #[derive(Clone, Debug)]
        pub(crate) enum Object { $(
            #[doc = concat!("A `", stringify!($kind), "`")]
            $kind(Box<$kind>)
        ),* }

        impl Object {
            /// Reads an object as the API server sent it.
            pub(crate) fn parse(kind: Kind, value: Value) -> Result<Object, serde_json::Error> {
                Ok(match kind { $(Kind::$kind => Object::$kind(Box::new(serde_json::from_value(value)?))),* })
            }

            /// The object's kind.
            pub(crate) fn kind(&self) -> Kind {
                match self { $(Object::$kind(_) => Kind::$kind),* }
            }

            /// The object's name.
            pub(crate) fn name(&self) -> String {
                match self { $(Object::$kind(object) => object.name_any()),* }
            }
        }

        $(impl Stored for $kind {
            const KIND: Kind = Kind::$kind;
            fn into_object(self) -> Object { Object::$kind(Box::new(self)) }
        })*

        /// Starts one watch for each kind.
        pub(crate) fn watch_all(tasks: &mut JoinSet<()>, client: &Client, news: &UnboundedSender<Observation>) {
            $(tasks.spawn(reflect::<$kind>(client.clone(), news.clone()));)*
        }

        /// All stores together.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct Snapshot { $(
            #[doc = concat!("Every `", stringify!($kind), "`")]
            pub $field: Store<$kind>
        ),* }

        impl Snapshot {
            /// Takes in an object that exists. Says whether that changed anything.
            pub(crate) fn apply(&mut self, object: Object) -> bool {
                match object { $(Object::$kind(object) => self.$field.apply(*object)),* }
            }

            /// Takes in the watch's word that an object is gone. Says whether that changed anything.
            pub(crate) fn forget(&mut self, object: &Object) -> bool {
                match object { $(Object::$kind(object) => self.$field.forget(object.meta())),* }
            }

            /// One object as JSON.
            #[cfg(test)]
            pub(super) fn json(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
                match kind { $(
                    Kind::$kind => self.$field.get(namespace, name).map(|object| super::write::to_json(&**object))
                ),* }
            }

            /// Takes in the answer to a deletion: the object is gone, and older news of it that is still on its way is
            /// to be ignored.
            pub(crate) fn bury(&mut self, kind: Kind, key: &ObjectKey, uid: &str) -> bool {
                match kind { $(Kind::$kind => self.$field.bury(key, uid)),* }
            }

            /// Takes in a full listing of one kind, made at a resourceVersion.
            pub(crate) fn replace(&mut self, kind: Kind, resource_version: u64, objects: Vec<Object>) {
                match kind { $(Kind::$kind => {
                    let mut listed = Vec::new();
                    for object in objects {
                        if let Object::$kind(object) = object {
                            listed.push(*object);
                        }
                    }
                    self.$field.replace(resource_version, listed);
                }),* }
            }
        }
    };
}

kinds! {
    Pod => pods,
    PersistentVolumeClaim => claims,
    PersistentVolume => volumes,
    StorageClass => storage_classes,
    Service => services,
    EndpointSlice => endpoint_slices,
    Node => nodes,
    StatefulSet => stateful_sets,
    ControllerRevision => controller_revisions,
    Deployment => deployments,
    ReplicaSet => replica_sets,
    Job => jobs,
    CronJob => cron_jobs,
    PodDisruptionBudget => disruption_budgets,
}

/// The objects of one kind, in order of namespace and name.
#[derive(Clone, Debug)]
pub(crate) struct Store<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    buried: BTreeSet<String>,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Store { objects: BTreeMap::new(), buried: BTreeSet::new() }
    }
}

impl<K: Stored> Store<K> {
    /// Every object.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<K>> {
        self.objects.values()
    }

    /// The objects of one namespace.
    pub(crate) fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<K>> {
        let first = ObjectKey { namespace: namespace.to_owned(), name: String::new() };
        self.objects
            .range(first..)
            .take_while(move |(key, _)| key.namespace == namespace)
            .map(|(_, object)| object)
    }

    /// One object; the namespace is empty for cluster-scoped kinds.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<K>> {
        self.objects.get(&ObjectKey { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    fn apply(&mut self, object: K) -> bool {
        if self.buried.contains(uid(object.meta())) {
            return false;
        }
        let key = key(&object);
        let version = resource_version(object.meta());
        if self.objects.get(&key).is_some_and(|held| resource_version(held.meta()) >= version) {
            return false;
        }
        self.objects.insert(key, Arc::new(object));
        true
    }

    fn forget(&mut self, gone: &ObjectMeta) -> bool {
        self.buried.remove(uid(gone));
        let key = key_of(gone);
        let held = self.objects.get(&key).is_some_and(|held| uid(held.meta()) == uid(gone));
        held && self.objects.remove(&key).is_some()
    }

    fn bury(&mut self, key: &ObjectKey, gone: &str) -> bool {
        let held = self.objects.get(key).is_some_and(|held| uid(held.meta()) == gone);
        if held {
            self.objects.remove(key);
            self.buried.insert(gone.to_owned());
        }
        held
    }

    fn replace(&mut self, listed_at: u64, objects: Vec<K>) {
        // What the listing doesn't name is gone, unless an answer taught it to us after the listing was made.
        let names: BTreeSet<ObjectKey> = objects.iter().map(key).collect();
        self.objects.retain(|key, held| names.contains(key) || resource_version(held.meta()) > listed_at);
        for object in objects {
            self.apply(object);
        }
    }
}

fn key<K: ResourceExt>(object: &K) -> ObjectKey {
    key_of(object.meta())
}

/// The key that an object's metadata names.
pub(crate) fn key_of(meta: &ObjectMeta) -> ObjectKey {
    ObjectKey {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
    }
}

fn uid(meta: &ObjectMeta) -> &str {
    meta.uid.as_deref().unwrap_or_default()
}

/// The resourceVersion as the number that it is in every API server backed by etcd, and in ours; zero if absent.
pub(crate) fn resource_version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, uid: &str, version: u64) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.namespace = Some("default".into());
        pod.metadata.name = Some(name.into());
        pod.metadata.uid = Some(uid.into());
        pod.metadata.resource_version = Some(version.to_string());
        pod
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let mut snapshot = Snapshot::default();
        assert!(snapshot.apply(pod("a", "1", 7).into_object()));
        assert!(!snapshot.apply(pod("a", "1", 6).into_object()));
        assert!(!snapshot.apply(pod("a", "1", 7).into_object()));
        assert_eq!(snapshot.pods.iter().count(), 1);
    }

    #[test]
    fn late_news_of_a_deleted_object_does_not_bring_it_back() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(pod("a", "1", 7).into_object());
        let key = key_of(&pod("a", "1", 7).metadata);
        assert!(snapshot.bury(Kind::Pod, &key, "1"));
        assert!(!snapshot.apply(pod("a", "1", 8).into_object()));
        snapshot.forget(&pod("a", "1", 9).into_object());
        assert!(snapshot.apply(pod("a", "2", 10).into_object()));
    }

    #[test]
    fn the_end_of_a_predecessor_does_not_remove_its_successor() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(pod("a", "2", 10).into_object());
        assert!(!snapshot.forget(&pod("a", "1", 9).into_object()));
        assert!(snapshot.pods.get("default", "a").is_some());
    }

    #[test]
    fn a_listing_removes_what_it_does_not_name_except_what_is_newer_than_itself() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(pod("old", "1", 5).into_object());
        snapshot.apply(pod("new", "2", 12).into_object());
        snapshot.replace(Kind::Pod, 10, vec![pod("listed", "3", 8).into_object()]);
        let names: Vec<_> = snapshot.pods.iter().map(|pod| pod.name_any()).collect();
        assert_eq!(names, ["listed", "new"]);
    }

    #[test]
    fn a_namespace_lists_only_its_own_objects() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(pod("a", "1", 1).into_object());
        let mut other = pod("b", "2", 2);
        other.metadata.namespace = Some("default-2".into());
        snapshot.apply(other.into_object());
        assert_eq!(snapshot.pods.in_namespace("default").count(), 1);
        assert_eq!(snapshot.pods.in_namespace("other").count(), 0);
    }
}
