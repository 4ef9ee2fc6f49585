//! Collects what is wrong with one rule and turns it into an [`Assertion`]. Pure.

use super::judgement::{Assertion, CallSketch, Finding, MOST_FINDINGS, Outcome};
use super::rule::Rule;
use crate::history::UnixNanoseconds;
use crate::scenario::FaultName;

/// The findings of one rule while it is being checked.
pub(super) struct Check {
    rule: Rule,
    fault: Option<FaultName>,
    findings: Vec<Finding>,
    violations: usize,
    undecided: usize,
    why_undecided: String,
}

impl Check {
    /// Begins to check a rule.
    pub(super) fn new(rule: Rule) -> Check {
        Check {
            rule,
            fault: None,
            findings: Vec::new(),
            violations: 0,
            undecided: 0,
            why_undecided: String::new(),
        }
    }

    /// Begins to check a rule about one fault.
    pub(super) fn of_fault(rule: Rule, fault: &FaultName) -> Check {
        Check { fault: Some(fault.clone()), ..Check::new(rule) }
    }

    /// Something is wrong.
    pub(super) fn wrong(&mut self, at: Option<UnixNanoseconds>, text: impl FnOnce() -> String) {
        self.violations += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(Finding { text: text(), at, calls: Vec::new() });
        }
    }

    /// Calls contradict each other, or the log.
    pub(super) fn wrong_calls(&mut self, calls: Vec<CallSketch>, text: impl FnOnce() -> String) {
        let at = calls.iter().map(|call| call.until).max();
        self.wrong(at, text);
        if let Some(last) = self.findings.last_mut().filter(|_| self.violations <= MOST_FINDINGS) {
            last.calls = calls;
            last.calls.sort_by_key(|call| call.from);
        }
    }

    /// One thing could not be decided.
    pub(super) fn undecided(&mut self, why: &str) {
        if self.undecided == 0 {
            why.clone_into(&mut self.why_undecided);
        }
        self.undecided += 1;
    }

    /// Whether nothing wrong was found so far.
    pub(super) fn is_clean(&self) -> bool {
        self.violations == 0
    }

    /// Ends a rule about the cluster: what is wrong is a violation.
    ///
    /// `evidence` says what was looked at, and never how it turned out: it stands beside violations too.
    pub(super) fn conclude(self, evidence: impl Into<String>) -> Assertion {
        self.end(Outcome::Violated, evidence.into())
    }

    /// Ends a rule about the experiment: what is wrong means that the run proves nothing.
    pub(super) fn conclude_experiment(self, evidence: impl Into<String>) -> Assertion {
        self.end(Outcome::ProvesNothing, evidence.into())
    }

    fn end(self, wrong: Outcome, evidence: String) -> Assertion {
        let (outcome, evidence) = if self.violations > 0 {
            (wrong, evidence)
        } else if self.undecided > 0 {
            (Outcome::NotChecked, format!("{} ({} left undecided)", self.why_undecided, self.undecided))
        } else {
            (Outcome::Held, evidence)
        };
        Assertion {
            rule: self.rule,
            fault: self.fault,
            outcome,
            evidence,
            findings: self.findings,
            violations: self.violations,
        }
    }

    /// The rule could not be checked at all.
    pub(super) fn not_checked(mut self, why: impl Into<String>) -> Assertion {
        let why = why.into();
        if self.is_clean() {
            self.undecided = self.undecided.max(1);
            return Assertion {
                rule: self.rule,
                fault: self.fault,
                outcome: Outcome::NotChecked,
                evidence: why,
                findings: self.findings,
                violations: 0,
            };
        }
        self.conclude(why)
    }
}
