//! Reports of modelled runs, as people and programs read them. Goldens: `INSTA_UPDATE=always` rewrites them.

use chaos::checker::{Verdict, judge};
use chaos::history::{CommittedChange, Value};
use chaos::record::{Event, Problem, ProblemKind, Proof, RunRecord, RunState};
use chaos::report::{HTML_FILE, JSON_FILE, JUNIT_FILE, MARKDOWN_FILE, NotBegun, junit, render};

use super::model::{Shape, USUAL, run};

/// Few enough calls that the golden page stays small.
const SMALL: Shape = Shape { clients: 4, keys: 8, pause: 400, probe: 1_000 };

fn golden(name: &str, content: &str) {
    insta::with_settings!({ snapshot_path => "../../reports", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, content);
    });
}

fn passed() -> RunRecord {
    run(7, SMALL)
}

fn lost_write() -> RunRecord {
    let mut record = passed();
    let lost = record.committed.remove(record.committed.len() / 2);
    assert!(matches!(lost.change, CommittedChange::Put { value: Value(_), .. }));
    record
}

/// As if the partition had dropped nothing, and the user had lost patience.
fn proved_nothing() -> RunRecord {
    let mut record = passed();
    for line in &mut record.events {
        if let Event::FaultProof { proof: Proof::PartitionFelt { dropped_packets, .. }, .. } = &mut line.event
        {
            *dropped_packets = 0;
        }
    }
    record
}

#[test]
fn a_passed_run_reads_well_everywhere() {
    let record = passed();
    let judgement = judge(&record);
    assert_eq!(judgement.verdict, Verdict::Pass);
    let reports = render(&record, &judgement).unwrap();
    for file in [HTML_FILE, JSON_FILE, MARKDOWN_FILE, JUNIT_FILE] {
        // The page is one line; a golden of many lines shows what changed.
        golden(&format!("passed.{file}"), &reports[file].replace("><", ">\n<"));
    }
}

#[test]
fn a_failed_and_an_invalid_run_say_why() {
    for (name, verdict, record) in
        [("failed", Verdict::Fail, lost_write()), ("invalid", Verdict::Invalid, proved_nothing())]
    {
        let judgement = judge(&record);
        assert_eq!(judgement.verdict, verdict, "{}", judgement.reason);
        let reports = render(&record, &judgement).unwrap();
        for file in [MARKDOWN_FILE, JUNIT_FILE] {
            golden(&format!("{name}.{file}"), &reports[file]);
        }
    }
}

#[test]
fn a_run_that_ended_at_once_still_gets_every_report() {
    let mut record = passed();
    record.run.state = RunState::Errored { error: "starting the sandbox: port 6443 is in use".to_owned() };
    record.events.clear();
    record.load.operations.clear();
    record.load.header = None;
    record.final_read = None;
    record.committed.clear();
    record.probes = chaos::record::Probes::default();
    record.problems = vec![Problem { file: "history/load.jsonl".to_owned(), kind: ProblemKind::Missing }];
    let judgement = judge(&record);
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert!(judgement.reason.contains("port 6443 is in use"), "{}", judgement.reason);
    let reports = render(&record, &judgement).unwrap();
    assert!(reports[HTML_FILE].contains("port 6443 is in use"));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let record = run(7, USUAL);
    let html = render(&record, &judge(&record)).unwrap()[HTML_FILE].clone();
    for foreign in ["http://", "https://", "<script", "<link", "@import", "url(", "src="] {
        assert!(!html.contains(foreign), "the page contains {foreign}");
    }
    // Written for a look at it: the folder is inside the build's own.
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, record) in [("usual", record), ("failed", lost_write()), ("invalid", proved_nothing())] {
        let html = render(&record, &judge(&record)).unwrap()[HTML_FILE].clone();
        std::fs::write(folder.join(format!("report-{name}.html")), html).unwrap();
    }
}

#[test]
fn text_from_outside_is_never_markup() {
    let mut record = passed();
    record.run.scenario_text = "<script>alert(1)</script>".to_owned();
    let html = render(&record, &judge(&record)).unwrap()[HTML_FILE].clone();
    assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"));
}

#[test]
fn several_runs_make_one_junit_report_and_one_that_could_not_begin_is_in_it() {
    let (good, bad) = (passed(), lost_write());
    let not_begun = NotBegun {
        scenario: "never-run".parse().unwrap(),
        seed: good.run.seed,
        error: "port 443 is taken".to_owned(),
    };
    let xml = junit(&[(&good, &judge(&good)), (&bad, &judge(&bad))], &[not_begun]).unwrap();
    assert_eq!(xml.matches("<testsuite ").count(), 3);
    assert!(xml.contains("<failure"));
    assert!(xml.contains("never-run") && xml.contains("port 443 is taken"), "{xml}");
}
