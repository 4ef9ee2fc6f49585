//! Whether a quorum served: while faults were in force, and after each. Pure. An answer to anybody that needs a quorum is proof of
//! one, whoever asked; a silence is an outage only if somebody asked in it.

use std::time::Duration;

use super::answers::Silence;
use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::timeline::Story;
use crate::history::UnixNanoseconds;
use crate::scenario::{ELECTION_TIMEOUT, Period};

/// The longest silence from a fault's injection until the next fault, or until a quorum must be back.
pub(super) fn longest_silence(context: &Context<'_>, story: &Story<'_>) -> Option<Silence> {
    let from = story.injecting.or(story.injected)?;
    let ended = story.healed.or(story.injected)?;
    let due = ended.plus(bound_after(context).as_duration());
    let until = context.timeline.next_fault_after(from).map_or(due, |next| next.max(ended).min(due));
    let silences = context.quorum.silences(from, until).filter(|silence| silence.until > from);
    silences.max_by_key(|silence| silence.until.since(silence.since))
}

fn bound_after(context: &Context<'_>) -> Period {
    let schedule = &context.record.schedule;
    let allowed = schedule.allow.quorum_loss.as_ref();
    allowed.map_or(schedule.expect.quorum_back_within, |allowed| allowed.quorum_back_within)
}

/// A quorum serves all the time, but for an election: faults that leave a majority whole may not cost more.
pub(super) fn outage_bounded(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::OutageBounded);
    let bound = context.record.schedule.expect.longest_outage;
    let error = context.clock_error();
    let (Some(began), Some(last)) = (context.timeline.faults_began(), context.quorum.last_asked()) else {
        return check.not_checked("no fault was injected, or nobody asked");
    };
    let mut longest = Duration::ZERO;
    let mut permitted = 0;
    for silence in context.quorum.silences(began, last).filter(|silence| silence.until > began) {
        let length = silence.at_least(error);
        if length <= bound.as_duration() {
            longest = longest.max(silence.until.since(silence.since));
        } else if is_permitted(context, &silence) {
            permitted += 1;
        } else if context.quorum.was_asked(&silence) {
            check.wrong(Some(silence.since), || {
                let during = context.timeline.in_force(silence.since, silence.until).join(", ");
                let during = if during.is_empty() { "no fault was in force".to_owned() } else { during };
                format!("no quorum answered for {} ({during})", human::duration(length))
            });
        } else {
            check.undecided("for a while nobody asked a member that no fault was aimed at");
        }
    }
    if !context.probes_whole || !context.load_whole {
        check.undecided("the record of clients or probes is not whole");
    }
    let allowed = match permitted {
        0 => String::new(),
        more => format!("; {} that the scenario allows", human::plural(more, "longer one")),
    };
    check.conclude(format!(
        "from the first fault on the longest silence was {} (bound {bound}; one election with an election time-out of \
         {ELECTION_TIMEOUT} is the default){allowed}",
        human::duration(longest)
    ))
}

/// Whether a silence belongs to a fault that may take the quorum away, and ended in the time that is then left.
fn is_permitted(context: &Context<'_>, silence: &Silence) -> bool {
    let Some(allowed) = &context.record.schedule.allow.quorum_loss else { return false };
    let error = context.clock_error();
    context.timeline.faults.iter().filter(|story| story.step.fault.stops_members()).any(|story| {
        let (Some(from), Some(ended)) = (story.injecting, story.healed.or(story.injected)) else {
            return false;
        };
        let due = ended.plus(allowed.quorum_back_within.as_duration()).plus(error);
        silence.until >= from && silence.since <= ended.plus(error) && silence.until <= due
    })
}

/// After a fault's end a quorum serves within the bound, and goes on serving.
pub(super) fn quorum_back(context: &Context<'_>, story: &Story<'_>) -> Assertion {
    let mut check = Check::of_fault(Rule::QuorumBack, &story.step.name);
    let Some(ended) = story.healed.or(story.injected) else {
        return check.not_checked("the fault was not injected");
    };
    let injected = story.injecting.or(story.injected).unwrap_or(ended);
    let bound = bound_after(context);
    let (error, within) = (context.clock_error(), bound.as_duration());
    let evidence = evidence(context, story, injected, ended, bound);
    match steady_answer_after(context, ended) {
        Some(back) if back.since(ended).saturating_sub(error) <= within => check.conclude(evidence),
        Some(back) => {
            check.wrong(Some(back), || {
                let took = human::duration(back.since(ended));
                format!("a quorum answered steadily only {took} after the fault's end")
            });
            check.conclude(evidence)
        }
        None => {
            let last = context.quorum.last_asked();
            if last.is_some_and(|last| last.since(ended).saturating_sub(error) > within) {
                check.wrong(None, || "no quorum answered steadily after the fault's end".to_owned());
                check.conclude(evidence)
            } else {
                check.not_checked("nobody asked until the quorum was due")
            }
        }
    }
}

/// The first answer at or after a moment that no long silence follows, until the next fault or for as long as counts as steady.
fn steady_answer_after(context: &Context<'_>, moment: UnixNanoseconds) -> Option<UnixNanoseconds> {
    let expect = &context.record.schedule.expect;
    let (steady, longest) = (expect.steady_for.as_duration(), expect.longest_outage.as_duration());
    let error = context.clock_error();
    let mut answer = context.quorum.answer_after(moment)?;
    loop {
        let until = answer.plus(steady);
        let until = context.timeline.next_fault_after(answer).map_or(until, |next| next.min(until));
        let broken = context
            .quorum
            .silences(answer, until)
            .find(|silence| silence.since >= answer && silence.at_least(error) > longest);
        match broken {
            None => return Some(answer),
            Some(silence) if silence.ended => answer = silence.until,
            Some(_) => return None,
        }
    }
}

/// The longest silence around a fault, counted from its injection, with the fault's end beside it.
fn evidence(
    context: &Context<'_>,
    story: &Story<'_>,
    injected: UnixNanoseconds,
    ended: UnixNanoseconds,
    bound: Period,
) -> String {
    let end = match story.step.fault.lasting() {
        Some(_) => format!("the fault ended {} after it", human::duration(ended.since(injected))),
        None => "the fault was over at once".to_owned(),
    };
    let Some(silence) = longest_silence(context, story) else {
        return format!("no quorum answered; {end}, bound {bound} from its end");
    };
    let length = human::duration(silence.until.since(silence.since));
    let until = human::duration(silence.until.since(injected));
    format!(
        "the longest silence of the quorum lasted {length}, until {until} after the injection; {end}, bound {bound} from its end"
    )
}
