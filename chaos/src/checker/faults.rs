//! Rules about each fault: it took effect, it ended, what it broke was repaired. Pure. Nothing is believed that was not
//! measured.

use super::calls;
use super::certificates;
use super::changes;
use super::context::Context;
use super::evidence::{self, Lack};
use super::fidelity;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::timeline::Story;
use crate::history::UnixNanoseconds;
use crate::record::{ObjectIdentity, Proof};
use crate::scenario::{ClusterObject, Target};

/// The name under which the operator writes.
pub(super) const OPERATOR: &str = "etcd-operator";

/// All rules about faults, fault by fault.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    let mut assertions = Vec::new();
    for story in &context.timeline.faults {
        assertions.push(proved(story));
        assertions.push(ended(story));
        assertions.push(fidelity::as_planned(context, story));
        assertions.extend(repaired(story));
        assertions.extend(certificates::repaired(story));
        assertions.extend(changes::carried_out(context, story));
        assertions.push(loaded(context, story));
    }
    assertions
}

fn proved(story: &Story<'_>) -> Assertion {
    let mut check = Check::of_fault(Rule::FaultProved, &story.step.name);
    for error in &story.failed {
        check.wrong(None, || format!("the harness failed: {error}"));
    }
    if let Some(why) = absent(story) {
        check.wrong(None, || why.clone());
        return check.conclude_experiment(why);
    }
    let targets = story.targets.unwrap_or_default();
    if targets.is_empty() && story.step.target != Target::Cluster {
        check.wrong(story.injecting, || "it had no target".to_owned());
        return check.conclude_experiment("there was nobody to hit");
    }
    let mut measured = Vec::new();
    if targets.is_empty() {
        match evidence::of_effect(&story.step.fault, &proofs_in(story, None)) {
            Ok(text) => measured.push(text),
            Err(lack) => check.wrong(story.injected, || lacking(lack)),
        }
    }
    for target in targets {
        match evidence::of_effect(&story.step.fault, &proofs_in(story, Some(&target.pod))) {
            Ok(text) => measured.push(format!("{} ({}): {text}", target.pod, target.role)),
            Err(lack) => check.wrong(story.injected, || format!("{}: {}", target.pod, lacking(lack))),
        }
    }
    let evidence =
        if measured.is_empty() { "its effect was not measured".to_owned() } else { measured.join("; ") };
    check.conclude_experiment(evidence)
}

fn lacking(lack: Lack) -> String {
    match lack {
        Lack::Missing(what) => format!("no measurement of {what}"),
        Lack::Contrary(what) => what,
    }
}

/// Why the fault did not take place, if it did not.
fn absent(story: &Story<'_>) -> Option<String> {
    if story.injected.is_some() {
        return None;
    }
    Some(match (story.not_triggered, story.refused) {
        (true, _) => "the fact that it waited for was not seen".to_owned(),
        (false, Some(reason)) => format!("it was refused: {reason}"),
        (false, None) => "it was never injected".to_owned(),
    })
}

/// The measurements made in one pod, and those made in no target: the operator's pods stand still while an object is corrupted. For
/// a fault of the cluster as a whole, all of them.
fn proofs_in<'a>(story: &Story<'a>, pod: Option<&str>) -> Vec<&'a Proof> {
    let targets = story.targets.unwrap_or_default();
    let elsewhere = |in_pod: &str| targets.iter().all(|target| target.pod != in_pod);
    let of_pod = story
        .proofs
        .iter()
        .filter(|(_, in_pod, _)| pod.is_none() || *in_pod == pod || in_pod.is_some_and(elsewhere));
    of_pod.map(|(_, _, proof)| *proof).collect()
}

