//! Rules about members that leave: who lost its data never comes back under its identity, nobody leaves without need, and
//! nobody is stopped before it has left. Pure. Members are known by their identity in etcd: a name may be used again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::{Assertion, Rule};
use super::timeline::Story;
use crate::history::{MemberId, UnixNanoseconds};
use crate::record::{Event, Phase, Proof, TargetedPod};
use crate::scenario::Fault;

/// A voter that answered so short a time before it was last listed was healthy when it was removed.
const JUST_NOW: Duration = Duration::from_secs(2);
/// A new size may be acted on before the harness has written down that it declared it.
const WRITING_DOWN: Duration = Duration::from_secs(1);

/// All rules about members that leave.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    let mut assertions: Vec<Assertion> =
        context.timeline.faults.iter().filter_map(|story| lost_members_replaced(context, story)).collect();
    let departures = departures(context);
    assertions.push(healthy_voters_kept(context, &departures));
    assertions.push(removed_before_stopped(context, &departures));
    assertions
}

/// Whether the data of a fault's targets are gone for good.
fn loses_data(fault: &Fault) -> bool {
    match fault {
        Fault::DiskLost | Fault::DirectoryWiped => true,
        Fault::PodKill { .. }
        | Fault::ProcessKill
        | Fault::ProcessPause { .. }
        | Fault::Partition { .. }
        | Fault::Corrupt { .. }
        | Fault::DeleteObject { .. }
        | Fault::Intrude { .. }
        | Fault::Resize { .. }
        | Fault::OperatorKill
        | Fault::OperatorPause { .. }
        | Fault::VolumeDeletionStuck { .. } => false,
    }
}

/// A member that lost its data may have voted and acknowledged what it does not know any more. If it came back under its
/// identity, it could vote again, differently, and a write could be lost without any sign of it.
fn lost_members_replaced(context: &Context<'_>, story: &Story<'_>) -> Option<Assertion> {
    if !loses_data(&story.step.fault) {
        return None;
    }
    let mut check = Check::of_fault(Rule::LostMembersReplaced, &story.step.name);
    let (Some(_), Some(targets)) = (story.injected, story.targets) else {
        return Some(check.not_checked("the fault was not injected"));
    };
    for target in targets {
        match target.member_id {
            Some(id) => stays_away(context, story, target, id, &mut check),
            None => check.undecided("the identity of the member was not known"),
        }
    }
    if !context.probes_whole || !context.events_whole {
        check.undecided("the record of probes or events is not whole");
    }
    let names: Vec<&str> = targets.iter().map(name_of).collect();
    Some(check.conclude(format!("the fault took the data of {}", names.join(", "))))
}

fn name_of(target: &TargetedPod) -> &str {
    target.member.as_deref().unwrap_or(&target.pod)
}

fn stays_away(
    context: &Context<'_>,
    story: &Story<'_>,
    target: &TargetedPod,
    id: MemberId,
    check: &mut Check,
) {
    let name = name_of(target);
    let rounds = &context.timeline.rounds;
    let Some(gone) = data_gone(story, target) else {
        return still_listed(context, name, id, check, "that its data were gone was not measured");
    };
    let answered = rounds.iter().filter(|round| round.start >= gone).find(|round| {
        let mut statuses = round.seen.members.iter().filter_map(|member| member.status.answer());
        statuses.any(|status| status.member_id == id)
    });
    match answered {
        Some(round) => check.wrong(Some(round.start), || {
            let later = human::duration(round.start.since(gone));
            format!("{name} answered as member {id} again, {later} after its data were seen gone")
        }),
        None => {
            still_listed(context, name, id, check, "the run ended before the member list was seen without it")
        }
    }
}

/// The last word of the member lists. Without a list, or before the run's end, nothing can be said.
fn still_listed(context: &Context<'_>, name: &str, id: MemberId, check: &mut Check, otherwise: &str) {
    let told = context.timeline.rounds.iter().rev().find(|round| round.lists().next().is_some());
    let listed = told.filter(|round| round.lists().flatten().any(|member| member.member_id == id));
    match (told, listed) {
        (Some(_), Some(round)) if context.is_complete() => {
            check.wrong(Some(round.end), || {
                format!(
                    "{name}, whose data were lost, is in the member list at the end, still as member {id}"
                )
            });
        }
        (Some(_), None) => {}
        (Some(_), Some(_)) | (None, _) => check.undecided(otherwise),
    }
}

/// From when on no process can know the data of a target any more: its directory was seen empty while the process stood
/// still, or its volume claim is another one, which Kubernetes allows only when no pod uses the old one.
fn data_gone(story: &Story<'_>, target: &TargetedPod) -> Option<UnixNanoseconds> {
    let of_target = story.proofs.iter().filter(|(_, pod, _)| *pod == Some(target.pod.as_str()));
    let gone = of_target.filter(|(_, _, proof)| {
        matches!(proof, Proof::DirectoryEmptied { entries_after: 0, .. } | Proof::VolumeReplaced { .. })
    });
    gone.map(|(at, _, _)| *at).min()
}

/// A voter that left the member list.
struct Departure<'a> {
    id: MemberId,
    name: &'a str,
    /// The beginning of the last round in which it was listed.
    last: UnixNanoseconds,
    /// The end of the next round that told a list without it.
    without: UnixNanoseconds,
    /// How many voters were listed in the last round with it.
    voters: usize,
    /// How many of those voters were not there any more in the next round.
    went: usize,
}

/// The voters of all member lists that were told in one round.
struct Listed<'a> {
    start: UnixNanoseconds,
    end: UnixNanoseconds,
    voters: BTreeMap<MemberId, &'a str>,
}

