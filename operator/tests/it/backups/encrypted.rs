//! Encrypted backups: which keys open them, what is said where none does, and that nothing is deleted for want of a key.

use super::ground::{Ground, Restored, Said, client, everything, fill};
use super::keeping::{names, take};
use crate::support::etcd::{RealEtcd, VERSIONS};
use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use serde_json::{Value, json};
use std::io::Read;

/// Writes a file with keys, as `age-keygen` does; its path.
fn key_file(ground: &Ground, name: &str, keys: &[&Identity]) -> String {
    let lines = keys
        .iter()
        .map(|key| format!("# public key: {}\n{}\n", key.to_public(), key.to_string().expose_secret()));
    let path = ground.path(name);
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    path.display().to_string()
}

fn back_up(ground: &Ground, etcd: &RealEtcd, key: &str) -> Said {
    ground.call("backup", &["--endpoints", &etcd.endpoint().to_string(), "--encryption-key", key])
}

#[tokio::test]
async fn an_encrypted_backup_is_proved_and_restored_with_its_key_and_is_read_by_age_itself() {
    let (ground, etcd) = (Ground::new(VERSIONS[1]), RealEtcd::start());
    let mut running = client(&etcd.endpoint().to_string()).await;
    fill(&mut running).await;
    let had = everything(&mut running).await;
    let key = Identity::generate();
    let file = key_file(&ground, "key.txt", &[&key]);
    let said = back_up(&ground, &etcd, &file).succeeded();
    assert!(said.errors.contains("has the cluster's hash"), "{}", said.errors);
    let manifest = ground.manifest();
    assert_eq!(manifest["encryptedFor"], json!(key.to_public().to_string()));
    assert_eq!(manifest["version"], json!(2), "a build that cannot decrypt refuses it");
    let page = include_str!("../../../docs/backups.md");
    assert!(page.contains("`encryptedFor`"), "the page explains it");

    let stored = std::fs::read(ground.backup_folder().join("snapshot.db.zst")).unwrap();
    assert!(stored.starts_with(b"age-encryption.org/v1\n"));
    let decryptor = age::Decryptor::new(stored.as_slice()).unwrap();
    let compressed = decryptor.decrypt(std::iter::once(&key as &dyn age::Identity)).unwrap();
    let mut database = Vec::new();
    zstd::stream::read::Decoder::new(compressed).unwrap().read_to_end(&mut database).unwrap();
    assert_eq!(manifest["snapshot"]["bytes"], json!(database.len()));

    ground.call("verify", &["--encryption-key", &file]).succeeded();
    ground.restore("data", &["--encryption-key", &file]).succeeded();
    let restored = Restored::start(&ground, "data");
    assert_eq!(everything(&mut client(restored.url()).await).await, had);
}

#[tokio::test]
async fn without_its_own_key_a_backup_is_neither_proved_nor_restored_and_the_keys_are_named() {
    let (ground, etcd) = (Ground::new(VERSIONS[1]), RealEtcd::start());
    fill(&mut client(&etcd.endpoint().to_string()).await).await;
    let [own, other] = [Identity::generate(), Identity::generate()];
    let file = key_file(&ground, "key.txt", &[&own]);
    let others = key_file(&ground, "others.txt", &[&other]);
    back_up(&ground, &etcd, &file).succeeded();
    let locked = format!("it is encrypted for {}, and ", own.to_public());
    let without = format!("{locked}no key is given");
    let with_other = format!("{locked}the keys that are given are those of {}", other.to_public());
    for (arguments, words) in [(&[][..], without), (&["--encryption-key", &others], with_other)] {
        ground.call("verify", arguments).refused(&words);
        ground.restore("data", arguments).refused(&words);
        assert!(!ground.path("data").exists());
    }
    // Also where the manifest was made to name the other key.
    let path = ground.backup_folder().join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(&own.to_public().to_string(), &other.to_public().to_string()))
        .unwrap();
    ground.call("verify", &["--encryption-key", &others]).refused("is damaged: it cannot be decrypted");
}