fn ended(story: &Story<'_>) -> Assertion {
    let mut check = Check::of_fault(Rule::FaultEnded, &story.step.name);
    if absent(story).is_some() {
        return check.not_checked("the fault was not injected");
    }
    let Some(healed) = story.healed else {
        check.wrong(None, || "it was not ended".to_owned());
        return check.conclude_experiment("its end is not in the record");
    };
    let lasted = story.injected.map_or(std::time::Duration::ZERO, |injected| healed.since(injected));
    let mut measured = Vec::new();
    let targets = story.targets.unwrap_or_default();
    let pods: Vec<Option<&str>> = if targets.is_empty() {
        vec![None]
    } else {
        targets.iter().map(|target| Some(target.pod.as_str())).collect()
    };
    for pod in pods {
        match evidence::of_end(&story.step.fault, &proofs_in(story, pod)) {
            Ok(text) => measured.push(text),
            Err(lack) => {
                let whose = pod.map_or_else(String::new, |pod| format!("{pod}: "));
                check.wrong(Some(healed), || format!("{whose}{}", lacking(lack)));
            }
        }
    }
    measured.retain(|text| !text.is_empty());
    measured.dedup();
    measured.insert(
        0,
        match story.step.fault.lasting() {
            Some(_) => format!("it lasted {}", human::duration(lasted)),
            None => "over once it happened".to_owned(),
        },
    );
    check.conclude_experiment(measured.join("; "))
}

/// What the harness changed, added or deleted must be put back, later, by the operator.
fn repaired(story: &Story<'_>) -> Option<Assertion> {
    let object = story.step.fault.traits().repaired?;
    let mut check = Check::of_fault(Rule::DriftRepaired, &story.step.name);
    let broken: Vec<&Proof> =
        story.proofs.iter().map(|(_, _, proof)| *proof).filter(|proof| is_broken(proof)).collect();
    if broken.is_empty() {
        return Some(check.not_checked("the object was not seen broken"));
    }
    let mut repairs = Vec::new();
    for proof in &broken {
        let answers =
            story.proofs.iter().map(|(_, _, proof)| *proof).filter_map(|later| repair(proof, later));
        match answers.max_by_key(|repair| matches!(repair, Repair::Good(_))) {
            Some(Repair::Good(text)) => repairs.push(text),
            Some(Repair::Bad(text)) => check.wrong(story.healed, || text),
            Some(Repair::Untold(text)) => check.undecided(&text),
            None => check.undecided("nobody looked until a repair was due"),
        }
    }
    Some(check.conclude(if repairs.is_empty() { format!("{object} was broken") } else { repairs.join("; ") }))
}

fn is_broken(proof: &Proof) -> bool {
    matches!(proof, Proof::ObjectChanged { .. } | Proof::ObjectDeleted { .. })
}

/// What a later measurement says about a broken object.
enum Repair {
    Good(String),
    Bad(String),
    Untold(String),
}

fn repair(broken: &Proof, later: &Proof) -> Option<Repair> {
    match (broken, later) {
        (
            Proof::ObjectChanged { object, identity, resource_version: seen, field, before, .. },
            Proof::ObjectRepaired {
                object: repaired,
                identity: now,
                resource_version: later,
                field: now_field,
                value,
                manager,
            },
        ) if object == repaired && identity.name == now.name && field == now_field => {
            Some(repaired_field(*object, (seen, later), (field, before, value), manager))
        }
        (
            Proof::ObjectDeleted { object, identity },
            Proof::ObjectRecreated { object: recreated, identity: now, manager },
        ) if object == recreated => Some(recreated_object(*object, identity, now, manager)),
        (
            Proof::ObjectChanged { object, identity, .. } | Proof::ObjectDeleted { object, identity },
            Proof::ObjectStillBroken { object: still, identity: now, watched_milliseconds },
        ) if object == still && identity == now => {
            let watched = human::duration(std::time::Duration::from_millis(*watched_milliseconds));
            Some(Repair::Bad(format!("{object} was not repaired within {watched}")))
        }
        _ => None,
    }
}

