//! Rules about pods that are ended without a fault: the leader's only after its leadership has moved, one at a time, and only for a
//! reason. Pure. What harm such a pod would have done shows in time alone: everything comes back, a little later.

use super::asked;
use super::context::Context;
use super::departures::pods;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::timeline::Story;
use crate::history::UnixNanoseconds;
use crate::record::Event;
use crate::scenario::Fault;

/// The operator's word that it has moved a leadership counts for so long.
const JUST_MOVED: std::time::Duration = std::time::Duration::from_secs(5);

/// A pod of a listed member that somebody else than a fault ended.
pub(super) struct Disruption<'a> {
    pub(super) member: &'a str,
    pub(super) pod: &'a str,
    pub(super) at: UnixNanoseconds,
    /// Until when the member was away; nothing if it never came back.
    pub(super) back: Option<UnixNanoseconds>,
}

/// Both rules about the order in which pods are ended.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    let disruptions = all(context);
    vec![leader_moved_first(context, &disruptions), one_at_a_time(context, &disruptions)]
}

/// The pods that no fault ended, of members that were listed then.
pub(super) fn all<'a>(context: &Context<'a>) -> Vec<Disruption<'a>> {
    let ended = pods(context).into_iter().filter_map(|pod| {
        let at = pod.ending?;
        let listed = stays_listed(context, pod.member, at);
        (listed && !is_by_a_fault(context, pod.member, at)).then(|| Disruption {
            member: pod.member,
            pod: &pod.last.pod,
            at,
            back: back_after(context, pod.member, at),
        })
    });
    ended.collect()
}

/// Whether a fault was aimed at the member, or the harness restarted a member itself to make a corruption felt.
fn is_by_a_fault(context: &Context<'_>, member: &str, at: UnixNanoseconds) -> bool {
    let timeline = &context.timeline;
    let by_hand = |story: &Story<'_>| {
        matches!(story.step.fault, Fault::Corrupt { .. })
            && story.may_be_felt(at, at)
            && story.healed.is_none_or(|healed| at <= healed)
    };
    timeline.may_have_hit(at, at, |target| target.member.as_deref() == Some(member))
        || timeline.faults.iter().any(by_hand)
}

/// Whether a member was listed before a moment, and at some time after it.
fn stays_listed(context: &Context<'_>, member: &str, at: UnixNanoseconds) -> bool {
    let timeline = &context.timeline;
    let before = timeline.last_told_before(at, context.clock_error());
    let mut after = timeline.rounds.iter().filter(|round| round.start >= at);
    before.is_some_and(|round| round.lists_name(member)) && after.any(|round| round.lists_name(member))
}

/// When a member answered again after its pod was ended: once it runs as another process.
fn back_after(context: &Context<'_>, member: &str, at: UnixNanoseconds) -> Option<UnixNanoseconds> {
    let id = context.timeline.pods.id_of(member)?;
    let started = context.timeline.starts_of(id).filter(|start| *start > at).min()?;
    let rounds = context.timeline.rounds.iter().filter(|round| round.start >= started);
    rounds.into_iter().find(|round| round.answers(id)).map(|round| round.start)
}

fn leader_moved_first(context: &Context<'_>, disruptions: &[Disruption<'_>]) -> Assertion {
    let mut check = Check::new(Rule::LeaderMovedFirst);
    for disruption in disruptions {
        let before = context.timeline.last_told_before(disruption.at, context.clock_error());
        let Some(round) = before else { continue };
        let Some(id) = context.timeline.pods.id_of(disruption.member) else { continue };
        let led = round.seen.members.iter().any(|member| {
            member.status.answer().is_some_and(|status| status.member_id == id && status.leader == Some(id))
        });
        // The only voter has nobody to hand its leadership to.
        let has_successor = round.voters().len() > 1;
        if led && has_successor && !said_moved(context, disruption) {
            check.wrong(Some(disruption.at), || {
                format!(
                    "pod {} was told to end while its member led, and no fault had hit it",
                    disruption.pod
                )
            });
        }
    }
    if !context.events_whole || !context.probes_whole {
        check.undecided("the record of pods or of probes is not whole");
    }
    check.conclude(format!("{} ended without a fault", human::plural(disruptions.len(), "pod")))
}

/// Whether the operator said, just before, that it had moved this member's leadership: the probe may have asked before that.
fn said_moved(context: &Context<'_>, disruption: &Disruption<'_>) -> bool {
    context.record.events.iter().any(|line| match &line.event {
        Event::Kubernetes(event) => {
            let recent = line.at <= disruption.at && disruption.at.since(line.at) <= JUST_MOVED;
            recent && event.reason == "LeaderMoved" && event.note.contains(disruption.member)
        }
        _ => false,
    })
}

fn one_at_a_time(context: &Context<'_>, disruptions: &[Disruption<'_>]) -> Assertion {
    let mut check = Check::new(Rule::OneAtATime);
    for (index, later) in disruptions.iter().enumerate() {
        let away = disruptions.iter().enumerate().find(|(other, earlier)| {
            let before = (earlier.at, *other) < (later.at, index);
            before && earlier.member != later.member && earlier.back.is_none_or(|back| back > later.at)
        });
        if let Some((_, earlier)) = away {
            check.wrong(Some(later.at), || {
                format!(
                    "pod {} was terminated {} after pod {}, whose member did not answer yet",
                    later.pod,
                    human::duration(later.at.since(earlier.at)),
                    earlier.pod
                )
            });
        }
    }
    if !context.events_whole || !context.probes_whole {
        check.undecided("the record of pods or of probes is not whole");
    }
    check.conclude(format!("{} ended without a fault", human::plural(disruptions.len(), "pod")))
}

/// The disruptions that nothing asked for: no change of what is declared was being carried out, and no request.
pub(super) fn unasked<'a, 'b>(
    context: &'b Context<'a>,
    disruptions: &'b [Disruption<'a>],
) -> impl Iterator<Item = &'b Disruption<'a>> {
    disruptions.iter().filter(|disruption| !asked::for_restart(context, disruptions, disruption))
}
