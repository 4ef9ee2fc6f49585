//! Deployments step by step, together with the ReplicaSet controller: roll out, recreate, scale, time out.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::controllers::replicaset;
use crate::controllers::snapshot::{Snapshot, Stored};
use crate::controllers::testing::{World, at, from_json, json_of, meta, ready, selector, template};
use crate::controllers::write::Outcome;

/// Both controllers after each other, as they work in a cluster.
fn reconcile(snapshot: &Snapshot, now: jiff::Timestamp) -> Outcome {
    let mut outcome = super::reconcile(snapshot, now);
    if outcome.writes.is_empty() {
        let due = outcome.due;
        outcome = replicaset::reconcile(snapshot, now);
        due.into_iter().for_each(|due| outcome.look_again_at(due));
    }
    outcome
}

fn deployment(replicas: i32, strategy: Value) -> Deployment {
    let spec = DeploymentSpec {
        replicas: Some(replicas),
        selector: selector("web"),
        template: template("web", "image:1"),
        strategy: Some(from_json(strategy)),
        ..DeploymentSpec::default()
    };
    Deployment { metadata: meta("web"), spec: Some(spec), status: None }
}

fn rolling(surge: i32, unavailable: i32) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

fn world(deployment: Deployment) -> World {
    let mut world = World::default();
    world.add(deployment);
    world.settle(at(10), reconcile);
    world
}

fn running(deployment: Deployment) -> World {
    let mut world = world(deployment);
    all_ready(&mut world);
    world
}

fn all_ready(world: &mut World) {
    let pods: Vec<Pod> = world.snapshot.pods.iter().map(|pod| Pod::clone(pod)).collect();
    for pod in pods {
        world.add(ready(pod, at(1)));
    }
    world.settle(at(10), reconcile);
}

fn change(world: &mut World, change: impl FnOnce(&mut DeploymentSpec)) {
    let mut deployment = Deployment::clone(world.snapshot.deployments.get("default", "web").unwrap());
    change(deployment.spec.as_mut().unwrap());
    deployment.metadata.generation = deployment.metadata.generation.map(|generation| generation + 1);
    world.add(deployment);
}

fn set_image(spec: &mut DeploymentSpec, image: &str) {
    spec.template.spec.as_mut().unwrap().containers[0].image = Some(image.into());
}

/// The pods' images, sorted.
fn images(world: &World) -> Vec<String> {
    let image = |pod: &Pod| pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap();
    let mut images: Vec<String> = world.snapshot.pods.iter().map(|pod| image(pod)).collect();
    images.sort();
    images
}

fn sizes(world: &World) -> Vec<i32> {
    let mut sets: Vec<&ReplicaSet> = world.snapshot.replica_sets.iter().map(|set| &**set).collect();
    sets.sort_by_key(|set| super::replicas::revision(*set));
    sets.into_iter().map(super::replicas::size).collect()
}

fn status(world: &World) -> Value {
    json_of(&world.snapshot.deployments.get("default", "web").unwrap().status)
}

fn condition(world: &World, type_: &str) -> (String, String) {
    let status = status(world);
    let conditions = status["conditions"].as_array().unwrap().clone();
    let held = conditions.into_iter().find(|condition| condition["type"] == json!(type_)).unwrap();
    (held["status"].as_str().unwrap().to_owned(), held["reason"].as_str().unwrap().to_owned())
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn a_new_deployment_makes_one_replica_set_with_hash_and_revision() {
    let world = running(deployment(2, rolling(1, 0)));
    let set = json_of(&**world.snapshot.replica_sets.iter().next().unwrap());
    let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
    assert_eq!(set["metadata"]["name"], json!(format!("web-{hash}")));
    assert_eq!(set["spec"]["selector"]["matchLabels"]["pod-template-hash"], json!(hash));
    assert_eq!(set["spec"]["template"]["metadata"]["labels"]["pod-template-hash"], json!(hash));
    assert_eq!(set["metadata"]["annotations"]["deployment.kubernetes.io/revision"], json!("1"));
    let status = status(&world);
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        assert_eq!(status[field], json!(2), "{field}");
    }
    assert_eq!(condition(&world, "Available"), pair("True", "MinimumReplicasAvailable"));
    assert_eq!(condition(&world, "Progressing"), pair("True", "NewReplicaSetAvailable"));
}

#[test]
fn a_rolling_update_never_falls_below_what_must_be_available() {
    let mut world = running(deployment(3, rolling(1, 0)));
    change(&mut world, |spec| set_image(spec, "image:2"));
    world.settle(at(10), reconcile);
    assert_eq!(sizes(&world), [3, 1]);
    assert_eq!(condition(&world, "Progressing"), pair("True", "ReplicaSetUpdated"));
    all_ready(&mut world);
    assert_eq!(sizes(&world), [2, 2]);
    for _ in 0..3 {
        all_ready(&mut world);
    }
    assert_eq!(sizes(&world), [0, 3]);
    assert_eq!(images(&world), ["image:2", "image:2", "image:2"]);
    assert_eq!(
        world.snapshot.deployments.get("default", "web").map(|held| super::replicas::revision(&**held)),
        Some(2)
    );
}

#[test]
fn without_surge_old_pods_go_first() {
    let mut world = running(deployment(2, rolling(0, 1)));
    change(&mut world, |spec| set_image(spec, "image:2"));
    world.settle(at(10), reconcile);
    assert_eq!(sizes(&world), [1, 1]);
}

#[test]
fn a_single_replica_with_the_usual_quarters_is_replaced_without_a_gap() {
    let mut world = running(deployment(1, json!({"type": "RollingUpdate"})));
    change(&mut world, |spec| set_image(spec, "image:2"));
    world.settle(at(10), reconcile);
    assert_eq!(sizes(&world), [1, 1]);
    all_ready(&mut world);
    assert_eq!(images(&world), ["image:2"]);
}

