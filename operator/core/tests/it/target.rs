//! What a member should run: amounts count as amounts, defaults keep digests, and quotas fit volumes.

use etcd_operator_core::cluster::desired::Desired;
use etcd_operator_core::cluster::render::{self, Rendering};
use etcd_operator_core::cluster::target::{Target, fitting_quota_bytes};
use etcd_operator_core::names::{MemberName, Role};
use serde_json::{Value, json};

use super::model::Model;

fn target(change: &Value) -> (Desired, Target) {
    let mut spec = json!({ "version": "3.6.16" });
    let fields = change.as_object().expect("fields of the spec");
    spec.as_object_mut().expect("an object").extend(fields.clone());
    let spec = serde_json::from_value(spec).expect("a spec");
    let desired = Desired::parse(&Model::new(spec).cluster).expect("a valid spec");
    let target = Target::of_spec(&desired, desired.version, None, None);
    (desired, target)
}

fn of_memory(amount: &str) -> Target {
    target(&json!({ "resources": { "requests": { "memory": amount } } })).1
}

#[test]
fn amounts_that_are_equal_are_one_target() {
    assert!(of_memory("1Gi").is_same_as(&of_memory("1024Mi")));
    assert!(!of_memory("1Gi").is_same_as(&of_memory("1G")));
}

/// A later operator that knows another setting leaves it out at its default, so the digests of today must never change.
#[test]
fn the_digest_of_a_plain_target_is_this_one_for_ever() {
    assert_eq!(target(&json!({})).1.digest(), "a5553782274b6f0e");
}

#[test]
fn every_field_of_a_spec_that_needs_a_restart_changes_the_target() {
    let plain = target(&json!({})).1;
    for change in [
        json!({ "image": { "repository": "elsewhere/etcd" } }),
        json!({ "resources": { "limits": { "memory": "1Gi" } } }),
        json!({ "pod": { "user": "Platform" } }),
    ] {
        assert!(!target(&change).1.is_same_as(&plain), "{change}");
    }
    for change in [
        json!({ "size": 5 }),
        json!({ "rollout": { "soakSeconds": 1 } }),
        json!({ "bootstrap": { "retainedVolumes": "Leave" } }),
    ] {
        assert!(target(&change).1.is_same_as(&plain), "{change}");
    }
}

#[test]
fn a_target_is_read_from_its_annotation_and_from_the_template_that_was_rendered_from_it() {
    for change in [
        json!({}),
        json!({ "image": { "repository": "registry:5000/etcd" } }),
        json!({ "resources": { "limits": { "memory": "1Gi" } }, "pod": { "user": "Platform" } }),
    ] {
        let (desired, target) = target(&change);
        let target = Target { quota_backend_bytes: Some(1 << 30), ..target };
        let read: Target = serde_json::from_str(&target.to_annotation()).expect("an annotation");
        assert_eq!(read, target);
        let member = MemberName::parse(&desired.cluster, "demo-abcde").expect("a member's name");
        let rendering =
            Rendering { cluster: &desired.cluster, target: &target, operator_image: "gate", memory: None };
        let rendered = render::stateful_set(&rendering, &member, Role::Voter);
        assert_eq!(Target::of_template(&rendered), Some(target));
    }
}

#[test]
fn a_quota_is_a_quarter_of_the_volume_within_what_etcd_can_use() {
    let cases = [
        ("8Gi", 0, 2 << 30),
        ("1Gi", 0, 256 << 20),
        // Less than 16 MiB holds no useful database, more than 8 GiB is more than etcd recommends.
        ("1Mi", 0, 16 << 20),
        ("1Ti", 0, 8 << 30),
        // A database that is there would stop at once.
        ("1Gi", 1 << 30, (1_u64 << 30) * 6 / 5),
    ];
    for (volume, present, expected) in cases {
        assert_eq!(fitting_quota_bytes(volume, present), Some(expected), "{volume} with {present}");
    }
    assert_eq!(fitting_quota_bytes("much", 0), None);
}

/// What an earlier operator's change never reached: its template asks for it, and the pod was made before.
#[test]
fn a_pod_shows_what_it_was_made_from_even_if_admission_added_to_it() {
    let limited = |memory: &str| target(&json!({ "resources": { "limits": { "memory": memory } } })).1;
    let mut admitted = limited("1Gi");
    admitted.resources.requests =
        serde_json::from_value(json!({ "cpu": "100m", "memory": "1024Mi" })).expect("amounts");
    assert!(admitted.includes(&limited("1Gi")));
    assert!(admitted.includes(&target(&json!({})).1), "nothing is named, so all may have been added");
    assert!(!admitted.includes(&limited("2Gi")));
    assert!(!target(&json!({})).1.includes(&limited("1Gi")), "what is named is not there");
    let elsewhere = target(&json!({ "image": { "repository": "elsewhere/etcd" } })).1;
    assert!(!admitted.includes(&elsewhere));
}
