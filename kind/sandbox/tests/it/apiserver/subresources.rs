//! Scale, binding, eviction, ephemeral containers, log and proxy.

use std::net::IpAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, stream};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, EvictParams, LogParams, Patch, PatchParams, PostParams};
use sandbox::apiserver::inputs::{Connection, LogRequest, LogStream, NodeAccess, NodeAccessError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{api, object, refusal, server};

/// A node whose logs echo the request and whose pods answer one fixed response.
struct EchoNode;

impl NodeAccess for EchoNode {
    fn log(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, NodeAccessError>> {
        let text = format!("{}/{} tail {:?}\n", request.pod, request.container, request.tail_lines);
        let pieces: LogStream = Box::pin(stream::iter([Ok(text.into())]));
        std::future::ready(Ok(pieces)).boxed()
    }

    fn connect(
        &self,
        _pod: Value,
        address: IpAddr,
        port: u16,
    ) -> BoxFuture<'static, Result<Box<dyn Connection>, NodeAccessError>> {
        async move {
            let (near, mut far) = tokio::io::duplex(4096);
            let mut head = vec![0; 17];
            tokio::spawn(async move {
                far.read_exact(&mut head).await.unwrap();
                let body = format!("{address}:{port} {}", String::from_utf8_lossy(&head));
                let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                far.write_all(response.as_bytes()).await.unwrap();
            });
            Ok(Box::new(near) as Box<dyn Connection>)
        }
        .boxed()
    }
}

fn pod(name: &str) -> Pod {
    object(json!({
        "metadata": {"name": name, "labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]},
    }))
}

async fn bind(pods: &Api<Pod>, client: &kube::Client, name: &str) {
    let binding = json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": "n"}});
    let path = format!("/api/v1/namespaces/default/pods/{name}/binding");
    let request = http::Request::post(path).body(serde_json::to_vec(&binding).unwrap()).unwrap();
    client.request::<Value>(request).await.unwrap();
    let status = json!({"status": {
        "phase": "Running", "podIP": "10.244.0.2", "conditions": [{"type": "Ready", "status": "True"}],
    }});
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

#[tokio::test]
async fn logs_and_requests_reach_the_node() {
    let server = server();
    server.set_node(Arc::new(EchoNode));
    let client = server.client();
    let pods = api::<Pod>(&client);
    pods.create(&PostParams::default(), &pod("p")).await.unwrap();
    assert_eq!(refusal(pods.logs("p", &LogParams::default()).await).code, 400, "it has no node yet");
    bind(&pods, &client, "p").await;
    let wanted = LogParams { tail_lines: Some(3), ..LogParams::default() };
    assert_eq!(pods.logs("p", &wanted).await.unwrap(), "p/c tail Some(3)\n");
    let wanted = LogParams { container: Some("other".into()), ..LogParams::default() };
    assert_eq!(refusal(pods.logs("p", &wanted).await).code, 400);
    let path = "/api/v1/namespaces/default/pods/p:8079/proxy/some/path?a=b";
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    assert_eq!(client.request_text(request).await.unwrap(), "10.244.0.2:8079 GET /some/path?a=");
}

#[tokio::test]
async fn a_bound_pod_is_not_bound_again() {
    let client = server().client();
    let pods = api::<Pod>(&client);
    pods.create(&PostParams::default(), &pod("p")).await.unwrap();
    bind(&pods, &client, "p").await;
    assert_eq!(pods.get("p").await.unwrap().spec.unwrap().node_name.as_deref(), Some("n"));
    let binding = json!({"target": {"kind": "Node", "name": "m"}});
    let path = "/api/v1/namespaces/default/pods/p/binding";
    let request = http::Request::post(path).body(serde_json::to_vec(&binding).unwrap()).unwrap();
    assert_eq!(refusal(client.request::<Value>(request).await).code, 409);
}

#[tokio::test]
async fn an_eviction_waits_for_the_budget() {
    let client = server().client();
    let pods = api::<Pod>(&client);
    pods.create(&PostParams::default(), &pod("p")).await.unwrap();
    bind(&pods, &client, "p").await;
    let budgets = api::<PodDisruptionBudget>(&client);
    let selector = json!({"matchLabels": {"app": "x"}});
    let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": selector}});
    budgets.create(&PostParams::default(), &object(budget)).await.unwrap();
    assert_eq!(
        refusal(pods.evict("p", &EvictParams::default()).await).code,
        429,
        "the budget has no status yet"
    );
    let status = |allowed: i32| {
        Patch::Merge(json!({"status": {
            "observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1,
            "expectedPods": 1,
        }}))
    };
    budgets.patch_status("b", &PatchParams::default(), &status(0)).await.unwrap();
    let refused = refusal(pods.evict("p", &EvictParams::default()).await);
    assert_eq!((refused.code, refused.reason.as_str()), (429, "TooManyRequests"));
    budgets.patch_status("b", &PatchParams::default(), &status(1)).await.unwrap();
    pods.evict("p", &EvictParams::default()).await.unwrap();
    assert!(pods.get("p").await.unwrap().metadata.deletion_timestamp.is_some());
    assert_eq!(budgets.get("b").await.unwrap().status.unwrap().disruptions_allowed, 0);
}

#[tokio::test]
async fn replicas_change_through_scale() {
    let client = server().client();
    let sets = api::<StatefulSet>(&client);
    let set = json!({
        "metadata": {"name": "s"},
        "spec": {
            "replicas": 1, "serviceName": "s", "selector": {"matchLabels": {"app": "s"}},
            "template": {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    });
    sets.create(&PostParams::default(), &object(set)).await.unwrap();
    let scale = sets.get_scale("s").await.unwrap();
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("app=s"));
    let patch = Patch::Merge(json!({"spec": {"replicas": 0}}));
    sets.patch_scale("s", &PatchParams::default(), &patch).await.unwrap();
    let set = sets.get("s").await.unwrap();
    assert_eq!((set.spec.unwrap().replicas, set.metadata.generation), (Some(0), Some(2)));
}

#[tokio::test]
async fn ephemeral_containers_are_only_added() {
    let client = server().client();
    let pods = api::<Pod>(&client);
    pods.create(&PostParams::default(), &pod("p")).await.unwrap();
    let add = |name: &str| {
        let container = json!({"name": name, "image": "i", "command": ["x"], "targetContainerName": "c"});
        Patch::Strategic(json!({"spec": {"ephemeralContainers": [container]}}))
    };
    pods.patch_ephemeral_containers("p", &PatchParams::default(), &add("one")).await.unwrap();
    let after = pods.patch_ephemeral_containers("p", &PatchParams::default(), &add("two")).await.unwrap();
    assert_eq!(after.spec.unwrap().ephemeral_containers.unwrap().len(), 2);
    let none = Patch::Merge(json!({"spec": {"ephemeralContainers": []}}));
    assert_eq!(refusal(pods.patch_ephemeral_containers("p", &PatchParams::default(), &none).await).code, 422);
}
