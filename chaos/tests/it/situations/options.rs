//! etcd's own options, by what etcd itself says and does: its log of how it starts, its metrics, and what it refuses.

use chaos::subject::{etcd, proxy::PodPort};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::api::LogParams;
use kube::client::Body;
use serde_json::{Value, json};

use super::ground::Ground;
use super::subject::Subject;
use crate::promises::arena::until;

/// One of each minor.
const VERSIONS: [&str; 3] = ["3.5.35", "3.6.16", "3.7.3"];

/// Between the largest request that etcd takes by default, 1.5 MiB, and what is chosen here.
const LARGE: usize = 1600 << 10;

const EVERYTHING: &str = include_str!("../../../../operator/core/tests/render/everything.yaml");

/// Each differs from etcd's default. What etcd is asked for by name is called as in 3.7, whatever the version.
fn chosen() -> Value {
    json!({
        "quotaBackendBytes": "200Mi", "autoCompactionMode": "revision", "autoCompactionRetention": "1000",
        "snapshotCount": 5000, "heartbeatIntervalMilliseconds": 200, "electionTimeoutMilliseconds": 2000,
        "maxRequestBytes": "1800Ki", "maxTxnOps": 2, "metrics": "extensive", "logLevel": "info",
        "options": {
            "max-wals": "10", "max-snapshots": "7", "snapshot-catchup-entries": "4000",
            "initial-election-tick-advance": "false", "max-concurrent-streams": "500", "corrupt-check-time": "12h",
            "compact-hash-check-time": "2m", "cors": "https://a.example:443", "host-whitelist": "*,b.example",
            "enable-pprof": "true", "backend-bbolt-freelist-type": "array",
        },
    })
}

/// What etcd then logs of itself when it starts.
fn logged() -> Value {
    json!({
        "quota-backend-bytes": 209_715_200, "auto-compaction-mode": "revision", "auto-compaction-retention": "1µs",
        "snapshot-count": 5000, "heartbeat-interval": "200ms", "election-timeout": "2s",
        "max-request-bytes": 1_843_200, "max-wals": 10, "max-snapshots": 7, "snapshot-catchup-entries": 4000,
        "initial-election-tick-advance": false, "max-concurrent-streams": 500,
        "corrupt-check-time-interval": "12h0m0s", "compact-check-time-interval": "2m0s",
        "cors": ["https://a.example:443"], "host-whitelist": ["*", "b.example"],
    })
}

/// A member, and what it says.
struct Member<'a> {
    demo: &'a Subject<'a>,
    pod: String,
    /// What etcd refuses as too large is a 429 over HTTP, which the usual client would ask again and again.
    client: Client,
}

