//! `chaos check` and `chaos report` on folders that hold no run, a run of another build, or a run that is not whole.

use std::fs;
use std::path::{Path, PathBuf};

use chaos::record::FILES;

use super::place::{Answer, Place};

/// A copy of a recorded run that passes.
fn recorded_run(place: &Place) -> PathBuf {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/base");
    let run = place.work().join("run");
    fs::create_dir_all(run.join("history")).unwrap();
    for file in FILES {
        fs::copy(base.join(file), run.join(file)).unwrap();
    }
    run
}

fn edit(file: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(file).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed, "the edit changes something");
    fs::write(file, changed).unwrap();
}

/// Both commands refuse the folder `run` with a message that contains `wanted`.
fn both_refuse(place: &Place, folder: &str, wanted: &str) {
    for command in ["check", "report"] {
        let said = place.refused(&[command, folder]);
        assert!(said.contains(wanted), "{command}: wanted {wanted:?}, said {said}");
    }
}

fn assert_invalid(answer: &Answer, wanted: &str) {
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stdout.contains("INVALID"), "{answer:?}");
    assert!(answer.stdout.contains(wanted), "wanted {wanted:?}: {}", answer.stdout);
}

#[test]
fn a_whole_record_is_judged() {
    let place = Place::new();
    recorded_run(&place);
    let answer = place.chaos(&["check", "run"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let last = answer.stdout.lines().last().unwrap();
    assert_eq!(Path::new(last), place.work().join("run/report.html").canonicalize().unwrap());
}

#[test]
fn a_folder_without_a_run_is_refused() {
    let place = Place::new();
    fs::create_dir(place.work().join("empty")).unwrap();
    place.write("file", "");
    both_refuse(&place, "empty", "run.json is missing: this is not the folder of a run");
    both_refuse(&place, "absent", "absent");
    both_refuse(&place, "file", "Not a directory");
}

#[test]
fn a_run_of_a_newer_format_is_refused_by_its_format_even_if_it_has_other_fields() {
    let place = Place::new();
    let run = recorded_run(&place);
    edit(&run.join("run.json"), |text| {
        text.replace("etcd-chaos/run/v2", "etcd-chaos/run/v3").replacen('{', "{\"weather\": \"fine\",", 1)
    });
    both_refuse(
        &place,
        "run",
        "run.json has the format `etcd-chaos/run/v3`; this build reads `etcd-chaos/run/v2`",
    );
}

#[test]
fn a_record_of_the_format_before_is_judged_as_far_as_it_reaches_and_never_passes() {
    let place = Place::new();
    let run = recorded_run(&place);
    for file in FILES {
        edit(&run.join(file), |text| {
            ["run", "schedule", "events", "history"].iter().fold(text, |text, kind| {
                text.replace(&format!("etcd-chaos/{kind}/v2"), &format!("etcd-chaos/{kind}/v1"))
            })
        });
    }
    let answer = place.chaos(&["check", "run"]);
    assert_invalid(&answer, "records of this format do not say");
    assert!(answer.stdout.contains("what to do: run again with this build"), "{}", answer.stdout);
}

#[test]
fn checking_changes_nothing_that_is_there() {
    let place = Place::new();
    let run = recorded_run(&place);
    fs::write(run.join("report.json"), "mine").unwrap();
    let all = || FILES.map(|file| fs::read(run.join(file)).unwrap());
    let before = all();
    let answer = place.chaos(&["check", "run"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(before == all(), "the record is as it was");
    assert_eq!(fs::read_to_string(run.join("report.json")).unwrap(), "mine");
    assert!(run.join("report.html").is_file(), "a report that was missing is added");
}

#[test]
fn a_broken_head_is_refused_with_its_line() {
    let place = Place::new();
    let run = recorded_run(&place);
    edit(&run.join("schedule.json"), |text| text[..text.len() / 2].to_owned());
    both_refuse(&place, "run", "schedule.json cannot be read: EOF while parsing");
    fs::write(run.join("schedule.json"), "").unwrap();
    both_refuse(&place, "run", "schedule.json cannot be read: EOF while parsing a value at line 1");
}

#[test]
fn a_cut_last_line_is_accepted_and_named() {
    let place = Place::new();
    let run = recorded_run(&place);
    edit(&run.join("history/load.jsonl"), |text| text[..text.len() - 7].to_owned());
    let lines = fs::read_to_string(run.join("history/load.jsonl")).unwrap().lines().count();
    assert_invalid(
        &place.chaos(&["check", "run"]),
        &format!("history/load.jsonl:{lines}: the last line is cut after"),
    );
}

#[test]
fn a_run_without_history_is_invalid_and_never_passes() {
    for file in ["history/load.jsonl", "history/final.jsonl", "history/probe.jsonl", "events.jsonl"] {
        let place = Place::new();
        let run = recorded_run(&place);
        fs::write(run.join(file), "").unwrap();
        assert_invalid(&place.chaos(&["check", "run"]), "proves nothing");
        fs::remove_file(run.join(file)).unwrap();
        assert_invalid(&place.chaos(&["check", "run"]), &format!("{file} is missing"));
    }
    let place = Place::new();
    let run = recorded_run(&place);
    fs::remove_dir_all(run.join("history")).unwrap();
    assert_invalid(&place.chaos(&["check", "run"]), "history/load.jsonl is missing");
}

#[test]
fn writing_the_report_of_an_invalid_run_is_no_error() {
    let place = Place::new();
    let run = recorded_run(&place);
    fs::remove_file(run.join("history/load.jsonl")).unwrap();
    let answer = place.chaos(&["report", "run"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    for name in ["report.html", "report.json", "report.md", "junit.xml"] {
        assert!(run.join(name).is_file(), "{name} was written");
    }
}