#[tokio::test]
async fn an_encrypted_snapshot_that_is_not_as_it_was_stored_is_never_restored() {
    let (ground, etcd) = (Ground::new(VERSIONS[1]), RealEtcd::start());
    fill(&mut client(&etcd.endpoint().to_string()).await).await;
    let file = key_file(&ground, "key.txt", &[&Identity::generate()]);
    back_up(&ground, &etcd, &file).succeeded();
    let snapshot = ground.backup_folder().join("snapshot.db.zst");
    let whole = std::fs::read(&snapshot).unwrap();
    let middle = whole.len() / 2;
    let in_key = whole.windows(2).position(|pair| pair == b"\n-").expect("the header ends in a MAC") - 5;
    for damage in [
        &(|bytes: &mut Vec<u8>| bytes[middle] ^= 1) as &dyn Fn(&mut Vec<u8>),
        &|bytes| bytes[in_key] ^= 1,
        &|bytes| bytes.truncate(middle),
        &|bytes| bytes.push(0),
        &|bytes| bytes.clear(),
    ] {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        std::fs::write(&snapshot, bytes).unwrap();
        ground.call("verify", &["--encryption-key", &file]).refused("is damaged");
        ground.restore("data", &["--encryption-key", &file]).refused("is damaged");
        assert!(!ground.path("data").exists());
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused_before_anything_is_stored() {
    let (ground, etcd) = (Ground::new(VERSIONS[1]), RealEtcd::start());
    let endpoint = etcd.endpoint().to_string();
    client(&endpoint).await;
    let empty = ground.call_with("backup", &["--endpoints", &endpoint], |program| {
        program.env("BACKUP_ENCRYPTION_KEY", "");
    });
    empty.refused("BACKUP_ENCRYPTION_KEY holds no key of age");
    std::fs::write(ground.path("public.txt"), Identity::generate().to_public().to_string()).unwrap();
    let public = ground.path("public.txt").display().to_string();
    back_up(&ground, &etcd, &public).refused("public.txt, line 1: this is a public key");
    back_up(&ground, &etcd, "/nowhere").refused("failed to read /nowhere");
    assert_eq!(ground.stored(), [""; 0]);
}

#[tokio::test]
async fn a_key_that_was_replaced_opens_earlier_backups_while_it_is_given_and_keeps_them_from_being_deleted_while_it_is_not()
 {
    let (ground, etcd) = (Ground::new(VERSIONS[1]), RealEtcd::start());
    client(&etcd.endpoint().to_string()).await;
    let [old, new] = [Identity::generate(), Identity::generate()];
    let first_key = key_file(&ground, "old.txt", &[&old]);
    let both_keys = key_file(&ground, "both.txt", &[&new, &old]);
    let new_key = key_file(&ground, "new.txt", &[&new]);
    let by = async |key: &str| {
        take(&ground, &etcd, "ns/daily", &["--keep-last", "2", "--encryption-key", key]).await
    };
    let (first, second) = (by(&first_key).await, by(&first_key).await);
    let third = by(&both_keys).await;
    assert_eq!((third.deleted, third.retention_failed), (vec![first.name], None), "both are counted");
    for _ in 0..2 {
        let lost = by(&new_key).await;
        let said = lost.retention_failed.expect("it is said");
        let words = format!("1 of them are encrypted for {}, whose key is not given", old.to_public());
        assert!(said.contains(&words), "{said}");
        assert!(names(&ground).contains(&second.name), "what no key opens is not deleted");
    }
    let found = by(&both_keys).await;
    assert_eq!(found.retention_failed, None);
    assert!(found.deleted.contains(&second.name), "{:?}", found.deleted);
    let listed: Value =
        serde_json::from_str(&ground.call("list", &["-o", "json"]).succeeded().output).unwrap();
    assert_eq!(listed[0]["manifest"]["encryptedFor"], json!(new.to_public().to_string()));
}