fn repaired_field(
    object: ClusterObject,
    (seen, later): (&str, &str),
    (field, before, value): (&str, &str, &str),
    manager: &str,
) -> Repair {
    if value != before {
        return Repair::Bad(format!("{object}: {field} is {value} instead of {before}"));
    }
    if !manager.contains(OPERATOR) {
        return Repair::Bad(format!("{object}: {field} was put back by {manager}, not by the operator"));
    }
    match in_order(seen, later) {
        Ok(()) => Repair::Good(format!(
            "{object}: broken at resource version {seen}, repaired by {manager} at {later}"
        )),
        Err(untold) => Repair::Untold(format!("{object}: {untold}")),
    }
}

/// Whether one resource version is later than another one.
///
/// # Errors
/// It is not, or nobody can tell.
pub(super) fn in_order(broken: &str, repaired: &str) -> Result<(), String> {
    match (broken.parse::<u128>(), repaired.parse::<u128>()) {
        (Ok(before), Ok(after)) if after > before => Ok(()),
        (Ok(_), Ok(_)) => {
            Err(format!("it was seen repaired at {repaired}, not after it was broken at {broken}"))
        }
        _ => Err(format!("resource versions {broken} and {repaired} cannot be put in order")),
    }
}

fn recreated_object(
    object: ClusterObject,
    before: &ObjectIdentity,
    now: &ObjectIdentity,
    manager: &str,
) -> Repair {
    if before.uid == now.uid {
        return Repair::Untold(format!("{object} was seen with its old uid {}", now.uid));
    }
    if !manager.contains(OPERATOR) {
        return Repair::Bad(format!("{object} was created again by {manager}, not by the operator"));
    }
    Repair::Good(format!("{object}: deleted as {}, created again by {manager} as {}", before.uid, now.uid))
}

/// Calls were tried at the target and elsewhere while the fault was in force, and writes acknowledged from its injection until a
/// quorum must be back. Without them harm could go unseen.
fn loaded(context: &Context<'_>, story: &Story<'_>) -> Assertion {
    let mut check = Check::of_fault(Rule::LoadDuringFault, &story.step.name);
    let expect = &context.record.schedule.expect;
    let Some(from) = story.injecting.or(story.injected) else {
        return check.not_checked("the fault was not injected");
    };
    let until = story.healed.unwrap_or(from).plus(expect.quorum_back_within.as_duration());
    let during = |at: UnixNanoseconds| from <= at && at <= until;
    let writes = context
        .ledger
        .acknowledged()
        .filter(|(write, _)| context.wall(write.operation.end).is_some_and(during))
        .count() as u64;
    let minimum = expect.acknowledged_writes_per_fault;
    if writes < minimum {
        check.wrong(Some(from), || format!("{writes} writes were acknowledged, {minimum} are needed"));
    }
    let around = format!("{} writes were acknowledged around it (at least {minimum})", human::count(writes));
    let Some(calls) = calls::during(context, story) else {
        check.undecided("the record does not say where calls were sent");
        return check.conclude_experiment(around);
    };
    let has_members = story.targets.unwrap_or_default().iter().any(|target| target.member.is_some());
    // Names lose the address of a pod that is told to end, and who asks for it next may know so before its next call.
    let has_left = story.step.fault.traits().ends_pods && calls.at_target_before > 0;
    if has_members && calls.at_target.total() == 0 && !has_left {
        check.wrong(Some(from), || "nobody called its target while it was in force".to_owned());
    }
    if calls.elsewhere.total() == 0 {
        check.wrong(Some(from), || "nobody called anybody else while it was in force".to_owned());
    }
    let before = if calls.at_target.total() == 0 && has_left {
        format!(" ({} in the second before)", human::count(calls.at_target_before))
    } else {
        String::new()
    };
    let at_target =
        if has_members { format!("at its target {}{before}; ", calls.at_target) } else { String::new() };
    check.conclude_experiment(format!(
        "while it was in force, {at_target}elsewhere {}; {around}",
        calls.elsewhere
    ))
}
