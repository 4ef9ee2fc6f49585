//! Backups as Kubernetes objects, on real etcd: one that is asked for, those of a schedule while the operator is there and while it is
//! gone, and the one that a change of the version waits for.

use chaos::subject::operator;
use serde_json::{Value, json};

use super::etcdctl;
use super::ground::Ground;
use super::subject::Subject;
use crate::promises::arena::until;

/// The page, whose YAML is what people copy.
const PAGE: &str = include_str!("../../../../operator/docs/backups.md");

/// A secret key of age that nothing else uses.
const KEY: &str = "AGE-SECRET-KEY-1598R9EN896Q7GWNWM8WP7GXH55Q8HZ8L42WPDT0XD2JVR3EVSKHSRK5RY8";

/// The page's object of this kind.
pub(super) fn of_page(kind: &str) -> String {
    let blocks = PAGE.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
    blocks
        .into_iter()
        .find(|block| block.contains(&format!("kind: {kind}\n")))
        .expect("the page has one")
        .to_owned()
}

/// Hands kubectl an object.
pub(super) fn kubectl_with(ground: &Ground, verb: &str, object: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), object).unwrap();
    ground.kubectl(&[verb, "-f", file.path().to_str().unwrap(), "-o", "name"]).unwrap().trim().to_owned()
}

/// A volume for backups, and a cluster that keeps its own there.
pub(super) async fn backed_up<'a>(ground: &'a Ground, more: &Value) -> Subject<'a> {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "etcd-backups" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    kubectl_with(ground, "create", &claim.to_string());
    let mut spec = json!({ "backup": { "store": { "volume": { "claimName": "etcd-backups" } } } });
    json_patch::merge(&mut spec, more);
    Subject::create(ground, "example", spec).await
}

/// A field of an object, or nothing.
pub(super) fn field(ground: &Ground, object: &str, path: &str) -> String {
    let said = ground.kubectl(&["get", object, "-o", &format!("jsonpath={{{path}}}")]);
    said.unwrap_or_default().trim().to_owned()
}

/// Status and message of a condition.
fn condition(ground: &Ground, object: &str, kind: &str) -> (String, String) {
    let of = |part: &str| field(ground, object, &format!(".status.conditions[?(@.type==\"{kind}\")].{part}"));
    (of("status"), of("message"))
}

