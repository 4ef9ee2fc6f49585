//! Rules about the experiment being what the scenario says: the schedule is the scenario's, and each fault hit whom it was to hit,
//! as it was to, for as long as it was to. Pure. A fault that hit somebody else proves nothing about the one that was meant.

use std::collections::BTreeSet;
use std::time::Duration;

use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::timeline::Story;
use crate::history::{MemberId, UnixNanoseconds};
use crate::record::{Dial, Event, ObjectIdentity, Proof, TargetRole, TargetedPod};
use crate::scenario::{self, Direction, Fault, FaultName, Peers, Target};

/// The leader at an injection is looked for in rounds of the probe that began so long before it.
const JUST_BEFORE: Duration = Duration::from_secs(3);
/// A fault may be over so much earlier than it should: agents count from when theirs was in force.
const EARLIER: Duration = Duration::from_secs(1);
/// A fault may be seen to be over so much later than it should: everybody must be reachable again, and say so.
const LATER: Duration = Duration::from_secs(15);
/// A measurement may be written down so long after it was due.
const WRITING_DOWN: Duration = Duration::from_secs(15);

/// The rule about the schedule: it is what the scenario and the seed give, and the record speaks of its faults only, once each.
pub(super) fn schedule_kept(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::ScheduleKept);
    let (run, schedule) = (&context.record.run, &context.record.schedule);
    if context.is_current() {
        match scenario::parse(&run.scenario_file, run.scenario_text.as_bytes()) {
            Ok(meant) if scenario::schedule(&meant, run.seed) == *schedule => {}
            Ok(_) => check.wrong(None, || {
                format!("the schedule is not the one that the scenario gives with seed {}", run.seed)
            }),
            Err(error) => check.wrong(None, || format!("the scenario cannot be read: {error}")),
        }
    } else {
        check.undecided("records of this format do not say which scenario they follow in today's words");
    }
    let known: BTreeSet<&FaultName> = schedule.steps.iter().map(|step| &step.name).collect();
    let unknown: BTreeSet<&FaultName> = context
        .record
        .events
        .iter()
        .filter_map(|line| line.event.fault())
        .filter(|name| !known.contains(name))
        .collect();
    for name in unknown {
        check.wrong(None, || format!("the record speaks of the fault {name}, which is not in the schedule"));
    }
    for story in context.timeline.faults.iter().filter(|story| story.told > 1) {
        check.wrong(story.injecting, || format!("{} is in the record more than once", story.step.name));
    }
    check.conclude_experiment(format!(
        "{} as the scenario and seed {} give them",
        human::plural(known.len(), "fault"),
        run.seed
    ))
}

/// The rule about one fault: whom it hit, how, and for how long.
pub(super) fn as_planned(context: &Context<'_>, story: &Story<'_>) -> Assertion {
    let mut check = Check::of_fault(Rule::FaultAsPlanned, &story.step.name);
    let (Some(injecting), Some(injected)) = (story.injecting, story.injected) else {
        return check.not_checked("the fault was not injected");
    };
    let targets = story.targets.unwrap_or_default();
    if injected < injecting || story.healed.is_some_and(|healed| healed < injected) {
        check.wrong(Some(injecting), || "its stages are not in the order in which they happen".to_owned());
    }
    for target in targets.iter().filter(|target| !context.timeline.pods.was_seen(&target.uid, &target.pod)) {
        check.wrong(Some(injecting), || format!("nobody saw its target {} (uid {})", target.pod, target.uid));
    }
    if let Some(target) = story.unfelt {
        check.wrong(Some(injected), || {
            format!(
                "the probe saw {} serve all the time while it should be down: another target was hit",
                target.pod
            )
        });
    }
    number(context, &mut check, story, targets, injecting);
    roles(context, &mut check, story, targets, injecting);
    duration(&mut check, story, injected);
    proofs(context, &mut check, story, targets, injecting);
    let hit = match targets {
        [] => "the cluster as a whole".to_owned(),
        some => some
            .iter()
            .map(|target| format!("{} ({})", target.pod, target.role))
            .collect::<Vec<_>>()
            .join(", "),
    };
    check.conclude_experiment(format!("{} of {}: {hit}", story.title, story.step.target))
}

