//! StatefulSets step by step: start, update, scale, storage.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::reconcile;
use crate::controllers::snapshot::Stored;
use crate::controllers::testing::{
    World, at, from_json, json_of, pod_owned_by, ready, stateful_set, terminating, without_status,
};

fn world(set: StatefulSet) -> World {
    let mut world = World::default();
    world.add(set);
    world
}

fn parallel(replicas: i32) -> StatefulSet {
    let mut set = stateful_set("web", replicas);
    set.spec.as_mut().unwrap().pod_management_policy = Some("Parallel".into());
    set
}

fn set_in(world: &World) -> StatefulSet {
    StatefulSet::clone(world.snapshot.stateful_sets.get("default", "web").unwrap())
}

fn status_in(world: &World) -> Value {
    json_of(&set_in(world).status)
}

fn change(world: &mut World, change: impl FnOnce(&mut StatefulSet)) {
    let mut set = set_in(world);
    change(&mut set);
    set.metadata.generation = set.metadata.generation.map(|generation| generation + 1);
    world.add(set);
}

fn pod_in(world: &World, name: &str) -> Pod {
    Pod::clone(world.snapshot.pods.get("default", name).unwrap_or_else(|| panic!("no pod {name}")))
}

fn make_ready(world: &mut World, name: &str) {
    let pod = ready(pod_in(world, name), at(1));
    world.add(pod);
}

fn settled(world: &mut World) -> Vec<String> {
    without_status(&world.settle(at(10), reconcile).writes)
}

fn pod_names(world: &World) -> Vec<String> {
    world.snapshot.pods.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect()
}

/// A set whose pods all exist and are ready.
fn running(set: StatefulSet) -> World {
    let replicas = set.spec.as_ref().unwrap().replicas.unwrap();
    let mut world = world(set);
    for ordinal in 0..replicas {
        world.settle(at(10), reconcile);
        make_ready(&mut world, &format!("web-{ordinal}"));
    }
    world.settle(at(10), reconcile);
    world
}

fn set_image(set: &mut StatefulSet, image: &str) {
    let template = &mut set.spec.as_mut().unwrap().template;
    template.spec.as_mut().unwrap().containers[0].image = Some(image.into());
}

fn image_of(world: &World, pod: &str) -> String {
    pod_in(world, pod).spec.unwrap().containers[0].image.clone().unwrap()
}

#[test]
fn an_ordered_set_starts_one_pod_after_the_other() {
    let mut world = world(stateful_set("web", 2));
    assert_eq!(settled(&mut world)[1..], ["create Pod web-0"]);
    assert!(settled(&mut world).is_empty());
    make_ready(&mut world, "web-0");
    assert_eq!(settled(&mut world), ["create Pod web-1"]);
}

#[test]
fn a_parallel_set_starts_all_pods_at_once() {
    assert_eq!(
        settled(&mut world(parallel(3)))[1..],
        ["create Pod web-0", "create Pod web-1", "create Pod web-2"]
    );
}

#[test]
fn a_pod_has_identity_labels_host_name_and_revision() {
    let mut world = world(stateful_set("web", 1));
    settled(&mut world);
    let pod = json_of(&pod_in(&world, "web-0"));
    let labels = &pod["metadata"]["labels"];
    assert_eq!(labels["statefulset.kubernetes.io/pod-name"], json!("web-0"));
    assert_eq!(labels["apps.kubernetes.io/pod-index"], json!("0"));
    assert_eq!(labels["app"], json!("web"));
    let revision = world.snapshot.controller_revisions.iter().next().unwrap().metadata.name.clone().unwrap();
    assert_eq!(labels["controller-revision-hash"], json!(revision));
    assert_eq!((&pod["spec"]["hostname"], &pod["spec"]["subdomain"]), (&json!("web-0"), &json!("web-peers")));
    let owner = &pod["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["controller"], &owner["blockOwnerDeletion"]),
        (&json!("StatefulSet"), &json!(true), &json!(true))
    );
}

#[test]
fn the_status_counts_and_names_the_revisions() {
    let world = running(parallel(2));
    let status = status_in(&world);
    for field in ["replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas"] {
        assert_eq!(status[field], json!(2), "{field}");
    }
    assert_eq!(status["currentRevision"], status["updateRevision"]);
    assert_eq!((&status["observedGeneration"], &status["collisionCount"]), (&json!(1), &json!(0)));
}

#[test]
fn a_leaving_pod_is_waited_for_and_a_gone_one_replaced() {
    let mut world = running(parallel(1));
    let leaving = terminating(pod_in(&world, "web-0"));
    world.add(leaving.clone());
    assert!(settled(&mut world).is_empty());
    world.snapshot.forget(&leaving.into_object());
    assert_eq!(settled(&mut world), ["create Pod web-0"]);
}

