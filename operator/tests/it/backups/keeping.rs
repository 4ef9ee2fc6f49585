//! Which backups a schedule keeps: on a real etcd, with the program as Jobs call it.

use super::ground::{Ground, Said, client};
use crate::support::etcd::RealEtcd;
use serde_json::Value;
use std::path::PathBuf;

const VERSION: &str = "v3.6.16";

/// What one run of a schedule said of itself.
pub(crate) struct Taken {
    pub(crate) name: String,
    pub(crate) deleted: Vec<String>,
    pub(crate) retention_failed: Option<String>,
}

/// Takes a backup as a Job of this schedule does.
pub(crate) async fn take(ground: &Ground, etcd: &RealEtcd, schedule: &str, rules: &[&str]) -> Taken {
    let endpoint = etcd.endpoint().to_string();
    client(&endpoint).await.put("key", schedule, None).await.unwrap();
    let result = ground.path("result").display().to_string();
    let always = ["--endpoints", &endpoint, "--schedule", schedule, "--result", &result];
    let name = ground.call("backup", &[&always[..], rules].concat()).succeeded().output.trim().to_owned();
    let said: Value = serde_json::from_slice(&std::fs::read(&result).unwrap()).unwrap();
    let deleted = said["taken"]["deleted"].as_array().into_iter().flatten();
    Taken {
        name,
        deleted: deleted.map(|name| name.as_str().unwrap().to_owned()).collect(),
        retention_failed: said["taken"]["retentionFailed"].as_str().map(str::to_owned),
    }
}

/// The names that are in the store, by what a listing says.
pub(crate) fn names(ground: &Ground) -> Vec<String> {
    let said = ground.call("list", &["-o", "json"]).succeeded();
    let all: Value = serde_json::from_str(&said.output).unwrap();
    all.as_array().unwrap().iter().map(|one| one["manifest"]["name"].as_str().unwrap().to_owned()).collect()
}

fn folder(ground: &Ground, name: &str) -> PathBuf {
    let manifest = Ground::files_below(&ground.store());
    let found = manifest.into_iter().find(|path| path.ends_with(format!("{name}/manifest.json")));
    found.expect("it is stored").parent().unwrap().to_owned()
}

#[tokio::test]
async fn the_newest_by_revision_are_kept_and_only_those_of_the_same_schedule_are_counted() {
    let ground = Ground::new(VERSION);
    let etcd = RealEtcd::start_version(VERSION);
    let by_hand = {
        client(&etcd.endpoint().to_string()).await;
        ground.back_up(&etcd)
    };
    let other = take(&ground, &etcd, "ns/other", &[]).await.name;
    let first = take(&ground, &etcd, "ns/hourly", &["--keep-last", "2"]).await.name;
    let second = take(&ground, &etcd, "ns/hourly", &["--keep-last", "2"]).await.name;
    // As if the clock had stood in another year then: names say nothing of what is newest.
    let renamed = format!("2020{}", &second[4..]);
    let (from, to) = (folder(&ground, &second), folder(&ground, &second).with_file_name(&renamed));
    std::fs::rename(&from, &to).unwrap();
    for part in ["manifest.json", "proof.json"] {
        let text = std::fs::read_to_string(to.join(part)).unwrap();
        std::fs::write(to.join(part), text.replace(&second, &renamed)).unwrap();
    }
    let third = take(&ground, &etcd, "ns/hourly", &["--keep-last", "2"]).await;
    assert_eq!((third.deleted, third.retention_failed), (vec![first], None));
    let mut left = vec![by_hand, other, renamed, third.name];
    left.sort();
    assert_eq!(names(&ground), left);
    assert!(ground.stored().iter().all(|path| !path.ends_with("upload.json")), "{:?}", ground.stored());
}

#[tokio::test]
async fn the_newest_proved_one_stays_whatever_the_rules_say_and_so_does_what_cannot_be_read() {
    let ground = Ground::new(VERSION);
    let etcd = RealEtcd::start_version(VERSION);
    let unreadable = take(&ground, &etcd, "ns/daily", &[]).await.name;
    let proved = take(&ground, &etcd, "ns/daily", &[]).await.name;
    std::fs::write(folder(&ground, &unreadable).join("proof.json"), "{").unwrap();
    let third = take(&ground, &etcd, "ns/daily", &["--no-proof", "--keep-last", "1"]).await;
    assert_eq!((third.deleted.as_slice(), third.retention_failed), (&[][..], None));
    let mut left = vec![unreadable, proved, third.name];
    left.sort();
    assert_eq!(names(&ground), left);
}

/// Takes a backup as one attempt of a Job does.
fn attempt(ground: &Ground, endpoint: &str, run: &str, scratch: &str) -> Said {
    ground.call_with("backup", &["--endpoints", endpoint, "--scratch", scratch], |program| {
        program.env("BACKUP_RUN", run);
    })
}

#[tokio::test]
async fn attempts_of_one_job_that_could_not_be_proved_leave_one_copy() {
    let ground = Ground::new(VERSION);
    let etcd = RealEtcd::start_version(VERSION);
    let endpoint = etcd.endpoint().to_string();
    client(&endpoint).await.put("key", "value", None).await.unwrap();
    // There is no room to prove anything in.
    let attempt = |scratch: &str| attempt(&ground, &endpoint, "job-uid", scratch);
    for _ in 0..2 {
        attempt("/dev/null").refused("failed to prove");
        assert_eq!(names(&ground).len(), 1);
    }
    let third = attempt("/tmp").succeeded().output.trim().to_owned();
    assert_eq!(names(&ground), [third]);
}

#[tokio::test]
async fn what_attempts_have_stored_is_deleted_by_their_run_however_far_they_or_an_earlier_deletion_came() {
    let ground = Ground::new(VERSION);
    let etcd = RealEtcd::start_version(VERSION);
    let endpoint = etcd.endpoint().to_string();
    client(&endpoint).await.put("key", "value", None).await.unwrap();
    let other = ground.back_up(&etcd);
    let unproved = || {
        attempt(&ground, &endpoint, "backup-uid", "/dev/null").refused("failed to prove");
        names(&ground).into_iter().find(|name| *name != other).expect("it is stored")
    };
    // Half deleted: its manifest went first, and the store failed then.
    let half = unproved();
    let place = folder(&ground, &half);
    std::fs::remove_file(place.join("manifest.json")).unwrap();
    let word = r#"{"format": "etcd.operators.rs/backup", "version": 1, "run": "backup-uid", "beganAt": "2026-11-30T12:00:00Z",
        "givenUpAt": "2099-11-30T12:00:00Z", "writtenBy": "a test"}"#;
    std::fs::write(place.join("upload.json"), word).unwrap();
    let whole = unproved();
    let said = ground.call("delete", &["--run", "backup-uid"]).succeeded();
    assert!(said.output.contains(&half) && said.output.contains(&whole), "{}", said.output);
    assert_eq!(names(&ground), std::slice::from_ref(&other));
    assert!(ground.stored().iter().all(|path| path.contains(&other)), "{:?}", ground.stored());
    let said = ground.call("delete", &["--run", "backup-uid"]).succeeded();
    assert!(said.errors.contains("there is nothing to delete"), "{}", said.errors);
    ground.call("delete", &["--backup", "20260101t000000z-aaaaa"]).refused("there is no backup");
    ground.call("delete", &["--backup", &other]).succeeded();
    assert_eq!(ground.stored(), [""; 0]);
}