fn number(
    context: &Context<'_>,
    check: &mut Check,
    story: &Story<'_>,
    targets: &[TargetedPod],
    injecting: UnixNanoseconds,
) {
    let distinct: BTreeSet<&str> = targets.iter().map(|target| target.uid.as_str()).collect();
    if distinct.len() != targets.len() {
        check.wrong(Some(injecting), || "one pod is its target twice".to_owned());
    }
    let there =
        context.timeline.last_told_before(injecting, Duration::ZERO).map(|round| round.voters().len());
    let expected = match &story.step.target {
        Target::Leader | Target::Follower | Target::Member => Some(1),
        Target::Cluster => Some(0),
        Target::Operator => {
            if targets.is_empty() {
                check.wrong(Some(injecting), || "the operator had no pod".to_owned());
            }
            Some(operator_pods(context, injecting))
        }
        Target::Minority => there.map(|there| there.saturating_sub(1) / 2),
        Target::All => there,
        Target::SameAs(earlier) => return same_as(context, check, earlier, targets, injecting),
    };
    if let Some(expected) = expected.filter(|expected| *expected != targets.len()) {
        check.wrong(Some(injecting), || {
            format!("it had {}, {expected} were meant", human::plural(targets.len(), "target"))
        });
    }
}

/// How many pods of the operator were there at a moment, as the API server showed them.
fn operator_pods(context: &Context<'_>, moment: UnixNanoseconds) -> usize {
    let mut there: BTreeSet<&str> = BTreeSet::new();
    for line in context.record.events.iter().take_while(|line| line.at <= moment) {
        match &line.event {
            Event::Pod(sample) if sample.member.is_none() && sample.gone => {
                there.remove(sample.uid.as_str());
            }
            Event::Pod(sample) if sample.member.is_none() => {
                there.insert(&sample.uid);
            }
            _ => {}
        }
    }
    there.len()
}

fn same_as(
    context: &Context<'_>,
    check: &mut Check,
    earlier: &FaultName,
    targets: &[TargetedPod],
    injecting: UnixNanoseconds,
) {
    let earlier = context.timeline.faults.iter().find(|story| story.step.name == *earlier);
    let hit: BTreeSet<&str> = earlier
        .and_then(|story| story.targets)
        .unwrap_or_default()
        .iter()
        .filter_map(|target| target.member.as_deref())
        .collect();
    let same = |target: &TargetedPod| target.member.as_deref().is_some_and(|member| hit.contains(member));
    if targets.is_empty() || !targets.iter().all(same) {
        check.wrong(Some(injecting), || "it did not hit the members that the earlier fault hit".to_owned());
    }
}

fn roles(
    context: &Context<'_>,
    check: &mut Check,
    story: &Story<'_>,
    targets: &[TargetedPod],
    injecting: UnixNanoseconds,
) {
    let (leader, wanted) = match story.step.target {
        Target::Leader => (true, "the leader"),
        Target::Follower => (false, "a follower"),
        Target::Operator => {
            for target in targets.iter().filter(|target| target.role != TargetRole::Operator) {
                check.wrong(Some(injecting), || format!("{} is no pod of the operator", target.pod));
            }
            return;
        }
        Target::Member | Target::Minority | Target::All | Target::SameAs(_) | Target::Cluster => return,
    };
    let leaders = leaders_before(context, injecting);
    if leaders.is_empty() {
        return check.undecided("the probe saw no leader just before the injection");
    }
    for target in targets {
        let said =
            if leader { target.role == TargetRole::Leader } else { target.role == TargetRole::Follower };
        let seen = target.member_id.is_none_or(|id| {
            if leader { leaders.contains(&id) } else { leaders.iter().any(|leader| *leader != id) }
        });
        if !said || !seen {
            check.wrong(Some(injecting), || {
                let was = if said { "was seen as another" } else { "was not" };
                format!("{} ({}) was its target, and {was}: {wanted} was meant", target.pod, target.role)
            });
        }
    }
}

/// Whom members named as their leader just before a moment.
fn leaders_before(context: &Context<'_>, moment: UnixNanoseconds) -> BTreeSet<MemberId> {
    let just_before = JUST_BEFORE + context.clock_error();
    let recent = context.timeline.rounds.iter().filter(|round| {
        round.start <= moment.plus(context.clock_error()) && moment.since(round.start) <= just_before
    });
    let statuses =
        recent.flat_map(|round| round.seen.members.iter().filter_map(|member| member.status.answer()));
    statuses.filter_map(|status| status.leader).collect()
}

fn duration(check: &mut Check, story: &Story<'_>, injected: UnixNanoseconds) {
    let (Some(lasting), Some(healed)) = (story.step.fault.lasting(), story.healed) else { return };
    let (meant, lasted) = (lasting.as_duration(), healed.since(injected));
    if lasted + EARLIER.max(meant / 5) < meant || lasted > meant + LATER {
        check
            .wrong(Some(injected), || format!("it lasted {}, {lasting} were meant", human::duration(lasted)));
    }
}