fn listed<'a>(context: &Context<'a>) -> Vec<Listed<'a>> {
    let mut told = Vec::new();
    for round in &context.timeline.rounds {
        let lists = round.seen.members.iter().filter_map(|member| member.members.answer());
        let voters: BTreeMap<MemberId, &str> = lists
            .flatten()
            .filter(|member| !member.learner)
            .map(|member| (member.member_id, member.name.as_str()))
            .collect();
        if !voters.is_empty() {
            told.push(Listed { start: round.start, end: round.end, voters });
        }
    }
    told
}

fn departures<'a>(context: &Context<'a>) -> Vec<Departure<'a>> {
    let rounds = listed(context);
    let mut last: BTreeMap<MemberId, usize> = BTreeMap::new();
    for (index, round) in rounds.iter().enumerate() {
        last.extend(round.voters.keys().map(|id| (*id, index)));
    }
    let departed = last.into_iter().filter_map(|(id, index)| {
        let (before, after) = (&rounds[index], rounds.get(index + 1)?);
        Some(Departure {
            id,
            name: before.voters[&id],
            last: before.start,
            without: after.end,
            voters: before.voters.len(),
            went: before.voters.keys().filter(|id| !after.voters.contains_key(id)).count(),
        })
    });
    departed.collect()
}

/// A healthy voter may go only when fewer are declared. Removing one while another is lost takes the quorum nearer to its
/// end instead of away from it.
fn healthy_voters_kept(context: &Context<'_>, departures: &[Departure<'_>]) -> Assertion {
    let mut check = Check::new(Rule::HealthyVotersKept);
    let lost = lost_identities(context);
    for departure in departures.iter().filter(|departure| !lost.contains(&departure.id)) {
        let earlier = context.timeline.size_at(departure.last).members();
        let later = context.timeline.size_at(departure.without.plus(WRITING_DOWN)).members();
        let declared = earlier.min(later);
        let is_surplus = departure.went <= departure.voters.saturating_sub(declared);
        if !is_surplus && was_healthy(context, departure) {
            check.wrong(Some(departure.without), || {
                format!(
                    "{} ({}) answered until it was removed, as one of {} voters while {declared} were declared",
                    departure.name, departure.id, departure.voters
                )
            });
        }
    }
    if !context.probes_whole || !context.events_whole {
        check.undecided("the record of probes or events is not whole");
    } else if context.timeline.rounds.is_empty() {
        return check.not_checked("the probe saw nothing");
    }
    check.conclude(format!("{} left the member list", human::plural(departures.len(), "voter")))
}

/// Members whose data a fault of ours took.
fn lost_identities(context: &Context<'_>) -> BTreeSet<MemberId> {
    let stories = context.timeline.faults.iter().filter(|story| loses_data(&story.step.fault));
    let targets = stories.flat_map(|story| story.targets.unwrap_or_default());
    targets.filter_map(|target| target.member_id).collect()
}

fn was_healthy(context: &Context<'_>, departure: &Departure<'_>) -> bool {
    let rounds = &context.timeline.rounds;
    let mut recent = rounds
        .iter()
        .filter(|round| round.start <= departure.last && departure.last.since(round.start) <= JUST_NOW);
    recent.any(|round| round.answers(departure.id))
}

/// A member that is stopped while etcd still counts on it takes a vote with it that nobody gave back: of five voters two
/// may go so, and the next failure ends the quorum.
fn removed_before_stopped(context: &Context<'_>, departures: &[Departure<'_>]) -> Assertion {
    let mut check = Check::new(Rule::RemovedBeforeStopped);
    let stopped = stopped_pods(context);
    let lost = lost_identities(context);
    for departure in departures.iter().filter(|departure| !lost.contains(&departure.id)) {
        // A round that began after the pod's deletion was seen, and still listed the member.
        let Some(at) = stopped.get(departure.name).filter(|at| **at <= departure.last) else { continue };
        check.wrong(Some(*at), || {
            format!(
                "the pod of {} was deleted, and {} later it was still a voter",
                departure.name,
                human::duration(departure.last.since(*at))
            )
        });
    }
    if !context.probes_whole || !context.events_whole {
        check.undecided("the record of probes or events is not whole");
    }
    check.conclude(format!("{} left the member list", human::plural(departures.len(), "voter")))
}

/// When the last pod of each member was first seen to be under deletion or gone. A pod that only restarts has a successor,
/// and what we deleted ourselves says nothing about the operator.
fn stopped_pods<'a>(context: &Context<'a>) -> BTreeMap<&'a str, UnixNanoseconds> {
    let mut last_pod: BTreeMap<&str, &str> = BTreeMap::new();
    let mut deleted: BTreeMap<&str, UnixNanoseconds> = BTreeMap::new();
    for line in &context.record.events {
        match &line.event {
            Event::Phase { phase: Phase::CleanUp } => break,
            Event::Pod(pod) => {
                let Some(member) = pod.member.as_deref() else { continue };
                if pod.deleting || pod.gone {
                    deleted.entry(pod.uid.as_str()).or_insert(line.at);
                } else {
                    last_pod.insert(member, pod.uid.as_str());
                }
            }
            _ => {}
        }
    }
    let ours = pods_we_delete(context);
    let stopped = last_pod.into_iter().filter(|(_, uid)| !ours.contains(uid));
    stopped.filter_map(|(member, uid)| Some((member, *deleted.get(uid)?))).collect()
}

fn pods_we_delete<'a>(context: &Context<'a>) -> BTreeSet<&'a str> {
    let deletes = |fault: &Fault| matches!(fault, Fault::PodKill { .. } | Fault::DiskLost);
    let stories = context.timeline.faults.iter().filter(|story| deletes(&story.step.fault));
    let targets = stories.flat_map(|story| story.targets.unwrap_or_default());
    targets.map(|target| target.uid.as_str()).collect()
}
