//! Certificates that the operator makes: who serves what by them, that they are renewed in time and without a restart, that backups go by
//! them, and that no private key is anywhere but in its Secret.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use chaos::subject::operator;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde_json::json;

use super::backups::{backed_up, becomes, kubectl_with, of_page};
use super::etcdctl::{self, OWN_BY_TLS};
use super::ground::Ground;
use super::handshake::{self, Shown};
use super::subject::Subject;
use crate::promises::arena::until;

/// Ports of a member that speak TLS, with the Secret and the entry that has their authority.
const BY_TLS: [(u16, &str); 2] = [(2379, "demo-client-ca"), (2382, "demo-peer-ca")];

/// What both ports of every member show.
async fn shown(demo: &Subject<'_>, client: Option<&str>) -> Result<BTreeMap<(String, u16), Shown>> {
    let (pods, secrets) = (demo.pods_api(), demo.ground.api::<Secret>());
    let mut shown = BTreeMap::new();
    for pod in demo.ready_pods().await {
        for (port, authority) in BY_TLS {
            let name = format!("demo.{}.svc", demo.ground.namespace);
            let said =
                handshake::by_tls((&pods, &secrets), (&pod, port), &name, (authority, "tls.crt"), client);
            let said = said.await.with_context(|| format!("port {port} of {pod}"))?;
            shown.insert((pod.clone(), port), said);
        }
    }
    ensure!(shown.len() == 6, "{shown:?}");
    Ok(shown)
}

fn is_served(answer: Option<&String>) -> bool {
    answer.is_some_and(|answer| answer.contains("etcdserver"))
}

/// Lines of the private keys in all Secrets of the cluster: what must be nowhere else.
async fn lines_of_keys(ground: &Ground) -> Vec<String> {
    let secrets = ground.all::<Secret>().await;
    let ours = secrets.iter().filter(|secret| secret.name_any().starts_with("demo-"));
    let entries = ours.flat_map(|secret| secret.data.iter().flatten());
    let keys = entries.filter(|(name, _)| name.ends_with(".key"));
    let texts = keys.map(|(_, value)| String::from_utf8(value.0.clone()).unwrap());
    texts.map(|text| text.lines().nth(1).unwrap().to_owned()).collect()
}

/// Everything that the cluster's users, and whoever reads logs and records, can see.
fn all_that_is_shown(ground: &Ground) -> String {
    let kinds = "etcdclusters,statefulsets,pods,services,persistentvolumeclaims,poddisruptionbudgets,events,jobs,etcdbackups";
    let objects = ground.kubectl(&["get", kinds, "-o", "json", "--show-managed-fields"]).unwrap();
    let selector = "app.kubernetes.io/name=etcd-operator";
    let log = ["logs", "-n", operator::NAMESPACE, "-l", selector, "--tail=-1", "--all-containers"];
    let members = ["logs", "-l", "etcd.operators.rs/cluster=demo", "--tail=-1", "--all-containers"];
    [objects, ground.kubectl(&log).unwrap(), ground.kubectl(&members).unwrap()].concat()
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn whoever_speaks_plain_text_or_shows_no_certificate_is_refused_and_certificates_are_renewed_in_time() {
    let ground = Ground::open("tls").await;
    let lives = json!({ "certificateLifetimeSeconds": 120, "authorityLifetimeSeconds": 3600 });
    let demo = Subject::create(&ground, "demo", json!({ "tls": lives })).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    let before = demo.uids().await;

    let first = shown(&demo, Some("demo-client-tls")).await.unwrap();
    for ((pod, port), said) in &first {
        // Members know each other by another authority than clients.
        assert_eq!(is_served(said.answer.as_ref()), *port == 2379, "port {port} of {pod}: {said:?}");
    }
    for ((pod, port), said) in shown(&demo, None).await.unwrap() {
        assert!(!is_served(said.answer.as_ref()), "port {port} of {pod} without a certificate: {said:?}");
    }
    for pod in demo.ready_pods().await {
        for port in [2379, 2380, 2382] {
            let said = handshake::plain(&demo.pods_api(), &pod, port).await;
            assert!(!is_served(said.as_ref()), "port {port} of {pod} in plain text: {said:?}");
        }
        let said = handshake::plain(&demo.pods_api(), &pod, 2381).await;
        assert!(said.is_some(), "the port of metrics and health is asked by the kubelet, in plain text");
    }

    until("every port shows another certificate", async || {
        let now = shown(&demo, Some("demo-client-tls")).await?;
        let same: Vec<_> = now.iter().filter(|(port, said)| first[*port].serial == said.serial).collect();
        ensure!(same.is_empty(), "still as before: {same:?}");
        Ok(Some(()))
    })
    .await;
    assert_eq!(demo.uids().await, before, "nobody was restarted");
    demo.put("key", "after").await;
    demo.every_member_has(3, "key", "after").await;
    demo.says("its certificates are good", |picture| picture.is("CertificatesValid") && picture.is("Ready"))
        .await;

    let shown = all_that_is_shown(&ground);
    let keys = lines_of_keys(&ground).await;
    assert!(keys.len() >= 13, "two authorities, two for clients and three of each member: {}", keys.len());
    assert!(keys.iter().all(|line| !shown.contains(line)), "a private key is shown");
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_cluster_with_tls_is_backed_up_by_tls_and_another_one_with_tls_begins_with_that() {
    let ground = Ground::open("tls-backup").await;
    let example = backed_up(&ground, &json!({ "tls": {} })).await;
    example.is_ready(3).await;
    example.put("key", "value").await;
    let backup = kubectl_with(&ground, "create", &of_page("EtcdBackup"));
    becomes(&ground, &backup, "Proved").await;
    let name = backup.rsplit('/').next().unwrap();
    let begins = json!({ "tls": {}, "bootstrap": { "restore": { "backup": name } } });
    let restored = Subject::create(&ground, "restored", begins).await;
    restored.is_ready(3).await;
    restored.every_member_has(3, "key", "value").await;
}

/// A certificate is a user's for etcd: the operator's own goes on where it has the role, and asks for it in words where it has not.
#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn with_authentication_on_the_operator_works_as_soon_as_its_certificates_user_has_the_role() {
    let ground = Ground::open("tls-auth").await;
    let demo = Subject::create(&ground, "demo", json!({ "tls": {} })).await;
    demo.is_ready(3).await;
    let pod = demo.ready_pods().await.remove(0);
    let pods = demo.pods_api();
    let etcdctl = async |arguments: &[&str]| {
        etcdctl::run(&pods, &pod, OWN_BY_TLS, arguments).await.unwrap_or_else(|error| panic!("{error:#}"))
    };
    etcdctl(&["user", "add", "root:secret"]).await;
    etcdctl(&["role", "add", "root"]).await;
    etcdctl(&["user", "grant-role", "root", "root"]).await;
    let before = demo.uids().await;
    etcdctl(&["auth", "enable"]).await;
    demo.holds("AuthenticationEnabled").await;
    let picture = demo.picture().await;
    assert!(picture.is("Available"), "{}", picture.describe());

    etcdctl(&["--user=root:secret", "user", "add", "etcd-operator", "--no-password"]).await;
    etcdctl(&["--user=root:secret", "user", "grant-role", "etcd-operator", "root"]).await;
    let picture = demo.is_ready(3).await;
    assert_eq!(picture.hold("AuthenticationEnabled"), None);
    assert_eq!(demo.uids().await, before, "nobody was restarted");
}
