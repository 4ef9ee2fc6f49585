//! Authentication that a user turns on in etcd: the members answer, and refuse the operator.

use std::time::Duration;

use serde_json::json;

use super::etcdctl::{self, OWN};
use super::ground::Ground;
use super::observing::{ensure, throughout, until_while};
use super::subject::Subject;

/// What must be so all the time: it serves, and nobody says otherwise.
async fn serves(demo: &Subject<'_>) -> Result<(), String> {
    let picture = demo.picture().await;
    ensure(picture.is("Available"), || picture.describe())?;
    ensure(!picture.has_reason("QuorumLost"), || picture.describe())?;
    ensure(picture.hold("QuorumUnknown").is_none(), || picture.describe())
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn authentication_that_a_user_turns_on_is_said_and_never_taken_for_a_lost_quorum() {
    let ground = Ground::open("auth").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    let pod = demo.ready_pods().await.remove(0);
    let pods = demo.pods_api();
    let etcdctl = async |arguments: &[&str]| {
        etcdctl::run(&pods, &pod, OWN, arguments).await.unwrap_or_else(|error| panic!("{error:#}"))
    };
    etcdctl(&["user", "add", "root:secret"]).await;
    etcdctl(&["role", "add", "root"]).await;
    etcdctl(&["user", "grant-role", "root", "root"]).await;
    let before = demo.uids().await;
    etcdctl(&["auth", "enable"]).await;

    until_while(
        "the status says that authentication is on",
        async || demo.picture().await.hold("AuthenticationEnabled").is_some(),
        async || serves(&demo).await,
    )
    .await;
    demo.holds("AuthenticationEnabled").await;
    // Longer than an answer of before may be relied on.
    throughout("authentication is on", Duration::from_secs(12), async || {
        serves(&demo).await?;
        let now = demo.uids().await;
        ensure(now == before, || format!("pods were {before:?} and are {now:?}"))
    })
    .await;
    assert_eq!(etcdctl(&["--user=root:secret", "get", "key", "--print-value-only"]).await.trim(), "value");

    etcdctl(&["--user=root:secret", "auth", "disable"]).await;
    let picture = demo.is_ready(3).await;
    assert_eq!(picture.hold("AuthenticationEnabled"), None);
    assert_eq!(demo.uids().await, before, "nobody was restarted");
}