#[test]
fn an_ended_pod_is_deleted_and_then_replaced() {
    for phase in ["Failed", "Succeeded"] {
        let mut world = running(parallel(1));
        let mut pod = pod_in(&world, "web-0");
        pod.status.as_mut().unwrap().phase = Some(phase.into());
        world.add(pod);
        assert_eq!(settled(&mut world), ["delete Pod web-0", "create Pod web-0"]);
    }
}

#[test]
fn a_rolling_update_replaces_from_the_highest_ordinal_and_waits_for_readiness() {
    let mut world = running(stateful_set("web", 2));
    change(&mut world, |set| set_image(set, "image:2"));
    let writes = settled(&mut world);
    assert_eq!(writes[1..], ["delete Pod web-1", "create Pod web-1"]);
    assert_eq!(image_of(&world, "web-1"), "image:2");
    let status = status_in(&world);
    assert_ne!(status["currentRevision"], status["updateRevision"]);
    assert_eq!((&status["currentReplicas"], &status["updatedReplicas"]), (&json!(1), &json!(1)));
    make_ready(&mut world, "web-1");
    assert_eq!(settled(&mut world), ["delete Pod web-0", "create Pod web-0"]);
    make_ready(&mut world, "web-0");
    settled(&mut world);
    let status = status_in(&world);
    assert_eq!(status["currentRevision"], status["updateRevision"]);
    assert_eq!(status["currentReplicas"], json!(2));
}

#[test]
fn an_outdated_pod_is_replaced_even_while_it_is_unhealthy() {
    let mut world = running(parallel(1));
    let mut broken = pod_in(&world, "web-0");
    broken.status.as_mut().unwrap().conditions = None;
    world.add(broken);
    change(&mut world, |set| set_image(set, "image:2"));
    assert_eq!(settled(&mut world)[1..], ["delete Pod web-0", "create Pod web-0"]);
}

#[test]
fn a_partition_keeps_the_lower_ordinals_on_the_current_revision_even_when_they_are_replaced() {
    let mut world = running(parallel(2));
    change(&mut world, |set| {
        set_image(set, "image:2");
        let strategy: StatefulSetUpdateStrategy =
            from_json(json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}));
        set.spec.as_mut().unwrap().update_strategy = Some(strategy);
    });
    assert_eq!(settled(&mut world)[1..], ["delete Pod web-1", "create Pod web-1"]);
    make_ready(&mut world, "web-1");
    assert!(settled(&mut world).is_empty());
    let lost = pod_in(&world, "web-0");
    world.snapshot.forget(&lost.into_object());
    assert_eq!(settled(&mut world), ["create Pod web-0"]);
    assert_eq!(
        (image_of(&world, "web-0").as_str(), image_of(&world, "web-1").as_str()),
        ("image:1", "image:2")
    );
}

#[test]
fn on_delete_replaces_nothing_by_itself_and_new_pods_are_of_the_newest_revision() {
    let mut set = parallel(1);
    set.spec.as_mut().unwrap().update_strategy = Some(from_json(json!({"type": "OnDelete"})));
    let mut world = running(set);
    change(&mut world, |set| set_image(set, "image:2"));
    assert!(settled(&mut world).iter().all(|line| line.starts_with("create ControllerRevision")));
    let deleted = pod_in(&world, "web-0");
    world.snapshot.forget(&deleted.into_object());
    assert_eq!(settled(&mut world), ["create Pod web-0"]);
    assert_eq!(image_of(&world, "web-0"), "image:2");
}

#[test]
fn a_template_that_returns_takes_up_its_old_revision_again() {
    let mut world = running(parallel(1));
    let first = status_in(&world)["updateRevision"].clone();
    for image in ["image:2", "image:1"] {
        change(&mut world, |set| set_image(set, image));
        settled(&mut world);
        make_ready(&mut world, "web-0");
        settled(&mut world);
    }
    assert_eq!(status_in(&world)["updateRevision"], first);
    let mut revisions: Vec<i64> =
        world.snapshot.controller_revisions.iter().map(|held| held.revision).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, [2, 3]);
}

#[test]
fn revisions_beyond_the_limit_are_forgotten() {
    let mut set = parallel(0);
    set.spec.as_mut().unwrap().revision_history_limit = Some(1);
    let mut world = running(set);
    for version in 2..6 {
        change(&mut world, |set| set_image(set, &format!("image:{version}")));
        settled(&mut world);
    }
    assert_eq!(world.snapshot.controller_revisions.iter().count(), 2);
}

#[test]
fn scaling_down_deletes_the_highest_ordinal_first_and_one_by_one() {
    let mut world = running(stateful_set("web", 3));
    change(&mut world, |set| set.spec.as_mut().unwrap().replicas = Some(1));
    let writes = without_status(&reconcile(&world.snapshot, at(10)).writes);
    assert_eq!(writes, ["delete Pod web-2"]);
    let leaving = terminating(pod_in(&world, "web-2"));
    world.add(leaving.clone());
    assert!(settled(&mut world).is_empty());
    world.snapshot.forget(&leaving.into_object());
    assert_eq!(settled(&mut world), ["delete Pod web-1"]);
}

