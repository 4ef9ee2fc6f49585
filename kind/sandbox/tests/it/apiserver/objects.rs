//! Create, read, change, watch, delete.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent, WatchParams,
};
use serde_json::json;

use super::{api, object, refusal, server};

fn config_map(name: &str) -> ConfigMap {
    object(json!({"metadata": {"name": name, "labels": {"app": name}}, "data": {"a": "1"}}))
}

#[tokio::test]
async fn a_created_object_has_identity_and_can_be_read_back() {
    let client = server().client();
    let maps = api::<ConfigMap>(&client);
    let made = maps.create(&PostParams::default(), &config_map("one")).await.unwrap();
    assert!(made.metadata.uid.is_some() && made.metadata.creation_timestamp.is_some());
    assert_eq!(maps.get("one").await.unwrap(), made);
    let refused = refusal(maps.create(&PostParams::default(), &config_map("one")).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "AlreadyExists"));
    let refused = refusal(maps.get("two").await);
    assert_eq!((refused.code, refused.message.as_str()), (404, "configmaps \"two\" not found"));
    let generated =
        maps.create(&PostParams::default(), &object(json!({"metadata": {"generateName": "gen-"}}))).await;
    assert_eq!(generated.unwrap().metadata.name.unwrap().len(), "gen-".len() + 5);
}

#[tokio::test]
async fn an_update_with_an_old_version_is_a_conflict() {
    let client = server().client();
    let maps = api::<ConfigMap>(&client);
    let first = maps.create(&PostParams::default(), &config_map("one")).await.unwrap();
    let mut second = first.clone();
    second.data.as_mut().unwrap().insert("b".into(), "2".into());
    let second = maps.replace("one", &PostParams::default(), &second).await.unwrap();
    assert_ne!(second.metadata.resource_version, first.metadata.resource_version);
    let refused = refusal(maps.replace("one", &PostParams::default(), &first).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let same = maps.replace("one", &PostParams::default(), &second).await.unwrap();
    assert_eq!(
        same.metadata.resource_version, second.metadata.resource_version,
        "nothing changed, nothing is written"
    );
}

#[tokio::test]
async fn lists_select_and_continue() {
    let client = server().client();
    let maps = api::<ConfigMap>(&client);
    for name in ["a", "b", "c"] {
        maps.create(&PostParams::default(), &config_map(name)).await.unwrap();
    }
    let found = maps.list(&ListParams::default().labels("app in (a, c)")).await.unwrap();
    assert_eq!(found.items.len(), 2);
    let page = maps.list(&ListParams::default().limit(2)).await.unwrap();
    maps.delete("b", &DeleteParams::default()).await.unwrap();
    let token = page.metadata.continue_.clone().unwrap();
    let rest = maps.list(&ListParams::default().limit(10).continue_token(&token)).await.unwrap();
    let names: Vec<_> = rest.items.iter().map(|map| map.metadata.name.clone().unwrap()).collect();
    assert_eq!(names, ["c", "kube-root-ca.crt"]);
    assert_eq!(rest.metadata.resource_version, page.metadata.resource_version);
}

#[tokio::test]
async fn a_watch_shows_every_change_since_its_revision() {
    let client = server().client();
    let maps = api::<ConfigMap>(&client);
    let from = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    maps.create(&PostParams::default(), &config_map("one")).await.unwrap();
    let parameters = WatchParams::default().labels("app=one");
    let mut events = maps.watch(&parameters, &from).await.unwrap().boxed();
    let patch = json!({"metadata": {"labels": {"app": "other"}}});
    maps.patch("one", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    let patch = json!({"metadata": {"labels": {"app": "one"}}});
    maps.patch("one", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    maps.delete("one", &DeleteParams::default()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 4 {
        seen.push(match events.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(_) => "added",
            WatchEvent::Modified(_) => "modified",
            WatchEvent::Deleted(_) => "deleted",
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(error) => panic!("{error:?}"),
        });
    }
    assert_eq!(seen, ["added", "deleted", "added", "deleted"]);
}

#[tokio::test]
async fn a_watch_from_forgotten_history_ends_with_410() {
    let server = server();
    let maps = api::<ConfigMap>(&server.client());
    let from = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    maps.create(&PostParams::default(), &config_map("one")).await.unwrap();
    server.compact();
    let mut events = maps.watch(&WatchParams::default(), &from).await.unwrap().boxed();
    let Some(WatchEvent::Error(error)) = events.try_next().await.unwrap() else {
        panic!("expected an error event")
    };
    assert_eq!((error.code, error.reason.as_str()), (410, "Expired"));
    assert!(events.try_next().await.unwrap().is_none(), "the stream ends");
}

#[tokio::test]
async fn a_deleted_pod_waits_for_its_node_unless_it_has_none() {
    let client = server().client();
    let pods = api::<Pod>(&client);
    let containers = json!([{"name": "c", "image": "i"}]);
    let pod = object(json!({"metadata": {"name": "a"}, "spec": {"containers": containers}}));
    pods.create(&PostParams::default(), &pod).await.unwrap();
    pods.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(refusal(pods.get("a").await).code, 404);
    let pod = object(json!({"metadata": {"name": "b"}, "spec": {"nodeName": "n", "containers": containers}}));
    let pod: Pod = pods.create(&PostParams::default(), &pod).await.unwrap();
    let deleting = pods.delete("b", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(deleting.metadata.deletion_grace_period_seconds, Some(30));
    let wrong = Preconditions { uid: Some("other".into()), resource_version: None };
    let now = DeleteParams::default().grace_period(0);
    let refused = refusal(pods.delete("b", &now.clone().preconditions(wrong)).await);
    assert_eq!(refused.code, 409);
    let right = Preconditions { uid: pod.metadata.uid, resource_version: None };
    pods.delete("b", &now.preconditions(right)).await.unwrap();
    assert_eq!(refusal(pods.get("b").await).code, 404);
}

#[tokio::test]
async fn finalizers_hold_an_object_and_owners_take_their_dependents_along() {
    let client = server().client();
    let maps = api::<ConfigMap>(&client);
    let owner: ConfigMap = object(json!({"metadata": {"name": "owner", "finalizers": ["example.com/hold"]}}));
    let owner = maps.create(&PostParams::default(), &owner).await.unwrap();
    let reference =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid});
    let child = object(json!({"metadata": {"name": "child", "ownerReferences": [reference]}}));
    maps.create(&PostParams::default(), &child).await.unwrap();
    maps.delete("owner", &DeleteParams::default()).await.unwrap();
    assert!(maps.get("owner").await.unwrap().metadata.deletion_timestamp.is_some());
    maps.get("child").await.unwrap();
    let patch = json!([{"op": "remove", "path": "/metadata/finalizers/0"}]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch).unwrap());
    maps.patch("owner", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(refusal(maps.get("owner").await).code, 404);
    assert_eq!(refusal(maps.get("child").await).code, 404);
}

#[tokio::test]
async fn foreground_deletes_dependents_first_and_orphan_spares_them() {
    let client = server().client();
    let maps = api::<ConfigMap>(&client);
    for (owner, child) in [("x", "x-child"), ("y", "y-child")] {
        let made = maps.create(&PostParams::default(), &config_map(owner)).await.unwrap();
        let reference = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": made.metadata.uid, "blockOwnerDeletion": true,
        });
        let metadata =
            json!({"name": child, "ownerReferences": [reference], "finalizers": ["example.com/hold"]});
        maps.create(&PostParams::default(), &object(json!({"metadata": metadata}))).await.unwrap();
    }
    maps.delete("x", &DeleteParams::foreground()).await.unwrap();
    assert!(maps.get("x").await.unwrap().metadata.deletion_timestamp.is_some(), "its dependent blocks it");
    let no_finalizers = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("x-child", &PatchParams::default(), &no_finalizers).await.unwrap();
    assert_eq!(refusal(maps.get("x").await).code, 404);
    maps.delete("y", &DeleteParams::orphan()).await.unwrap();
    assert_eq!(maps.get("y-child").await.unwrap().metadata.owner_references, None);
}

