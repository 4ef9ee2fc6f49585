//! Whether the members came back after the faults: all of them healthy, after the effect was seen, and so for a while. Pure. One
//! early good round is no recovery, and a probe that saw nothing says nothing about the members.

use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use crate::history::UnixNanoseconds;

/// When the members were back for good after the last fault, and what it is counted from.
pub(super) struct Recovery {
    /// When the last fault was injected.
    pub(super) injected: UnixNanoseconds,
    /// When it was over.
    pub(super) ended: UnixNanoseconds,
    /// The end of the first round of the steady stretch; nothing if there is none.
    pub(super) steady: Option<UnixNanoseconds>,
}

/// Looks for the recovery after the last fault; nothing if no fault was injected.
pub(super) fn of(context: &Context<'_>) -> Option<Recovery> {
    let timeline = &context.timeline;
    let ended = timeline.faults_over()?;
    let last = timeline.faults.iter().filter(|story| story.healed.or(story.injected) == Some(ended));
    let injected = last.filter_map(|story| story.injecting.or(story.injected)).max().unwrap_or(ended);
    // Before the effect was seen there was nothing to recover from.
    let felt = timeline.faults.iter().filter_map(|story| story.effect_seen()).max().unwrap_or(ended);
    let after = ended.max(felt).plus(context.clock_error());
    let steady_for = context.record.schedule.expect.steady_for.as_duration();
    Some(Recovery { injected, ended, steady: timeline.steadily_healthy_after(after, steady_for) })
}

/// The rule about recovery.
pub(super) fn recovered(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::Recovered);
    let expect = &context.record.schedule.expect;
    let (bound, steady_for) = (expect.recovery_within, expect.steady_for);
    let Some(recovery) = of(context) else { return check.not_checked("no fault was injected") };
    let (ended, error) = (recovery.ended, context.clock_error());
    let late = |at: UnixNanoseconds| at.since(ended).saturating_sub(error) > bound.as_duration();
    let end = human::duration(ended.since(recovery.injected));
    let said = |at: UnixNanoseconds| {
        format!(
            "all members were healthy, and stayed so for {steady_for}, {} after the last fault was injected; it ended {end} after \
             that (bound {bound} from its end)",
            human::duration(at.since(recovery.injected))
        )
    };
    let last_seen = context.timeline.last_seen();
    match recovery.steady {
        Some(at) if !late(at) => return check.conclude(said(at)),
        _ if context.timeline.was_blind(ended, ended.plus(bound.as_duration())) => {
            return check
                .not_checked("the probe saw nothing for a part of the time in which members were due");
        }
        Some(at) => check.wrong(Some(at), || {
            format!(
                "all members were healthy for good only {} after the last fault's end",
                human::duration(at.since(ended))
            )
        }),
        None if last_seen.is_some_and(late) => check.wrong(last_seen, || {
            let last = context.timeline.rounds.last();
            let why = last.and_then(|round| round.unhealthy(context.timeline.size_at(round.end)));
            let why = why.unwrap_or_else(|| format!("never for {steady_for} without a break"));
            format!("the members were not all healthy again: {why}")
        }),
        None => {
            return check
                .not_checked(format!("the probes ended before the members were healthy for {steady_for}"));
        }
    }
    check.conclude(format!(
        "the bound is {bound} from the last fault's end, which came {end} after its injection"
    ))
}