/// Waits until a condition is so; panics with what it says instead.
pub(super) async fn becomes(ground: &Ground, object: &str, kind: &str) {
    until(&format!("{object} is {kind}"), async || {
        let (status, message) = condition(ground, object, kind);
        if status == "True" {
            return Ok(Some(()));
        }
        let (failed, why) = condition(ground, object, "Failed");
        assert!(failed != "True" || kind == "Failed", "{object} failed: {why}");
        anyhow::bail!("{status}: {message}")
    })
    .await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_backup_of_five_lines_is_taken_proved_and_shown_and_one_for_which_users_are_in_force_says_what_it_needs()
 {
    let ground = Ground::open("backup").await;
    let example = backed_up(&ground, &json!({})).await;
    example.is_ready(3).await;
    example.put("key", "value").await;
    assert_eq!(condition(&ground, "etcd/example", "BackedUp").0, "False", "none was taken yet");

    let backup = kubectl_with(&ground, "create", &of_page("EtcdBackup"));
    becomes(&ground, &backup, "Complete").await;
    assert_eq!(condition(&ground, &backup, "Proved").0, "True");
    assert_eq!(
        (field(&ground, &backup, ".status.revision"), field(&ground, &backup, ".status.keys")),
        ("2".into(), "1".into())
    );
    let table = ground.kubectl(&["get", "etcdbackups"]).unwrap();
    assert!(table.contains("Succeeded") && table.contains("Stored"), "{table}");
    becomes(&ground, "etcd/example", "BackedUp").await;
    assert_eq!(field(&ground, "etcd/example", ".status.backup.revision"), "2");

    for command in [
        &["user", "add", "root:secret"][..],
        &["role", "add", "root"],
        &["user", "grant-role", "root", "root"],
        &["auth", "enable"],
    ] {
        let pod = example.ready_pods().await.swap_remove(0);
        etcdctl::run(&example.pods_api(), &pod, etcdctl::OWN, command).await.unwrap();
    }
    let refused = kubectl_with(&ground, "create", &of_page("EtcdBackup"));
    until("it is said that the role is needed", async || {
        let (_, message) = condition(&ground, &refused, "Complete");
        anyhow::ensure!(message.contains("role `root`"), "{message}");
        Ok(Some(()))
    })
    .await;
    ground
        .kubectl(&[
            "create",
            "secret",
            "generic",
            "etcd-root",
            "--from-literal=username=root",
            "--from-literal=password=secret",
        ])
        .unwrap();
    let with_user =
        kubectl_with(&ground, "create", &format!("{}  userSecret: etcd-root\n", of_page("EtcdBackup")));
    becomes(&ground, &with_user, "Proved").await;
    assert_eq!(field(&ground, &with_user, ".status.authentication"), "true");
    let job = with_user.rsplit('/').next().unwrap();
    ground.kubectl(&["delete", &with_user]).unwrap();
    until("its Job goes with it", async || {
        Ok(field(&ground, &format!("job/{job}"), ".metadata.name").is_empty().then_some(()))
    })
    .await;
}

/// How many objects of scheduled backups there are in this phase.
fn scheduled(ground: &Ground, phase: &str) -> usize {
    let of_phase = format!("jsonpath={{.items[?(@.status.phase==\"{phase}\")].metadata.name}}");
    let label = "etcd.operators.rs/backup-schedule=example-hourly";
    let said = ground.kubectl(&["get", "etcdbackups", "-l", label, "-o", &of_phase]).unwrap();
    said.split_whitespace().count()
}

/// Has the clock's next backup taken now, and waits until its Job is over.
async fn take_now(ground: &Ground, job: &str) {
    ground.kubectl(&["create", "job", "--from=cronjob/example-hourly", job]).unwrap();
    until("the Job ends", async || {
        let conditions = field(ground, &format!("job/{job}"), ".status.conditions[*].type");
        let log = || ground.kubectl(&["logs", &format!("job/{job}"), "--all-containers"]);
        assert!(!conditions.contains("Failed"), "{:?}", log());
        Ok(conditions.contains("Complete").then_some(()))
    })
    .await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_schedule_takes_backups_while_the_operator_is_there_and_while_it_is_gone_and_keeps_what_it_is_told_to()
 {
    let ground = Ground::alone("schedule").await;
    let example = backed_up(&ground, &json!({})).await;
    example.is_ready(3).await;
    let schedule = of_page("EtcdBackupSchedule")
        .replace("    last: 24\n    daily: 14\n    monthly: 12\n", "    last: 2\n");
    kubectl_with(&ground, "create", &schedule);
    becomes(&ground, "etcdbackupschedule/example-hourly", "Ready").await;

    for (number, job) in ["one", "two"].into_iter().enumerate() {
        example.put("key", job).await;
        take_now(&ground, job).await;
        until("it is an object", async || Ok((scheduled(&ground, "Succeeded") == number + 1).then_some(())))
            .await;
    }
    let scale = ["scale", "deployment", "etcd-operator", "-n", operator::NAMESPACE];
    let _back = ground.afterwards(&[&scale[..], &["--replicas=2"]].concat());
    ground.kubectl(&[&scale[..], &["--replicas=0"]].concat()).unwrap();
    until("the operator is gone", async || {
        let pods = ground.kubectl(&["get", "pods", "-n", operator::NAMESPACE, "-o", "name"]).unwrap();
        Ok(pods.trim().is_empty().then_some(()))
    })
    .await;
    example.put("key", "three").await;
    take_now(&ground, "three").await;
    ground.kubectl(&[&scale[..], &["--replicas=2"]].concat()).unwrap();
    // The third took the place of the first, whose object goes once the operator knows.
    until("what happened meanwhile is known", async || {
        let names = ground.kubectl(&["get", "etcdbackups", "-o", "name"]).unwrap();
        let is_known = names.contains("/three") && names.contains("/two") && !names.contains("/one");
        anyhow::ensure!(is_known && scheduled(&ground, "Succeeded") == 2, "{names}");
        Ok(Some(()))
    })
    .await;
    assert_eq!(field(&ground, "etcdbackupschedule/example-hourly", ".status.lastBackup"), "three");

    let suspend = [
        "patch",
        "etcdbackupschedule",
        "example-hourly",
        "--type=merge",
        "-p",
        "{\"spec\":{\"suspend\":true}}",
    ];
    ground.kubectl(&suspend).unwrap();
    until("the CronJob is suspended", async || {
        Ok((field(&ground, "cronjob/example-hourly", ".spec.suspend") == "true").then_some(()))
    })
    .await;
    ground.kubectl(&["delete", "etcdbackupschedule", "example-hourly"]).unwrap();
    until("the CronJob goes", async || {
        Ok(field(&ground, "cronjob/example-hourly", ".metadata.name").is_empty().then_some(()))
    })
    .await;
    assert_eq!(scheduled(&ground, "Succeeded"), 2, "the backups stay, and so do their objects");
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn another_version_waits_for_a_backup_and_for_none_that_failed() {
    let ground = Ground::open("first").await;
    let example = backed_up(&ground, &json!({})).await;
    example.is_ready(3).await;
    example.put("key", "value").await;
    // Nothing is there yet that the backup could be stored in.
    example.change(json!({ "backup": { "store": { "volume": { "claimName": "missing" } } } })).await.unwrap();
    let before = example.uids().await;
    example.change(json!({ "version": "3.7.3" })).await.unwrap();
    let waiting = example.holds("WaitingToUpgrade").await;
    assert!(waiting.contains("is taken before any member runs 3.7.3"), "{waiting}");
    let asked = || ground.kubectl(&["get", "etcdbackups", "-o", "name"]).unwrap();
    until("it is said what the backup waits for", async || {
        let (_, message) = condition(&ground, asked().trim(), "Complete");
        anyhow::ensure!(message.contains("missing"), "{message}");
        Ok(Some(()))
    })
    .await;
    assert_eq!(example.uids().await, before, "nobody is touched before the backup");

    example
        .change(json!({ "backup": { "store": { "volume": { "claimName": "etcd-backups" } } } }))
        .await
        .unwrap();
    ground.kubectl(&["delete", asked().trim()]).unwrap();
    example
        .says("all run the new version", |picture| {
            picture.is("Ready") && picture.0.data.pointer("/status/version") == Some(&json!("3.7.3"))
        })
        .await;
    becomes(&ground, asked().trim(), "Proved").await;
    example.every_member_has(3, "key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_new_cluster_begins_with_a_backup_and_whoever_watched_the_old_one_notices() {
    let ground = Ground::open("restored").await;
    let example = backed_up(&ground, &json!({})).await;
    example.is_ready(3).await;
    example.put("key", "before").await;
    let backup = kubectl_with(&ground, "create", &of_page("EtcdBackup"));
    becomes(&ground, &backup, "Proved").await;
    example.put("key", "after").await;
    let old = example.picture().await.cluster_id().unwrap_or_default().to_owned();

    let name = backup.rsplit('/').next().unwrap();
    let wrong = json!({ "bootstrap": { "restore": { "backup": "missing" } } });
    let restored = Subject::create(&ground, "restored", wrong).await;
    let why = restored.holds("RestoreFailed").await;
    assert!(why.contains("there is no EtcdBackup missing"), "{why}");
    assert!(restored.pods().await.is_empty(), "nothing starts");
    // The EtcdBackup knows where it was stored, although it was its cluster that said so.
    restored.change(json!({ "bootstrap": { "restore": { "backup": name } } })).await.unwrap();
    let picture = restored.is_ready(3).await;
    assert_ne!(picture.cluster_id(), Some(old.as_str()), "it is another etcd cluster");
    restored.every_member_has(3, "key", "before").await;
    assert_eq!(restored.claims().await.len(), 3, "nothing is left of what was wrong");

    let pod = restored.ready_pods().await.swap_remove(0);
    let pods = restored.pods_api();
    let said = etcdctl::run(&pods, &pod, etcdctl::OWN, &["get", "key", "--rev=2"]).await;
    let said = format!("{said:?}");
    assert!(said.contains("has been compacted"), "an old revision is gone, and not another one's: {said}");
    let in_place =
        restored.change(json!({ "bootstrap": { "restore": { "backup": "another" } } })).await.unwrap_err();
    assert!(in_place.to_string().contains("not restored in place"), "{in_place}");
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn an_encrypted_backup_waits_for_its_key_begins_a_new_cluster_with_it_and_is_deleted_with_its_object_without_it()
 {
    let ground = Ground::open("encrypted").await;
    let encrypted = json!({ "backup": { "store": { "encryptionSecret": "backup-key" } } });
    let example = backed_up(&ground, &encrypted).await;
    example.is_ready(3).await;
    example.put("key", "value").await;
    let asked = format!("{}  deletionPolicy: Delete\n", of_page("EtcdBackup"));
    let backup = kubectl_with(&ground, "create", &asked);
    until("it is said that the key lacks", async || {
        let (_, message) = condition(&ground, &backup, "Complete");
        anyhow::ensure!(message.contains("backup-key"), "{message}");
        Ok(Some(()))
    })
    .await;
    let key = format!("--from-literal=key.txt={KEY}");
    ground.kubectl(&["create", "secret", "generic", "backup-key", &key]).unwrap();
    becomes(&ground, &backup, "Proved").await;

    let name = backup.rsplit('/').next().unwrap();
    let with_key = json!({ "bootstrap": { "restore": { "backup": name } } });
    let restored = Subject::create(&ground, "restored", with_key).await;
    restored.is_ready(3).await;
    restored.every_member_has(3, "key", "value").await;

    ground.kubectl(&["delete", "secret", "backup-key"]).unwrap();
    ground.kubectl(&["delete", &backup, "--wait=false"]).unwrap();
    until("the object goes", async || {
        let (_, message) = condition(&ground, &backup, "Deleted");
        let is_gone = field(&ground, &backup, ".metadata.name").is_empty();
        anyhow::ensure!(is_gone, "{message}");
        Ok(Some(()))
    })
    .await;
    let from_store =
        json!({ "bootstrap": { "restore": { "store": { "volume": { "claimName": "etcd-backups" } } } } });
    let nothing = Subject::create(&ground, "nothing", from_store).await;
    let why = nothing.holds("RestoreFailed").await;
    assert!(why.contains("there is no backup in this store"), "{why}");

    ground.kubectl(&["create", "secret", "generic", "backup-key", &key]).unwrap();
    let last = kubectl_with(&ground, "create", &asked);
    becomes(&ground, &last, "Proved").await;
    ground.kubectl(&["delete", "namespace", &ground.namespace, "--wait=false"]).unwrap();
    until("no object keeps its namespace", async || {
        let said =
            ground.kubectl(&["get", "namespace", &ground.namespace, "-o", "name", "--ignore-not-found"]);
        let left = ground.kubectl(&["describe", &last]);
        anyhow::ensure!(said.as_ref().is_ok_and(|said| said.trim().is_empty()), "{said:?}, {left:?}");
        Ok(Some(()))
    })
    .await;
}
