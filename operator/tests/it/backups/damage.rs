//! What is damaged, cut, foreign or half done is never taken for a backup, and nothing good is lost by it.

use super::ground::{Ground, Said, client, fill};
use crate::support::etcd::{RealEtcd, VERSIONS};
use serde_json::{Value, json};
use std::path::Path;

/// A store with one backup in it.
async fn with_a_backup() -> (Ground, RealEtcd, String) {
    let (ground, etcd) = (Ground::new(VERSIONS[1]), RealEtcd::start());
    fill(&mut client(&etcd.endpoint().to_string()).await).await;
    let name = ground.back_up(&etcd);
    (ground, etcd, name)
}

/// Neither proved nor restored, for this reason; and where the data was to be there is nothing.
#[track_caller]
fn refuses(ground: &Ground, name: &str, words: &str) {
    ground.call("verify", &["--backup", name]).refused(words);
    ground.restore("data", &["--backup", name]).refused(words);
    let left: Vec<_> = std::fs::read_dir(ground.store().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "store")
        .collect();
    assert!(left.is_empty(), "{left:?} is left");
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).unwrap();
    change(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

fn change_json(file: &Path, edit: impl FnOnce(&mut Value)) {
    change(file, |bytes| {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        edit(&mut value);
        *bytes = serde_json::to_vec(&value).unwrap();
    });
}

#[tokio::test]
async fn a_snapshot_that_is_not_as_it_was_stored_is_never_restored() {
    let (ground, _etcd, name) = with_a_backup().await;
    let snapshot = ground.backup_folder().join("snapshot.db.zst");
    let whole = std::fs::read(&snapshot).unwrap();
    for (words, damage) in [
        ("is damaged", &(|bytes: &mut Vec<u8>| bytes[whole.len() / 2] ^= 1) as &dyn Fn(&mut Vec<u8>)),
        ("is damaged", &|bytes| bytes.truncate(whole.len() - 100)),
        ("is damaged", &|bytes| bytes.push(0)),
        ("is damaged: it has 0 bytes", &|bytes| bytes.clear()),
    ] {
        change(&snapshot, damage);
        refuses(&ground, &name, words);
        std::fs::write(&snapshot, &whole).unwrap();
    }
    std::fs::remove_file(&snapshot).unwrap();
    refuses(&ground, &name, "failed to read");
    std::fs::write(&snapshot, &whole).unwrap();
    ground.call("verify", &["--backup", &name]).succeeded();
}

#[tokio::test]
async fn a_backup_whose_data_is_not_the_clusters_is_called_so() {
    let (ground, _etcd, name) = with_a_backup().await;
    let manifest = ground.backup_folder().join("manifest.json");
    let was = std::fs::read(&manifest).unwrap();
    change_json(&manifest, |manifest| manifest["data"]["hash"] = json!(1));
    ground.call("verify", &["--backup", &name]).refused("is not what the cluster had: up to revision");
    std::fs::write(&manifest, &was).unwrap();
    change_json(&manifest, |manifest| manifest["data"]["revision"] = json!(5_000));
    ground.call("verify", &["--backup", &name]).refused("the snapshot ends at 131");
    std::fs::write(&manifest, &was).unwrap();
    change_json(&manifest, |manifest| manifest["data"]["compactRevision"] = json!(7));
    ground.call("verify", &["--backup", &name]).refused("cannot be compared");
}

#[tokio::test]
async fn without_its_own_manifest_there_is_no_backup() {
    let (ground, etcd, first) = with_a_backup().await;
    let manifest = ground.backup_folder().join("manifest.json");
    let was = std::fs::read(&manifest).unwrap();
    let no_backup = "there is no backup";
    for (words, edit) in [
        (
            "it is of version 3 of the format",
            &(|value: &mut Value| value["version"] = json!(3)) as &dyn Fn(&mut Value),
        ),
        ("it is of the format \"other\"", &|value| value["format"] = json!("other")),
        ("it is not what an operator wrote", &|value| drop(value.as_object_mut().unwrap().remove("data"))),
        ("and lies in the folder of", &|value| value["name"] = json!("20260101t000000z-aaaaa")),
    ] {
        change_json(&manifest, edit);
        let Said { errors, .. } = ground.call("verify", &["--backup", &first]).refused(words);
        assert!(errors.contains(no_backup), "{errors}");
        std::fs::write(&manifest, &was).unwrap();
    }
    std::fs::remove_file(&manifest).unwrap();
    ground.call("verify", &["--backup", &first]).refused(no_backup);
    let second = ground.back_up(&etcd);
    assert!(
        ground.stored().iter().any(|path| path.contains(&first)),
        "what is left of it is not ours to delete"
    );
    let said = ground.call("verify", &[]).succeeded();
    assert!(said.output.contains(&second), "{}", said.output);
}

#[tokio::test]
async fn an_upload_that_was_killed_is_removed_by_the_next_backup_once_nobody_can_carry_it_on() {
    let (ground, etcd, _) = with_a_backup().await;
    let cluster = ground.manifest()["clusterId"].as_str().unwrap().to_owned();
    let begun = |name: &str, given_up_at: &str| {
        let folder = ground.store().join(&cluster).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let record = json!({
            "format": "etcd.operators.rs/backup", "version": 1, "beganAt": "2026-01-01T00:00:00Z",
            "givenUpAt": given_up_at, "writtenBy": "a test",
        });
        std::fs::write(folder.join("upload.json"), record.to_string()).unwrap();
        std::fs::write(folder.join("snapshot.db.zst#1"), "half").unwrap();
    };
    begun("20260101t000000z-killd", "2026-01-01T06:00:00Z");
    begun("20260101t000000z-lives", "2999-01-01T00:00:00Z");
    ground.back_up(&etcd);
    let left = ground.stored();
    assert!(!left.iter().any(|path| path.contains("killd")), "{left:?}");
    assert_eq!(left.iter().filter(|path| path.contains("lives")).count(), 2, "{left:?}");
    let backups = ground.call("list", &[]).succeeded().output;
    assert_eq!(backups.lines().count(), 3, "a head and two backups: {backups}");
}

#[tokio::test]
async fn a_restore_never_replaces_data_and_never_skips_a_minor() {
    let (ground, _etcd, _) = with_a_backup().await;
    std::fs::create_dir(ground.path("data")).unwrap();
    ground.restore("data", &[]).refused("is there already: a restore never replaces data");
    let manifest = ground.backup_folder().join("manifest.json");
    change_json(&manifest, |manifest| manifest["etcdVersion"] = json!("3.4.30"));
    ground.restore("other", &[]).refused("use etcd 3.4 or 3.5, and upgrade afterwards");
    change_json(&manifest, |manifest| manifest["etcdVersion"] = json!("3.5.35"));
    ground.restore("other", &[]).succeeded();
}

#[tokio::test]
async fn a_proof_of_another_backup_proves_nothing() {
    let (ground, etcd, first) = with_a_backup().await;
    let proof = std::fs::read(ground.backup_folder().join("proof.json")).unwrap();
    let said =
        ground.call("backup", &["--no-proof", "--endpoints", &etcd.endpoint().to_string()]).succeeded();
    let second = said.output.trim();
    let cluster = ground.store().join(ground.stored()[0].split('/').next().unwrap());
    std::fs::write(cluster.join(second).join("proof.json"), proof).unwrap();
    let said = ground.call("verify", &[]).succeeded();
    assert!(said.output.contains(&first), "the newest that was proved: {}", said.output);
    let said = ground.call("verify", &["--unproved"]).succeeded();
    assert!(said.output.contains(second), "{}", said.output);
}

#[tokio::test]
async fn what_is_left_of_others_keeps_nobody_from_a_new_backup() {
    let (ground, etcd, _) = with_a_backup().await;
    let cluster = ground.manifest()["clusterId"].as_str().unwrap().to_owned();
    let folder = ground.store().join(cluster).join("20260101t000000z-other");
    std::fs::create_dir_all(&folder).unwrap();
    for text in ["not JSON", r#"{"format": "etcd.operators.rs/backup", "version": 2}"#] {
        std::fs::write(folder.join("upload.json"), text).unwrap();
        let said = ground.call("backup", &["--endpoints", &etcd.endpoint().to_string()]).succeeded();
        assert!(said.errors.contains("what is left of 20260101t000000z-other stays"), "{}", said.errors);
    }
}

#[tokio::test]
async fn a_cluster_without_a_key_is_backed_up_and_proved() {
    let (ground, etcd) = (Ground::new(VERSIONS[1]), RealEtcd::start());
    client(&etcd.endpoint().to_string()).await;
    ground.back_up(&etcd);
    let proof = std::fs::read(ground.backup_folder().join("proof.json")).unwrap();
    let proof: Value = serde_json::from_slice(&proof).unwrap();
    assert_eq!((&proof["revision"], &proof["keys"]), (&json!(1), &json!(0)));
}
