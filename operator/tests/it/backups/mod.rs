//! Backups of a real etcd of each minor, by the program as people call it: what is in them, what comes back, and what is refused.

mod azure;
mod bench;
mod damage;
mod encrypted;
mod ground;
mod keeping;
mod proxy;
mod s3;
mod seeded;

use crate::support::etcd::{RealEtcd, VERSIONS};
use etcd_client::{PermissionType, WatchOptions};
use ground::{Ground, Restored, client, everything, fill};
use serde_json::{Value, json};

#[tokio::test]
async fn a_backup_is_proved_and_brings_every_key_back_at_revisions_that_nobody_has_seen() {
    for version in VERSIONS {
        let (ground, etcd) = (Ground::new(version), RealEtcd::start_version(version));
        let mut running = client(&etcd.endpoint().to_string()).await;
        fill(&mut running).await;
        let (had, revision) = (everything(&mut running).await, 131);
        let name = ground.back_up(&etcd);

        let listed: Value =
            serde_json::from_str(&ground.call("list", &["-o", "json"]).succeeded().output).unwrap();
        let [only] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
        assert_eq!(only["manifest"]["name"], json!(name));
        assert_eq!(only["manifest"]["data"]["revision"], json!(revision), "{version}");
        assert_eq!(only["manifest"]["etcdVersion"], json!(version.trim_start_matches('v')));
        assert_eq!(only["proof"]["revision"], json!(revision));
        assert_eq!(only["proof"]["keys"], json!(had.len()));
        assert_eq!(only["proof"]["data"], only["manifest"]["data"]);
        let table = ground.call("list", &[]).succeeded().output;
        assert!(table.lines().count() == 2 && table.contains(&name), "{table}");

        running.put("later", "not in it", None).await.unwrap();
        ground.restore("data", &[]).succeeded();
        let restored = Restored::start(&ground, "data");
        let mut restored = client(restored.url()).await;
        assert_eq!(everything(&mut restored).await, had, "{version}: what was there, and nothing later");
        let bumped = restored.get("x", None).await.unwrap().header().unwrap().revision();
        assert!(bumped >= 1_000_000_000 + revision, "{version}: {bumped}");
        let old = WatchOptions::new().with_start_revision(revision);
        let mut events = restored.watch("key", Some(old)).await.unwrap();
        // The first answer may only say that the watch was made.
        let mut compacted = 0;
        while compacted == 0 {
            compacted = events.message().await.unwrap().expect("the watch goes on").compact_revision();
        }
        assert!(compacted >= 1_000_000_000, "{version}: who watches is told to read anew");
    }
}

#[tokio::test]
async fn the_store_holds_what_the_page_about_the_format_says() {
    let (ground, etcd) = (Ground::new(VERSIONS[1]), RealEtcd::start());
    fill(&mut client(&etcd.endpoint().to_string()).await).await;
    let name = ground.back_up(&etcd);
    let manifest = ground.manifest();
    let cluster = manifest["clusterId"].as_str().unwrap();
    let files = ["manifest.json", "proof.json", "snapshot.db.zst"];
    assert_eq!(ground.stored(), files.map(|file| format!("{cluster}/{name}/{file}")), "the upload is over");
    let length = std::fs::metadata(ground.backup_folder().join("snapshot.db.zst")).unwrap().len();
    assert_eq!(manifest["snapshot"]["storedBytes"], json!(length));
    let fields: Vec<&String> = manifest.as_object().unwrap().keys().collect();
    let page = include_str!("../../../docs/backups.md");
    for field in fields {
        assert!(page.contains(&format!("`{field}`")), "the page does not explain {field}");
    }
}

