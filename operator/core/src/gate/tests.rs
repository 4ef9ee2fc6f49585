//! The gate's decision: each row of the design's table by name, and then every combination of its inputs against a second,
//! independent statement of the table.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    BootCounterState, ClusterState, DataState, DiskState, FORMAT, GateConfiguration, GateDecision,
    GateHoldReason, GateInputs, InitialMember, LogIdentity, OLDEST_READER, Permit, PermitReading, Stamp,
    StampState, StampWrite, Start, decide,
};
use crate::etcd_options::EtcdOptions;
use crate::names::{ClusterId, ClusterIdentity, MemberId, MemberName, Naming, PermitId, Scheme};

const POD: &str = "pod-uid";

fn cluster() -> ClusterIdentity {
    ClusterIdentity {
        name: "demo".to_owned(),
        namespace: "test".to_owned(),
        uid: "cluster-uid".to_owned(),
        naming: Naming::ByUid,
    }
}

fn member(name: &str) -> MemberName {
    MemberName::parse(&cluster(), name).expect("a member's name")
}

fn stamp() -> Stamp {
    Stamp {
        format: FORMAT,
        oldest_reader: OLDEST_READER,
        cluster_uid: "cluster-uid".to_owned(),
        cluster_id: Some(ClusterId(7)),
        member: member("demo-aaaaa"),
        member_id: Some(MemberId(8)),
        token: "cluster-uid-1".to_owned(),
        boot_counter: 4,
        fence_epoch: 0,
        later: BTreeMap::new(),
    }
}

fn permit() -> Permit {
    Permit {
        format: FORMAT,
        oldest_reader: OLDEST_READER,
        id: PermitId("permit".to_owned()),
        pod_uid: POD.to_owned(),
        cluster_uid: "cluster-uid".to_owned(),
        cluster_id: None,
        member: member("demo-aaaaa"),
        member_id: None,
        token: "cluster-uid-1".to_owned(),
        state: ClusterState::New,
        initial_cluster: ["demo-aaaaa", "demo-bbbbb"].map(initial).to_vec(),
        fence_epoch: 0,
    }
}

fn initial(name: &str) -> InitialMember {
    InitialMember { name: member(name), peer_url: cluster().peer_url(Scheme::Http, &member(name)) }
}

fn inputs(stamp: StampState, data: DataState, permit: PermitReading) -> GateInputs {
    GateInputs {
        configuration: GateConfiguration {
            format: FORMAT,
            oldest_reader: OLDEST_READER,
            cluster: cluster(),
            member: member("demo-aaaaa"),
            etcd_version: "3.6.16".to_owned(),
            quota_backend_bytes: None,
            options: EtcdOptions::default(),
            tls: None,
        },
        pod_uid: POD.to_owned(),
        disk: DiskState { stamp, boot_counter: BootCounterState::Absent, data },
        permit,
        fence_epoch: 0,
        spent: BTreeSet::new(),
    }
}

fn held(inputs: &GateInputs) -> Option<GateHoldReason> {
    match decide(inputs) {
        GateDecision::Hold(reason) => Some(reason),
        GateDecision::Start(_) => None,
    }
}

#[test]
fn a_disk_with_log_and_agreeing_stamp_starts_as_existing_and_lists_only_itself() {
    let inputs = inputs(StampState::Present(stamp()), DataState::Log(None), PermitReading::Absent);
    let GateDecision::Start(start) = decide(&inputs) else { panic!("it starts") };
    assert_eq!(start.initial.state, ClusterState::Existing);
    assert_eq!(start.initial.members, [initial("demo-aaaaa")]);
    assert_eq!(start.spend, None);
    assert_eq!(start.stamp, Stamp { boot_counter: 5, ..stamp() });
}

#[test]
fn an_empty_disk_with_an_unspent_permit_is_stamped_and_starts_on_the_permits_terms() {
    let inputs = inputs(StampState::Absent, DataState::Empty, PermitReading::Given(permit()));
    let GateDecision::Start(start) = decide(&inputs) else { panic!("it starts") };
    assert_eq!(start.initial.state, ClusterState::New);
    assert_eq!(start.initial.members, permit().initial_cluster);
    assert_eq!(start.spend, Some(PermitId("permit".to_owned())));
    assert_eq!((start.stamp.boot_counter, start.stamp.member), (1, member("demo-aaaaa")));
    assert_eq!(start.write_stamp, StampWrite::Required, "no etcd runs on a disk that nothing names");
}

