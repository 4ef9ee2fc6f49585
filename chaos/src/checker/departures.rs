//! Rules about members that go: they leave the member list before their pod does, and one whose data was destroyed never
//! serves again. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::timeline::Story;
use crate::history::{MemberId, UnixNanoseconds};
use crate::record::{Event, Phase, PodSample};

/// A process that is being killed may still answer for a moment.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// One pod of a member as the API server showed it.
pub(super) struct Pod<'a> {
    pub(super) member: &'a str,
    uid: &'a str,
    /// When it was first seen on its way out.
    pub(super) ending: Option<UnixNanoseconds>,
    /// Whether it was seen to go, or to be on its way when the run ended.
    pub(super) last: &'a PodSample,
}

/// A member that no fault holds, or held a moment ago, keeps its pod until a linearizable member list no longer holds it: an operator that takes the
/// pod first spends a vote that the cluster still counts.
pub(super) fn leave_first(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::MembersLeaveFirst);
    let mut departed = 0;
    let pods = pods(context);
    for pod in &pods {
        let Some(ending) = pod.ending.filter(|ending| !is_hit(context, pod.member, *ending)) else {
            continue;
        };
        if has_successor(&pods, pod) {
            continue;
        }
        departed += 1;
        let later = context.timeline.rounds.iter().filter(|round| round.start >= ending);
        if let Some(round) = later.into_iter().find(|round| round.lists_name(pod.member)) {
            let late = round.start.since(ending);
            check.wrong(Some(ending), || {
                format!(
                    "pod {} was terminated, and {} later {} was still in the member list",
                    pod.last.pod,
                    human::duration(late),
                    pod.member
                )
            });
        }
    }
    if pods.is_empty() {
        return check.not_checked("nobody saw a pod of the cluster");
    }
    if !context.events_whole || !context.probes_whole {
        check.undecided("the record of pods or of probes is not whole");
    }
    check.conclude(format!("{} went for good without a fault", human::plural(departed, "member")))
}

/// Whether a fault was aimed at a member and not yet recovered from: what becomes of it then is for other rules.
fn is_hit(context: &Context<'_>, member: &str, at: UnixNanoseconds) -> bool {
    let mut felt = context.timeline.faults.iter().filter(|story| story.may_be_felt(at, at));
    felt.any(|story| story.is_aimed_at(|target| target.member.as_deref() == Some(member)))
}

/// Every pod of every member, in the order in which they were first seen; what is seen during the clean-up does not count.
pub(super) fn pods<'a>(context: &Context<'a>) -> Vec<Pod<'a>> {
    let mut pods: Vec<Pod<'a>> = Vec::new();
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &context.record.events {
        match &line.event {
            Event::Phase { phase: Phase::CleanUp } => break,
            Event::Pod(sample) => {
                let Some(member) = sample.member.as_deref() else { continue };
                let at = *index.entry(&sample.uid).or_insert_with(|| {
                    pods.push(Pod { member, uid: &sample.uid, ending: None, last: sample });
                    pods.len() - 1
                });
                pods[at].last = sample;
                if sample.deleting || sample.gone {
                    pods[at].ending = pods[at].ending.or(Some(line.at));
                }
            }
            _ => {}
        }
    }
    pods
}

/// Whether another pod of the same member was seen: then the member only restarted.
fn has_successor(pods: &[Pod<'_>], pod: &Pod<'_>) -> bool {
    pods.iter().any(|other| other.member == pod.member && other.uid != pod.uid)
}

/// A member whose data a fault has destroyed has forgotten what it voted for and what it acknowledged. If its identity
/// answers again, it does so on an empty disk.
pub(super) fn lost_replaced(context: &Context<'_>, story: &Story<'_>) -> Option<Assertion> {
    if !story.step.fault.destroys_data() {
        return None;
    }
    let mut check = Check::of_fault(Rule::LostMembersReplaced, &story.step.name);
    let (Some(targets), Some(injected)) = (story.targets, story.injected) else {
        return Some(check.not_checked("the fault was not injected"));
    };
    let since = injected.plus(LAST_WORDS);
    for target in targets {
        let Some(id) = target.member_id else {
            check.undecided("the identity of the member was not known");
            continue;
        };
        let answered = |round: &&super::timeline::Round<'_>| {
            let statuses = round.seen.members.iter().filter_map(|member| member.status.answer());
            statuses.into_iter().any(|status| status.member_id == id)
        };
        let later = context.timeline.rounds.iter().filter(|round| round.start >= since);
        if let Some(round) = later.into_iter().find(answered) {
            check.wrong(Some(round.start), || {
                format!(
                    "member {id} ({}) answers again {} after its data was destroyed",
                    target.pod,
                    human::duration(round.start.since(injected))
                )
            });
        } else if let Some(end) = listed_at_the_end(context, id) {
            check.wrong(Some(end), || {
                format!("member {id} ({}) is still in the member list at the end", target.pod)
            });
        }
    }
    if !context.probes_whole {
        check.undecided("the record of the probes is not whole");
    }
    Some(check.conclude(format!("the data of {} was destroyed", human::plural(targets.len(), "member"))))
}

/// Whether the last member list that was told still holds an identity. One that was given its name and its empty disk back
/// may never get as far as to answer, since the leader knows that it had more; its vote is counted all the same.
fn listed_at_the_end(context: &Context<'_>, id: MemberId) -> Option<UnixNanoseconds> {
    let told = context.timeline.last_told()?;
    let is_listed = told.names().contains_key(&id);
    (is_listed && context.is_complete()).then_some(told.end)
}
