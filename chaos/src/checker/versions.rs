//! Rules about versions of etcd: members run what is declared, and come from one version to another one at a time and minor by minor.
//! Pure. While another version has been declared and not been seen through, members may run the one before it or the new one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::asked;
use super::context::Context;
use super::disruptions::{self, Disruption};
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::testimony::statuses;
use super::timeline::{Round, Story};
use crate::history::{MemberId, UnixNanoseconds};
use crate::record::Proof;
use crate::scenario::{EtcdVersion, Fault, Subject};

/// A soak may look this much shorter from outside than to the operator: it counts whole seconds, and a kubelet tells a second late that a
/// process has started, from when on its member counts as back here.
const SOAK_MARGIN: Duration = Duration::from_secs(2);

/// Both rules about versions.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    let mut assertions: Vec<Assertion> = as_declared(context).into_iter().collect();
    let upgrades = context.timeline.faults.iter();
    let upgrades = upgrades.filter(|story| matches!(story.step.fault, Fault::Upgrade { .. }));
    assertions.extend(upgrades.map(|story| in_steps(context, story)));
    assertions
}

/// A version that was declared.
struct Declared<'a> {
    version: &'a EtcdVersion,
    /// From when on members may run it.
    from: UnixNanoseconds,
    /// From when on they run nothing that was declared before it.
    through: Option<UnixNanoseconds>,
}

/// What was declared, in the order of time; nothing for a subject that somebody else runs.
fn declarations<'a>(context: &Context<'a>) -> Vec<Declared<'a>> {
    let zero = UnixNanoseconds(0);
    let first = context.record.schedule.first_version();
    let first = first.map(|version| Declared { version, from: zero, through: Some(zero) });
    let later = context.timeline.faults.iter().filter_map(|story| {
        let reached = |(at, _, proof): &(UnixNanoseconds, _, &Proof)| {
            matches!(proof, Proof::VersionReached { .. }).then_some(*at)
        };
        let through = story.proofs.iter().find_map(reached);
        Some(Declared { version: story.step.version()?, from: story.injecting?, through })
    });
    let mut all: Vec<Declared<'a>> = first.into_iter().chain(later).collect();
    all.sort_by_key(|declared| declared.from);
    all
}

/// The versions that members may run in a round.
fn allowed<'a>(context: &Context<'_>, all: &[Declared<'a>], round: &Round<'_>) -> BTreeSet<&'a str> {
    let margin = context.clock_error();
    let begun = all.iter().take_while(|declared| declared.from <= round.end.plus(margin));
    let begun: Vec<&Declared<'_>> = begun.collect();
    let is_through =
        |declared: &&Declared<'_>| declared.through.is_some_and(|through| through.plus(margin) < round.start);
    let last = begun.iter().rposition(is_through).unwrap_or_default();
    begun[last..].iter().map(|declared| declared.version.as_str()).collect()
}

/// Members run what the cluster declares.
fn as_declared(context: &Context<'_>) -> Option<Assertion> {
    let all = declarations(context);
    let first = all.first()?.version;
    let mut check = Check::new(Rule::VersionAsDeclared);
    let mut count: u64 = 0;
    for (round, status) in statuses(context) {
        count += 1;
        let allowed = allowed(context, &all, round);
        if !allowed.contains(status.version.as_str()) {
            let declared: Vec<&str> = allowed.into_iter().collect();
            check.wrong(Some(round.end), || {
                format!(
                    "member {} runs etcd {}, {} is declared",
                    status.member_id,
                    status.version,
                    declared.join(" or ")
                )
            });
        }
    }
    if count == 0 {
        return Some(check.not_checked("no member said which version it runs"));
    }
    let later: Vec<String> = all[1..].iter().map(|declared| format!(", then {}", declared.version)).collect();
    let answers = human::count(count);
    Some(check.conclude(format!("etcd {first}{} is declared; {answers} answers compared", later.concat())))
}

/// Between two members' restarts all members were healthy, at no time were members more than one minor apart, and whoever joined came
/// with the minor of the lowest.
fn in_steps(context: &Context<'_>, story: &Story<'_>) -> Assertion {
    let mut check = Check::of_fault(Rule::UpgradeInSteps, &story.step.name);
    if story.injected.is_none() {
        return check.not_checked("the version was not declared");
    }
    let all = disruptions::all(context);
    let mut restarts: Vec<&Disruption<'_>> =
        all.iter().filter(|disruption| asked::is_open(story, disruption.at)).collect();
    restarts.sort_by_key(|disruption| disruption.at);
    let soak = soak(context, story);
    // One member that is changed again, because something else was declared meanwhile, is no further step.
    let steps = restarts.windows(2).filter(|pair| pair[0].member != pair[1].member);
    for pair in steps {
        let [earlier, later] = pair else { continue };
        if let Some(proved_for) = too_early(earlier, later, soak) {
            check.wrong(Some(later.at), || {
                format!(
                    "pod {} was ended {} after the member of pod {} answered again; a soak of {} is declared",
                    later.pod,
                    human::duration(proved_for),
                    earlier.pod,
                    human::duration(soak)
                )
            });
        }
        if !was_healthy_between(context, earlier, later) {
            check.wrong(Some(later.at), || {
                format!(
                    "pod {} was ended {} after pod {}, and nobody saw all members healthy in between",
                    later.pod,
                    human::duration(later.at.since(earlier.at)),
                    earlier.pod
                )
            });
        }
    }
    for round in context.timeline.rounds.iter().filter(|round| asked::is_open(story, round.start)) {
        if let Some((lowest, highest)) = apart(round) {
            check.wrong(Some(round.start), || {
                format!(
                    "members ran etcd {lowest} and {highest} at once, which are more than one minor apart"
                )
            });
        }
    }
    for newcomer in newcomers_above(context, story) {
        check.wrong(Some(newcomer.at), || {
            format!(
                "member {} joined with etcd {}, while others still ran {}",
                newcomer.id, newcomer.version, newcomer.lowest
            )
        });
    }
    if !context.events_whole || !context.probes_whole {
        check.undecided("the record of pods or of probes is not whole");
    }
    check.conclude(format!("{} ended for it", human::plural(restarts.len(), "pod")))
}