/// A restart on a disk whose log agrees with its stamp.
fn restarted(stamp: Stamp, log: Option<LogIdentity>, counter: BootCounterState) -> Start {
    let mut inputs = inputs(StampState::Present(stamp), DataState::Log(log), PermitReading::Absent);
    inputs.disk.boot_counter = counter;
    match decide(&inputs) {
        GateDecision::Start(start) => *start,
        GateDecision::Hold(reason) => panic!("it is held: {reason:?}"),
    }
}

#[test]
fn a_restart_that_learns_nothing_writes_no_stamp() {
    let log = LogIdentity { cluster_id: ClusterId(7), member_id: MemberId(8) };
    for log in [None, Some(log)] {
        let start = restarted(stamp(), log, BootCounterState::Number(9));
        assert_eq!(start.write_stamp, StampWrite::Unneeded, "{log:?}");
    }
}

#[test]
fn a_restart_counts_on_from_the_larger_of_stamp_and_file() {
    let counters = [
        (BootCounterState::Absent, 5),
        (BootCounterState::Unreadable("cut short".to_owned()), 5),
        (BootCounterState::Number(0), 5),
        (BootCounterState::Number(3), 5),
        (BootCounterState::Number(4), 5),
        (BootCounterState::Number(9), 10),
        (BootCounterState::Number(u64::MAX), u64::MAX),
    ];
    for (counter, next) in counters {
        assert_eq!(restarted(stamp(), None, counter.clone()).stamp.boot_counter, next, "{counter:?}");
    }
}

#[test]
fn what_the_boot_counter_says_decides_no_start() {
    for counter in [BootCounterState::Number(9), BootCounterState::Unreadable("a directory".to_owned())] {
        let mut inputs = inputs(StampState::Absent, DataState::Empty, PermitReading::Absent);
        inputs.disk.boot_counter = counter.clone();
        assert_eq!(held(&inputs), Some(GateHoldReason::Lost));
        inputs.permit = PermitReading::Given(permit());
        let GateDecision::Start(start) = decide(&inputs) else { panic!("it starts") };
        assert_eq!(start.stamp.boot_counter, 1, "an incarnation begins to count anew: {counter:?}");
    }
}

#[test]
fn a_lost_disk_without_a_permit_is_held() {
    let inputs = inputs(StampState::Absent, DataState::Empty, PermitReading::Absent);
    assert_eq!(held(&inputs), Some(GateHoldReason::Lost));
}

#[test]
fn a_stamp_alone_is_a_lost_disk() {
    let inputs = inputs(StampState::Present(stamp()), DataState::Empty, PermitReading::Absent);
    assert_eq!(held(&inputs), Some(GateHoldReason::Lost));
}

#[test]
fn a_spent_permit_starts_nothing() {
    let mut inputs = inputs(StampState::Absent, DataState::Empty, PermitReading::Given(permit()));
    inputs.spent.insert(permit().id);
    assert_eq!(held(&inputs), Some(GateHoldReason::Lost));
}

#[test]
fn a_log_without_a_stamp_is_foreign() {
    let inputs = inputs(StampState::Absent, DataState::Log(None), PermitReading::Given(permit()));
    assert_eq!(held(&inputs), Some(GateHoldReason::Foreign));
}

#[test]
fn a_log_of_another_member_than_the_stamp_says_is_foreign() {
    let other = LogIdentity { cluster_id: ClusterId(7), member_id: MemberId(9) };
    let inputs = inputs(StampState::Present(stamp()), DataState::Log(Some(other)), PermitReading::Absent);
    assert_eq!(held(&inputs), Some(GateHoldReason::Foreign));
}

#[test]
fn the_identity_in_the_log_completes_a_stamp_that_was_written_before_the_first_start() {
    let log = LogIdentity { cluster_id: ClusterId(7), member_id: MemberId(8) };
    let fresh = Stamp { cluster_id: None, member_id: None, ..stamp() };
    let inputs = inputs(StampState::Present(fresh), DataState::Log(Some(log)), PermitReading::Absent);
    let GateDecision::Start(start) = decide(&inputs) else { panic!("it starts") };
    assert_eq!((start.stamp.cluster_id, start.stamp.member_id), (Some(ClusterId(7)), Some(MemberId(8))));
    assert_eq!(start.write_stamp, StampWrite::Wanted);
}

