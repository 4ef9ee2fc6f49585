//! Many clusters at once, formed by the operator itself on the sandbox's API server, with modelled members on real sockets: what a
//! fleet costs, and that no cluster is forgotten because a watch was. In a network of their own, where every address of loopback is a
//! pod's; so these tests need root.

mod cost;
mod etcd;
mod kubelet;
mod proto;
mod stale;
mod wire;

use crate::support::kubernetes::create_namespace;
use etcd::Etcds;
use etcd_operator_core::api::EtcdCluster;
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use kubelet::Kubelet;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Clusters in one namespace.
const IN_NAMESPACE: usize = 10;

/// Runs `work` where nobody else uses loopback.
fn in_own_network(work: impl AsyncFnOnce() + Send) {
    assert!(geteuid().is_root(), "this test makes a network namespace: run it as root");
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
            // Its threads are made by this one, and so are in this network too.
            tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work());
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Kubernetes' part and etcd's for a fleet; the operator comes from elsewhere.
struct Fleet {
    client: Client,
    etcds: Etcds,
    _tasks: JoinSet<()>,
}

impl Fleet {
    fn start(client: Client) -> Self {
        let etcds = Etcds::default();
        let mut tasks = JoinSet::new();
        let kubelet = Kubelet::new(client.clone(), etcds.clone());
        tasks.spawn(async move { kubelet.run().await });
        tasks.spawn(wire::serve(etcds.clone()));
        Self { client, etcds, _tasks: tasks }
    }

    fn clusters(&self, namespace: &str) -> Api<EtcdCluster> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Adds clusters of three, and waits until all are ready.
    async fn grow_to(&self, clusters: usize) {
        for number in 0..clusters {
            let namespace = namespace(number);
            if number % IN_NAMESPACE == 0 {
                create_namespace(&self.client, &namespace).await;
            }
            let cluster = json!({
                "apiVersion": "etcd.operators.rs/v1beta1",
                "kind": "EtcdCluster",
                "metadata": { "name": name(number) },
                "spec": { "size": 3, "version": "3.6.16" },
            });
            let cluster = serde_json::from_value(cluster).unwrap();
            eventually("the resource type is served", async || {
                self.clusters(&namespace).create(&PostParams::default(), &cluster).await.ok()
            })
            .await;
        }
        eventually("all clusters are ready", async || {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let all =
                Api::<EtcdCluster>::all(self.client.clone()).list(&ListParams::default()).await.unwrap();
            all.items.iter().all(is_ready).then_some(())
        })
        .await;
    }
}

fn namespace(cluster: usize) -> String {
    format!("team-{}", cluster / IN_NAMESPACE)
}

fn name(cluster: usize) -> String {
    format!("etcd-{cluster}")
}

fn is_ready(cluster: &EtcdCluster) -> bool {
    let conditions = cluster.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Waits for a fact; half an hour only bounds the failure.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(1800);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} never happened");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
