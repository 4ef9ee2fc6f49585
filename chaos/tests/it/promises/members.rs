//! An etcd cluster of three as its users see it: made, written to, read from each member.

use std::collections::BTreeMap;

use anyhow::Context as _;
use chaos::live::samples;
use chaos::subject::{etcd, namespace};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::arena::{PATIENCE, until};

const NAME: &str = "demo";
const VERSION: &str = "3.6.16";

/// One pod of a member: what tells it, and its process, from a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) uid: String,
    pub(super) restarts: u32,
}

/// An EtcdCluster in a namespace of its own.
pub(super) struct Demo {
    client: Client,
    pub(super) namespace: String,
    made: Option<Namespace>,
}

impl Demo {
    /// Makes the namespace and the cluster in it.
    pub(super) async fn create(client: &Client, namespace: &str) -> Demo {
        let made = namespace::create(client, namespace, "test").await.unwrap();
        let demo = Demo { client: client.clone(), namespace: namespace.to_owned(), made: Some(made) };
        demo.create_cluster().await;
        demo
    }

    /// Makes the cluster in a namespace that is there.
    pub(super) async fn create_in(client: &Client, namespace: &str) -> Demo {
        let demo = Demo { client: client.clone(), namespace: namespace.to_owned(), made: None };
        demo.create_cluster().await;
        demo
    }

    async fn create_cluster(&self) {
        let spec = json!({ "size": 3, "version": VERSION, "storage": { "size": "1Gi" } });
        etcd::create(&self.client, &self.namespace, NAME, &spec).await.unwrap();
    }

    /// The cluster's object.
    pub(super) fn api(&self) -> Api<DynamicObject> {
        etcd::api(&self.client, &self.namespace)
    }

    /// Waits until the operator says that all is as the spec wants it, and until that is so.
    pub(super) async fn is_ready(&self) -> DynamicObject {
        until("the EtcdCluster is Ready with three members", async || {
            let cluster = self.api().get(NAME).await?;
            let whole = self.lives().await.len() == 3 && self.ready_pods().await == 3;
            Ok((etcd::condition_is_true(&cluster, "Ready") && whole).then_some(cluster))
        })
        .await
    }

    pub(super) fn pods_api(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The members' pods that are not on their way out.
    pub(super) async fn pods(&self) -> Vec<Pod> {
        let labels = ListParams::default().labels(&format!("{}={NAME}", etcd::CLUSTER_LABEL));
        let pods = self.pods_api().list(&labels).await.unwrap().items;
        pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect()
    }

    /// Each pod by name, and whose life it is.
    pub(super) async fn lives(&self) -> BTreeMap<String, Life> {
        let life = |pod: &Pod| {
            let restarts = samples::process(pod, etcd::CONTAINER)?.restart_count;
            Some((pod.name_any(), Life { uid: pod.uid()?, restarts }))
        };
        self.pods().await.iter().filter_map(life).collect()
    }

    /// How many members serve.
    pub(super) async fn ready_pods(&self) -> usize {
        self.pods().await.iter().filter(|pod| samples::pod(pod, etcd::CONTAINER, false).ready).count()
    }

    /// Writes a key through the clients' Service.
    pub(super) async fn put(&self, key: &str, value: &str) {
        let endpoint = format!("http://{NAME}.{}.svc:{}", self.namespace, etcd::CLIENT_PORT);
        assert_eq!(self.etcdctl(&endpoint, &["put", key, value]).await.trim(), "OK");
    }

    /// Panics unless each member has the value on its own disk.
    pub(super) async fn every_member_has(&self, key: &str, value: &str) {
        for pod in self.pods().await {
            let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap();
            let endpoint = format!("http://{address}:{}", etcd::CLIENT_PORT);
            let arguments = ["get", key, "--print-value-only", "--consistency=s"];
            assert_eq!(self.etcdctl(&endpoint, &arguments).await.trim(), value, "in {}", pod.name_any());
        }
    }

    /// Runs etcdctl in a pod of etcd's image and returns what it said.
    async fn etcdctl(&self, endpoint: &str, arguments: &[&str]) -> String {
        let mut all = vec!["--command-timeout=30s".to_owned(), format!("--endpoints={endpoint}")];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let pod: Pod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "etcdctl" },
            "spec": { "restartPolicy": "Never", "automountServiceAccountToken": false, "containers": [{
                "name": "etcdctl", "image": format!("quay.io/coreos/etcd:v{VERSION}"),
                "command": ["/usr/local/bin/etcdctl"], "args": all,
            }] },
        }))
        .unwrap();
        let pods = self.pods_api();
        pods.create(&PostParams::default(), &pod).await.unwrap();
        let phase = until("etcdctl has ended", async || {
            let phase = pods.get("etcdctl").await?.status.context("no status")?.phase.unwrap_or_default();
            Ok(matches!(phase.as_str(), "Succeeded" | "Failed").then_some(phase))
        })
        .await;
        let said = pods.logs("etcdctl", &Default::default()).await.unwrap();
        assert_eq!(phase, "Succeeded", "etcdctl {all:?}: {said}");
        pods.delete("etcdctl", &DeleteParams::default().grace_period(0)).await.unwrap();
        until("etcdctl's pod is gone", async || Ok(pods.get_opt("etcdctl").await?.is_none().then_some(())))
            .await;
        said
    }

    /// Removes the cluster, and the namespace if it was made here.
    pub(super) async fn remove(self) {
        self.api().delete(NAME, &DeleteParams::default()).await.unwrap();
        if let Some(made) = &self.made {
            namespace::delete(&self.client, made, PATIENCE).await.unwrap();
        }
    }
}
