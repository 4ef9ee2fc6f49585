//! The gate's reading and writing, on real directories; the decision itself is tested in the core.

use super::*;
use etcd_operator_core::gate::{
    BootCounterState, ClusterState, DataState, GateHoldReason, GateReport, InitialMember, ListenFamily,
    LogIdentity, Permit, Stamp, StampState, StampWrite,
};
use etcd_operator_core::names::{
    ANNOTATION_FENCE_EPOCH, ANNOTATION_PERMIT, ClusterId, ClusterIdentity, MemberId, MemberName, Naming,
    PermitId, Scheme,
};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use tempfile::TempDir;

/// A pod's file system below a temporary directory.
struct Pod {
    _directory: TempDir,
    paths: Paths,
    configuration: GateConfiguration,
}

const POD_UID: &str = "pod-uid-1";

impl Pod {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        for path in [&paths.stamp, &paths.spent_permits, &paths.annotations] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        fs::write(&paths.pod_uid, POD_UID).unwrap();
        fs::write(&paths.annotations, "").unwrap();
        let cluster = ClusterIdentity {
            name: "c".to_owned(),
            namespace: "ns".to_owned(),
            uid: "cluster-uid".to_owned(),
            naming: Naming::ByName,
        };
        let member = MemberName::parse(&cluster, "c-abcde").unwrap();
        let configuration = GateConfiguration {
            format: FORMAT,
            oldest_reader: FORMAT,
            cluster,
            member,
            etcd_version: "3.6.16".to_owned(),
            quota_backend_bytes: None,
            options: etcd_operator_core::etcd_options::EtcdOptions::default(),
            tls: None,
        };
        Self { _directory: directory, paths, configuration }
    }

    fn permit(&self, id: &str) -> Permit {
        let cluster = &self.configuration.cluster;
        let member = self.configuration.member.clone();
        Permit {
            format: FORMAT,
            oldest_reader: FORMAT,
            id: PermitId(id.to_owned()),
            pod_uid: POD_UID.to_owned(),
            cluster_uid: cluster.uid.clone(),
            cluster_id: None,
            member_id: None,
            token: cluster.token(1),
            state: ClusterState::New,
            initial_cluster: vec![InitialMember {
                peer_url: cluster.peer_url(Scheme::Http, &member),
                name: member.clone(),
            }],
            member,
            fence_epoch: 0,
        }
    }

    fn annotate(&self, key: &str, value: &str) {
        let quoted = serde_json::to_string(value).unwrap();
        fs::write(&self.paths.annotations, format!("{key}={quoted}\n")).unwrap();
    }

    fn give(&self, permit: &Permit) {
        self.annotate(ANNOTATION_PERMIT, &serde_json::to_string(permit).unwrap());
    }

    fn decide(&self) -> GateDecision {
        decide(&inputs(&self.configuration, &self.paths).unwrap())
    }

    fn start(&self) {
        let GateDecision::Start(start) = self.decide() else { panic!("the gate holds: {:?}", self.decide()) };
        start::prepare(&self.configuration, &self.paths, &start, &ListenFamily::DualStack).unwrap();
    }

    /// What etcd leaves behind once it runs.
    fn write_log(&self) {
        fs::create_dir_all(&self.paths.wal).unwrap();
        fs::write(self.paths.wal.join("0000000000000000-0000000000000000.wal"), [0; 64]).unwrap();
    }

    fn boot_counter(&self) -> u64 {
        volume::read(&self.paths).unwrap().boot_counter()
    }

    fn stamp(&self) -> Stamp {
        serde_json::from_slice(&fs::read(&self.paths.stamp).unwrap()).unwrap()
    }
}

fn held(decision: &GateDecision) -> Option<GateHoldReason> {
    match decision {
        GateDecision::Hold(reason) => Some(*reason),
        GateDecision::Start(_) => None,
    }
}

#[test]
fn an_empty_disk_is_held_until_a_permit_appears_and_starts_once() {
    let pod = Pod::new();
    assert_eq!(held(&pod.decide()), Some(GateHoldReason::Lost));
    pod.give(&pod.permit("one"));
    pod.start();
    assert_eq!(held(&pod.decide()), Some(GateHoldReason::Lost), "the permit is spent");
}

#[test]
fn a_crash_before_the_permit_is_spent_may_start_once_more() {
    let pod = Pod::new();
    pod.give(&pod.permit("one"));
    let GateDecision::Start(start) = pod.decide() else { panic!("the gate holds") };
    volume::write_durably(&pod.paths.stamp, &start.stamp).unwrap();
    assert_eq!(held(&pod.decide()), None);
}

