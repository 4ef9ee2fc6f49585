//! Backups of a cluster by the CronJob that the page about backups shows: taken while the operator is there, and while it is gone.

use chaos::cluster::images::OPERATOR_IMAGE;
use chaos::subject::operator;
use serde_json::json;

use super::ground::Ground;
use super::subject::Subject;
use crate::promises::arena::until;

/// The page, whose first YAML is what people copy.
const PAGE: &str = include_str!("../../../../operator/docs/backups.md");
/// What it says instead of an image that is there.
const SHOWN_IMAGE: &str = "registry.example.com/etcd-operator:v0.1.0";

/// The objects of the page, with the operator's image that this cluster has.
fn objects() -> String {
    let (_, rest) = PAGE.split_once("```yaml\n").expect("the page has YAML");
    let (objects, _) = rest.split_once("```").expect("it ends");
    assert!(objects.contains(SHOWN_IMAGE));
    objects.replace(SHOWN_IMAGE, OPERATOR_IMAGE)
}

/// Takes a backup now, and waits until its Job is over.
async fn back_up(ground: &Ground, job: &str) -> String {
    ground.kubectl(&["create", "job", "--from=cronjob/etcd-backup", job]).unwrap();
    let over = ["get", "job", job, "-o", "jsonpath={.status.conditions[*].type}"];
    until("the Job ends", async || {
        let conditions = ground.kubectl(&over).unwrap();
        let log = || ground.kubectl(&["logs", &format!("job/{job}"), "--all-containers"]);
        assert!(!conditions.contains("Failed"), "{:?}", log());
        Ok(conditions.contains("Complete").then_some(()))
    })
    .await;
    ground.kubectl(&["logs", &format!("job/{job}")]).unwrap()
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn the_cron_job_of_the_page_takes_proved_backups_while_the_operator_is_there_and_while_it_is_gone() {
    let ground = Ground::alone("backups").await;
    let example = Subject::create(&ground, "example", json!({})).await;
    example.is_ready(3).await;
    example.put("key", "value").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), objects()).unwrap();
    ground.kubectl(&["apply", "-f", file.path().to_str().unwrap()]).unwrap();

    let first = back_up(&ground, "first").await;
    assert!(first.contains("proved: it ends at revision 2, 1 keys"), "{first}");
    let scale = ["scale", "deployment", "etcd-operator", "-n", operator::NAMESPACE];
    let _back = ground.afterwards(&[&scale[..], &["--replicas=2"]].concat());
    ground.kubectl(&[&scale[..], &["--replicas=0"]].concat()).unwrap();
    until("the operator is gone", async || {
        let pods = ground.kubectl(&["get", "pods", "-n", operator::NAMESPACE, "-o", "name"]).unwrap();
        Ok(pods.trim().is_empty().then_some(()))
    })
    .await;
    example.put("another", "value").await;
    let second = back_up(&ground, "second").await;
    assert!(second.contains("proved: it ends at revision 3, 2 keys"), "{second}");
}
