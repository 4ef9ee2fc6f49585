//! The controllers at work on an API server in the same process, with a stand-in for the node.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

mod jobs;
pub(crate) mod kubelet;
mod rest;
mod sets;
mod volumes;

use std::fmt::Debug;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, WatchEvent, WatchParams};
use kube::core::ObjectList;
use kube::{Client, Resource};
use sandbox::apiserver::inputs::SystemClock;
use sandbox::controllers::Controllers;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::apiserver::{api, object, server};
use kubelet::Kubelet;

/// A cluster without processes: API server, controllers, and a stand-in for the node.
struct Cluster {
    client: Client,
    _controllers: Controllers,
    kubelet: Kubelet,
}

impl Cluster {
    async fn start() -> Cluster {
        let client = server().client();
        let kubelet = Kubelet::start(client.clone()).await;
        let controllers = Controllers::start(client.clone(), std::sync::Arc::new(SystemClock));
        Cluster { client, _controllers: controllers, kubelet }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        api(&self.client)
    }

    async fn create<K>(&self, value: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + serde::Serialize,
    {
        self.api().create(&kube::api::PostParams::default(), &object::<K>(value)).await.unwrap()
    }

    async fn patch<K>(&self, name: &str, patch: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let patch = kube::api::Patch::Merge(patch);
        self.api::<K>().patch(name, &kube::api::PatchParams::default(), &patch).await.unwrap()
    }
}

/// Waits until the objects of a kind satisfy a condition, and returns them in order of their names. Asks only when the
/// watch has news; gives up after a time that is far more than it takes, and then says what it saw.
async fn eventually<K>(api: Api<K>, what: &str, holds: impl Fn(&[K]) -> bool) -> Vec<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let limit = tokio::time::sleep(Duration::from_secs(20));
    tokio::pin!(limit);
    let mut seen = Vec::new();
    loop {
        let ObjectList { items, metadata, .. } = api.list(&Default::default()).await.unwrap();
        if holds(&items) {
            return items;
        }
        seen.clone_from(&items);
        let version = metadata.resource_version.unwrap();
        let mut events = api.watch(&WatchParams::default(), &version).await.unwrap().boxed();
        let change = async {
            while let Ok(Some(event)) = events.try_next().await {
                if !matches!(event, WatchEvent::Bookmark(_)) {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = &mut limit => panic!("it never came to be that {what}; last seen: {seen:#?}"),
            () = change => {}
        }
    }
}