#[test]
fn a_restart_needs_no_permit_and_counts_up() {
    let pod = Pod::new();
    pod.give(&pod.permit("one"));
    pod.start();
    pod.write_log();
    fs::write(&pod.paths.annotations, "").unwrap();
    assert_eq!(pod.boot_counter(), 1);
    let stamp = fs::metadata(&pod.paths.stamp).unwrap().ino();
    pod.start();
    assert_eq!(pod.boot_counter(), 2);
    assert_eq!(fs::metadata(&pod.paths.stamp).unwrap().ino(), stamp, "the stamp is not written again");
}

#[test]
fn a_disk_whose_counter_stands_in_the_stamp_alone_is_counted_on() {
    let pod = Pod::new();
    pod.give(&pod.permit("one"));
    pod.start();
    pod.write_log();
    volume::write_durably(&pod.paths.stamp, &Stamp { boot_counter: 41, ..pod.stamp() }).unwrap();
    fs::remove_file(&pod.paths.boot_counter).unwrap();
    pod.start();
    assert_eq!(pod.boot_counter(), 42);
    pod.start();
    assert_eq!(pod.boot_counter(), 43);
}

#[test]
fn the_report_shows_the_counter_of_the_file() {
    let pod = Pod::new();
    pod.give(&pod.permit("one"));
    pod.start();
    pod.write_log();
    pod.start();
    pod.annotate(ANNOTATION_FENCE_EPOCH, "1");
    let inputs = inputs(&pod.configuration, &pod.paths).unwrap();
    assert_eq!(report::of(&inputs, GateHoldReason::Fenced).boot_counter, 2);
}

#[test]
fn a_counter_that_cannot_be_written_stops_no_start() {
    let pod = Pod::new();
    fs::create_dir(&pod.paths.boot_counter).unwrap();
    pod.give(&pod.permit("one"));
    pod.start();
    pod.write_log();
    pod.start();
    assert!(matches!(volume::read(&pod.paths).unwrap().boot_counter, BootCounterState::Unreadable(_)));
    assert_eq!(pod.stamp().boot_counter, 1);
}

#[test]
fn a_stamp_that_cannot_be_written_stops_the_first_start_and_no_other() {
    let pod = Pod::new();
    pod.give(&pod.permit("one"));
    // A directory where the new stamp is written stands for a disk that takes none, which tests as root can't have.
    let partial = pod.paths.stamp.with_extension("partial");
    fs::create_dir(&partial).unwrap();
    let GateDecision::Start(first) = pod.decide() else { panic!("the gate holds") };
    let prepare = |start: &Start| start::prepare(&pod.configuration, &pod.paths, start, &ListenFamily::Ipv4);
    assert!(prepare(&first).is_err());
    assert!(!pod.paths.spent_permits.exists(), "the permit is still good");
    fs::remove_dir(&partial).unwrap();
    prepare(&first).unwrap();
    pod.write_log();
    fs::create_dir(&partial).unwrap();
    let mut learned = inputs(&pod.configuration, &pod.paths).unwrap();
    let identity = LogIdentity { cluster_id: ClusterId(7), member_id: MemberId(8) };
    learned.disk.data = DataState::Log(Some(identity));
    let GateDecision::Start(restart) = decide(&learned) else { panic!("the gate holds") };
    assert_eq!(restart.write_stamp, StampWrite::Wanted);
    prepare(&restart).unwrap();
    assert_eq!(pod.stamp(), first.stamp);
    assert_eq!(pod.boot_counter(), 2);
}

#[test]
fn a_spent_permit_that_cannot_be_marked_stops_the_start() {
    let pod = Pod::new();
    pod.give(&pod.permit("one"));
    let GateDecision::Start(start) = pod.decide() else { panic!("the gate holds") };
    fs::create_dir(pod.paths.spent_permits.with_extension("partial")).unwrap();
    let prepared = start::prepare(&pod.configuration, &pod.paths, &start, &ListenFamily::Ipv4);
    assert!(prepared.is_err());
    assert!(!pod.paths.etcd_configuration.exists());
}

#[test]
fn etcd_listens_on_what_the_pod_has() {
    let pod = Pod::new();
    pod.give(&pod.permit("one"));
    let GateDecision::Start(start) = pod.decide() else { panic!("the gate holds") };
    for (listen, url) in
        [(ListenFamily::DualStack, "http://[::]:2379"), (ListenFamily::Ipv4, "http://0.0.0.0:2379")]
    {
        start::prepare(&pod.configuration, &pod.paths, &start, &listen).unwrap();
        let written = fs::read(&pod.paths.etcd_configuration).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["listen-client-urls"], url);
    }
}