#[tokio::test]
async fn a_namespace_has_its_content_and_is_emptied_by_its_deletion() {
    let client = server().client();
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces.create(&PostParams::default(), &object(json!({"metadata": {"name": "n"}}))).await.unwrap();
    Api::<ServiceAccount>::namespaced(client.clone(), "n").get("default").await.unwrap();
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "n");
    maps.get("kube-root-ca.crt").await.unwrap();
    let held: ConfigMap = object(json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}));
    maps.create(&PostParams::default(), &held).await.unwrap();
    namespaces.delete("n", &DeleteParams::default()).await.unwrap();
    let refused = refusal(maps.create(&PostParams::default(), &config_map("late")).await);
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    let phase = namespaces.get("n").await.unwrap().status.unwrap().phase.unwrap();
    assert_eq!(phase, "Terminating");
    let no_finalizers = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &no_finalizers).await.unwrap();
    assert_eq!(refusal(namespaces.get("n").await).code, 404);
}

#[tokio::test]
async fn services_get_addresses_and_keep_them() {
    let client = server().client();
    let services = api::<Service>(&client);
    assert_eq!(services.get("kubernetes").await.unwrap().spec.unwrap().cluster_ip.unwrap(), "10.96.0.1");
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    let made = services.create(&PostParams::default(), &object(service.clone())).await.unwrap();
    let address = made.spec.unwrap().cluster_ip;
    assert!(address.as_deref().unwrap().starts_with("10.96."));
    let mut again: Service = object(service);
    again.metadata.resource_version = made.metadata.resource_version;
    let again = services.replace("s", &PostParams::default(), &again).await.unwrap();
    assert_eq!(again.spec.unwrap().cluster_ip, address);
}
