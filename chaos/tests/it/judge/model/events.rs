//! What the harness of the model does and sees: phases, pods, clocks, the operator's status, and the three faults.

use chaos::history::{Elapsed, MemberId, Writer};
use chaos::record::{
    ClockReading, ConditionSample, ConditionStatus, Dial, Event, EventLine, KubernetesEvent, ObjectIdentity,
    Phase, PodSample, ProcessIdentity, Proof, StatusMember, StatusSample, TargetRole, TargetedPod,
};
use chaos::scenario::{ClusterObject, FaultName};

use super::{MEMBERS, MILLISECOND, ZERO, state};

/// Everything, in the order of time.
pub(super) fn events() -> Vec<EventLine> {
    let mut events = Vec::new();
    let mut add = |milliseconds: u64, event: Event| {
        events.push(EventLine { at: ZERO.plus_nanoseconds(milliseconds * MILLISECOND), event });
    };
    for (milliseconds, phase) in [(0, Phase::WarmUp), (4_000, Phase::Faults), (23_500, Phase::Recovery)] {
        add(milliseconds, Event::Phase { phase });
    }
    add(27_000, Event::Phase { phase: Phase::CoolDown });
    add(30_200, Event::Phase { phase: Phase::FinalRead });
    for (milliseconds, resource_version, silent) in [
        (100, 100, None),
        (5_400, 120, Some(0)),
        (8_000, 131, None),
        (12_200, 140, Some(2)),
        (15_600, 147, None),
    ] {
        add(milliseconds, Event::Status(status(resource_version, milliseconds, silent)));
    }
    for (milliseconds, reason, note) in [
        (7_900, "MemberHealthy", "Member model-aaaaa answers again"),
        (12_300, "ReplacementHeld", "Member model-ccccc is silent; it is replaced after 5m0s of silence"),
        (22_600, "DriftRepaired", "Service model: selector put back"),
    ] {
        let (kind, action) = if reason.ends_with("Held") { ("Warning", "Hold") } else { ("Normal", "Act") };
        add(
            milliseconds,
            Event::Kubernetes(KubernetesEvent {
                reporter: "etcd-operator".to_owned(),
                kind: kind.to_owned(),
                reason: reason.to_owned(),
                action: action.to_owned(),
                note: note.to_owned(),
                regarding: "EtcdCluster/model".to_owned(),
                count: 1,
            }),
        );
    }
    pod_events(&mut add);
    clock_events(&mut add);
    fault_events(&mut add);
    events.sort_by_key(|line| line.at);
    events
}

fn status(resource_version: u32, now: u64, silent: Option<usize>) -> StatusSample {
    let condition = |kind: &str, holds: bool, reason: &str| ConditionSample {
        kind: kind.to_owned(),
        status: if holds { ConditionStatus::True } else { ConditionStatus::False },
        reason: reason.to_owned(),
        message: String::new(),
    };
    let members = MEMBERS.iter().enumerate().map(|(index, (name, id, _))| StatusMember {
        name: (*name).to_owned(),
        member_id: Some(MemberId(*id)),
        leader: state(now).1 == Some(index),
        learner: false,
        healthy: silent != Some(index),
    });
    StatusSample {
        resource_version: resource_version.to_string(),
        generation: 1,
        observed_generation: Some(1),
        size: 3,
        conditions: vec![
            condition("Available", true, "QuorumServes"),
            condition(
                "Ready",
                silent.is_none(),
                if silent.is_none() { "AllMembersHealthy" } else { "MemberSilent" },
            ),
        ],
        members: members.collect(),
    }
}

fn pod_events(add: &mut impl FnMut(u64, Event)) {
    let pod = |name: &str, uid: &str, member: Option<usize>| PodSample {
        pod: name.to_owned(),
        uid: uid.to_owned(),
        member: member.map(|index| MEMBERS[index].0.to_owned()),
        address: Some(member.map_or("10.244.0.5", |index| MEMBERS[index].2).to_owned()),
        phase: "Running".to_owned(),
        ready: true,
        deleting: false,
        gone: false,
        process: Some(ProcessIdentity {
            container_id: format!("containerd://{uid}"),
            started_at: "2026-11-01T12:00:00Z".to_owned(),
            restart_count: 0,
        }),
    };
    add(50, Event::Pod(pod("etcd-operator-7d9c5b-x2x4z", "uid-operator", None)));
    for (index, (name, ..)) in MEMBERS.iter().enumerate() {
        add(50, Event::Pod(pod(&format!("{name}-0"), &format!("uid-{name}"), Some(index))));
    }
    let killed = pod("model-aaaaa-0", "uid-model-aaaaa", Some(0));
    let gone = PodSample { deleting: true, gone: true, ready: false, process: None, ..killed };
    add(5_100, Event::Pod(gone));
    add(6_350, Event::Pod(pod("model-aaaaa-0", "uid-model-aaaaa-second", Some(0))));
}

