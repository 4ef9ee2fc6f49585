//! Fields that no version of the definition has, for example a misspelled one: told or refused, as the client asks.

use chaos::subject::etcd;
use http::header::{ACCEPT, CONTENT_TYPE, WARNING};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

use super::ground::Ground;
use super::subject::object;

/// The status, the warnings and the body of an answer.
struct Answer {
    status: StatusCode,
    warnings: Vec<String>,
    body: String,
}

/// Asks as `kubectl` would with `--validate=…`, without changing anything.
async fn ask(ground: &Ground, method: Method, name: &str, validation: &str, body: &Value) -> Answer {
    let uri = format!(
        "/apis/{}/namespaces/{}/etcdclusters{name}?dryRun=All&fieldValidation={validation}",
        etcd::resource().api_version,
        ground.namespace
    );
    let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder().method(method).uri(uri);
    let request = request.header(CONTENT_TYPE, kind).header(ACCEPT, "application/json");
    let request = request.body(Body::from(serde_json::to_vec(body).unwrap())).unwrap();
    let response = ground.client.send(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let warnings =
        parts.headers.get_all(WARNING).iter().map(|one| one.to_str().unwrap().to_owned()).collect();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status, warnings, body }
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn a_misspelled_field_is_named_in_a_warning_and_refused_where_the_client_is_strict() {
    let ground = Ground::open("unknown-fields").await;
    let clusters = etcd::api(&ground.client, &ground.namespace);
    let known = object(&ground.namespace, "known", json!({}));
    clusters.create(&kube::api::PostParams::default(), &known).await.unwrap();
    for wrong in [
        json!({ "etcd": { "snapshotCout": 5000 } }),
        json!({ "snapshotCout": 1 }),
        json!({ "pod": { "snapshotCout": {} } }),
    ] {
        let new = serde_json::to_value(object(&ground.namespace, "demo", wrong.clone())).unwrap();
        let change = json!({ "spec": wrong });
        for (method, name, body) in [(Method::POST, "", &new), (Method::PATCH, "/known", &change)] {
            let told = ask(&ground, method.clone(), name, "Warn", body).await;
            assert!(told.status.is_success(), "{method} {wrong}: {}", told.body);
            assert!(
                told.warnings.iter().any(|one| one.contains("snapshotCout")),
                "{method} {wrong}: {:?}",
                told.warnings
            );
            let refused = ask(&ground, method.clone(), name, "Strict", body).await;
            assert!(refused.status.is_client_error(), "{method} {wrong}: {}", refused.body);
            assert!(
                refused.body.contains("unknown field") && refused.body.contains("snapshotCout"),
                "{}",
                refused.body
            );
        }
    }
}
