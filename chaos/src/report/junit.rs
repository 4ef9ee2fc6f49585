//! `junit.xml`: one case for each assertion. A violation is a failure; what proves nothing is an error. Pure.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use crate::checker::{Assertion, Judgement, Outcome};
use crate::record::RunRecord;
use crate::scenario::{ScenarioName, Seed};

/// The XML could not be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the JUnit report")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// A scenario that could not be run at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotBegun {
    /// Its name.
    pub scenario: ScenarioName,
    /// The seed that it was to be run with.
    pub seed: Seed,
    /// Why not.
    pub error: String,
}

/// One report of any number of runs, one suite for each; a scenario that could not be run is one with an error.
///
/// # Errors
/// The XML cannot be written.
pub fn junit(runs: &[(&RunRecord, &Judgement)], not_begun: &[NotBegun]) -> Result<String, JunitError> {
    let mut report = Report::new("chaos");
    for (record, judgement) in runs {
        let run = &record.run;
        let mut suite = TestSuite::new(run.scenario.as_str());
        suite.add_property(Property::new("seed", run.seed.to_string()));
        suite.add_property(Property::new("verdict", judgement.verdict.to_string()));
        suite.add_property(Property::new("cluster", run.cluster.to_string()));
        suite.add_property(Property::new("etcd", run.versions.etcd.as_str()));
        if let Some(mutant) = &run.mutant {
            suite.add_property(Property::new("operator-mutant", mutant.as_str()));
        }
        if let Some(ended) = run.ended {
            suite.set_time(ended.since(run.started));
        }
        suite.add_test_cases(
            judgement.assertions.iter().map(|assertion| case(run.scenario.as_str(), assertion)),
        );
        report.add_test_suite(suite);
    }
    for missing in not_begun {
        let mut suite = TestSuite::new(missing.scenario.as_str());
        suite.add_property(Property::new("seed", missing.seed.to_string()));
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(missing.error.as_str());
        status.set_type("not-begun");
        let mut case = TestCase::new("run-begun", status);
        case.set_classname(format!("chaos.{}", missing.scenario));
        case.set_time(Duration::ZERO);
        suite.add_test_case(case);
        report.add_test_suite(suite);
    }
    Ok(report.to_string()?)
}

fn case(scenario: &str, assertion: &Assertion) -> TestCase {
    let id = assertion.rule.id();
    let name = assertion.fault.as_ref().map_or_else(|| id.to_owned(), |fault| format!("{id} [{fault}]"));
    let mut case = TestCase::new(name, status(assertion));
    case.set_classname(format!("chaos.{scenario}"));
    case.set_time(Duration::ZERO);
    case.set_system_out(format!("{}: {}", assertion.rule.statement(), assertion.evidence));
    case
}

fn status(assertion: &Assertion) -> TestCaseStatus {
    let kind = match assertion.outcome {
        Outcome::Held => return TestCaseStatus::success(),
        Outcome::Violated => NonSuccessKind::Failure,
        Outcome::ProvesNothing | Outcome::NotChecked => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    let first =
        assertion.findings.first().map_or(assertion.evidence.as_str(), |finding| finding.text.as_str());
    status.set_message(first);
    status.set_type(match assertion.outcome {
        Outcome::Violated => "violated",
        Outcome::ProvesNothing => "proves-nothing",
        Outcome::Held | Outcome::NotChecked => "not-checked",
    });
    let texts: Vec<&str> = assertion.findings.iter().map(|finding| finding.text.as_str()).collect();
    status.set_description(texts.join("\n"));
    status
}