fn proofs(
    context: &Context<'_>,
    check: &mut Check,
    story: &Story<'_>,
    targets: &[TargetedPod],
    injecting: UnixNanoseconds,
) {
    let repair = context.record.schedule.expect.repair_within.as_duration();
    let ended = story.healed.or(story.injected).unwrap_or(injecting);
    let due = ended.plus(repair.max(Duration::from_secs(60))).plus(WRITING_DOWN);
    for (at, pod, proof) in &story.proofs {
        // A lasting fault is felt while it lasts.
        let until = if story.step.fault.lasting().is_some() && shows_effect(proof) { ended } else { due };
        if *at < injecting || *at > until {
            check.wrong(Some(*at), || "its effect was measured outside its time".to_owned());
        }
        let target = targets.iter().find(|target| Some(target.pod.as_str()) == *pod);
        if let Some(why) = contradiction(context, story, target, proof, injecting) {
            check.wrong(Some(*at), || why);
        }
    }
}

/// Whether a measurement shows the effect of a lasting fault, rather than its end or its repair.
fn shows_effect(proof: &Proof) -> bool {
    match proof {
        Proof::Stopped { .. }
        | Proof::PartitionFelt { .. }
        | Proof::ObjectChanged { .. }
        | Proof::CorruptionFelt { .. }
        | Proof::CertificateDamaged { .. }
        | Proof::CertificateFelt { .. }
        | Proof::StartHindered { .. }
        | Proof::ChangeRefused { .. }
        | Proof::VolumeHeld { .. } => true,
        Proof::ProcessReplaced { .. }
        | Proof::PodReplaced { .. }
        | Proof::VolumeReplaced { .. }
        | Proof::DirectoryEmptied { .. }
        | Proof::Resumed { .. }
        | Proof::PartitionOver { .. }
        | Proof::ObjectRepaired { .. }
        | Proof::ObjectDeleted { .. }
        | Proof::ObjectRecreated { .. }
        | Proof::ObjectStillBroken { .. }
        | Proof::CertificateRepaired { .. }
        | Proof::CertificateStillBroken { .. }
        | Proof::SizeDeclared { .. }
        | Proof::SizeReached { .. }
        | Proof::RestartDeclared { .. }
        | Proof::RestartsSeen { .. }
        | Proof::VersionDeclared { .. }
        | Proof::VersionReached { .. }
        | Proof::VersionSuperseded { .. }
        | Proof::ChangeDeclared { .. }
        | Proof::ChangeObserved { .. }
        | Proof::ChangeTakenBack { .. }
        | Proof::MembersAsBefore { .. }
        | Proof::MembersReplaced { .. }
        | Proof::RequestMade { .. }
        | Proof::RequestDone { .. }
        | Proof::BackupAsked { .. }
        | Proof::BackupStored { .. }
        | Proof::BackupRestored { .. }
        | Proof::LeadershipMoved { .. }
        | Proof::VolumeReleased { .. } => false,
    }
}

/// Why a measurement is not about this fault's target.
fn contradiction(
    context: &Context<'_>,
    story: &Story<'_>,
    target: Option<&TargetedPod>,
    proof: &Proof,
    injecting: UnixNanoseconds,
) -> Option<String> {
    match proof {
        Proof::PodReplaced { before, .. } => {
            let target = target?;
            (before.uid != target.uid).then(|| {
                format!(
                    "pod {} (uid {}) was seen replaced, the target was uid {}",
                    before.name, before.uid, target.uid
                )
            })
        }
        Proof::ProcessReplaced { before, .. } => {
            let target = target?;
            let seen = context.timeline.pods.processes_of(&target.uid)?;
            (!seen.contains(before.container_id.as_str())).then(|| {
                format!(
                    "container {} was seen replaced, and never ran in {}",
                    before.container_id, target.pod
                )
            })
        }
        Proof::VolumeReplaced { before, .. }
        | Proof::VolumeHeld { claim: before }
        | Proof::VolumeReleased { claim: before } => another_claim(context, target?, before),
        Proof::PartitionFelt { cut, inbound_packets, outbound_packets, .. } => {
            misdirected(&story.step.fault, *inbound_packets, *outbound_packets)
                .or_else(|| uncut_peer(context, story, cut, injecting))
        }
        Proof::PartitionOver { dials } => uncut_peer(context, story, dials, injecting),
        Proof::CertificateDamaged { secret, .. }
        | Proof::CertificateRepaired { secret, .. }
        | Proof::CertificateStillBroken { secret, .. } => another_secret(target?, secret),
        Proof::RequestMade { value, .. } => {
            let target = target?;
            (target.member.as_deref() != Some(value))
                .then(|| format!("the request named {value}, the target was {}", target.pod))
        }
        Proof::DirectoryEmptied { .. }
        | Proof::Stopped { .. }
        | Proof::Resumed { .. }
        | Proof::ObjectChanged { .. }
        | Proof::CorruptionFelt { .. }
        | Proof::CertificateFelt { .. }
        | Proof::StartHindered { .. }
        | Proof::ObjectRepaired { .. }
        | Proof::ObjectDeleted { .. }
        | Proof::ObjectRecreated { .. }
        | Proof::ObjectStillBroken { .. }
        | Proof::SizeDeclared { .. }
        | Proof::SizeReached { .. }
        | Proof::RestartDeclared { .. }
        | Proof::RestartsSeen { .. }
        | Proof::VersionDeclared { .. }
        | Proof::VersionReached { .. }
        | Proof::VersionSuperseded { .. }
        | Proof::ChangeDeclared { .. }
        | Proof::ChangeObserved { .. }
        | Proof::ChangeRefused { .. }
        | Proof::ChangeTakenBack { .. }
        | Proof::MembersAsBefore { .. }
        | Proof::MembersReplaced { .. }
        | Proof::RequestDone { .. }
        | Proof::BackupAsked { .. }
        | Proof::BackupStored { .. }
        | Proof::BackupRestored { .. }
        | Proof::LeadershipMoved { .. } => None,
    }
}

