//! Where a test stands: a namespace of its own, and tools for what belongs to the whole cluster. Knows nothing of etcd.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chaos::subject::namespace;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;

use crate::promises::arena::{Arena, kind};

/// A namespace on a cluster with an operator.
pub(super) struct Ground {
    /// Kept for its end: an arena of this test's own goes with it.
    _arena: Arena,
    kubeconfig: PathBuf,
    pub(super) client: Client,
    pub(super) namespace: String,
}

impl Ground {
    /// A namespace on the cluster that the tests share.
    pub(super) async fn open(name: &str) -> Ground {
        Ground::on(Arena::shared().await, name).await
    }

    /// For a test that changes what belongs to the whole cluster. Only one runs at a time on real Kubernetes, so it takes the
    /// shared one there, and puts back what it changed.
    pub(super) async fn alone(name: &str) -> Ground {
        if kind() != "sandbox" || std::env::var_os("CHAOS_TEST_KUBECONFIG").is_some() {
            return Ground::open(name).await;
        }
        let arena = Arena::open(name).await;
        arena.install().await;
        Ground::on(arena, name).await
    }

    /// A namespace on real Kubernetes, for what a sandbox cannot show.
    pub(super) async fn real(name: &str) -> Ground {
        assert!(
            kind() != "sandbox" || std::env::var_os("CHAOS_TEST_KUBECONFIG").is_some(),
            "no sandbox can show this: run it with CHAOS_TEST_CLUSTER=bare and --test-threads 1"
        );
        Ground::open(name).await
    }

    async fn on(arena: Arena, name: &str) -> Ground {
        // A cluster that outlives the tests may still be removing what an earlier process made.
        let namespace = format!("{name}-{}", std::process::id());
        namespace::create(&arena.client, &namespace, "test").await.unwrap();
        let (client, kubeconfig) = (arena.client.clone(), arena.kubeconfig.clone());
        Ground { _arena: arena, kubeconfig, client, namespace }
    }

    /// A client that hands on what it is told, where the usual one asks again after a 429.
    pub(super) async fn client_without_retries(&self) -> Client {
        let file = Kubeconfig::read_from(&self.kubeconfig).unwrap();
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    /// The objects of one kind in the namespace.
    pub(super) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        <K as Resource>::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// All objects of one kind in the namespace.
    pub(super) async fn all<K>(&self) -> Vec<K>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
        <K as Resource>::DynamicType: Default,
    {
        self.api::<K>().list(&ListParams::default()).await.unwrap().items
    }

    /// What a kubectl command in the namespace says; an error with its words if it fails.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let said = kubectl(&self.kubeconfig, &[&["-n", self.namespace.as_str()], arguments].concat());
        if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
    }

    /// Runs a kubectl command when the value is dropped, whatever became of the test.
    pub(super) fn afterwards(&self, arguments: &[&str]) -> Afterwards {
        Afterwards {
            kubeconfig: self.kubeconfig.clone(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The conditions, pods and Events at the moment of the failure: they go with the namespace.
            let everything = "etcdclusters,pods,persistentvolumeclaims,services,poddisruptionbudgets";
            for arguments in [
                &["get", everything, "-n", &self.namespace, "-o", "wide"][..],
                &["describe", "etcdclusters", "-n", &self.namespace][..],
            ] {
                let said = kubectl(&self.kubeconfig, arguments);
                eprintln!("{}{}", text(&said.stdout), text(&said.stderr));
            }
        }
        kubectl(&self.kubeconfig, &["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

/// A kubectl command to come.
pub(super) struct Afterwards {
    kubeconfig: PathBuf,
    arguments: Vec<String>,
}

impl Drop for Afterwards {
    fn drop(&mut self) {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let said = kubectl(&self.kubeconfig, &arguments);
        if !said.status.success() {
            eprintln!("kubectl {arguments:?}: {}", text(&said.stderr));
        }
    }
}

fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> Output {
    let program = chaos::cluster::cache::directory().unwrap().join("bin/kubectl");
    Command::new(program).arg("--kubeconfig").arg(kubeconfig).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
