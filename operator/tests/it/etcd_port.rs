//! One suite for the etcd port, run against a real member and against the model that other tests use.

use crate::support::etcd::{RealEtcd, VERSIONS};
use crate::support::fake_etcd::FakeEtcd;
use assert_matches::assert_matches;
use etcd_client::{AlarmAction, AlarmType};
use etcd_operator::cluster::vigil::ask_health;
use etcd_operator::etcd::{
    Access, ConnectionSettings, Connector, EtcdError, EtcdPort, MemberList, Secret, User,
};
use etcd_operator::gate::log_identity;
use etcd_operator::kept::KeptConnections;
use etcd_operator_core::cluster::vigil::HealthAnswer;
use etcd_operator_core::names::{Endpoint, MemberId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

const LEARNER: &str = "http://127.0.0.1:1";

/// Everything that the operator relies on.
async fn suite(port: &dyn EtcdPort, endpoint: &Endpoint, access: &Access) {
    let member = port.member(endpoint, access);
    let before = wait_for_list(port, endpoint, access).await;
    let status = member.status().await.unwrap();
    assert_eq!(before.members.len(), 1);
    assert_eq!(before.members[0].id, status.member_id);
    assert_eq!(before.cluster_id, status.cluster_id);
    assert_eq!(status.leader, Some(status.member_id));
    assert!(member.alarms().await.unwrap().is_empty());
    member.read().await.unwrap();
    let hash = member.data_hash(status.revision).await.unwrap();
    assert_eq!(hash.revision, status.revision);
    assert_eq!(member.data_hash(status.revision).await.unwrap(), hash, "what is the same has one hash");
    let future = member.data_hash(status.revision + 1).await;
    assert_matches!(future, Err(EtcdError::Refused { .. }), "nobody knows the hash of what is not written");

    let id = member.add_learner(LEARNER).await.unwrap();
    let listed = member.members().await.unwrap();
    let learner = listed.members.iter().find(|member| member.id == id).unwrap();
    assert!(learner.is_learner);
    assert_eq!((learner.name.as_str(), learner.peer_urls.as_slice()), ("", [LEARNER.to_owned()].as_slice()));

    let again = member.add_learner(LEARNER).await;
    assert_matches!(again, Err(EtcdError::Refused { .. }), "a peer URL is added once");
    let second = member.add_learner("http://127.0.0.1:3").await;
    assert_matches!(second, Err(EtcdError::Refused { .. }), "there is one learner at a time");
    let promoted = member.promote(id).await;
    assert_matches!(promoted, Err(EtcdError::Refused { .. }), "a learner that never started is not in sync");
    let unknown = member.remove(MemberId(0x1234)).await;
    assert_matches!(unknown, Err(EtcdError::Refused { .. }), "nobody is removed who is not there");

    member.remove(id).await.unwrap();
    assert_eq!(member.members().await.unwrap(), before);

    let nobody = Endpoint { port: 2, ..endpoint.clone() };
    let nobody = port.member(&nobody, access).remove(id).await;
    assert_matches!(nobody, Err(EtcdError::Unreachable { .. }), "a refused connection had no effect");
}

/// The list, as soon as the member can give one.
async fn wait_for_list(port: &dyn EtcdPort, endpoint: &Endpoint, access: &Access) -> MemberList {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match port.member(endpoint, access).members().await {
            Ok(list) => return list,
            Err(error) => assert!(Instant::now() < deadline, "{endpoint} never answered: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn connector() -> Connector {
    Connector::new(ConnectionSettings {
        call_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(2),
        hash_timeout: Duration::from_secs(5),
    })
}

#[tokio::test]
async fn a_real_member_passes_the_suite() {
    let etcd = RealEtcd::start();
    suite(&connector(), etcd.endpoint(), &Access::default()).await;
}

#[tokio::test]
async fn a_real_member_that_takes_nothing_but_tls_passes_the_suite() {
    for version in VERSIONS {
        let (etcd, access) = RealEtcd::start_with_tls(version);
        suite(&connector(), etcd.endpoint(), &access).await;
        let without = Access { identity: None, ..access };
        let stranger = connector().member(etcd.endpoint(), &without).members().await;
        assert_matches!(stranger, Err(_), "{version} asks whoever connects for a certificate");
    }
}

/// Where a user turns authentication on, a member still answers, and says that it wants credentials; to a read only after a quorum
/// has confirmed it.
#[tokio::test]
async fn a_member_that_asks_for_credentials_is_told_apart_from_one_that_fails() {
    for version in VERSIONS {
        let etcd = RealEtcd::start_version(version);
        let port = connector();
        wait_for_list(&port, etcd.endpoint(), &Access::default()).await;
        turn_authentication_on(etcd.endpoint()).await;
        let member = port.member(etcd.endpoint(), &Access::default());
        assert_matches!(member.read().await, Err(EtcdError::NotAuthorized { .. }), "{version}");
        assert_matches!(member.status().await, Err(EtcdError::NotAuthorized { .. }), "{version}");
        let added = member.add_learner(LEARNER).await;
        assert_matches!(added, Err(EtcdError::NotAuthorized { .. }), "{version}");

        let user = User { name: "root".to_owned(), password: Secret("secret".to_owned()) };
        suite(&port, etcd.endpoint(), &Access { user: Some(user), ..Access::default() }).await;
    }
}

async fn turn_authentication_on(endpoint: &Endpoint) {
    let mut client = etcd_client::Client::connect([endpoint.to_string()], None).await.unwrap();
    client.user_add("root", "secret", None).await.unwrap();
    client.role_add("root").await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.auth_enable().await.unwrap();
}

#[tokio::test]
async fn the_modelled_member_passes_the_suite() {
    let access = Access::default();
    let endpoint = access.endpoint("10.0.0.1");
    let fake = FakeEtcd::default().with_voter("only", &endpoint, "http://10.0.0.1:2380");
    suite(&fake, &endpoint, &access).await;
}

#[tokio::test]
async fn a_member_that_stands_still_gives_an_unclear_answer_within_the_bound() {
    let etcd = RealEtcd::start();
    wait_for_list(&connector(), etcd.endpoint(), &Access::default()).await;
    kill(Pid::from_raw(etcd.process_id()), Signal::SIGSTOP).unwrap();
    let hasty = Connector::new(ConnectionSettings {
        call_timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_millis(200),
        hash_timeout: Duration::from_millis(300),
    });
    let answer = hasty.member(etcd.endpoint(), &Access::default()).add_learner(LEARNER).await;
    assert_matches!(answer, Err(EtcdError::Unclear { .. }));
}

#[tokio::test]
async fn the_gate_reads_the_identity_in_a_real_log() {
    let etcd = RealEtcd::start();
    let list = wait_for_list(&connector(), etcd.endpoint(), &Access::default()).await;
    let segment = std::fs::read_dir(etcd.log())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .unwrap();
    let bytes = std::fs::read(segment).unwrap();
    let identity = log_identity::parse(&bytes[..log_identity::HEAD_BYTES]).unwrap();
    assert_eq!(identity.cluster_id, list.cluster_id);
    assert_eq!(identity.member_id, list.members[0].id);
}

/// What the operator asks members between two looks: etcd makes a linearizable read of its own, also where authentication is on.
#[tokio::test]
async fn a_real_member_says_whether_it_is_well_to_whoever_asks_on_its_metrics_port() {
    for version in VERSIONS {
        let etcd = RealEtcd::start_version(version);
        wait_for_list(&connector(), etcd.endpoint(), &Access::default()).await;
        let mut line = KeptConnections::with_room_for(1).to(etcd.metrics());
        assert_eq!(ask_health(&mut line).await, HealthAnswer::Well, "{version}");
        turn_authentication_on(etcd.endpoint()).await;
        assert_eq!(ask_health(&mut line).await, HealthAnswer::Well, "{version} with authentication");
        stop(etcd.process_id()).await;
        assert_eq!(ask_health(&mut line).await, HealthAnswer::Silent, "{version} stands still");
        kill(Pid::from_raw(etcd.process_id()), Signal::SIGCONT).unwrap();
        assert_eq!(ask_health(&mut line).await, HealthAnswer::Well, "{version} goes on");
        raise_an_alarm(etcd.endpoint()).await;
        assert_eq!(ask_health(&mut line).await, HealthAnswer::Unwell, "{version} has an alarm");
        drop(etcd);
        assert_eq!(ask_health(&mut line).await, HealthAnswer::Silent, "{version} is gone");
    }
}

/// Returns once the process stands still: a signal is on its way for a moment, and a member may answer meanwhile.
async fn stop(process_id: i32) {
    kill(Pid::from_raw(process_id), Signal::SIGSTOP).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat")).unwrap();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if state == Some('T') {
            return;
        }
        assert!(Instant::now() < deadline, "it does not stop: {stat}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn raise_an_alarm(endpoint: &Endpoint) {
    let options = etcd_client::ConnectOptions::new().with_user("root", "secret");
    let mut client = etcd_client::Client::connect([endpoint.to_string()], Some(options)).await.unwrap();
    client.alarm(AlarmAction::Activate, AlarmType::Nospace, None).await.unwrap();
}
