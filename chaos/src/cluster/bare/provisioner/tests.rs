//! Tests of the decisions about claims and volumes.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use serde_json::{Value, json};

use super::plan::{Step, plan};

fn claim(annotation: &str, volume: Option<&str>, asks: &str, has: &str) -> Arc<PersistentVolumeClaim> {
    let value = json!({
        "metadata": {
            "name": "data", "namespace": "default", "uid": "1",
            "annotations": { "volume.kubernetes.io/storage-provisioner": annotation },
        },
        "spec": { "volumeName": volume, "resources": { "requests": { "storage": asks } } },
        "status": { "phase": if volume.is_some() { "Bound" } else { "Pending" }, "capacity": { "storage": has } },
    });
    Arc::new(serde_json::from_value(value).expect("it is a claim"))
}

fn volume(by: &str, size: &str, phase: &str, policy: &str) -> Arc<PersistentVolume> {
    let value: Value = json!({
        "metadata": { "name": "pvc-1", "uid": "2", "annotations": { "pv.kubernetes.io/provisioned-by": by } },
        "spec": { "capacity": { "storage": size }, "persistentVolumeReclaimPolicy": policy },
        "status": { "phase": phase },
    });
    Arc::new(serde_json::from_value(value).expect("it is a volume"))
}

const US: &str = super::PROVISIONER;

#[test]
fn a_claim_that_kubernetes_hands_us_is_provisioned_once() {
    let waiting = claim(US, None, "1Gi", "0");
    assert_eq!(plan(std::slice::from_ref(&waiting), &[]), [Step::Provision(waiting.clone())]);
    assert_eq!(plan(&[waiting], &[volume(US, "1Gi", "Available", "Delete")]), []);
}

#[test]
fn a_claim_that_is_not_ours_yet_is_left_alone() {
    assert_eq!(plan(&[claim("another.driver", None, "1Gi", "0")], &[]), []);
}

#[test]
fn a_claim_that_asks_for_more_grows_its_volume_first_and_is_told_then() {
    let grown = claim(US, Some("pvc-1"), "2Gi", "1Gi");
    let [Step::GrowVolume { size, .. }] =
        &plan(std::slice::from_ref(&grown), &[volume(US, "1Gi", "Bound", "Delete")])[..]
    else {
        panic!("the volume is not grown")
    };
    assert_eq!(size.0, "2Gi");
    let [Step::TellClaim { size, .. }] = &plan(&[grown], &[volume(US, "2Gi", "Bound", "Delete")])[..] else {
        panic!("the claim is not told")
    };
    assert_eq!(size.0, "2Gi");
}

#[test]
fn only_a_released_volume_of_ours_with_the_policy_delete_goes() {
    let deleted = plan(&[], &[volume(US, "1Gi", "Released", "Delete")]);
    assert_eq!(deleted, [Step::Delete { volume: "pvc-1".to_owned(), uid: Some("2".to_owned()) }]);
    assert_eq!(plan(&[], &[volume(US, "1Gi", "Released", "Retain")]), []);
    assert_eq!(plan(&[], &[volume(US, "1Gi", "Bound", "Delete")]), []);
    assert_eq!(plan(&[], &[volume("another.driver", "1Gi", "Released", "Delete")]), []);
}