#[test]
fn an_etcd_that_is_fenced_off_stays_off() {
    let mut inputs = inputs(StampState::Present(stamp()), DataState::Log(None), PermitReading::Absent);
    inputs.fence_epoch = 1;
    assert_eq!(held(&inputs), Some(GateHoldReason::Fenced));
    inputs.disk.stamp = StampState::Present(Stamp { fence_epoch: 1, ..stamp() });
    assert_eq!(held(&inputs), None);
}

#[test]
fn a_data_directory_without_a_log_is_never_started_on() {
    let with_permit = inputs(StampState::Absent, DataState::WithoutLog, PermitReading::Given(permit()));
    assert_eq!(held(&with_permit), Some(GateHoldReason::Foreign));
    let without = inputs(StampState::Absent, DataState::WithoutLog, PermitReading::Absent);
    assert_eq!(held(&without), Some(GateHoldReason::Lost));
}

/// A value of an input, and whether it speaks for a start.
type Case<T> = (T, bool);

fn stamps() -> Vec<Case<StampState>> {
    let present = |stamp| StampState::Present(stamp);
    vec![
        (present(stamp()), true),
        (present(Stamp { member_id: None, cluster_id: None, ..stamp() }), true),
        (present(Stamp { cluster_uid: "another".to_owned(), ..stamp() }), false),
        (present(Stamp { member: member("demo-bbbbb"), ..stamp() }), false),
        (present(Stamp { format: FORMAT + 1, ..stamp() }), true),
        (present(Stamp { format: FORMAT + 1, oldest_reader: FORMAT + 1, ..stamp() }), false),
        (StampState::Absent, false),
        (StampState::Unreadable("cut short".to_owned()), false),
    ]
}

fn permits() -> Vec<Case<PermitReading>> {
    let given = PermitReading::Given;
    vec![
        (given(permit()), true),
        (given(Permit { state: ClusterState::Existing, ..permit() }), true),
        (given(Permit { pod_uid: "another".to_owned(), ..permit() }), false),
        (given(Permit { cluster_uid: "another".to_owned(), ..permit() }), false),
        (given(Permit { member: member("demo-bbbbb"), ..permit() }), false),
        (given(Permit { format: FORMAT + 1, ..permit() }), true),
        (given(Permit { format: FORMAT + 1, oldest_reader: FORMAT + 1, ..permit() }), false),
        (PermitReading::Absent, false),
        (PermitReading::Malformed("no JSON".to_owned()), false),
    ]
}

/// Data, and whether its identity agrees with [`stamp`]'s.
fn data() -> Vec<Case<DataState>> {
    let log = |cluster, id| {
        DataState::Log(Some(LogIdentity { cluster_id: ClusterId(cluster), member_id: MemberId(id) }))
    };
    vec![
        (DataState::Empty, true),
        (DataState::WithoutLog, true),
        (DataState::Log(None), true),
        (log(7, 8), true),
        (log(7, 9), false),
        (log(6, 8), false),
    ]
}

#[test]
fn every_combination_of_inputs_follows_the_table() {
    let mut seen = 0;
    for (stamp_state, stamp_is_ours) in stamps() {
        for (data_state, agrees) in data() {
            for (reading, permit_is_ours) in permits() {
                for is_spent in [false, true] {
                    for fence_epoch in [0, 1, u64::MAX] {
                        let mut inputs = inputs(stamp_state.clone(), data_state.clone(), reading.clone());
                        inputs.fence_epoch = fence_epoch;
                        inputs.spent.extend(is_spent.then(|| permit().id));
                        let knows_ids =
                            matches!(&stamp_state, StampState::Present(s) if s.member_id.is_some());
                        let row = Row {
                            has_log: matches!(data_state, DataState::Log(_)),
                            is_empty: data_state == DataState::Empty,
                            stamp_is_ours: stamp_is_ours && (agrees || !knows_ids),
                            has_permit: permit_is_ours && !is_spent,
                            is_fenced: fence_epoch > 0,
                        };
                        assert_eq!(held(&inputs), row.expected(), "{inputs:?}");
                        seen += 1;
                    }
                }
            }
        }
    }
    assert_eq!(seen, 8 * 6 * 9 * 2 * 3);
}

