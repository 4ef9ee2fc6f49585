//! Names, service addresses, the API server as pods see it, and a real etcd cluster on all of it.

use crate::harness::{Fixture, Test, eventually};
use crate::tests;
use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_service_leads_to_ready_pods_and_refuses_without_one,
        names_of_services_and_pods_are_answered,
        named_ports_lead_to_pods_and_services,
        a_pod_reaches_the_api_server_with_its_token,
        three_etcd_members_form_a_cluster_and_survive_the_loss_of_one,
    ]
}

fn server(name: &str, labels: Value) -> Value {
    json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "hostname": name, "subdomain": "peers", "containers": [
            {"name": "main", "image": "tool:v1", "args": ["serve", "8080"]}
        ]},
    })
}

async fn create_pod(fixture: &Fixture, pod: Value) -> anyhow::Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(fixture.client.clone(), "default");
    let pod = pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    let name = pod.metadata.name.context("a pod has a name")?;
    eventually("the pod to be ready", async || {
        let pod = pods.get(&name).await?;
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let ready = conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True");
        Ok(ready.then_some(pod))
    })
    .await
}

async fn create_service(fixture: &Fixture, service: Value) -> anyhow::Result<Service> {
    let services: Api<Service> = Api::namespaced(fixture.client.clone(), "default");
    Ok(services.create(&PostParams::default(), &serde_json::from_value(service)?).await?)
}

fn address(pod: &Pod) -> String {
    pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default()
}

async fn a_service_leads_to_ready_pods_and_refuses_without_one() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let service = json!({"metadata": {"name": "web"}, "spec": {
        "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]
    }});
    create_service(&fixture, service).await?;
    create_pod(&fixture, server("client", json!({}))).await?;
    let refused =
        eventually("a refusal", async || Ok(fixture.ask("client", 8080, "get/web:80/processes").await.err()))
            .await?;
    ensure!(format!("{refused:#}").contains("refused"), "{refused:#}");
    create_pod(&fixture, server("backend", json!({"app": "web"}))).await?;
    let answer = eventually("an answer", async || {
        fixture.ask("client", 8080, "get/web:80/environment").await.map(Some)
    })
    .await?;
    ensure!(answer.contains("HOSTNAME=backend"), "{answer}");
    fixture.stop().await
}

async fn names_of_services_and_pods_are_answered() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let service = json!({"metadata": {"name": "peers"}, "spec": {
        "clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "peer"}, "ports": [{"port": 8080}]
    }});
    create_service(&fixture, service).await?;
    let one = address(&create_pod(&fixture, server("one", json!({"app": "peer"}))).await?);
    let two = address(&create_pod(&fixture, server("two", json!({"app": "peer"}))).await?);
    for (name, expected) in [
        ("kubernetes.default.svc", "10.96.0.1".to_owned()),
        ("one.peers", one.clone()),
        ("two.peers.default.svc.cluster.local", two.clone()),
        ("peers", format!("{one} {two}")),
    ] {
        let what = format!("{name} to be {expected}");
        eventually(&what, async || {
            let answer = fixture.ask("one", 8080, &format!("lookup/{name}")).await?;
            Ok((answer == expected).then_some(()))
        })
        .await?;
    }
    ensure!(
        fixture.ask("one", 8080, "lookup/nobody.peers").await.is_err(),
        "a name that is not there is not answered"
    );
    fixture.stop().await
}

async fn named_ports_lead_to_pods_and_services() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let service = json!({"metadata": {"name": "peers"}, "spec": {
        "clusterIP": "None", "selector": {"app": "peer"}, "ports": [{"name": "http", "port": 8080}]
    }});
    create_service(&fixture, service).await?;
    let service = json!({"metadata": {"name": "web"}, "spec": {
        "selector": {"app": "peer"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]
    }});
    create_service(&fixture, service).await?;
    create_pod(&fixture, server("one", json!({"app": "peer"}))).await?;
    create_pod(&fixture, server("two", json!({"app": "peer"}))).await?;
    let domain = "default.svc.cluster.local.";
    for (transport, name, expected) in [
        ("udp", "_http._tcp.peers", format!("one.peers.{domain}:8080 two.peers.{domain}:8080")),
        ("tcp", "_http._tcp.peers", format!("one.peers.{domain}:8080 two.peers.{domain}:8080")),
        ("udp", "_http._tcp.web", format!("web.{domain}:80")),
        ("udp", "_other._tcp.web", String::new()),
    ] {
        let what = format!("{name} over {transport} to be {expected:?}");
        eventually(&what, async || {
            let answer = fixture.ask("one", 8080, &format!("services/{transport}/{name}.{domain}")).await?;
            Ok((answer == expected).then_some(()))
        })
        .await?;
    }
    fixture.stop().await
}

