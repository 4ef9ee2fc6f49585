//! The size by the `scale` subresource, as `kubectl scale` and autoscalers change it.

use kube::api::ListParams;
use serde_json::{Value, json};

use super::ground::Ground;
use super::subject::Subject;

/// What `kubectl scale` says.
fn scale(ground: &Ground, replicas: &str) -> Result<String, String> {
    let wanted = format!("--replicas={replicas}");
    ground.kubectl(&["scale", "etcdclusters.etcd.operators.rs", "demo", &wanted])
}

/// The subresource as `kubectl` shows it.
fn shown(ground: &Ground) -> Value {
    let arguments = ["get", "etcdclusters.etcd.operators.rs", "demo", "--subresource=scale", "-o", "json"];
    serde_json::from_str(&ground.kubectl(&arguments).unwrap()).unwrap()
}

/// Scale and pods agree.
async fn is_shown(demo: &Subject<'_>, size: usize) {
    let scale = shown(demo.ground);
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(size), &json!(size)));
    let selector = scale["status"]["selector"].as_str().unwrap();
    let selected = demo.pods_api().list(&ListParams::default().labels(selector)).await.unwrap();
    assert_eq!(selected.items.len(), size, "{selector} selects the members' pods");
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn a_size_that_is_no_size_of_a_cluster_is_refused_in_words_where_it_is_scaled() {
    let ground = Ground::open("scale-refused").await;
    let demo = Subject::create(&ground, "demo", json!({ "size": 1 })).await;
    demo.is_ready(1).await;
    for size in ["0", "2", "4", "9"] {
        let said = scale(&ground, size).unwrap_err();
        assert!(said.contains("size must be 1, 3, 5 or 7"), "{said}");
    }
    is_shown(&demo, 1).await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn kubectl_scale_takes_a_cluster_from_three_to_five_members_and_back_and_no_write_is_lost() {
    let ground = Ground::open("scale").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    is_shown(&demo, 3).await;
    for size in [5, 3] {
        scale(&ground, &size.to_string()).unwrap();
        demo.is_ready(size).await;
        is_shown(&demo, size).await;
        demo.every_member_has(size, "key", "value").await;
    }
}
