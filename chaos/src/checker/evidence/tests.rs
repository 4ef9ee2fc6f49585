//! Tests of what each kind of fault must have measured before it is believed.

use super::*;
use crate::record::{CertificateEntry, ObjectIdentity, ProcessIdentity};
use crate::scenario::{Ask, CertificateDamage, ClusterObject, ClusterSize, Direction, Peers, Period};

const LASTING: Period = Period::from_seconds(4);

fn identity(uid: &str) -> ObjectIdentity {
    ObjectIdentity { name: "c-abcde-0".into(), uid: uid.into() }
}

fn process(container: &str) -> ProcessIdentity {
    ProcessIdentity {
        container_id: container.into(),
        started_at: format!("at-{container}"),
        restart_count: 0,
    }
}

fn dial(connected: bool) -> Dial {
    Dial { peer: "10.244.0.4:2380".into(), connected }
}

fn pods(before: &str, after: &str) -> Proof {
    Proof::PodReplaced { before: identity(before), after: identity(after) }
}

fn processes(before: &str, after: &str) -> Proof {
    Proof::ProcessReplaced { before: process(before), after: process(after) }
}

fn changed(after: &str) -> Proof {
    Proof::ObjectChanged {
        object: ClusterObject::ServiceSelector,
        identity: identity("s"),
        resource_version: "5".into(),
        field: "spec.selector".into(),
        before: "voter".into(),
        after: after.into(),
    }
}

fn size(number: u64) -> ClusterSize {
    ClusterSize::new(number).unwrap()
}

/// A fault, what proves it, and what looks like a proof and is none.
type Row = (Fault, Vec<Proof>, Vec<Vec<Proof>>);

fn stopped(stopped: u32, threads: u32) -> Proof {
    Proof::Stopped { stopped, threads }
}

fn faults_of_members() -> Vec<Row> {
    let emptied = |before, after| Proof::DirectoryEmptied {
        path: "data".into(),
        entries_before: before,
        entries_after: after,
    };
    let felt = |dropped, cut: &[bool], uncut: &[bool]| Proof::PartitionFelt {
        dropped_packets: dropped,
        inbound_packets: None,
        outbound_packets: None,
        cut: cut.iter().map(|connected| dial(*connected)).collect(),
        uncut: uncut.iter().map(|connected| dial(*connected)).collect(),
    };
    let volumes = |after: &str| Proof::VolumeReplaced { before: identity("a"), after: identity(after) };
    let partition = Fault::Partition { direction: Direction::Both, peers: Peers::All, lasting: LASTING };
    vec![
        (
            Fault::PodKill { grace: Period::default() },
            vec![pods("a", "b")],
            vec![vec![pods("a", "a")], vec![processes("a", "b")]],
        ),
        (
            Fault::ProcessKill,
            vec![processes("a", "b")],
            vec![vec![processes("a", "a")], vec![pods("a", "b")]],
        ),
        (
            Fault::ProcessPause { lasting: LASTING },
            vec![stopped(9, 9)],
            vec![vec![stopped(8, 9)], vec![stopped(0, 0)]],
        ),
        (Fault::DiskLost, vec![volumes("b")], vec![vec![volumes("a")], vec![pods("a", "b")]]),
        (
            Fault::DirectoryWiped,
            vec![emptied(4, 0), processes("a", "b")],
            vec![
                vec![emptied(0, 0), processes("a", "b")],
                vec![emptied(4, 1), processes("a", "b")],
                vec![emptied(4, 0)],
            ],
        ),
        (
            partition,
            vec![felt(3, &[false, false], &[true])],
            vec![
                vec![felt(0, &[false], &[true])],
                vec![felt(3, &[], &[true])],
                vec![felt(3, &[false, true], &[true])],
                vec![felt(3, &[false], &[])],
                vec![felt(3, &[false], &[false])],
            ],
        ),
    ]
}

fn change(effect: ChangeEffect) -> Fault {
    let spec = [("etcd".to_owned(), serde_json::json!({ "snapshotCount": 5000 }))].into_iter().collect();
    Fault::Change { spec, effect, lasting: (effect == ChangeEffect::Refused).then_some(LASTING) }
}

fn version(text: &str) -> EtcdVersion {
    text.parse().unwrap()
}

fn version_declared(from: &str, to: &str) -> Proof {
    let (from, to) = (version(from), version(to));
    Proof::VersionDeclared { from, to, generation: 2, resource_version: "5".into() }
}

fn requested(annotation: &str) -> Proof {
    Proof::RequestMade {
        annotation: annotation.into(),
        value: "c-abcde".into(),
        resource_version: "5".into(),
    }
}

/// The damages themselves have tests of their own.
fn damaged_certificate() -> Row {
    let gone = Proof::CertificateDamaged {
        secret: identity("s"),
        resource_version: "5".into(),
        before: vec![CertificateEntry { entry: "server.crt".into(), port: 2379, serial: Some("01".into()) }],
        after: Vec::new(),
    };
    let hindered = Proof::StartHindered { pod: identity("b"), note: "not found".into() };
    let felt = [gone.clone(), pods("a", "b"), hindered.clone()];
    (
        Fault::Certificate { damage: CertificateDamage::Deleted, lasting: LASTING },
        [&felt[..], &[stopped(3, 3)]].concat(),
        vec![
            felt.to_vec(),
            vec![gone, pods("a", "b"), stopped(3, 3)],
            vec![pods("a", "b"), hindered, stopped(3, 3)],
            [&felt[..], &[stopped(3, 3), stopped(2, 3)]].concat(),
        ],
    )
}

