//! The custom resource definition, and what of a spec is refused where.

use std::path::Path;

use etcd_operator_core::api::{EtcdBackup, EtcdBackupSchedule, EtcdCluster, EtcdClusterSpec};
use etcd_operator_core::cluster::desired::{Desired, EtcdVersion, Invalid};
use kube::CustomResourceExt;
use serde_json::json;

use super::check_golden;
use super::model::Model;

#[test]
fn the_definitions_are_as_in_their_goldens() {
    for (name, definition) in [
        ("definition.json", EtcdCluster::crd()),
        ("definition-backup.json", EtcdBackup::crd()),
        ("definition-backup-schedule.json", EtcdBackupSchedule::crd()),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render").join(name);
        let text = serde_json::to_string_pretty(&definition).expect("plain data") + "\n";
        check_golden(&path, &text);
    }
}

fn parse(change: impl FnOnce(&mut EtcdClusterSpec)) -> Result<Desired, Invalid> {
    let mut spec: EtcdClusterSpec = serde_json::from_value(json!({"version": "3.6.16"})).expect("a spec");
    change(&mut spec);
    Desired::parse(&Model::new(spec).cluster)
}

#[test]
fn a_spec_of_only_a_version_is_three_members_on_eight_gibibytes() {
    let desired = parse(|_| ()).expect("a valid spec");
    assert_eq!((desired.size, desired.storage_size.0.as_str()), (3, "8Gi"));
    assert_eq!(desired.image.repository, "quay.io/coreos/etcd");
}

#[test]
fn sizes_other_than_one_three_five_and_seven_are_refused() {
    for size in [-1, 0, 2, 4, 6, 8, 9, i32::MAX] {
        assert_eq!(parse(|spec| spec.size = size), Err(Invalid::Size(size)));
    }
}

#[test]
fn versions_with_known_defects_are_refused_unless_asked_for() {
    for version in ["3.4.34", "3.5.2", "3.5.31", "3.6.10", "3.8.0", "4.0.0"] {
        let parsed = EtcdVersion::parse(version).expect("a version");
        assert_eq!(parse(|spec| spec.version = version.to_owned()), Err(Invalid::UnsupportedVersion(parsed)));
        let asked_for = parse(|spec| {
            spec.version = version.to_owned();
            spec.allow_unsupported_version = true;
        });
        assert_eq!(asked_for.map(|desired| desired.version), Ok(parsed));
    }
    for version in ["3.5.32", "3.6.11", "3.7.0", "3.7.3"] {
        assert!(parse(|spec| spec.version = version.to_owned()).is_ok(), "{version}");
    }
}

#[test]
fn what_is_no_version_is_refused() {
    for version in ["", "3", "3.6", "v3.6.16", "3.6.16-rc.0", "3.6.016", "3.6.16.1", "3..16", "3.6.+1"] {
        assert_eq!(
            parse(|spec| spec.version = version.to_owned()),
            Err(Invalid::Version(version.to_owned()))
        );
    }
}

#[test]
fn a_refused_field_is_named() {
    let error = parse(|spec| spec.storage.size.0 = "lots".to_owned()).expect_err("no quantity");
    assert_eq!(
        error.to_string(),
        "spec.storage.size is \"lots\"; it must be a positive quantity, for example 8Gi"
    );
    let error = parse(|spec| spec.image.repository = "etcd:latest".to_owned()).expect_err("a tag");
    assert_eq!(
        error.to_string(),
        "spec.image.repository is \"etcd:latest\"; it must be a repository without tag or digest"
    );
}

#[test]
fn amounts_may_be_written_as_numbers() {
    let spec: EtcdClusterSpec = serde_json::from_value(json!({
        "version": "3.6.16",
        "resources": {"requests": {"cpu": 1, "memory": "1Gi"}},
    }))
    .expect("a spec");
    let desired = Desired::parse(&Model::new(spec).cluster).expect("a valid spec");
    let requests = desired.resources.requests.expect("requests");
    assert_eq!((requests["cpu"].0.as_str(), requests["memory"].0.as_str()), ("1", "1Gi"));
    let none: Result<EtcdClusterSpec, _> =
        serde_json::from_value(json!({"version": "3.6.16", "storage": {"size": true}}));
    assert!(none.is_err());
}

/// What the definition's own rules say of a store; nothing if they accept it.
fn refusal_of_store(store: &serde_json::Value) -> Option<String> {
    let backup: EtcdBackup = serde_json::from_value(json!({
        "apiVersion": "etcd.operators.rs/v1beta1", "kind": "EtcdBackup",
        "metadata": { "name": "now", "namespace": "test" },
        "spec": { "cluster": "example", "store": store },
    }))
    .expect("a backup");
    kube::core::cel::validate_cel(&backup).err().map(|error| error.to_string())
}

#[test]
fn a_store_is_exactly_one_and_says_nothing_that_could_lead_elsewhere() {
    for fine in [
        json!({ "s3": { "bucket": "backups" }, "credentialsSecret": "keys" }),
        json!({ "s3": { "bucket": "b", "folder": "a/b", "endpoint": "https://minio.example.com:9000", "pathStyle": true } }),
        json!({ "gcs": { "bucket": "backups.example.com" }, "serviceAccountName": "backups" }),
        json!({ "azure": { "container": "backups", "endpoint": "http://azurite:10000/account" } }),
        json!({ "volume": { "claimName": "etcd-backups", "folder": "prod" } }),
    ] {
        assert_eq!(refusal_of_store(&fine), None, "{fine}");
    }
    let exactly_one = "exactly one of s3, gcs, azure and volume";
    let folder = "single slashes between them";
    for (wrong, words) in [
        (json!({}), exactly_one),
        (json!({ "s3": { "bucket": "b" }, "volume": { "claimName": "c" } }), exactly_one),
        (json!({ "volume": { "claimName": "c" }, "credentialsSecret": "keys" }), "a volume needs neither"),
        (json!({ "s3": { "bucket": "b/c" } }), "without slashes"),
        (json!({ "s3": { "bucket": "b", "folder": "/a" } }), folder),
        (json!({ "s3": { "bucket": "b", "folder": "a/../b" } }), folder),
        (json!({ "volume": { "claimName": "c", "folder": "a?b" } }), folder),
        (json!({ "s3": { "bucket": "b", "endpoint": "minio:9000" } }), "begins with http:// or https://"),
        (
            json!({ "s3": { "bucket": "b", "endpoint": "https://key:secret@minio:9000" } }),
            "without credentials",
        ),
    ] {
        let refusal = refusal_of_store(&wrong).unwrap_or_else(|| panic!("{wrong} was accepted"));
        assert!(refusal.contains(words), "{wrong}: {refusal}");
    }
}
