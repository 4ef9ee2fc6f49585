//! What `kubectl get` receives.

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::{api, object, server};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

#[tokio::test]
async fn lists_and_watches_come_as_tables_when_asked() {
    let client = server().client();
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    api::<Pod>(&client).create(&PostParams::default(), &object(pod)).await.unwrap();
    let request =
        http::Request::get("/api/v1/namespaces/default/pods").header("accept", TABLE).body(Vec::new());
    let table: Value = client.request(request.unwrap()).await.unwrap();
    let names: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"]
    );
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..4], [json!("p"), json!("0/1"), json!("Pending"), json!("0")]);
    let path = "/api/v1/namespaces/default/pods?watch=true&timeoutSeconds=0";
    let request = http::Request::get(path).header("accept", TABLE).body(Vec::new()).unwrap();
    let text = client.request_text(request).await.unwrap();
    let event: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&event["type"], &event["object"]["rows"][0]["cells"][0]), (&json!("ADDED"), &json!("p")));
}

#[tokio::test]
async fn discovery_names_every_resource_in_both_forms() {
    let client = server().client();
    let plain = client.list_api_group_resources("apps/v1").await.unwrap();
    assert!(plain.resources.iter().any(|resource| resource.name == "statefulsets/scale"));
    let aggregated = client.list_api_groups_aggregated().await.unwrap();
    assert!(
        aggregated.items.iter().any(|group| group.metadata.as_ref().unwrap().name.as_deref() == Some("apps"))
    );
}

#[tokio::test]
async fn bodies_that_are_no_objects_are_refused_and_the_server_lives_on() {
    let client = server().client();
    for path in [
        "/api/v1/namespaces/default/configmaps",
        "/api/v1/namespaces/default/serviceaccounts/default/token",
        "/apis/authentication.k8s.io/v1/tokenreviews",
    ] {
        for body in ["[]", "1", "\"x\"", "null", "{", ""] {
            let request = http::Request::post(path).body(body.as_bytes().to_vec()).unwrap();
            assert_eq!(super::refusal(client.request::<Value>(request).await).code, 400, "{path} {body}");
        }
    }
    client.list_core_api_versions().await.unwrap();
}