/// The table, stated once more in the words of the design.
struct Row {
    has_log: bool,
    is_empty: bool,
    stamp_is_ours: bool,
    has_permit: bool,
    is_fenced: bool,
}

impl Row {
    fn expected(&self) -> Option<GateHoldReason> {
        match self {
            Row { is_fenced: true, .. } => Some(GateHoldReason::Fenced),
            Row { has_log: true, stamp_is_ours: true, .. } => None,
            Row { has_log: true, stamp_is_ours: false, .. } => Some(GateHoldReason::Foreign),
            Row { is_empty: true, has_permit: true, .. } => None,
            Row { is_empty: false, has_permit: true, .. } => Some(GateHoldReason::Foreign),
            Row { has_permit: false, .. } => Some(GateHoldReason::Lost),
        }
    }
}

#[test]
fn stamp_and_permit_survive_their_own_formats() {
    let text = serde_json::to_string(&stamp()).expect("plain data");
    assert!(text.contains(r#""memberId":"8""#), "IDs are hexadecimal text: {text}");
    assert_eq!(serde_json::from_str::<Stamp>(&text).expect("its own text"), stamp());
    let text = serde_json::to_string(&permit()).expect("plain data");
    assert_eq!(serde_json::from_str::<Permit>(&text).expect("its own text"), permit());
    let later = text.replacen('{', r#"{"addedLater":true,"#, 1);
    assert_eq!(serde_json::from_str::<Permit>(&later).expect("unknown fields are ignored"), permit());
}

#[test]
fn a_configuration_without_a_quota_is_written_as_it_always_was_and_one_with_it_needs_no_newer_gate() {
    let plain = inputs(StampState::Absent, DataState::Empty, PermitReading::Absent).configuration;
    let written = serde_json::to_value(&plain).expect("plain data");
    let fields: Vec<&String> = written.as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["cluster", "etcdVersion", "format", "member"]);
    assert_eq!(serde_json::from_value::<GateConfiguration>(written).expect("its own text"), plain);
    let limited = GateConfiguration { quota_backend_bytes: Some(8 << 30), ..plain };
    let written = serde_json::to_value(&limited).expect("plain data");
    assert_eq!(written["quotaBackendBytes"], 8_589_934_592_u64);
    assert_eq!(written["format"], super::FORMAT);
    assert_eq!(written.get("oldestReader"), None, "a gate that does not know the field still starts etcd");
    assert_eq!(serde_json::from_value::<GateConfiguration>(written).expect("its own text"), limited);
}

#[test]
fn an_old_gate_acts_on_what_a_newer_build_wrote_and_keeps_what_it_does_not_know() {
    let format = |format: u32| format!(r#""format":{format}"#);
    let added = format(super::FORMAT + 1) + r#","addedLater":{"by":"a newer build"}"#;
    let newer = |text: String| text.replacen(&format(super::FORMAT), &added, 1);
    let on_disk = newer(serde_json::to_string(&stamp()).expect("plain data"));
    let on_disk: Stamp = serde_json::from_str(&on_disk).expect("a newer stamp");
    let given = newer(serde_json::to_string(&permit()).expect("plain data"));
    let given: Permit = serde_json::from_str(&given).expect("a newer permit");
    let fresh = inputs(StampState::Absent, DataState::Empty, PermitReading::Given(given));
    assert_eq!(held(&fresh), None);
    let restarted = inputs(StampState::Present(on_disk.clone()), DataState::Log(None), PermitReading::Absent);
    let GateDecision::Start(start) = decide(&restarted) else { panic!("it is held") };
    assert_eq!(start.stamp, Stamp { boot_counter: 5, ..on_disk });
    let written = serde_json::to_string(&start.stamp).expect("plain data");
    assert!(written.contains(r#""addedLater":{"by":"a newer build"}"#), "{written}");
}

#[test]
fn documents_of_the_first_format_are_written_as_they_always_were() {
    let written = serde_json::to_value(stamp()).expect("plain data");
    let fields: Vec<&String> = written.as_object().expect("an object").keys().collect();
    let known =
        ["bootCounter", "clusterId", "clusterUid", "fenceEpoch", "format", "member", "memberId", "token"];
    assert_eq!(fields, known);
}