async fn a_pod_reaches_the_api_server_with_its_token() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    create_pod(&fixture, server("client", json!({}))).await?;
    let directory = "file/var/run/secrets/kubernetes.io/serviceaccount";
    ensure!(
        fixture.ask("client", 8080, &format!("{directory}/namespace")).await? == "default",
        "the namespace"
    );
    let authority = fixture.ask("client", 8080, &format!("{directory}/ca.crt")).await?;
    ensure!(authority.starts_with("-----BEGIN CERTIFICATE-----"), "{authority}");
    let without = fixture.ask("client", 8080, "in-cluster").await;
    ensure!(
        without.is_err_and(|error| error.to_string().contains("pods is forbidden")),
        "nobody gave it a right"
    );
    let bindings: Api<RoleBinding> = Api::namespaced(fixture.client.clone(), "default");
    let binding = json!({
        "metadata": {"name": "client"}, "subjects": [{"kind": "ServiceAccount", "name": "default"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    });
    bindings.create(&PostParams::default(), &serde_json::from_value(binding)?).await?;
    let answer = fixture.ask("client", 8080, "in-cluster").await?;
    ensure!(answer.contains("client"), "the pod finds itself: {answer}");
    fixture.stop().await
}

const ETCD: &str = "quay.io/coreos/etcd:v3.6.16";

fn etcd_cluster() -> Value {
    let members = ["etcd-0", "etcd-1", "etcd-2"];
    let urls = members.map(|name| format!("{name}=http://{name}.etcd.default.svc:2380")).join(",");
    json!({
        "metadata": {"name": "etcd"},
        "spec": {
            "replicas": 3, "serviceName": "etcd", "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "etcd"}},
            "template": {"metadata": {"labels": {"app": "etcd"}}, "spec": {
                "securityContext": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "runAsNonRoot": true},
                "containers": [{
                    "name": "etcd", "image": ETCD,
                    "command": ["/usr/local/bin/etcd", "--name=$(POD)", "--data-dir=/data/etcd",
                        "--listen-client-urls=http://0.0.0.0:2379", "--listen-peer-urls=http://0.0.0.0:2380",
                        "--listen-metrics-urls=http://0.0.0.0:2381",
                        "--advertise-client-urls=http://$(POD).etcd.default.svc:2379",
                        "--initial-advertise-peer-urls=http://$(POD).etcd.default.svc:2380",
                        format!("--initial-cluster={urls}")],
                    "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                    "readinessProbe": {"httpGet": {"path": "/readyz", "port": 2381}, "periodSeconds": 1},
                    "securityContext": {"readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }],
            }},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}
            }}],
        },
    })
}

async fn all_ready(sets: &Api<StatefulSet>) -> anyhow::Result<()> {
    eventually("three ready members", async || {
        let status = sets.get("etcd").await?.status.unwrap_or_default();
        anyhow::ensure!(status.ready_replicas == Some(3), "{status:?}");
        Ok(Some(()))
    })
    .await
}

async fn three_etcd_members_form_a_cluster_and_survive_the_loss_of_one() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let service = json!({"metadata": {"name": "etcd"}, "spec": {
        "clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "etcd"}, "ports": [{"port": 2380}]
    }});
    create_service(&fixture, service).await?;
    let client = json!({"metadata": {"name": "client"}, "spec": {"selector": {"app": "etcd"}, "ports": [{"port": 2379}]}});
    create_service(&fixture, client).await?;
    let sets: Api<StatefulSet> = Api::namespaced(fixture.client.clone(), "default");
    sets.create(&PostParams::default(), &serde_json::from_value(etcd_cluster())?).await?;
    all_ready(&sets).await?;
    create_pod(&fixture, server("asker", json!({}))).await?;
    let health = eventually("a healthy answer", async || {
        fixture.ask("asker", 8080, "get/client:2379/health").await.map(Some)
    });
    ensure!(health.await?.contains("\"health\":\"true\""), "etcd is healthy behind its service");
    let pods: Api<Pod> = Api::namespaced(fixture.client.clone(), "default");
    let lost = pods.get("etcd-1").await?;
    pods.delete("etcd-1", &DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() }).await?;
    eventually("a new pod", async || {
        let now = pods.get_opt("etcd-1").await?;
        Ok(now.is_some_and(|pod| pod.metadata.uid != lost.metadata.uid).then_some(()))
    })
    .await?;
    all_ready(&sets).await?;
    fixture.stop().await
}
