//! One `EtcdCluster` under test: made, changed, read, written to through its members.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use chaos::agent::client::{Agent as _, AgentTarget, DataVolume, EphemeralAgent};
use chaos::agent::protocol::AgentFault;
use chaos::cluster::images::CHAOS_IMAGE;
use chaos::live::samples;
use chaos::subject::etcd;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::etcdctl::{self, MemberList};
use super::ground::Ground;
use super::picture::Picture;
use crate::promises::arena::until;

/// Where a member's volume is mounted.
pub(super) const DATA_MOUNT: &str = "/var/lib/etcd";

/// A cluster in a test's namespace.
pub(super) struct Subject<'a> {
    pub(super) ground: &'a Ground,
    pub(super) name: String,
}

/// The object for a spec whose fields add to, or replace, what a small cluster with a short soak has.
pub(super) fn object(namespace: &str, name: &str, more: Value) -> DynamicObject {
    let mut spec = json!({
        "size": 3, "version": "3.6.16", "storage": { "size": "1Gi" }, "rollout": { "soakSeconds": 1 },
    });
    json_patch::merge(&mut spec, &more);
    DynamicObject::new(name, &etcd::resource()).within(namespace).data(json!({ "spec": spec }))
}

/// Whether it serves.
pub(super) fn is_ready(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && samples::pod(pod, etcd::CONTAINER, false).ready
}

/// The member that a pod is of, by the name of its StatefulSet.
pub(super) fn member_of(pod: &str) -> &str {
    pod.strip_suffix("-0").unwrap_or(pod)
}

impl<'a> Subject<'a> {
    /// Creates the cluster; `more` adds to its spec.
    pub(super) async fn create(ground: &'a Ground, name: &str, more: Value) -> Subject<'a> {
        let subject = Subject { ground, name: name.to_owned() };
        let object = object(&ground.namespace, name, more);
        until("the EtcdCluster is accepted", async || {
            match subject.api().create(&PostParams::default(), &object).await {
                Ok(_) => Ok(Some(())),
                // An earlier one of this name is not quite gone.
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
                Err(error) => panic!("creating {name}: {error}"),
            }
        })
        .await;
        subject
    }

    pub(super) fn api(&self) -> Api<DynamicObject> {
        etcd::api(&self.ground.client, &self.ground.namespace)
    }

    /// The object as it stands.
    pub(super) async fn picture(&self) -> Picture {
        Picture(self.api().get(&self.name).await.unwrap())
    }

    /// Merges a change into the spec.
    pub(super) async fn change(&self, spec: Value) -> Result<DynamicObject, kube::Error> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api().patch(&self.name, &PatchParams::default(), &patch).await
    }

    /// Waits until the status is as wanted; panics with what it says instead.
    pub(super) async fn says(&self, what: &str, wanted: impl Fn(&Picture) -> bool) -> Picture {
        until(what, async || {
            let picture = self.picture().await;
            if wanted(&picture) { Ok(Some(picture)) } else { anyhow::bail!("{}", picture.describe()) }
        })
        .await
    }

    /// Waits until the status shows the hold and an Event tells of it; returns its message.
    pub(super) async fn holds(&self, reason: &str) -> String {
        let picture = self.says(&format!("a hold {reason}"), |picture| picture.hold(reason).is_some()).await;
        until(&format!("an Event {reason}"), async || {
            Ok((!self.events(reason).await.is_empty()).then_some(()))
        })
        .await;
        picture.hold(reason).unwrap_or_default().to_owned()
    }

    /// The Events with this reason that are about the cluster.
    pub(super) async fn events(&self, reason: &str) -> Vec<Event> {
        let about = |event: &Event| {
            event.regarding.as_ref().is_some_and(|object| {
                object.kind.as_deref() == Some(etcd::KIND)
                    && object.name.as_deref() == Some(self.name.as_str())
            }) && event.reason.as_deref() == Some(reason)
        };
        self.ground.all::<Event>().await.into_iter().filter(about).collect()
    }

    /// Waits until it calls itself Ready for the present spec, and so many members serve.
    pub(super) async fn is_ready(&self, size: usize) -> Picture {
        until(&format!("{} is Ready with {size} members", self.name), async || {
            let picture = self.picture().await;
            let (pods, ready) = (self.pods().await.len(), self.ready_pods().await.len());
            if picture.is("Ready") && pods == size && ready == size {
                return Ok(Some(picture));
            }
            anyhow::bail!("{ready} of {pods} pods serve; {}", picture.describe())
        })
        .await
    }

    pub(super) fn pods_api(&self) -> Api<Pod> {
        self.ground.api()
    }

    /// The members' pods that are not on their way out.
    pub(super) async fn pods(&self) -> Vec<Pod> {
        let pods = self.pods_api().list(&self.selector()).await.unwrap().items;
        pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect()
    }

    /// The names of the pods that serve.
    pub(super) async fn ready_pods(&self) -> Vec<String> {
        self.pods().await.iter().filter(|pod| is_ready(pod)).map(|pod| pod.name_any()).collect()
    }