/// Each clock is read every two seconds, with four milliseconds on the way.
fn clock_events(add: &mut impl FnMut(u64, Event)) {
    for milliseconds in (500..31_000).step_by(2_000) {
        for writer in [Writer::Load, Writer::Probe] {
            let now = |after: u64| ZERO.plus_nanoseconds((milliseconds + after) * MILLISECOND);
            let elapsed = Elapsed((milliseconds + 2) * MILLISECOND);
            let reading = ClockReading { writer, asked: now(0), answered: now(4), elapsed, wall: now(2) };
            add(milliseconds + 4, Event::Clock(reading));
        }
    }
}

fn fault_events(add: &mut impl FnMut(u64, Event)) {
    let name = |name: &str| name.parse::<FaultName>().expect("a name");
    let pod = |index: usize, role: TargetRole| TargetedPod {
        pod: format!("{}-0", MEMBERS[index].0),
        uid: format!("uid-{}", MEMBERS[index].0),
        member: Some(MEMBERS[index].0.to_owned()),
        member_id: Some(MemberId(MEMBERS[index].1)),
        claim: None,
        role,
    };
    let identity = |name: &str, uid: &str| ObjectIdentity { name: name.to_owned(), uid: uid.to_owned() };
    let kill = name("kill-leader");
    let leader = pod(0, TargetRole::Leader);
    let killed = Proof::PodReplaced {
        before: identity(&leader.pod, &leader.uid),
        after: identity(&leader.pod, "uid-model-aaaaa-second"),
    };
    add(4_980, Event::FaultInjecting { fault: kill.clone(), targets: vec![leader.clone()] });
    add(5_000, Event::FaultInjected { fault: kill.clone() });
    add(5_001, Event::FaultHealed { fault: kill.clone() });
    add(6_400, Event::FaultProof { fault: kill, pod: Some(leader.pod), proof: killed });

    let cut = name("cut-follower");
    let follower = pod(2, TargetRole::Follower);
    let dial = |peer: &str, connected| Dial { peer: peer.to_owned(), connected };
    let felt = Proof::PartitionFelt {
        dropped_packets: 214,
        inbound_packets: Some(100),
        outbound_packets: Some(114),
        cut: vec![dial("10.244.0.10:2380", false), dial("10.244.0.11:2380", false)],
        uncut: vec![dial("10.96.0.1:443", true)],
    };
    let over =
        Proof::PartitionOver { dials: vec![dial("10.244.0.10:2380", true), dial("10.244.0.11:2380", true)] };
    let in_pod = Some(follower.pod.clone());
    add(10_960, Event::FaultInjecting { fault: cut.clone(), targets: vec![follower] });
    add(11_000, Event::FaultInjected { fault: cut.clone() });
    add(14_980, Event::FaultProof { fault: cut.clone(), pod: in_pod.clone(), proof: felt });
    add(14_990, Event::FaultProof { fault: cut.clone(), pod: in_pod, proof: over });
    add(15_000, Event::FaultHealed { fault: cut });

    let corrupt = name("corrupt-service");
    let service = identity("model", "uid-service");
    let field = "spec.selector".to_owned();
    let changed = Proof::ObjectChanged {
        object: ClusterObject::ServiceSelector,
        identity: service.clone(),
        resource_version: "155".to_owned(),
        field: field.clone(),
        before: "role=voter".to_owned(),
        after: "role=nobody".to_owned(),
    };
    let felt = Proof::CorruptionFelt { observation: "the Service had no endpoints for 2.1 s".to_owned() };
    let repaired = Proof::ObjectRepaired {
        object: ClusterObject::ServiceSelector,
        identity: service,
        resource_version: "161".to_owned(),
        field,
        value: "role=voter".to_owned(),
        manager: "etcd-operator".to_owned(),
    };
    add(18_990, Event::FaultInjecting { fault: corrupt.clone(), targets: Vec::new() });
    add(19_000, Event::FaultInjected { fault: corrupt.clone() });
    add(19_001, Event::FaultProof { fault: corrupt.clone(), pod: None, proof: changed });
    add(21_900, Event::FaultProof { fault: corrupt.clone(), pod: None, proof: felt });
    let operator = Some("etcd-operator-7d9c5b-x2x4z".to_owned());
    let stopped = Proof::Stopped { stopped: 9, threads: 9 };
    add(21_990, Event::FaultProof { fault: corrupt.clone(), pod: operator.clone(), proof: stopped });
    let resumed = Proof::Resumed { stopped: 0 };
    add(21_995, Event::FaultProof { fault: corrupt.clone(), pod: operator, proof: resumed });
    add(22_000, Event::FaultHealed { fault: corrupt.clone() });
    add(22_700, Event::FaultProof { fault: corrupt, pod: None, proof: repaired });
}
