//! Jobs and CronJobs from creation to the end, on an API server.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use sandbox::apiserver::inputs::Clock;
use sandbox::apiserver::{ApiServer, ApiServerConfig};
use sandbox::controllers::Controllers;
use serde_json::{Value, json};

use super::kubelet::{Kubelet, PHASE};
use super::{Cluster, eventually};
use crate::apiserver::object;

fn template(phase: &str) -> Value {
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "image:1"}]});
    json!({"metadata": {"annotations": {PHASE: phase}}, "spec": spec})
}

fn job(phase: &str, more: Value) -> Value {
    let mut job = json!({"metadata": {"name": "work"}, "spec": {"template": template(phase)}});
    json_patch::merge(&mut job["spec"], &more);
    job
}

fn is(job: &Job, kind: &str) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|one| one.type_ == kind && one.status == "True")
}

#[tokio::test]
async fn a_job_runs_its_pods_to_the_end_counts_them_and_says_so() {
    let cluster = Cluster::start().await;
    let made: Job = cluster.create(job("Succeeded", json!({"completions": 3, "parallelism": 2}))).await;
    let spec = made.spec.clone().unwrap();
    let uid = made.uid().unwrap();
    assert_eq!(spec.selector.unwrap().match_labels.unwrap()["batch.kubernetes.io/controller-uid"], uid);
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    assert_eq!(made.labels(), &labels);
    assert_eq!((&labels["job-name"], &labels["controller-uid"]), (&"work".to_owned(), &uid));
    let jobs =
        eventually(cluster.api(), "the job is complete", |jobs: &[Job]| is(&jobs[0], "Complete")).await;
    let status = jobs[0].status.clone().unwrap();
    assert_eq!((status.succeeded, status.failed, status.active), (Some(3), None, None));
    let pods = eventually(cluster.api(), "the pods are free", |pods: &[Pod]| {
        pods.len() == 3 && pods.iter().all(|pod| pod.finalizers().is_empty())
    });
    let pods = pods.await;
    assert_eq!(pods[0].labels()["batch.kubernetes.io/job-name"], "work");
    let told = |events: &[Event]| {
        let of = |reason| events.iter().filter(|event| event.reason.as_deref() == Some(reason)).count();
        of("SuccessfulCreate") == 3 && of("Completed") == 1
    };
    let events = eventually(cluster.api(), "the Events are there", told).await;
    let created = events.iter().filter_map(|event| event.message.as_deref()?.strip_prefix("Created pod: "));
    assert!(created.into_iter().all(|name| name.starts_with("work-") && name.len() == "work-".len() + 5));
}

#[tokio::test]
async fn a_job_whose_pods_fail_fails() {
    let cluster = Cluster::start().await;
    cluster.create::<Job>(job("Failed", json!({"backoffLimit": 0}))).await;
    let jobs = eventually(cluster.api(), "the job has failed", |jobs: &[Job]| is(&jobs[0], "Failed")).await;
    let status = jobs[0].status.clone().unwrap();
    assert_eq!((status.succeeded, status.failed), (None, Some(1)));
    let reasons: Vec<_> =
        status.conditions.unwrap().into_iter().map(|one| (one.type_, one.reason.unwrap())).collect();
    let reason = "BackoffLimitExceeded".to_owned();
    assert_eq!(reasons, [("FailureTarget".to_owned(), reason.clone()), ("Failed".to_owned(), reason)]);
}

#[tokio::test]
async fn a_finished_job_goes_with_its_pods_when_its_time_is_over() {
    let cluster = Cluster::start().await;
    cluster.create::<Job>(job("Succeeded", json!({"ttlSecondsAfterFinished": 1}))).await;
    eventually(cluster.api(), "a pod is there", |pods: &[Pod]| !pods.is_empty()).await;
    eventually(cluster.api(), "the job is gone", <[Job]>::is_empty).await;
    eventually(cluster.api(), "its pods are gone", <[Pod]>::is_empty).await;
}

#[tokio::test]
async fn deleting_a_job_without_saying_more_leaves_its_pods_and_in_the_background_it_takes_them_along() {
    let cluster = Cluster::start().await;
    let running = |pods: &[Pod]| pods.len() == 1 && pods[0].finalizers().len() == 1;
    cluster.create::<Job>(job("Running", json!({}))).await;
    eventually(cluster.api(), "a pod runs", running).await;
    cluster.api::<Job>().delete("work", &DeleteParams::default()).await.unwrap();
    let is_free = |pods: &[Pod]| {
        pods.len() == 1 && pods[0].finalizers().is_empty() && pods[0].owner_references().is_empty()
    };
    let left = eventually(cluster.api(), "the pod is an orphan", is_free).await;
    cluster.api::<Pod>().delete(&left[0].name_any(), &DeleteParams::default()).await.unwrap();
    cluster.create::<Job>(job("Running", json!({}))).await;
    eventually(cluster.api(), "another pod runs", running).await;
    cluster.api::<Job>().delete("work", &DeleteParams::background()).await.unwrap();
    eventually(cluster.api(), "no pod is left", <[Pod]>::is_empty).await;
}

