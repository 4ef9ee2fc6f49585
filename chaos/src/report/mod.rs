//! Reports: pure functions from a record and its judgement to HTML, JSON, Markdown and JUnit. Nothing here decides, and
//! nothing here reads a clock: the same record always gives the same bytes.

mod html;
mod json;
mod junit;
mod lanes;
mod markdown;
mod time;

use std::collections::BTreeMap;

pub use junit::{JunitError, NotBegun, junit};

use crate::checker::{Judgement, Timeline};
use crate::record::RunRecord;

/// The format of `report.json`.
pub const REPORT_FORMAT: &str = "etcd-chaos/report/v1";
/// The report for people.
pub const HTML_FILE: &str = "report.html";
/// The report for programs.
pub const JSON_FILE: &str = "report.json";
/// The short report for a pull request.
pub const MARKDOWN_FILE: &str = "report.md";
/// The report for CI systems.
pub const JUNIT_FILE: &str = "junit.xml";

/// All reports of one run by file name, to be written into the run's folder.
///
/// # Errors
/// JUnit's XML cannot be written.
pub fn render(
    record: &RunRecord,
    judgement: &Judgement,
) -> Result<BTreeMap<&'static str, String>, JunitError> {
    let timeline = Timeline::new(record);
    Ok(BTreeMap::from([
        (HTML_FILE, html::page(record, judgement, &timeline)),
        (JSON_FILE, json::report(record, judgement, &timeline)),
        (MARKDOWN_FILE, markdown::summary(record, judgement, &timeline)),
        (JUNIT_FILE, junit(&[(record, judgement)], &[])?),
    ]))
}

/// How to make the same run again.
fn replay_command(record: &RunRecord) -> String {
    let run = &record.run;
    let mut words = vec!["chaos".to_owned(), "run".to_owned(), run.scenario_file.clone()];
    words.extend([
        "--seed".to_owned(),
        run.seed.to_string(),
        "--cluster".to_owned(),
        run.cluster.to_string(),
    ]);
    words.extend(run.arguments.iter().cloned());
    words.iter().map(|word| in_a_shell(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a POSIX shell reads it back.
fn in_a_shell(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=@,+%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
