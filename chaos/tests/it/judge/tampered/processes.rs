//! Processes and pods ended for which no fault can be blamed.

use chaos::checker::Rule;
use chaos::record::{Event, PodSample, ProcessIdentity, RunRecord};

use super::view::{MILLISECOND, SECOND, add, healed, injecting};
use super::{Recipe, Right};

pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        story: "A member that the first fault had hit was well again; later its pod was ended while it was still a voter.",
        right: Right::Fail,
        broken: &[Rule::MembersLeaveFirst],
        tamper: ended_after_an_earlier_fault,
    },
    Recipe {
        story: "The operator crashed nine times though no fault hit it.",
        right: Right::NotPass,
        broken: &[Rule::RestartsExplained],
        tamper: |record| {
            let from = injecting(record, "follower-cut-off");
            crashes(record, from, 9);
        },
    },
    Recipe {
        story: "The operator ended twice before the first fault.",
        right: Right::Fail,
        broken: &[Rule::RestartsExplained],
        tamper: |record| {
            let from = injecting(record, "leader-process-killed") - 900 * MILLISECOND;
            crashes(record, from, 2);
        },
    },
    Recipe {
        story: "The operator ended once by itself, as when it loses its lease.",
        right: Right::Pass,
        broken: &[],
        tamper: |record| {
            let from = injecting(record, "leader-process-killed") - 900 * MILLISECOND;
            crashes(record, from, 1);
        },
    },
    Recipe {
        story: "The leader's pod was ended and made anew before any fault, with its leadership.",
        right: Right::Fail,
        broken: &[Rule::LeaderMovedFirst, Rule::RestartsExplained],
        tamper: |record| {
            let at = injecting(record, "leader-process-killed") - 600 * MILLISECOND;
            let leader = target_member(record, "leader-process-killed");
            made_anew(record, &leader, at);
        },
    },
    Recipe {
        story: "Two members were restarted within a tenth of a second.",
        right: Right::Fail,
        broken: &[Rule::OneAtATime],
        tamper: |record| {
            let at = injecting(record, "leader-process-killed") - 600 * MILLISECOND;
            let one = target_member(record, "leader-process-killed");
            let members = record.events.iter().filter_map(|line| match &line.event {
                Event::Pod(sample) => sample.member.clone(),
                _ => None,
            });
            let other = members.into_iter().find(|member| *member != one).unwrap();
            made_anew(record, &one, at);
            made_anew(record, &other, at + 100 * MILLISECOND);
        },
    },
    Recipe {
        story: "etcd in a pod that no fault had hit started again.",
        right: Right::Fail,
        broken: &[Rule::RestartsExplained],
        tamper: |record| {
            let mut again = first_untouched(record);
            let process = again.process.as_mut().unwrap();
            process.container_id.push_str("-again");
            process.restart_count += 1;
            let at = injecting(record, "leader-process-killed") - 500 * MILLISECOND;
            add(record, at, Event::Pod(again));
        },
    },
];

/// One more pod of the operator, which starts again so many times and is then gone.
fn crashes(record: &mut RunRecord, from: u64, times: u32) {
    for restarts in 0..=times {
        let pod = sample("etcd-operator-7d9c-x2x4z", "uid-of-another", None, restarts);
        add(record, from + u64::from(restarts) * 50 * MILLISECOND, Event::Pod(pod));
    }
    let last = sample("etcd-operator-7d9c-x2x4z", "uid-of-another", None, times);
    let gone = PodSample { gone: true, process: None, ..last };
    add(record, from + u64::from(times + 1) * 50 * MILLISECOND, Event::Pod(gone));
}

fn sample(pod: &str, uid: &str, member: Option<&str>, restarts: u32) -> PodSample {
    PodSample {
        pod: pod.to_owned(),
        uid: uid.to_owned(),
        member: member.map(str::to_owned),
        address: None,
        phase: "Running".to_owned(),
        ready: true,
        deleting: false,
        gone: false,
        process: Some(ProcessIdentity {
            container_id: format!("containerd://{uid}-{restarts}"),
            started_at: "2026-11-01T12:00:00Z".to_owned(),
            restart_count: restarts,
        }),
    }
}

fn target_member(record: &RunRecord, fault: &str) -> String {
    let fault = super::view::name(fault);
    let member = record.events.iter().find_map(|line| match &line.event {
        Event::FaultInjecting { fault: named, targets } if *named == fault => targets[0].member.clone(),
        _ => None,
    });
    member.expect("the fault has a member as its target")
}

/// A member's pod is told to end, and another one follows.
fn made_anew(record: &mut RunRecord, member: &str, at: u64) {
    let mut samples = record.events.iter().filter_map(|line| match &line.event {
        Event::Pod(sample) if sample.member.as_deref() == Some(member) && sample.process.is_some() => {
            Some(sample)
        }
        _ => None,
    });
    let pod = samples.next().expect("the member's pod was seen").clone();
    let next = sample(&pod.pod, &format!("uid-after-{member}"), Some(member), 0);
    add(record, at, Event::Pod(PodSample { deleting: true, ..pod.clone() }));
    add(record, at + 200 * MILLISECOND, Event::Pod(PodSample { deleting: true, gone: true, ..pod }));
    add(record, at + 300 * MILLISECOND, Event::Pod(next));
}

/// A member's pod as it was first seen running.
fn first_untouched(record: &RunRecord) -> PodSample {
    let mut samples = record.events.iter().filter_map(|line| match &line.event {
        Event::Pod(sample) if sample.member.is_some() && sample.process.is_some() => Some(sample),
        _ => None,
    });
    samples.next().expect("pods were seen").clone()
}

/// The member that was cut off, and stayed: its pod is told to end at the end of the run, and nobody follows it.
fn ended_after_an_earlier_fault(record: &mut RunRecord) {
    let member = record.events.iter().find_map(|line| match &line.event {
        Event::FaultInjecting { fault, targets } if fault.as_str() == "follower-cut-off" => {
            targets[0].member.clone()
        }
        _ => None,
    });
    let member = member.expect("a member was cut off");
    let of_member =
        |event: &Event| matches!(event, Event::Pod(sample) if sample.member.as_ref() == Some(&member));
    record.events.retain(|line| !of_member(&line.event));
    let late = healed(record, "operator-killed") + 5 * SECOND;
    let pod = sample(&format!("{member}-0"), "uid-last", Some(&member), 0);
    add(record, late, Event::Pod(pod.clone()));
    add(record, late + MILLISECOND, Event::Pod(PodSample { deleting: true, ..pod.clone() }));
    add(record, late + SECOND / 2, Event::Pod(PodSample { gone: true, deleting: true, ..pod }));
}