#[tokio::test]
async fn jobs_and_cron_jobs_that_could_not_work_are_refused() {
    let server = crate::apiserver::server();
    let refused = async |value: Value| {
        let jobs = kube::Api::<Job>::namespaced(server.client(), "default");
        let error = jobs.create(&PostParams::default(), &object(value)).await.unwrap_err();
        let kube::Error::Api(status) = error else { panic!("{error}") };
        (status.code, status.message.clone())
    };
    let always = job("Running", json!({"template": {"spec": {"restartPolicy": "Always"}}}));
    let why = "Job.batch \"work\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"";
    assert_eq!(refused(always).await, (422, why.to_owned()));
    let (code, why) = refused(job("Running", json!({"parallelism": -1, "completionMode": "Indexed"}))).await;
    assert_eq!(code, 422);
    assert!(why.contains("spec.parallelism: Invalid value: -1: must be greater than or equal to 0"), "{why}");
    assert!(why.contains("spec.completions: Required value: when completion mode is Indexed"), "{why}");
    let crons = kube::Api::<CronJob>::namespaced(server.client(), "default");
    let bad =
        cron_job(json!({"schedule": "* * *", "timeZone": "Nowhere/City", "concurrencyPolicy": "Never"}));
    let error = crons.create(&PostParams::default(), &object(bad)).await.unwrap_err().to_string();
    for why in [
        "spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3: [* * *]",
        "spec.timeZone: Invalid value: \"Nowhere/City\": unknown time zone Nowhere/City",
        "spec.concurrencyPolicy: Unsupported value: \"Never\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
    ] {
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_job_keeps_its_template_and_may_change_its_parallelism() {
    let server = crate::apiserver::server();
    let jobs = kube::Api::<Job>::namespaced(server.client(), "default");
    jobs.create(&PostParams::default(), &object(job("Running", json!({})))).await.unwrap();
    let patch = async |patch: Value| {
        jobs.patch("work", &Default::default(), &kube::api::Patch::Merge(json!({"spec": patch}))).await
    };
    assert_eq!(patch(json!({"parallelism": 4})).await.unwrap().metadata.generation, Some(2));
    let template = json!({"template": {"metadata": {"labels": {"more": "yes"}}}});
    let error = patch(template).await.unwrap_err().to_string();
    assert!(error.contains("field is immutable"), "{error}");
    assert!(patch(json!({"completions": 7})).await.unwrap_err().to_string().contains("spec.completions"));
}

fn cron_job(more: Value) -> Value {
    let template = json!({"spec": {"template": template("Succeeded")}});
    let mut cron =
        json!({"metadata": {"name": "backup"}, "spec": {"schedule": "* * * * *", "jobTemplate": template}});
    json_patch::merge(&mut cron["spec"], &more);
    cron
}

/// A clock that is ahead of the true one by as many seconds as the test says.
struct Ahead(AtomicI64);

impl Ahead {
    /// Puts the clock forward to this second.
    fn to(&self, second: i64) {
        self.0.store((second - Timestamp::now().as_second()).max(0), Ordering::Relaxed);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_cron_job_starts_a_job_at_its_minute_and_forgets_it_when_it_is_done() {
    let clock = Arc::new(Ahead(AtomicI64::new(0)));
    let server = ApiServer::new(ApiServerConfig { clock: clock.clone(), ..ApiServerConfig::default() });
    let client = server.client();
    let kubelet = Kubelet::start(client.clone()).await;
    let cluster =
        Cluster { _controllers: Controllers::start(client.clone(), clock.clone()), client, kubelet };
    let cron: CronJob = cluster.create(cron_job(json!({"timeZone": "Europe/Berlin"}))).await;
    let created = cron.creation_timestamp().unwrap().0;
    let minute = created.as_second() / 60 + 1;
    clock.to(minute * 60 + 1);
    // Nobody is told that the clock was moved; a change makes the controllers look at it.
    cluster.patch::<CronJob>("backup", json!({"metadata": {"annotations": {"clock": "moved"}}})).await;
    let done = |jobs: &[Job]| jobs.first().is_some_and(|job| is(job, "Complete"));
    let jobs = eventually(cluster.api(), "a job is complete", done).await;
    assert_eq!(jobs[0].name_any(), format!("backup-{minute}"));
    let noted = |crons: &[CronJob]| {
        let status = crons[0].status.clone().unwrap_or_default();
        status.active.is_none()
            && status.last_successful_time.is_some()
            && status.last_schedule_time.is_some()
    };
    let crons = eventually(cluster.api(), "the success is noted", noted).await;
    let scheduled = crons[0].status.as_ref().unwrap().last_schedule_time.clone().unwrap();
    assert_eq!(scheduled.0.as_second(), minute * 60);
}