fn other_faults() -> Vec<Row> {
    let declared =
        |from, to| Proof::SizeDeclared { from: size(from), to: size(to), resource_version: "5".into() };
    let noticed = Proof::CorruptionFelt { observation: "no endpoints".into() };
    let object = ClusterObject::ServiceSelector;
    vec![
        (
            Fault::Corrupt { object, lasting: LASTING },
            vec![changed("nobody"), noticed.clone(), stopped(3, 3)],
            vec![
                vec![changed("voter"), noticed.clone(), stopped(3, 3)],
                vec![changed("nobody"), stopped(3, 3)],
                vec![changed("nobody"), noticed.clone()],
                vec![changed("nobody"), noticed, stopped(3, 3), stopped(2, 3)],
            ],
        ),
        damaged_certificate(),
        (Fault::Intrude { object }, vec![changed("nobody")], vec![vec![changed("voter")]]),
        (
            Fault::DeleteObject { object: ClusterObject::ClientService },
            vec![Proof::ObjectDeleted { object: ClusterObject::ClientService, identity: identity("a") }],
            vec![vec![changed("nobody")]],
        ),
        (Fault::Resize { size: size(5) }, vec![declared(3, 5)], vec![vec![declared(5, 5)]]),
        (
            Fault::OperatorKill,
            vec![processes("a", "b")],
            vec![vec![processes("a", "a")], vec![pods("a", "a")]],
        ),
        (
            Fault::Roll,
            vec![Proof::RestartDeclared { generation: 2, resource_version: "5".into() }],
            vec![vec![Proof::RestartsSeen { members: 3 }]],
        ),
        (
            Fault::Upgrade { version: version("3.7.3") },
            vec![version_declared("3.6.16", "3.7.3")],
            vec![
                vec![version_declared("3.7.3", "3.7.3")],
                vec![version_declared("3.6.16", "3.7.2")],
                vec![Proof::VersionReached { version: version("3.7.3"), members: 3 }],
            ],
        ),
        (
            change(ChangeEffect::None),
            vec![Proof::ChangeDeclared { before: 1, generation: 2, resource_version: "5".into() }],
            vec![
                vec![Proof::ChangeDeclared { before: 1, generation: 1, resource_version: "5".into() }],
                vec![Proof::ChangeObserved { generation: 2 }],
            ],
        ),
        (
            Fault::Request { ask: Ask::Replace },
            vec![requested("etcd.operators.rs/replace")],
            vec![
                vec![requested("etcd.operators.rs/restart")],
                vec![Proof::RequestDone { resource_version: "5".into() }],
            ],
        ),
        (Fault::OperatorPause { lasting: LASTING }, vec![stopped(5, 5)], vec![vec![stopped(4, 5)]]),
        (
            Fault::VolumeDeletionStuck { lasting: LASTING },
            vec![Proof::VolumeHeld { claim: identity("a") }],
            vec![vec![Proof::VolumeReleased { claim: identity("a") }]],
        ),
    ]
}

#[test]
fn each_kind_of_fault_is_proved_by_its_measurement_and_by_nothing_less() {
    for (fault, good, bad) in faults_of_members().into_iter().chain(other_faults()) {
        let kind = fault.kind();
        let proved = |proofs: &[Proof]| of_effect(&fault, &proofs.iter().collect::<Vec<_>>()).is_ok();
        assert!(proved(&good), "{kind} was not believed");
        assert!(!proved(&[]), "{kind} was believed without any measurement");
        for proofs in bad {
            assert!(!proved(&proofs), "{kind} was believed for {proofs:?}");
        }
    }
}

#[test]
fn a_fault_that_holds_something_up_must_be_seen_to_let_it_go() {
    let released =
        |fault: &Fault, proofs: &[Proof]| of_end(fault, &proofs.iter().collect::<Vec<_>>()).is_ok();
    let pause = Fault::ProcessPause { lasting: LASTING };
    assert!(released(&pause, &[Proof::Resumed { stopped: 0 }]));
    assert!(!released(&pause, &[Proof::Resumed { stopped: 1 }]));
    assert!(!released(&pause, &[]));
    let certificate = Fault::Certificate { damage: CertificateDamage::Expired, lasting: LASTING };
    assert!(released(&certificate, &[Proof::Resumed { stopped: 0 }]));
    assert!(!released(&certificate, &[Proof::Resumed { stopped: 0 }, Proof::Resumed { stopped: 1 }]));
    let partition =
        Fault::Partition { direction: Direction::Inbound, peers: Peers::Leader, lasting: LASTING };
    assert!(released(&partition, &[Proof::PartitionOver { dials: vec![dial(true)] }]));
    assert!(!released(&partition, &[Proof::PartitionOver { dials: vec![dial(true), dial(false)] }]));
    assert!(!released(&partition, &[Proof::PartitionOver { dials: Vec::new() }]));
    let stuck = Fault::VolumeDeletionStuck { lasting: LASTING };
    assert!(released(&stuck, &[Proof::VolumeReleased { claim: identity("a") }]));
    assert!(!released(&stuck, &[Proof::VolumeHeld { claim: identity("a") }]));
    let back = Proof::ChangeTakenBack { generation: 3, resource_version: "6".into() };
    assert!(released(&change(ChangeEffect::Refused), &[back]));
    assert!(!released(&change(ChangeEffect::Refused), &[]));
    assert!(released(&change(ChangeEffect::Replaced), &[]), "a change that stands is over at once");
    assert!(released(&Fault::ProcessKill, &[]), "a kill is over once it happened");
}
