//! Platforms that choose the user of pods themselves, as OpenShift does.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::ground::Ground;
use super::subject::Subject;
use crate::promises::arena::until;

/// Every user and group that a pod asks for, by field.
fn identities(pod: &Pod) -> Vec<String> {
    let spec = pod.spec.clone().unwrap_or_default();
    let containers = |spec: &PodSpec| -> Vec<Container> {
        spec.containers.iter().chain(spec.init_containers.iter().flatten()).cloned().collect()
    };
    let contexts =
        containers(&spec).into_iter().map(|one| serde_json::to_value(one.security_context).unwrap());
    let own = serde_json::to_value(&spec.security_context).unwrap();
    let fields = ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"];
    let of = |context: Value| fields.map(|field| (field, context[field].clone()));
    let all = std::iter::once(own).chain(contexts).flat_map(of);
    all.filter(|(_, value)| !value.is_null()).map(|(field, value)| format!("{field}={value}")).collect()
}

async fn a_pod_of(demo: &Subject<'_>) -> Pod {
    until("a pod is made", async || Ok(demo.pods().await.into_iter().next())).await
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn pods_ask_for_no_user_where_the_platform_chooses_and_for_a_fixed_one_elsewhere() {
    let ground = Ground::open("platform").await;
    let platform =
        Subject::create(&ground, "platform", json!({ "size": 1, "pod": { "user": "Platform" } })).await;
    let pod = a_pod_of(&platform).await;
    assert_eq!(identities(&pod), Vec::<String>::new(), "of {}", pod.name_any());
    let non_root = pod.spec.and_then(|spec| spec.security_context?.run_as_non_root);
    assert_eq!(non_root, Some(true), "but never root");

    let fixed = Subject::create(&ground, "fixed", json!({ "size": 1 })).await;
    let pod = a_pod_of(&fixed).await;
    assert!(identities(&pod).contains(&"runAsUser=65532".to_owned()), "{:?}", identities(&pod));
}
