//! Both manifests, as they are committed: applied, used, deleted. Where access is controlled, this shows that their rights are
//! enough.

use chaos::subject::{etcd, manifest, namespace, operator};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams};
use kube::{Client, ResourceExt as _};

use super::arena::{Arena, PATIENCE, until};
use super::members::Demo;

const EVERYWHERE: &str = include_str!("../../../../operator/deploy/install.yaml");
const ONE_NAMESPACE: &str = include_str!("../../../../operator/deploy/install-namespaced.yaml");

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn principle_1_one_manifest_installs_an_operator_that_heals_and_its_removal_leaves_nothing_but_etcd() {
    let arena = Arena::open("install").await;
    let objects = apply(&arena.client, "install.yaml", EVERYWHERE).await;
    operator::wait_ready(&arena.client, PATIENCE).await.unwrap();
    assert_eq!(arena.operator_pods(operator::NAMESPACE).await.len(), 2);
    let demo = Demo::create(&arena.client, "installed").await;
    is_healed(&arena.client, &demo).await;
    uninstall(&arena, objects, operator::NAMESPACE, &demo).await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn an_operator_for_one_namespace_heals_there_and_leaves_others_alone() {
    let arena = Arena::open("install-one").await;
    namespace::create(&arena.client, "etcd", "test").await.unwrap();
    let objects = apply(&arena.client, "install-namespaced.yaml", ONE_NAMESPACE).await;
    until("its resource type is served", async || {
        let served = arena.client.list_api_group_resources(etcd::API_VERSION).await?;
        Ok((!served.resources.is_empty()).then_some(()))
    })
    .await;
    let elsewhere = Demo::create(&arena.client, "elsewhere").await;
    let demo = Demo::create_in(&arena.client, "etcd").await;
    is_healed(&arena.client, &demo).await;
    let sets = Api::<StatefulSet>::namespaced(arena.client.clone(), "elsewhere");
    assert_eq!(sets.list(&ListParams::default()).await.unwrap().items.len(), 0);
    uninstall(&arena, objects, "etcd", &demo).await;
    elsewhere.remove().await;
}

async fn apply(client: &Client, name: &str, text: &str) -> Vec<DynamicObject> {
    let objects = manifest::documents(name, text).unwrap();
    for object in &objects {
        manifest::apply(client, object).await.unwrap();
    }
    objects
}

/// The cluster forms; a member that loses its disk is replaced by another.
async fn is_healed(client: &Client, demo: &Demo) {
    demo.is_ready().await;
    demo.put("key", "value").await;
    let before = demo.lives().await;
    let lost = before.keys().next().unwrap().clone();
    let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), &demo.namespace);
    let claim = format!("data-{}", lost.trim_end_matches("-0"));
    claims.delete(&claim, &DeleteParams::default()).await.unwrap();
    demo.pods_api().delete(&lost, &DeleteParams::default().grace_period(0)).await.unwrap();
    until("another member has taken its place", async || {
        let now = demo.lives().await;
        Ok((now.len() == 3 && !now.contains_key(&lost)).then_some(()))
    })
    .await;
    demo.is_ready().await;
    demo.every_member_has("key", "value").await;
}

/// As `kubectl delete -f` does it. etcd runs on; of the operator nothing is left but the resource type with its objects.
async fn uninstall(arena: &Arena, objects: Vec<DynamicObject>, namespace: &str, demo: &Demo) {
    let before = demo.lives().await;
    for object in &objects {
        let name = object.name_any();
        match api_of(&arena.client, object).delete(&name, &DeleteParams::background()).await {
            Ok(_) => {}
            // It went with its namespace.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("deleting {} {name}: {error}", manifest::kind(object)),
        }
    }
    for object in &objects {
        let what = format!("{} {} is gone", manifest::kind(object), object.name_any());
        let api = api_of(&arena.client, object);
        until(&what, async || Ok(api.get_opt(&object.name_any()).await?.is_none().then_some(()))).await;
    }
    until("the operator's pods are gone", async || {
        Ok(arena.operator_pods(namespace).await.is_empty().then_some(()))
    })
    .await;
    demo.put("afterwards", "written").await;
    demo.every_member_has("afterwards", "written").await;
    assert_eq!(demo.lives().await, before, "etcd runs on");
}

fn api_of(client: &Client, object: &DynamicObject) -> Api<DynamicObject> {
    let types = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
    let resource = ApiResource::from_gvk(&types);
    match object.metadata.namespace.as_deref() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}
