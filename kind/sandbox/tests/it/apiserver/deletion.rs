//! Owners that wait for what they own, evictions, and namespaces that say what is left in them.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams, EvictParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::{api, object, refusal, server};

async fn owned(client: &Client, name: &str, finalizers: &[&str], owners: &[&ConfigMap]) -> ConfigMap {
    let reference = |owner: &&ConfigMap| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name_any(), "uid": owner.uid(),
            "blockOwnerDeletion": true})
    };
    let references: Vec<Value> = owners.iter().map(reference).collect();
    let metadata = json!({"name": name, "finalizers": finalizers, "ownerReferences": references});
    api(client).create(&PostParams::default(), &object(json!({"metadata": metadata}))).await.unwrap()
}

#[tokio::test]
async fn an_owner_in_the_foreground_waits_for_what_it_owns_alone_and_lets_go_of_what_others_own_too() {
    let client = server().client();
    let maps = api::<ConfigMap>(&client);
    let (leaving, staying) =
        (owned(&client, "leaving", &[], &[]).await, owned(&client, "staying", &[], &[]).await);
    owned(&client, "own", &["example.com/hold"], &[&leaving]).await;
    owned(&client, "shared", &[], &[&leaving, &staying]).await;
    maps.delete("leaving", &DeleteParams::foreground()).await.unwrap();
    let waiting = maps.get("leaving").await.unwrap();
    assert_eq!(waiting.finalizers(), ["foregroundDeletion"]);
    assert!(maps.get("own").await.unwrap().metadata.deletion_timestamp.is_some());
    let shared = maps.get("shared").await.unwrap();
    assert!(shared.metadata.deletion_timestamp.is_none());
    assert_eq!(
        shared.owner_references().iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>(),
        ["staying"]
    );
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("own", &PatchParams::default(), &free).await.unwrap();
    assert_eq!(refusal(maps.get("leaving").await).code, 404);
    assert!(maps.get("shared").await.is_ok());
}

#[tokio::test]
async fn a_namespace_says_what_is_left_in_it_until_nothing_is() {
    let client = server().client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &object(json!({"metadata": {"name": "full"}}))).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "full");
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    maps.create(&PostParams::default(), &object(held)).await.unwrap();
    namespaces.delete("full", &DeleteParams::default()).await.unwrap();
    let status = namespaces.get("full").await.unwrap().status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Terminating"));
    let conditions = status.conditions.unwrap();
    let message = |kind: &str| {
        let found = conditions.iter().find(|one| one.type_ == kind).unwrap();
        (found.status.clone(), found.message.clone().unwrap())
    };
    assert_eq!(conditions.len(), 5);
    assert_eq!(
        message("NamespaceContentRemaining"),
        ("True".into(), "Some resources are remaining: configmaps. has 1 resource instances".into())
    );
    assert_eq!(
        message("NamespaceFinalizersRemaining").1,
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    );
    assert_eq!(message("NamespaceDeletionContentFailure").0, "False");
    let refused =
        refusal(maps.create(&PostParams::default(), &object(json!({"metadata": {"name": "late"}}))).await);
    assert_eq!(refused.code, 403);
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &free).await.unwrap();
    assert_eq!(refusal(namespaces.get("full").await).code, 404);
}

#[tokio::test]
async fn an_eviction_is_refused_with_its_cause_rehearsed_without_effect_and_tells_the_pod() {
    let client = server().client();
    let pods = api::<Pod>(&client);
    let pod = json!({"metadata": {"name": "p", "labels": {"app": "x"}, "finalizers": ["example.com/hold"]},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    pods.create(&PostParams::default(), &object(pod)).await.unwrap();
    let running = Patch::Merge(json!({
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }));
    pods.patch_status("p", &PatchParams::default(), &running).await.unwrap();
    let budgets = api::<PodDisruptionBudget>(&client);
    let selector = json!({"matchLabels": {"app": "x"}});
    let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": selector}});
    budgets.create(&PostParams::default(), &object(budget)).await.unwrap();
    let status = |allowed: i32| {
        Patch::Merge(json!({"status": {
            "observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1,
            "expectedPods": 1,
        }}))
    };
    budgets.patch_status("b", &PatchParams::default(), &status(0)).await.unwrap();
    let refused = refusal(pods.evict("p", &EvictParams::default()).await);
    let cause = refused.details.unwrap().causes.remove(0);
    assert_eq!(
        (refused.code, cause.reason.as_str(), cause.message.as_str()),
        (429, "DisruptionBudget", "The disruption budget b needs 1 healthy pods and has 1 currently")
    );
    budgets.patch_status("b", &PatchParams::default(), &status(1)).await.unwrap();
    let rehearsal = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"},
        "deleteOptions": {"dryRun": ["All"]}});
    let path = "/api/v1/namespaces/default/pods/p/eviction";
    let request = http::Request::post(path).body(serde_json::to_vec(&rehearsal).unwrap()).unwrap();
    client.request::<Value>(request).await.unwrap();
    assert_eq!(budgets.get("b").await.unwrap().status.unwrap().disruptions_allowed, 1);
    assert!(pods.get("p").await.unwrap().metadata.deletion_timestamp.is_none());
    pods.evict("p", &EvictParams::default()).await.unwrap();
    let leaving = pods.get("p").await.unwrap();
    assert!(leaving.metadata.deletion_timestamp.is_some());
    let conditions = leaving.status.unwrap().conditions.unwrap();
    assert!(conditions.iter().any(|one| one.type_ == "DisruptionTarget" && one.status == "True"));
}