/// A Secret that is not the target's: the operator names each after its member.
fn another_secret(target: &TargetedPod, measured: &ObjectIdentity) -> Option<String> {
    let member = target.member.as_deref()?;
    (!measured.name.starts_with(member))
        .then(|| format!("Secret {} was measured, the target was {member}", measured.name))
}

/// A claim that is not the target's.
fn another_claim(context: &Context<'_>, target: &TargetedPod, measured: &ObjectIdentity) -> Option<String> {
    match &target.claim {
        Some(claim) => (claim.uid != measured.uid).then(|| {
            format!(
                "claim {} (uid {}) was measured, the target's is uid {}",
                measured.name, measured.uid, claim.uid
            )
        }),
        None => context.is_current().then(|| "the target's claim is not in the record".to_owned()),
    }
}

/// Packets must have been dropped on their way in the direction that is cut, and none on their way in the other.
fn misdirected(fault: &Fault, inbound: Option<u64>, outbound: Option<u64>) -> Option<String> {
    let Fault::Partition { direction, .. } = fault else { return None };
    let (inbound, outbound) = (inbound?, outbound?);
    let fits = match direction {
        // Answers to our own dials never come, so what arrives depends on the peers' traffic.
        Direction::Both => outbound > 0,
        Direction::Inbound => inbound > 0 && outbound == 0,
        Direction::Outbound => outbound > 0 && inbound == 0,
    };
    (!fits).then(|| format!("{inbound} packets were dropped on their way in and {outbound} on their way out"))
}

/// A peer that was to be cut off and was not even dialled.
fn uncut_peer(
    context: &Context<'_>,
    story: &Story<'_>,
    dials: &[Dial],
    injecting: UnixNanoseconds,
) -> Option<String> {
    let Fault::Partition { peers, .. } = story.step.fault else { return None };
    let targets = story.targets.unwrap_or_default();
    let others = peers_of(context, targets, injecting);
    let dialled = |address: &&String| {
        dials
            .iter()
            .any(|dial| dial.peer.rsplit_once(':').map_or(dial.peer.as_str(), |(ip, _)| ip) == **address)
    };
    let missed: Vec<&String> = others.iter().filter(|address| !dialled(address)).collect();
    let may_miss = match peers {
        Peers::All => 0,
        // Whom the target may still reach, so that it is no part of a quorum.
        Peers::Majority => ((others.len() + targets.len()) / 2 + 1).saturating_sub(1 + targets.len()),
        Peers::Leader => others.len().saturating_sub(1),
    };
    (missed.len() > may_miss).then(|| {
        let missed: Vec<&str> = missed.into_iter().map(String::as_str).collect();
        format!("{} was to be cut off and was not measured", missed.join(", "))
    })
}

/// The addresses of the voters that were no targets, as the probe found them just before.
fn peers_of(context: &Context<'_>, targets: &[TargetedPod], injecting: UnixNanoseconds) -> BTreeSet<String> {
    let Some(round) = context.timeline.last_told_before(injecting, Duration::ZERO) else {
        return BTreeSet::new();
    };
    let voters = round.voters();
    let is_target = |id: MemberId| targets.iter().any(|target| target.member_id == Some(id));
    let members = round.seen.members.iter().filter_map(|member| {
        let id = member.status.answer()?.member_id;
        (voters.contains(&id) && !is_target(id)).then(|| member.address.clone())
    });
    members.collect()
}
