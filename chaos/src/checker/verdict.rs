//! From assertions to the verdict and its reason: fail over invalid over pass. Pure.

use std::time::Duration;

use super::context::Context;
use super::human;
use super::judgement::{Assertion, Judgement, NotChecked, Outcome, Statistics, Verdict};
use super::rule::Rule;
use super::statistics;
use crate::scenario::Subject;

/// What no rule of this judge looks at. A reader must not take a pass to speak about it.
const NEVER_CHECKED: [(&str, &str); 9] = [
    (
        "Watches",
        "the load keeps none open during the run; the committed log itself is read by a watch at the end",
    ),
    ("Leases and locks", "the load takes none"),
    ("Deletions and compaction", "the load only writes, reads and compares"),
    (
        "Serializable reads",
        "all reads of the load are linearizable; etcd promises nothing about the age of others",
    ),
    ("Files on the members' disks", "data is compared through etcd's HashKV, not read from the disks"),
    (
        "The order of calls that were open at once",
        "either may have come first: only a call that began after another had ended must come later",
    ),
    (
        "Whether a call without an answer was made at all",
        "its outcome is unknown to its client; the committed log says what became of a write, and nothing of a read",
    ),
    (
        "Reads of the probe that are a moment old",
        "they are held against earlier reads of the probe, whose clock is the same, and not against the clients' writes",
    ),
    (
        "Which member the Service chose for a call that was not answered",
        "nobody outside the node knows; calls to single members are told apart",
    ),
];

/// Adds the verdict, its reason and what was not checked.
pub(super) fn conclude(context: &Context<'_>, assertions: Vec<Assertion>) -> Judgement {
    let statistics = statistics::of(context);
    let verdict = verdict(&assertions);
    Judgement {
        verdict,
        reason: reason(context, verdict, &assertions, &statistics),
        not_checked: not_checked(context, &assertions),
        assertions,
        statistics,
    }
}

fn verdict(assertions: &[Assertion]) -> Verdict {
    let of = |assertion: &Assertion| match assertion.outcome {
        Outcome::Held => Verdict::Pass,
        Outcome::NotChecked | Outcome::ProvesNothing => Verdict::Invalid,
        Outcome::Violated => Verdict::Fail,
    };
    // Without a single assertion nothing was proved.
    assertions.iter().map(of).max().unwrap_or(Verdict::Invalid)
}

fn reason(
    context: &Context<'_>,
    verdict: Verdict,
    assertions: &[Assertion],
    statistics: &Statistics,
) -> String {
    let faults = context.timeline.faults.len();
    match verdict {
        Verdict::Pass => {
            let writes = human::count(statistics.acknowledged_writes);
            let longest = Duration::from_nanos(statistics.longest_outage_nanoseconds);
            let (longest, survived) = (human::duration(longest), human::plural(faults, "fault"));
            format!(
                "{survived} survived: all {writes} acknowledged writes are there, and the longest time without a quorum was {longest}."
            )
        }
        Verdict::Fail => worst(assertions, Outcome::Violated),
        Verdict::Invalid => {
            let what = [Outcome::ProvesNothing, Outcome::NotChecked]
                .into_iter()
                .map(|outcome| worst(assertions, outcome));
            let first = what.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
            format!("This run proves nothing. {first}")
        }
    }
}

fn worst(assertions: &[Assertion], outcome: Outcome) -> String {
    let mut wrong: Vec<&Assertion> =
        assertions.iter().filter(|assertion| assertion.outcome == outcome).collect();
    // Rules stand in the order of their weight: lost data before lost time.
    wrong.sort_by_key(|assertion| assertion.rule);
    // That a run did not come to its end explains most of what could not be checked.
    let explains =
        |assertion: &&Assertion| assertion.rule == Rule::RunComplete && outcome == Outcome::ProvesNothing;
    let Some(first) = wrong.iter().find(|assertion| explains(assertion)).or(wrong.first()) else {
        return String::new();
    };
    let fault = first.fault.as_ref().map_or_else(String::new, |fault| format!(" [{fault}]"));
    let finding = first.findings.first().map_or(first.evidence.as_str(), |finding| finding.text.as_str());
    let also = match wrong.len() - 1 {
        0 => String::new(),
        more => format!(" (and {} more)", human::plural(more, "assertion")),
    };
    // What could not be checked is not known to be wrong.
    let complaint = match outcome {
        Outcome::NotChecked => format!("Not checked: {}", first.rule.statement()),
        Outcome::Held | Outcome::ProvesNothing | Outcome::Violated => first.rule.complaint().to_owned(),
    };
    format!("{complaint}{fault}: {finding}{also}.")
}

fn not_checked(context: &Context<'_>, assertions: &[Assertion]) -> Vec<NotChecked> {
    let open =
        assertions.iter().filter(|assertion| assertion.outcome == Outcome::NotChecked).map(|assertion| {
            let fault = assertion.fault.as_ref().map_or_else(String::new, |fault| format!(" [{fault}]"));
            let what = format!("{}{fault}", assertion.rule.statement());
            let remedy = Some(assertion.rule.remedy());
            NotChecked { what, why: assertion.evidence.clone(), remedy, required: true }
        });
    let mut list: Vec<NotChecked> = open.collect();
    if matches!(context.record.schedule.subject, Subject::Selector(_)) {
        let what = "The operator's status".to_owned();
        let why = "the subject was found by a selector; only our operator's status is known to the judge"
            .to_owned();
        list.push(NotChecked { what, why, remedy: None, required: false });
    }
    list.extend(NEVER_CHECKED.iter().map(|(what, why)| NotChecked {
        what: (*what).to_owned(),
        why: (*why).to_owned(),
        remedy: None,
        required: false,
    }));
    list
}