#[test]
fn old_pods_that_never_became_ready_are_replaced_first() {
    let mut world = world(deployment(2, rolling(0, 1)));
    change(&mut world, |spec| set_image(spec, "image:2"));
    for _ in 0..4 {
        world.settle(at(10), reconcile);
    }
    assert!(sizes(&world)[0] < 2, "{:?}", sizes(&world));
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let mut world = running(deployment(1, json!({"type": "Recreate"})));
    change(&mut world, |spec| set_image(spec, "image:2"));
    let old = Pod::clone(world.snapshot.pods.iter().next().unwrap());
    let mut held = old.clone();
    held.metadata.finalizers = Some(vec!["test/held".into()]);
    world.add(held);
    world.settle(at(10), reconcile);
    assert_eq!(sizes(&world), [0]);
    world.snapshot.forget(&old.into_object());
    world.settle(at(10), reconcile);
    assert_eq!(images(&world), ["image:2"]);
}

#[test]
fn going_back_to_an_earlier_template_reuses_its_replica_set_under_a_new_revision() {
    let mut world = running(deployment(1, rolling(1, 0)));
    for image in ["image:2", "image:1"] {
        change(&mut world, |spec| set_image(spec, image));
        world.settle(at(10), reconcile);
        all_ready(&mut world);
    }
    assert_eq!(sizes(&world), [0, 1]);
    assert_eq!(images(&world), ["image:1"]);
    let highest = world.snapshot.replica_sets.iter().map(|set| super::replicas::revision(&**set)).max();
    assert_eq!(highest, Some(3));
}

#[test]
fn scaling_needs_no_new_replica_set() {
    let mut world = running(deployment(1, rolling(1, 0)));
    change(&mut world, |spec| spec.replicas = Some(4));
    world.settle(at(10), reconcile);
    assert_eq!(sizes(&world), [4]);
    change(&mut world, |spec| spec.replicas = Some(0));
    world.settle(at(10), reconcile);
    assert_eq!((sizes(&world), images(&world).len()), (vec![0], 0));
    change(&mut world, |spec| spec.replicas = Some(2));
    world.settle(at(10), reconcile);
    assert_eq!(sizes(&world), [2]);
}

#[test]
fn scaling_during_an_update_is_shared_between_old_and_new() {
    let mut world = running(deployment(4, rolling(1, 0)));
    change(&mut world, |spec| set_image(spec, "image:2"));
    world.settle(at(10), reconcile);
    assert_eq!(sizes(&world), [4, 1]);
    change(&mut world, |spec| spec.replicas = Some(8));
    world.settle(at(10), reconcile);
    assert_eq!(sizes(&world), [7, 2]);
}

#[test]
fn a_paused_deployment_rolls_nothing_out() {
    let mut world = running(deployment(1, rolling(1, 0)));
    change(&mut world, |spec| {
        spec.paused = Some(true);
        set_image(spec, "image:2");
    });
    world.settle(at(10), reconcile);
    assert_eq!(images(&world), ["image:1"]);
}

#[test]
fn a_rollout_that_does_not_move_times_out_and_says_so() {
    let mut world = World::default();
    let mut stuck = deployment(1, rolling(1, 0));
    stuck.spec.as_mut().unwrap().progress_deadline_seconds = Some(30);
    world.add(stuck);
    let outcome = world.settle(at(10), reconcile);
    assert_eq!(outcome.due, Some(at(40)));
    assert_eq!(condition(&world, "Available"), pair("False", "MinimumReplicasUnavailable"));
    world.settle(at(40), reconcile);
    assert_eq!(condition(&world, "Progressing"), pair("False", "ProgressDeadlineExceeded"));
    all_ready(&mut world);
    assert_eq!(condition(&world, "Progressing"), pair("True", "NewReplicaSetAvailable"));
}

#[test]
fn a_deleted_pod_of_a_finished_rollout_does_not_reopen_it() {
    let mut world = running(deployment(2, rolling(1, 0)));
    let pod = Pod::clone(world.snapshot.pods.iter().next().unwrap());
    world.snapshot.forget(&pod.into_object());
    world.settle(at(700), reconcile);
    assert_eq!(condition(&world, "Progressing"), pair("True", "NewReplicaSetAvailable"));
    assert_eq!(status(&world)["unavailableReplicas"], json!(1));
}

#[test]
fn empty_replica_sets_beyond_the_history_limit_are_forgotten() {
    let mut initial = deployment(1, rolling(1, 0));
    initial.spec.as_mut().unwrap().revision_history_limit = Some(1);
    let mut world = running(initial);
    for version in 2..6 {
        change(&mut world, |spec| set_image(spec, &format!("image:{version}")));
        world.settle(at(10), reconcile);
        all_ready(&mut world);
    }
    assert_eq!(world.snapshot.replica_sets.iter().count(), 2);
}

#[test]
fn a_name_taken_by_somebody_else_is_avoided_by_counting_the_collision() {
    let first = world(deployment(1, rolling(1, 0)));
    let mut squatter = ReplicaSet::clone(first.snapshot.replica_sets.iter().next().unwrap());
    squatter.metadata.owner_references = None;
    squatter.metadata.labels = None;
    squatter.spec.as_mut().unwrap().replicas = Some(0);
    let mut world = World::default();
    world.add(squatter).add(deployment(1, rolling(1, 0)));
    world.settle(at(10), reconcile);
    assert_eq!(world.snapshot.replica_sets.iter().count(), 2);
    assert_eq!(status(&world)["collisionCount"], json!(1));
}