#[test]
fn a_set_scaled_to_zero_in_parallel_deletes_all_pods_at_once() {
    let mut world = running(parallel(3));
    change(&mut world, |set| set.spec.as_mut().unwrap().replicas = Some(0));
    let writes = without_status(&reconcile(&world.snapshot, at(10)).writes);
    assert_eq!(writes, ["delete Pod web-2", "delete Pod web-1", "delete Pod web-0"]);
}

#[test]
fn ordinals_start_where_the_set_says() {
    let mut set = parallel(2);
    set.spec.as_mut().unwrap().ordinals = Some(from_json(json!({"start": 5})));
    let mut world = world(set);
    settled(&mut world);
    assert_eq!(pod_names(&world), ["web-5", "web-6"]);
}

fn with_claims(mut set: StatefulSet, policy: Option<Value>) -> StatefulSet {
    let spec = set.spec.as_mut().unwrap();
    let template = json!([{
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }]);
    spec.volume_claim_templates = Some(from_json(template));
    spec.persistent_volume_claim_retention_policy = policy.map(from_json);
    set
}

fn claim_in(world: &World, name: &str) -> PersistentVolumeClaim {
    PersistentVolumeClaim::clone(world.snapshot.claims.get("default", name).unwrap())
}

#[test]
fn claims_are_created_before_their_pod_and_mounted_in_it() {
    let mut world = world(with_claims(parallel(1), None));
    assert_eq!(settled(&mut world)[1..], ["create PersistentVolumeClaim data-web-0", "create Pod web-0"]);
    let volumes = json_of(&pod_in(&world, "web-0"))["spec"]["volumes"].clone();
    assert_eq!(volumes, json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}}]));
    assert_eq!(claim_in(&world, "data-web-0").metadata.owner_references, None);
}

#[test]
fn no_pod_is_created_on_a_claim_that_is_leaving() {
    let mut world = running(with_claims(parallel(1), None));
    let mut claim = claim_in(&world, "data-web-0");
    claim.metadata.deletion_timestamp = Some(Time(at(2)));
    claim.metadata.finalizers = Some(vec!["kubernetes.io/pvc-protection".into()]);
    world.add(claim);
    let pod = pod_in(&world, "web-0");
    world.snapshot.forget(&pod.into_object());
    assert!(settled(&mut world).is_empty());
}

#[test]
fn claims_belong_to_the_set_or_to_the_condemned_pod_as_the_retention_policy_says() {
    let policy = json!({"whenDeleted": "Delete", "whenScaled": "Delete"});
    let mut world = running(with_claims(parallel(2), Some(policy)));
    let owner =
        |world: &World, name: &str| claim_in(world, name).metadata.owner_references.unwrap_or_default();
    assert_eq!(owner(&world, "data-web-1")[0].kind, "StatefulSet");
    change(&mut world, |set| set.spec.as_mut().unwrap().replicas = Some(1));
    settled(&mut world);
    assert_eq!(owner(&world, "data-web-1")[0].kind, "Pod");
    assert_eq!(owner(&world, "data-web-0")[0].kind, "StatefulSet");
    change(&mut world, |set| set.spec.as_mut().unwrap().persistent_volume_claim_retention_policy = None);
    settled(&mut world);
    assert!(owner(&world, "data-web-0").is_empty());
}

#[test]
fn a_pod_is_available_only_after_the_minimum_ready_time() {
    let mut set = stateful_set("web", 1);
    set.spec.as_mut().unwrap().min_ready_seconds = Some(20);
    let mut world = world(set);
    world.settle(at(10), reconcile);
    make_ready(&mut world, "web-0");
    let outcome = world.settle(at(10), reconcile);
    assert_eq!(outcome.due, Some(at(21)));
    assert_eq!(
        (&status_in(&world)["readyReplicas"], &status_in(&world)["availableReplicas"]),
        (&json!(1), &json!(0))
    );
    world.settle(at(21), reconcile);
    assert_eq!(status_in(&world)["availableReplicas"], json!(1));
}

#[test]
fn a_set_under_deletion_starts_nothing() {
    let mut set = parallel(3);
    set.metadata.deletion_timestamp = Some(Time(at(1)));
    assert!(
        without_status(&world(set).settle(at(10), reconcile).writes).iter().all(|line| !line.contains("Pod"))
    );
}

#[test]
fn an_orphan_of_the_right_name_and_labels_is_adopted() {
    let set = parallel(1);
    let mut orphan = ready(pod_owned_by(&set, "web-0"), at(1));
    orphan.metadata.owner_references = None;
    let mut world = world(set);
    world.add(orphan);
    settled(&mut world);
    assert_eq!(pod_in(&world, "web-0").metadata.owner_references.unwrap()[0].name, "web");
}