#[test]
fn a_restart_joins_as_existing_and_lists_only_itself() {
    let pod = Pod::new();
    pod.give(&pod.permit("one"));
    pod.start();
    let first: serde_json::Value =
        serde_json::from_slice(&fs::read(&pod.paths.etcd_configuration).unwrap()).unwrap();
    assert_eq!(first["initial-cluster-state"], "new");
    pod.write_log();
    pod.start();
    let second: serde_json::Value =
        serde_json::from_slice(&fs::read(&pod.paths.etcd_configuration).unwrap()).unwrap();
    assert_eq!(second["initial-cluster-state"], "existing");
    assert_eq!(second["initial-cluster"], "c-abcde=http://c-abcde-0.c-peers.ns.svc:2380");
}

#[test]
fn a_wiped_data_directory_is_lost_although_the_stamp_is_there() {
    let pod = Pod::new();
    pod.give(&pod.permit("one"));
    pod.start();
    pod.write_log();
    fs::remove_dir_all(&pod.paths.data).unwrap();
    assert_eq!(held(&pod.decide()), Some(GateHoldReason::Lost));
}

#[test]
fn a_log_without_a_stamp_is_foreign_and_nothing_is_deleted() {
    let pod = Pod::new();
    pod.write_log();
    pod.give(&pod.permit("one"));
    assert_eq!(held(&pod.decide()), Some(GateHoldReason::Foreign));
    assert!(pod.paths.wal.join("0000000000000000-0000000000000000.wal").exists());
}

#[test]
fn a_torn_stamp_is_not_taken_for_an_absent_one() {
    let pod = Pod::new();
    fs::write(&pod.paths.stamp, "{\"format\":").unwrap();
    let disk = volume::read(&pod.paths).unwrap();
    assert!(matches!(disk.stamp, StampState::Unreadable(_)), "{disk:?}");
}

#[test]
fn directories_alone_are_an_empty_disk_and_any_file_is_not() {
    let pod = Pod::new();
    fs::create_dir_all(&pod.paths.wal).unwrap();
    assert_eq!(volume::read(&pod.paths).unwrap().data, DataState::Empty);
    fs::write(pod.paths.data.join("member").join("db"), "").unwrap();
    assert_eq!(volume::read(&pod.paths).unwrap().data, DataState::WithoutLog);
}

#[test]
fn spent_permits_that_cannot_be_read_are_an_error_and_not_none() {
    let pod = Pod::new();
    fs::write(&pod.paths.spent_permits, "[").unwrap();
    assert!(inputs(&pod.configuration, &pod.paths).is_err());
}

#[test]
fn a_fence_in_the_annotations_holds() {
    let pod = Pod::new();
    pod.give(&pod.permit("one"));
    pod.start();
    pod.write_log();
    pod.annotate(ANNOTATION_FENCE_EPOCH, "1");
    assert_eq!(held(&pod.decide()), Some(GateHoldReason::Fenced));
}

#[test]
fn a_second_gate_on_the_volume_waits_for_the_first() {
    let pod = Pod::new();
    let first = volume::try_lock(&pod.paths.lock).unwrap();
    assert!(first.is_some());
    assert!(volume::try_lock(&pod.paths.lock).unwrap().is_none());
    drop(first);
    assert!(volume::try_lock(&pod.paths.lock).unwrap().is_some());
}

#[test]
fn a_configuration_that_this_gate_would_misunderstand_is_refused() {
    let mut configuration = serde_json::to_value(&Pod::new().configuration).unwrap();
    configuration["format"] = (FORMAT + 1).into();
    assert!(super::parse(&configuration.to_string()).is_ok(), "a newer format that only adds is understood");
    configuration["oldestReader"] = (FORMAT + 1).into();
    let error = parse(&configuration.to_string()).unwrap_err();
    assert!(error.to_string().contains(&format!("format {}", FORMAT + 1)), "{error}");
}

#[tokio::test]
async fn a_holding_gate_reports_itself_and_is_not_ready() {
    let pod = Pod::new();
    let inputs = inputs(&pod.configuration, &pod.paths).unwrap();
    let report = report::of(&inputs, GateHoldReason::Lost);
    let holding = Holding::serve(listen_everywhere(0).unwrap(), report.clone()).unwrap();
    let get = async |path: &str| {
        let address = format!("http://localhost:{}{path}", holding.address.port()).parse().unwrap();
        crate::http::get(&address, Duration::from_secs(5)).await.unwrap()
    };
    let (status, body) = get("/gate").await;
    assert_eq!(status, http::StatusCode::OK);
    assert_eq!(serde_json::from_slice::<GateReport>(&body).unwrap(), report);
    assert_eq!(get("/readyz").await.0, http::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get("/health").await.0, http::StatusCode::SERVICE_UNAVAILABLE);
}
