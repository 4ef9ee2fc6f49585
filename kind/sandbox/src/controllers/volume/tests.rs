//! Claims and volumes from creation to the end.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;
use crate::controllers::testing::{World, at, from_json, json_of, lines, pod_owned_by, ready, stateful_set};
use crate::controllers::write::Write;

fn claim() -> PersistentVolumeClaim {
    from_json(json!({
        "metadata": {"name": "data", "namespace": "default", "uid": "c1"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }))
}

fn world() -> World {
    let mut class = default_class();
    class.metadata.uid = Some("class".into());
    let mut world = World::default();
    world.add(class);
    world
}

fn claim_in(world: &World) -> Value {
    json_of(&**world.snapshot.claims.get("default", "data").unwrap())
}

fn volume_in(world: &World, name: &str) -> Value {
    json_of(&**world.snapshot.volumes.get("", name).unwrap())
}

fn pod_using_it() -> Pod {
    let mut pod = ready(pod_owned_by(&stateful_set("web", 1), "web-0"), at(1));
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    pod.spec.as_mut().unwrap().volumes = Some(from_json(volumes));
    pod
}

fn change_claim(world: &mut World, change: impl FnOnce(&mut PersistentVolumeClaim)) {
    let mut claim = PersistentVolumeClaim::clone(world.snapshot.claims.get("default", "data").unwrap());
    change(&mut claim);
    world.add(claim);
}

fn gone(world: &mut World, volume: &str) {
    let volume = PersistentVolume::clone(world.snapshot.volumes.get("", volume).unwrap());
    let object = crate::controllers::snapshot::Stored::into_object(volume);
    world.snapshot.forget(&object);
}

fn bound() -> World {
    let mut world = world();
    world.add(claim());
    world.settle(at(5), reconcile);
    world
}

#[test]
fn a_claim_without_class_gets_the_default_one_and_a_volume_made_for_it() {
    let world = bound();
    let claim = claim_in(&world);
    assert_eq!(claim["spec"]["storageClassName"], json!("standard"));
    assert_eq!(claim["spec"]["volumeName"], json!("pvc-c1"));
    assert_eq!(claim["status"]["phase"], json!("Bound"));
    assert_eq!(claim["status"]["capacity"], json!({"storage": "1Gi"}));
    assert_eq!(claim["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
    let volume = volume_in(&world, "pvc-c1");
    assert_eq!(volume["spec"]["csi"], json!({"driver": DRIVER, "volumeHandle": "pvc-c1"}));
    assert_eq!(volume["spec"]["claimRef"]["uid"], json!("c1"));
    assert_eq!(volume["status"]["phase"], json!("Bound"));
    assert!(reconcile(&world.snapshot, at(6)).writes.is_empty());
}

#[test]
fn a_claim_of_an_unknown_class_stays_pending() {
    let mut world = world();
    world.add(claim());
    change_claim(&mut world, |claim| claim.spec.as_mut().unwrap().storage_class_name = Some("fast".into()));
    world.settle(at(5), reconcile);
    assert_eq!(claim_in(&world)["status"]["phase"], json!("Pending"));
    assert_eq!(world.snapshot.volumes.iter().count(), 0);
}

#[test]
fn a_free_volume_that_fits_is_taken_before_one_is_made() {
    let mut world = world();
    for (name, size) in [("large", "5Gi"), ("small", "2Gi"), ("tiny", "1Mi")] {
        world.add(from_json::<PersistentVolume>(json!({
            "metadata": {"name": name, "uid": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "storageClassName": "standard",
                "persistentVolumeReclaimPolicy": "Retain"},
        })));
    }
    world.add(claim());
    world.settle(at(5), reconcile);
    assert_eq!(claim_in(&world)["spec"]["volumeName"], json!("small"));
    assert_eq!(claim_in(&world)["status"]["capacity"], json!({"storage": "2Gi"}));
    assert_eq!(volume_in(&world, "large")["status"]["phase"], json!("Available"));
}

#[test]
fn a_claim_grows_with_its_volume() {
    let mut world = bound();
    change_claim(&mut world, |claim| {
        claim.spec.as_mut().unwrap().resources = Some(from_json(json!({"requests": {"storage": "3Gi"}})));
    });
    world.settle(at(6), reconcile);
    assert_eq!(volume_in(&world, "pvc-c1")["spec"]["capacity"], json!({"storage": "3Gi"}));
    assert_eq!(claim_in(&world)["status"]["capacity"], json!({"storage": "3Gi"}));
}

#[test]
fn a_class_that_forbids_growth_is_obeyed() {
    let mut world = bound();
    let mut class = default_class();
    class.allow_volume_expansion = Some(false);
    world.add(class);
    change_claim(&mut world, |claim| {
        claim.spec.as_mut().unwrap().resources = Some(from_json(json!({"requests": {"storage": "3Gi"}})));
    });
    assert!(reconcile(&world.snapshot, at(6)).writes.is_empty());
}

#[test]
fn a_deleted_claim_stays_while_a_bound_pod_names_it_and_takes_its_volume_along() {
    let mut world = bound();
    world.add(pod_using_it());
    change_claim(&mut world, |claim| claim.metadata.deletion_timestamp = Some(Time(at(6))));
    assert!(reconcile(&world.snapshot, at(7)).writes.is_empty());
    let pod = Pod::clone(world.snapshot.pods.get("default", "web-0").unwrap());
    world.snapshot.forget(&crate::controllers::snapshot::Stored::into_object(pod));
    world.settle(at(8), reconcile);
    assert_eq!(world.snapshot.claims.iter().count(), 0);
    assert_eq!(world.snapshot.volumes.iter().count(), 0);
}

#[test]
fn a_retained_volume_outlives_its_claim_as_released_and_serves_no_successor() {
    let mut world = bound();
    let mut volume = PersistentVolume::clone(world.snapshot.volumes.get("", "pvc-c1").unwrap());
    volume.spec.as_mut().unwrap().persistent_volume_reclaim_policy = Some("Retain".into());
    world.add(volume);
    change_claim(&mut world, |claim| claim.metadata.deletion_timestamp = Some(Time(at(6))));
    world.settle(at(7), reconcile);
    assert_eq!(volume_in(&world, "pvc-c1")["status"]["phase"], json!("Released"));
    let mut successor = claim();
    successor.metadata.uid = Some("c2".into());
    world.add(successor);
    world.settle(at(8), reconcile);
    assert_eq!(claim_in(&world)["spec"]["volumeName"], json!("pvc-c2"));
}

#[test]
fn a_claim_whose_volume_vanished_is_lost_for_ever() {
    let mut world = bound();
    gone(&mut world, "pvc-c1");
    let outcome = world.settle(at(6), reconcile);
    assert_eq!(claim_in(&world)["status"], json!({"phase": "Lost"}));
    let Some(Write { announcement: Some(announcement), .. }) = outcome.writes.first() else {
        panic!("no Event")
    };
    assert_eq!(announcement.reason, "ClaimLost");
    assert!(reconcile(&world.snapshot, at(7)).writes.is_empty());
}

#[test]
fn a_bound_volume_under_deletion_is_kept_until_its_claim_is_gone() {
    let mut world = bound();
    let mut volume = PersistentVolume::clone(world.snapshot.volumes.get("", "pvc-c1").unwrap());
    volume.metadata.deletion_timestamp = Some(Time(at(6)));
    world.add(volume);
    assert!(reconcile(&world.snapshot, at(7)).writes.is_empty());
    change_claim(&mut world, |claim| claim.metadata.deletion_timestamp = Some(Time(at(8))));
    world.settle(at(9), reconcile);
    assert_eq!(world.snapshot.volumes.iter().count(), 0);
}

#[test]
fn a_volume_reserved_by_name_waits_for_its_claim_and_is_bound_to_it() {
    let mut world = world();
    world.add(from_json::<PersistentVolume>(json!({
        "metadata": {"name": "mine", "uid": "mine"},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "standard",
            "claimRef": {"namespace": "default", "name": "data"}},
    })));
    world.settle(at(1), reconcile);
    assert_eq!(volume_in(&world, "mine")["status"]["phase"], json!("Available"));
    world.add(claim());
    world.settle(at(5), reconcile);
    assert_eq!(claim_in(&world)["status"]["phase"], json!("Bound"));
    assert_eq!(claim_in(&world)["spec"]["volumeName"], json!("mine"));
    assert_eq!(volume_in(&world, "mine")["spec"]["claimRef"]["uid"], json!("c1"));
    assert!(lines(&reconcile(&world.snapshot, at(6)).writes).is_empty());
}

#[test]
fn one_class_is_the_default_and_the_other_one_makes_the_same_volumes() {
    let [default, other] = classes();
    let is_default = |class: &StorageClass| class.annotations().contains_key(DEFAULT_CLASS_ANNOTATION);
    assert!(is_default(&default) && !is_default(&other));
    assert_ne!(default.metadata.name, other.metadata.name);
    let nameless = |class: StorageClass| StorageClass { metadata: ObjectMeta::default(), ..class };
    assert_eq!(nameless(default), nameless(other));
}