    /// The members' claims.
    pub(super) async fn claims(&self) -> Vec<PersistentVolumeClaim> {
        self.ground.api::<PersistentVolumeClaim>().list(&self.selector()).await.unwrap().items
    }

    /// By the label that every object of a member bears.
    fn selector(&self) -> ListParams {
        ListParams::default().labels(&format!("{}={}", etcd::CLUSTER_LABEL, self.name))
    }

    /// The uid of each pod by name.
    pub(super) async fn uids(&self) -> BTreeMap<String, String> {
        self.pods().await.iter().map(|pod| (pod.name_any(), pod.uid().unwrap_or_default())).collect()
    }

    /// How a member is asked from inside its pod, as the spec says.
    async fn endpoint(&self) -> &'static str {
        let has_tls = self.picture().await.0.data.pointer("/spec/tls").is_some();
        if has_tls { etcdctl::OWN_BY_TLS } else { etcdctl::OWN }
    }

    /// Writes a key through some member that serves; an error if it was not acknowledged.
    pub(super) async fn try_put(&self, key: &str, value: &str) -> Result<()> {
        let pod = self.ready_pods().await.into_iter().next().context("no member serves")?;
        etcdctl::run(&self.pods_api(), &pod, self.endpoint().await, &["put", key, value]).await.map(drop)
    }

    /// Writes a key, as often as it takes.
    pub(super) async fn put(&self, key: &str, value: &str) {
        until(&format!("{key} is written"), async || self.try_put(key, value).await.map(Some)).await;
    }

    /// What each member has on its own disk for a key, by pod.
    pub(super) async fn values(&self, key: &str) -> BTreeMap<String, String> {
        let arguments = ["get", key, "--print-value-only", "--consistency=s"];
        let endpoint = self.endpoint().await;
        let mut values = BTreeMap::new();
        for pod in self.ready_pods().await {
            let said = etcdctl::run(&self.pods_api(), &pod, endpoint, &arguments).await.unwrap();
            values.insert(pod, said.trim().to_owned());
        }
        values
    }

    /// Waits until each of so many members has the value on its own disk.
    pub(super) async fn every_member_has(&self, size: usize, key: &str, value: &str) {
        until(&format!("all of {size} members have {key}"), async || {
            let values = self.values(key).await;
            anyhow::ensure!(values.len() == size && values.values().all(|one| one == value), "{values:?}");
            Ok(Some(()))
        })
        .await;
    }

    /// The member list, from some member that serves and is not the one to leave out.
    pub(super) async fn member_list(&self, but: Option<&str>) -> Result<MemberList> {
        let pods = self.ready_pods().await;
        let pod = pods.iter().find(|pod| Some(pod.as_str()) != but).context("no member serves")?;
        etcdctl::member_list(&self.pods_api(), pod, self.endpoint().await).await
    }

    /// Deletes pod and claim of a member, as when its node is lost with its disk.
    pub(super) async fn lose_disk(&self, pod: &str) {
        let claim = format!("data-{}", member_of(pod));
        self.ground.api::<PersistentVolumeClaim>().delete(&claim, &DeleteParams::default()).await.unwrap();
        self.pods_api().delete(pod, &DeleteParams::default().grace_period(0)).await.unwrap();
    }

    /// Waits until so many other members serve, and the lost one is in no list any more.
    pub(super) async fn replaces(&self, lost: &str, size: usize) {
        until(&format!("another member has taken the place of {lost}"), async || {
            let pods: BTreeSet<String> = self.ready_pods().await.into_iter().collect();
            let picture = self.picture().await;
            anyhow::ensure!(pods.len() == size && !pods.contains(lost), "{pods:?}; {}", picture.describe());
            let list = self.member_list(None).await?;
            let is_done = list.learners.is_empty()
                && list.voters.len() == size
                && !list.voters.contains(member_of(lost));
            Ok(is_done.then_some(()))
        })
        .await;
    }

    /// The first process of a member's etcd container dies, as by SIGKILL from its node.
    pub(super) async fn kill(&self, pod: &Pod) {
        self.fault(pod, AgentFault::Kill).await.finish().await;
    }

    /// Carries a fault into a pod; it goes on after this returns.
    pub(super) async fn fault(&self, pod: &Pod, fault: AgentFault) -> chaos::agent::client::AgentHandle {
        let target = AgentTarget {
            namespace: self.ground.namespace.clone(),
            pod: pod.name_any(),
            pod_uid: pod.uid().unwrap_or_default(),
            container: etcd::CONTAINER.to_owned(),
            data_volume: Some(DataVolume { name: "data".to_owned(), mount_path: DATA_MOUNT.to_owned() }),
        };
        let agent = EphemeralAgent::new(self.ground.client.clone(), CHAOS_IMAGE, "test");
        agent.apply(&target, fault).await.unwrap()
    }

    /// Deletes the cluster as `kubectl delete` does.
    pub(super) async fn delete(&self) {
        self.api().delete(&self.name, &DeleteParams::background()).await.unwrap();
    }
}
