//! Runs in which a change of the spec, a request or a damaged certificate asks the operator for something: what it asks for passes, and
//! whatever else becomes of members is judged.

mod backups;
mod certificates;
mod changes;
mod requests;
mod tale;
mod upgrades;

use std::collections::BTreeSet;

use chaos::checker::{Outcome, Rule, Verdict, judge};

use tale::Tale;

/// One run and how it must be judged.
struct Case {
    /// What happened.
    story: &'static str,
    /// The fields of the fault.
    fault: &'static str,
    verdict: Verdict,
    /// The rules that must not hold; others may break with them.
    broken: &'static [Rule],
    tell: fn(&mut Tale),
}

/// When all is as it was asked for.
const SEEN: u64 = 25_100;

const fn case(
    story: &'static str,
    fault: &'static str,
    verdict: Verdict,
    broken: &'static [Rule],
    tell: fn(&mut Tale),
) -> Case {
    Case { story, fault, verdict, broken, tell }
}

fn cases() -> impl Iterator<Item = &'static Case> {
    let asked = changes::CASES.iter().chain(backups::CASES).chain(requests::CASES).chain(upgrades::CASES);
    asked.chain(certificates::CASES)
}

/// The rules that some case breaks.
pub(super) fn rules_broken() -> BTreeSet<String> {
    cases().flat_map(|case| case.broken).map(|rule| rule.id().to_owned()).collect()
}

#[test]
fn what_was_asked_for_passes_and_nothing_else_does() {
    let wrong: Vec<String> = cases().filter_map(misjudged).collect();
    assert!(wrong.is_empty(), "{} misjudged:\n{}", wrong.len(), wrong.join("\n"));
}

fn misjudged(case: &Case) -> Option<String> {
    let mut tale = Tale::of(case.fault);
    (case.tell)(&mut tale);
    let judgement = judge(&tale.record);
    let open: Vec<_> = judgement.assertions.iter().filter(|one| one.outcome != Outcome::Held).collect();
    let broken: BTreeSet<Rule> = open.iter().map(|one| one.rule).collect();
    let silent: Vec<&Rule> = case.broken.iter().filter(|rule| !broken.contains(rule)).collect();
    let right = judgement.verdict == case.verdict && silent.is_empty();
    let found: Vec<String> = open
        .iter()
        .flat_map(|one| one.findings.iter().map(|finding| format!("{:?}: {}", one.rule, finding.text)))
        .collect();
    (!right).then(|| {
        format!(
            "{} ({} is right): {}, silent {silent:?}, broken {broken:?}: {}\n    {}",
            case.story,
            case.verdict,
            judgement.verdict,
            judgement.reason,
            found.join("\n    ")
        )
    })
}
