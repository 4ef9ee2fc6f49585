//! Changes of membership as the executor makes them, on a modelled etcd that can swallow its answers.

use crate::support::fake_etcd::FakeEtcd;
use crate::support::kubernetes::api_server;
use assert_matches::assert_matches;
use etcd_operator::clock::SystemClock;
use etcd_operator::cluster::execute::{ExecuteError, Executor};
use etcd_operator::cluster::observe::Contact;
use etcd_operator::etcd::{Access, EtcdError, EtcdPort};
use etcd_operator::lease::Leadership;
use etcd_operator::lease::election::Durations;
use etcd_operator::lease::{Elector, Identity};
use etcd_operator::metrics::Metrics;
use etcd_operator::write::WriteError;
use etcd_operator_core::api::{EtcdCluster, EtcdClusterSpec};
use etcd_operator_core::cluster::plan::{Action, PlannedOn};
use etcd_operator_core::names::{ClusterIdentity, Endpoint, MemberId, MemberName, Naming};
use kube::Api;
use prometheus_client::registry::Registry;
use std::sync::Arc;

const PEER_URL: &str = "http://c-bbbbb-0.c-peers.ns.svc:2380";

/// Where a member answers.
fn at(address: &str) -> Endpoint {
    Access::default().endpoint(address)
}

struct Scene {
    etcd: FakeEtcd,
    executor: Executor,
    planned_on: PlannedOn,
}

impl Scene {
    async fn new() -> Self {
        Self::with_leadership(Leadership::unlimited(Arc::new(SystemClock::new()))).await
    }

    async fn with_leadership(leadership: Leadership) -> Self {
        let etcd = FakeEtcd::default()
            .with_voter("c-aaaaa", &at("10.0.0.1"), "http://c-aaaaa-0.c-peers.ns.svc:2380")
            .with_voter("c-ccccc", &at("10.0.0.2"), "http://c-ccccc-0.c-peers.ns.svc:2380");
        let list = etcd.member(&at("10.0.0.1"), &Access::default()).members().await.unwrap();
        let members = list.members.iter().map(|member| member.id).collect();
        let planned_on = PlannedOn { cluster_id: list.cluster_id, members };
        let executor = Executor { client: api_server().client(), etcd: Arc::new(etcd.clone()), leadership };
        Self { etcd, executor, planned_on }
    }

    async fn execute(&self, action: &Action) -> Result<(), ExecuteError> {
        let contact = Contact { voters: vec![at("10.0.0.1")], ..Contact::default() };
        let spec: EtcdClusterSpec = serde_json::from_str(r#"{"version":"3.6.16"}"#).unwrap();
        self.executor.execute(&EtcdCluster::new("c", spec), action, &contact).await
    }

    fn addition(&self) -> Action {
        let member = member("c-bbbbb");
        Action::AddLearner { member, peer_url: PEER_URL.to_owned(), planned_on: self.planned_on.clone() }
    }

    fn removal(&self, id: MemberId) -> Action {
        let planned_on = self.planned_on.clone();
        Action::RemoveMember { member: member("c-ccccc"), id, because: "a test".to_owned(), planned_on }
    }
}

fn member(name: &str) -> MemberName {
    let cluster = ClusterIdentity {
        name: "c".to_owned(),
        namespace: "ns".to_owned(),
        uid: "uid".to_owned(),
        naming: Naming::ByName,
    };
    MemberName::parse(&cluster, name).unwrap()
}

#[tokio::test]
async fn a_planned_addition_is_made() {
    let scene = Scene::new().await;
    scene.execute(&scene.addition()).await.unwrap();
    assert_eq!(scene.etcd.log(), [format!("add {PEER_URL}")]);
}

#[tokio::test]
async fn an_action_that_the_list_has_overtaken_is_not_carried_out() {
    let scene = Scene::new().await;
    scene.execute(&scene.addition()).await.unwrap();
    let outcome = scene.execute(&scene.removal(scene.planned_on.members[1])).await;
    assert_matches!(outcome, Err(ExecuteError::Write(WriteError::Overtaken(_))));
    assert_eq!(scene.etcd.log().len(), 1, "the old removal was not sent");
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_found_in_the_list_and_counts_as_made() {
    let scene = Scene::new().await;
    scene.etcd.swallow_answers();
    scene.execute(&scene.addition()).await.unwrap();
}

#[tokio::test]
async fn a_refused_change_is_a_failure() {
    let scene = Scene::new().await;
    let outcome = scene.execute(&scene.removal(MemberId(0x77))).await;
    assert_matches!(outcome, Err(ExecuteError::Etcd(EtcdError::Refused { .. })));
}

#[tokio::test]
async fn nothing_is_changed_without_the_lease() {
    let elector = Elector::new(
        Api::namespaced(api_server().client(), "home"),
        "etcd-operator",
        Identity::new("pod", "uid"),
        Durations::default(),
        Arc::new(SystemClock::new()),
        Metrics::register(&mut Registry::default()),
    );
    let scene = Scene::with_leadership(elector.leadership()).await;
    let outcome = scene.execute(&scene.addition()).await;
    assert_matches!(outcome, Err(ExecuteError::Write(WriteError::LeaseTooShort { .. })));
    assert!(scene.etcd.log().is_empty());
}