impl Member<'_> {
    async fn first<'a>(demo: &'a Subject<'a>) -> Member<'a> {
        let client = demo.ground.client_without_retries().await;
        Member { demo, pod: demo.ready_pods().await.remove(0), client }
    }

    /// What it has logged so far.
    async fn log(&self) -> String {
        let parameters = LogParams { container: Some(etcd::CONTAINER.to_owned()), ..LogParams::default() };
        self.demo.pods_api().logs(&self.pod, &parameters).await.unwrap()
    }

    /// The line in which etcd says how it starts.
    async fn start_line(&self) -> Value {
        let log = self.log().await;
        let line = log.lines().find(|line| line.contains("\"starting an etcd server\""));
        serde_json::from_str(line.unwrap_or_else(|| panic!("no such line in {log}"))).unwrap()
    }

    /// The value of a metric.
    async fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.metrics().await;
        let line = metrics.lines().find(|line| line.split(' ').next() == Some(name))?;
        line.split(' ').nth(1)?.parse().ok()
    }

    async fn metrics(&self) -> String {
        let port =
            PodPort { namespace: self.demo.ground.namespace.clone(), pod: self.pod.clone(), port: 2381 };
        let answer = port.get(&self.demo.ground.client, "metrics").await.unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    /// Asks its client port.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> (StatusCode, String) {
        let uri =
            format!("/api/v1/namespaces/{}/pods/{}:2379/proxy/{path}", self.demo.ground.namespace, self.pod);
        let body = if body.is_null() { Body::empty() } else { Body::from(serde_json::to_vec(body).unwrap()) };
        let request = Request::builder().method(method).uri(uri).body(body).unwrap();
        let response = self.client.send(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Puts a value of so many bytes.
    async fn put(&self, bytes: usize) -> (StatusCode, String) {
        // Base64 of zeros.
        let value = "AAAA".repeat(bytes / 3);
        self.ask(Method::POST, "v3/kv/put", &json!({ "key": "YQ==", "value": value })).await
    }

    /// A transaction of so many operations.
    async fn transaction(&self, operations: usize) -> (StatusCode, String) {
        let get = json!({ "requestRange": { "key": "YQ==" } });
        self.ask(Method::POST, "v3/kv/txn", &json!({ "success": vec![get; operations] })).await
    }
}

async fn are_as_etcd_has_them(member: &Member<'_>) {
    assert!(member.put(1 << 20).await.0.is_success());
    let (status, said) = member.put(LARGE).await;
    assert!(!status.is_success() && said.contains("too large"), "{status} {said}");
    let (status, said) = member.transaction(3).await;
    assert!(status.is_success(), "{status} {said}");
    assert!(!member.metrics().await.contains("grpc_server_handling_seconds_bucket"));
    let (status, said) = member.ask(Method::GET, "debug/pprof/cmdline", &Value::Null).await;
    assert!(!status.is_success(), "{status} {said}");
}

async fn are_as_chosen(member: &Member<'_>) {
    let line = member.start_line().await;
    for (name, wanted) in logged().as_object().unwrap() {
        assert_eq!(&line[name], wanted, "{name} in {line}");
    }
    assert_eq!(member.metric("etcd_server_quota_backend_bytes").await, Some(209_715_200.0));
    let (status, said) = member.put(LARGE).await;
    assert!(status.is_success(), "{status} {said}");
    let (status, said) = member.put(2 << 20).await;
    assert!(!status.is_success() && said.contains("too large"), "{status} {said}");
    let (status, said) = member.transaction(3).await;
    assert!(!status.is_success() && said.contains("too many operations"), "{status} {said}");
    assert!(member.metrics().await.contains("grpc_server_handling_seconds_bucket"));
    let (status, said) = member.ask(Method::GET, "debug/pprof/cmdline", &Value::Null).await;
    assert!(status.is_success(), "{status} {said}");
    // 3.5 does not log how it opens its database.
    if !line["etcd-version"].as_str().unwrap().starts_with("3.5") {
        assert!(member.log().await.contains("FreelistType: array"));
    }
}

/// A member of each minor starts without any option, follows them all, and one that logs less says less.
async fn take_effect(version: &str) {
    let ground = Ground::open(&format!("options-{}", version.replace('.', "-"))).await;
    let demo = Subject::create(&ground, "demo", json!({ "size": 1, "version": version })).await;
    demo.is_ready(1).await;
    let before = demo.uids().await;
    are_as_etcd_has_them(&Member::first(&demo).await).await;

    demo.change(json!({ "etcd": chosen() })).await.unwrap();
    let picture = demo.is_ready(1).await;
    assert_eq!(picture.0.data["status"]["databaseQuota"], "200Mi");
    let followed = demo.uids().await;
    assert_ne!(followed, before, "it was restarted");
    are_as_chosen(&Member::first(&demo).await).await;

    demo.change(json!({ "etcd": { "logLevel": "warn" } })).await.unwrap();
    demo.is_ready(1).await;
    assert_ne!(demo.uids().await, followed, "it was restarted again");
    let log = Member::first(&demo).await.log().await;
    assert!(!log.contains("starting an etcd server"), "{log}");
    demo.put("key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn options_take_effect_on_etcd_3_5() {
    take_effect(VERSIONS[0]).await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn options_take_effect_on_etcd_3_6() {
    take_effect(VERSIONS[1]).await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn options_take_effect_on_etcd_3_7() {
    take_effect(VERSIONS[2]).await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_member_of_each_minor_starts_with_every_setting_of_etcd_and_with_every_option_that_may_be_named() {
    let ground = Ground::open("every-option").await;
    let everything: Value = serde_saphyr::from_str(EVERYTHING).unwrap();
    let (everything, named) = (&everything["spec"]["etcd"], every_option_by_name());
    for version in VERSIONS {
        for (what, etcd) in [("fields", everything), ("names", &named)] {
            let name = format!("{what}-{}", version.replace('.', "-"));
            let mut etcd = etcd.clone();
            if version.starts_with("3.5") {
                // These came with 3.6.
                json_patch::merge(
                    &mut etcd,
                    &json!({ "options": { "log-format": null, "warning-unary-request-duration": null } }),
                );
            }
            let demo =
                Subject::create(&ground, &name, json!({ "size": 1, "version": version, "etcd": etcd })).await;
            demo.is_ready(1).await;
            demo.put("key", "value").await;
            demo.delete().await;
        }
    }
    until("all clusters are gone", async || {
        Ok(ground.all::<k8s_openapi::api::core::v1::Pod>().await.is_empty().then_some(()))
    })
    .await;
}

/// Every option that `spec.etcd.options` takes.
fn every_option_by_name() -> Value {
    json!({ "options": {
        "snapshot-catchup-entries": "4000", "max-snapshots": "7", "max-wals": "10", "initial-election-tick-advance": "false",
        "backend-batch-interval": "50ms", "backend-batch-limit": "5000", "backend-bbolt-freelist-type": "array",
        "max-concurrent-streams": "500", "grpc-keepalive-min-time": "3s", "grpc-keepalive-interval": "1h",
        "grpc-keepalive-timeout": "10s", "bcrypt-cost": "5", "auth-token-ttl": "400", "cors": "https://a.example:443",
        "host-whitelist": "*", "enable-pprof": "true", "corrupt-check-time": "12h", "compact-hash-check-time": "2m",
        "compaction-batch-limit": "2000", "compaction-sleep-interval": "20ms", "watch-progress-notify-interval": "5m",
        "warning-apply-duration": "200ms", "bootstrap-defrag-threshold-megabytes": "50",
        "warning-unary-request-duration": "500ms", "log-format": "console",
    } })
}
