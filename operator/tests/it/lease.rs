//! The election against an API server, in tokio's paused time: hours pass in no time, and in order.

use crate::support::kubernetes::{Line, api_server, create_namespace};
use assert_matches::assert_matches;
use etcd_operator::clock::{SharedClock, SystemClock};
use etcd_operator::lease::election::Durations;
use etcd_operator::lease::{Elector, Identity, LeaseLost};
use etcd_operator::metrics::Metrics;
use kube::{Api, Client};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

fn elector(client: Client, pod: &str) -> Elector {
    let clock: SharedClock = Arc::new(SystemClock::new());
    let metrics = Metrics::register(&mut Registry::default());
    let api = Api::namespaced(client, "home");
    Elector::new(api, "etcd-operator", Identity::new(pod, "uid"), Durations::default(), clock, metrics)
}

async fn server() -> sandbox::apiserver::ApiServer {
    let server = api_server();
    create_namespace(&server.client(), "home").await;
    server
}

#[tokio::test(start_paused = true)]
async fn a_second_candidate_leads_only_after_the_first_can_no_longer_act() {
    let server = server().await;
    let line = Line::default();
    let mut first = elector(line.client(&server), "first");
    let mut second = elector(server.client(), "second");
    first.acquire().await;
    let acts = first.leadership();
    assert!(acts.remaining() > Duration::from_secs(14));
    line.cut();
    second.acquire().await;
    assert_eq!(acts.remaining(), Duration::ZERO);
    assert!(second.leadership().remaining() > Duration::from_secs(14));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_renews_keeps_a_second_candidate_waiting() {
    let server = server().await;
    let mut first = elector(server.client(), "first");
    let mut second = elector(server.client(), "second");
    first.acquire().await;
    tokio::select! {
        biased;
        lost = first.keep() => panic!("lost: {lost}"),
        () = second.acquire() => panic!("two leaders"),
        () = sleep(Duration::from_secs(3600)) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_an_api_server_gives_up_before_another_may_lead() {
    let server = server().await;
    let line = Line::default();
    let mut leader = elector(line.client(&server), "first");
    leader.acquire().await;
    let acts = leader.leadership();
    let since = Instant::now();
    line.cut();
    assert_matches!(leader.keep().await, LeaseLost::NotRenewed(_));
    assert!(since.elapsed() <= Durations::default().renew_within, "{:?}", since.elapsed());
    assert_eq!(acts.remaining(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_container_restarted_in_the_same_pod_leads_at_once() {
    let server = server().await;
    elector(server.client(), "pod").acquire().await;
    let mut restarted = elector(server.client(), "pod");
    timeout(Duration::from_secs(1), restarted.acquire()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_given_back_is_taken_without_waiting_for_its_end() {
    let server = server().await;
    let mut first = elector(server.client(), "first");
    let mut second = elector(server.client(), "second");
    first.acquire().await;
    first.release().await;
    timeout(Duration::from_secs(3), second.acquire()).await.unwrap();
    assert_matches!(first.keep().await, LeaseLost::NotRenewed(_));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_slept_through_its_lease_finds_it_taken() {
    let server = server().await;
    let mut sleeper = elector(server.client(), "sleeper");
    let mut second = elector(server.client(), "second");
    sleeper.acquire().await;
    second.acquire().await;
    assert_eq!(sleeper.leadership().remaining(), Duration::ZERO);
    assert_matches!(sleeper.keep().await, LeaseLost::NotRenewed(_));
}