#[tokio::test]
async fn where_users_are_in_force_a_backup_needs_root_and_brings_users_back() {
    let (ground, etcd) = (Ground::new(VERSIONS[1]), RealEtcd::start());
    let endpoint = etcd.endpoint().to_string();
    let mut running = client(&endpoint).await;
    fill(&mut running).await;
    running.user_add("root", "hunter2", None).await.unwrap();
    running.user_grant_role("root", "root").await.unwrap();
    running.user_add("reader", "readers", None).await.unwrap();
    running.role_add("reads").await.unwrap();
    let key = etcd_client::Permission::new(PermissionType::Read, "key");
    running.role_grant_permission("reads", key.with_prefix()).await.unwrap();
    running.user_grant_role("reader", "reads").await.unwrap();
    running.auth_enable().await.unwrap();

    ground.call("backup", &["--endpoints", &endpoint]).refused("a user with etcd's role `root`");
    let as_reader = ground.call_with("backup", &["--endpoints", &endpoint, "--user", "reader"], |program| {
        program.env("ETCD_PASSWORD", "readers");
    });
    as_reader.refused("a user with etcd's role `root`");
    ground.call("backup", &["--endpoints", &endpoint, "--user", "root"]).refused("set ETCD_PASSWORD");
    let said = ground.call_with("backup", &["--endpoints", &endpoint, "--user", "root"], |program| {
        program.env("ETCD_PASSWORD", "hunter2");
    });
    let said = said.succeeded();
    assert!(!said.errors.contains("hunter2") && !ground.manifest().to_string().contains("hunter2"));
    assert_eq!(ground.manifest()["authentication"], json!(true));
    let proof = std::fs::read(ground.backup_folder().join("proof.json")).unwrap();
    let proof: Value = serde_json::from_slice(&proof).unwrap();
    assert_eq!(proof["keys"], json!(90), "counted as the user");

    ground.call("verify", &[]).succeeded();
    let after = std::fs::read(ground.backup_folder().join("proof.json")).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&after).unwrap(),
        proof,
        "a proof that knows less replaces none"
    );
    let said = ground.restore("data", &[]).succeeded();
    assert!(said.errors.contains("users and roles are in force"), "{}", said.errors);
    let restored = Restored::start(&ground, "data");
    let mut nobody = client(restored.url()).await;
    let error = nobody.get("key-000", None).await.unwrap_err().to_string();
    assert!(error.contains("user name is empty"), "{error}");
}

#[tokio::test]
async fn endpoints_of_two_clusters_and_of_nobody_are_refused_and_leave_nothing() {
    let ground = Ground::new(VERSIONS[1]);
    let (one, other) = (RealEtcd::start(), RealEtcd::start());
    let (one, other) = (one.endpoint().to_string(), other.endpoint().to_string());
    client(&one).await;
    client(&other).await;
    ground.call("backup", &["--endpoints", &format!("{one},{other}")]).refused("of different clusters");
    let nobody = crate::support::etcd::free_address();
    let said = ground.call("backup", &["--endpoints", &format!("http://{nobody}")]);
    said.refused("no member can be taken a snapshot from");
    assert_eq!(ground.stored(), [""; 0]);
    ground.call("verify", &[]).refused("there is no backup in this store");
}

#[tokio::test]
async fn a_member_that_has_lost_its_quorum_is_not_taken_a_snapshot_from() {
    let (ground, etcd) = (Ground::new(VERSIONS[1]), RealEtcd::start());
    let url = etcd.endpoint().to_string();
    let mut alone = client(&url).await;
    fill(&mut alone).await;
    // Somebody who never comes: the one that is left may know of writes that others have, and of all it cannot.
    alone.member_add(["http://127.0.0.1:1"], None).await.unwrap();
    ground.call("backup", &["--endpoints", &url]).refused("no member can be taken a snapshot from");
    assert_eq!(ground.stored(), [""; 0]);
}

#[test]
fn a_store_that_cannot_be_used_is_named_with_its_own_answer() {
    for (store, code, words) in [
        ("file:///dev/null/backups", 1, "file:///dev/null/backups failed to be opened: Not a directory"),
        ("s3://key:secret@bucket", 2, "it must hold no credentials"),
    ] {
        let said = Ground::said(&mut Ground::new(VERSIONS[1]).program("list", store));
        assert_eq!(said.code, Some(code));
        assert!(said.errors.contains(words), "{}", said.errors);
    }
}
