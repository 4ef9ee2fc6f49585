//! `report.json`: the judgement and what it is about, for programs. Pure.

use serde::Serialize;

use super::{REPORT_FORMAT, replay_command};
use crate::checker::{Judgement, Timeline};
use crate::history::UnixNanoseconds;
use crate::record::{Run, RunRecord, RunState, TargetedPod, Versions};
use crate::scenario::{FaultName, ScenarioName, Seed};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    format: &'static str,
    scenario: &'a ScenarioName,
    seed: Seed,
    started: UnixNanoseconds,
    ended: Option<UnixNanoseconds>,
    state: &'a RunState,
    cluster: String,
    versions: &'a Versions,
    replay: String,
    #[serde(flatten)]
    judgement: &'a Judgement,
    faults: Vec<FaultReport<'a>>,
    record_problems: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FaultReport<'a> {
    name: &'a FaultName,
    kind: &'static str,
    target: String,
    targets: &'a [TargetedPod],
    injected: Option<UnixNanoseconds>,
    healed: Option<UnixNanoseconds>,
}

/// The report as pretty JSON.
pub(super) fn report(record: &RunRecord, judgement: &Judgement, timeline: &Timeline<'_>) -> String {
    let Run { scenario, seed, started, ended, state, cluster, versions, .. } = &record.run;
    let report = Report {
        format: REPORT_FORMAT,
        scenario,
        seed: *seed,
        started: *started,
        ended: *ended,
        state,
        cluster: cluster.to_string(),
        versions,
        replay: replay_command(record),
        judgement,
        faults: timeline
            .faults
            .iter()
            .map(|story| FaultReport {
                name: &story.step.name,
                kind: story.step.fault.kind(),
                target: story.step.target.to_string(),
                targets: story.targets.unwrap_or_default(),
                injected: story.injected,
                healed: story.healed,
            })
            .collect(),
        record_problems: record.problems.iter().map(ToString::to_string).collect(),
    };
    let mut text = serde_json::to_string_pretty(&report).expect("a report is made of what JSON can hold");
    text.push('\n');
    text
}