/// For how long each changed member must have been healthy before the next is changed: as the scenario declares. Not on the way back
/// from a version that was not seen through: members that came to it go back at once.
fn soak(context: &Context<'_>, story: &Story<'_>) -> Duration {
    let is_way_back = context.timeline.faults.iter().any(|other| {
        let is_earlier = other.step.version().is_some() && other.injecting < story.injecting;
        let is_through = |(at, _, proof): &(UnixNanoseconds, _, &Proof)| {
            matches!(proof, Proof::VersionReached { .. }) && Some(*at) <= story.injecting
        };
        is_earlier && !other.proofs.iter().any(is_through)
    });
    match &context.record.schedule.subject {
        Subject::Cluster(cluster) if !is_way_back => {
            cluster.soak.map_or(Duration::ZERO, |soak| soak.as_duration())
        }
        Subject::Cluster(_) | Subject::Selector(_) => Duration::ZERO,
    }
}

/// For how long a member had answered again when the next pod was ended, if that is too short. The operator counts from its own look,
/// in whole seconds.
fn too_early(earlier: &Disruption<'_>, later: &Disruption<'_>, soak: Duration) -> Option<Duration> {
    let proved_for = later.at.since(earlier.back?);
    (proved_for + SOAK_MARGIN < soak).then_some(proved_for)
}

/// Whether a round of the probe saw all declared members healthy, after one pod was ended and its member was back, and before another
/// pod was ended.
fn was_healthy_between(context: &Context<'_>, earlier: &Disruption<'_>, later: &Disruption<'_>) -> bool {
    let back = earlier.back.unwrap_or(earlier.at);
    let until = later.at.plus(context.clock_error());
    let mut between =
        context.timeline.rounds.iter().filter(|round| back <= round.start && round.end <= until);
    between.any(|round| round.is_healthy(context.timeline.size_at(round.start)))
}

/// A member that came to a cluster on its way to another version, at a minor which not everybody had come to.
struct Newcomer {
    id: MemberId,
    at: UnixNanoseconds,
    version: EtcdVersion,
    lowest: EtcdVersion,
}

/// The members that joined during an upgrade with a later minor than some other member ran: the cluster counts as the lowest minor, and
/// could be taken back to it.
fn newcomers_above(context: &Context<'_>, story: &Story<'_>) -> Vec<Newcomer> {
    let mut known: BTreeMap<MemberId, EtcdVersion> = BTreeMap::new();
    let mut found = Vec::new();
    for round in &context.timeline.rounds {
        let answers: Vec<(MemberId, EtcdVersion)> = answered(round).collect();
        let came: Vec<&(MemberId, EtcdVersion)> =
            answers.iter().filter(|(id, _)| !known.is_empty() && !known.contains_key(id)).collect();
        let listed = round.names();
        let others = known.iter().filter(|(id, _)| listed.contains_key(id)).map(|(_, version)| version);
        let lowest = others.min_by_key(|version| version.numbers());
        if let Some(lowest) = lowest.filter(|_| asked::is_open(story, round.start)) {
            let above = came.into_iter().filter(|(_, version)| version.line() > lowest.line());
            found.extend(above.map(|(id, version)| Newcomer {
                id: *id,
                at: round.end,
                version: version.clone(),
                lowest: lowest.clone(),
            }));
        }
        known.extend(answers);
    }
    found
}

/// The members that answered in a round, with the versions that they run.
fn answered(round: &Round<'_>) -> impl Iterator<Item = (MemberId, EtcdVersion)> {
    let answers = round.seen.members.iter().filter_map(|member| member.status.answer());
    answers.filter_map(|status| Some((status.member_id, status.version.parse().ok()?)))
}

/// The lowest and the highest version that members answered with in a round, if more than one minor lies between them.
fn apart(round: &Round<'_>) -> Option<(EtcdVersion, EtcdVersion)> {
    let mut versions: Vec<EtcdVersion> = answered(round).map(|(_, version)| version).collect();
    versions.sort_by_key(EtcdVersion::numbers);
    let (lowest, highest) = (versions.first()?.clone(), versions.last()?.clone());
    let ((major, minor, _), (other_major, other_minor, _)) = (lowest.numbers(), highest.numbers());
    (major != other_major || minor.abs_diff(other_minor) > 1).then_some((lowest, highest))
}
