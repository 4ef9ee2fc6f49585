//! A small recorded run that passes, and one edit of it for each rule that must be caught. The run lies in
//! `tests/corpus/base`, the edits in `tests/corpus/*.yaml`: read them to see what each rule forbids.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chaos::checker::{Judgement, Outcome, Rule, Verdict, judge};
use chaos::record::{RecordFiles, RunRecord, read_folder};
use serde::Deserialize;

use super::model::{TINY, run};
use super::record::files_of;

/// One edit of the run and what the judge must say about it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    /// What went wrong in this run.
    story: String,
    edits: Vec<Edit>,
    verdict: String,
    /// The rules that must not hold, by their word; others may break with them.
    broken: Vec<String>,
    /// Whether the closing lines keep their counts, as if the writer had not known of the edit.
    #[serde(default)]
    keep_counts: bool,
}

/// Replaces text in one file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Edit {
    file: String,
    /// Looks only at lines that contain this.
    #[serde(default)]
    line: String,
    /// A part of those lines that is there exactly once, unless `all` is set.
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    /// Replaces every occurrence.
    #[serde(default)]
    all: bool,
    /// Removes every line that contains this instead.
    #[serde(default)]
    without: Option<String>,
    /// Removes the file instead.
    #[serde(default)]
    remove_file: bool,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn base() -> RecordFiles {
    read_folder(&folder().join("base")).expect("the corpus can be read")
}

fn judged(files: &RecordFiles) -> Judgement {
    judge(&RunRecord::assemble(files).expect("run.json and schedule.json are whole"))
}

fn apply(files: &mut RecordFiles, edit: &Edit) {
    if edit.remove_file {
        files.remove(&edit.file).expect("the file is there");
        return;
    }
    let bytes = files.get_mut(&edit.file).unwrap_or_else(|| panic!("no file {}", edit.file));
    let text = String::from_utf8(std::mem::take(bytes)).expect("records are text");
    let edited = match &edit.without {
        Some(part) => {
            assert!(text.contains(part.as_str()), "{} has no {part:?}", edit.file);
            text.split_inclusive('\n').filter(|line| !line.contains(part.as_str())).collect()
        }
        None => {
            let looked_at: Vec<&str> =
                text.split_inclusive('\n').filter(|line| line.contains(&edit.line)).collect();
            let times = if edit.line.is_empty() {
                text.matches(&edit.from).count()
            } else {
                looked_at.iter().map(|line| line.matches(&edit.from).count()).sum()
            };
            assert!(
                times == 1 || (edit.all && times > 0),
                "{}: {:?} is there {times} times",
                edit.file,
                edit.from
            );
            let replace = |line: &str| {
                if line.contains(&edit.line) { line.replace(&edit.from, &edit.to) } else { line.to_owned() }
            };
            if edit.line.is_empty() {
                text.replace(&edit.from, &edit.to)
            } else {
                text.split_inclusive('\n').map(replace).collect()
            }
        }
    };
    *bytes = edited.into_bytes();
}

/// Makes the closing lines count what is there, as a writer would have done.
fn recount(files: &mut RecordFiles) {
    for (name, bytes) in files.iter_mut().filter(|(name, _)| name.ends_with(".jsonl")) {
        let text = String::from_utf8(std::mem::take(bytes)).expect("records are text");
        let lines: Vec<&str> = text.lines().collect();
        let (last, before) = lines.split_last().unwrap_or_else(|| panic!("{name} is empty"));
        let counted = last.find("\"lines\":").map(|at| {
            let digits = last[at + 8..].chars().take_while(char::is_ascii_digit).count();
            format!("{}\"lines\":{}{}", &last[..at], before.len(), &last[at + 8 + digits..])
        });
        let mut edited: Vec<String> = before.iter().map(|line| (*line).to_owned()).collect();
        edited.push(counted.unwrap_or_else(|| (*last).to_owned()));
        *bytes = (edited.join("\n") + "\n").into_bytes();
    }
}

fn cases() -> Vec<(String, Case)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the corpus is there")
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let parse = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let case = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, case)
    };
    files.into_iter().map(parse).collect()
}

#[test]
fn the_run_that_all_cases_edit_is_the_one_of_the_model_and_passes() {
    let recorded = files_of(&run(7, TINY));
    let base_folder = folder().join("base");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for (name, bytes) in &recorded {
            let path = base_folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    assert!(base() == recorded, "UPDATE_GOLDEN=1 writes tests/corpus/base anew");
    let judgement = judged(&base());
    let open: Vec<_> = judgement.assertions.iter().filter(|one| one.outcome != Outcome::Held).collect();
    assert!(open.is_empty() && judgement.verdict == Verdict::Pass, "{open:#?}");
}

#[test]
fn each_edited_run_is_caught_by_its_rule() {
    let missed: Vec<String> = cases().iter().filter_map(|(name, case)| missed(name, case)).collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// What the judge did not say about a case.
fn missed(name: &str, case: &Case) -> Option<String> {
    let mut files = base();
    for edit in &case.edits {
        apply(&mut files, edit);
    }
    if !case.keep_counts {
        recount(&mut files);
    }
    let judgement = judged(&files);
    let wrong = judgement.assertions.iter().filter(|assertion| assertion.outcome != Outcome::Held);
    let broken: BTreeSet<&str> = wrong.map(|assertion| assertion.rule.id()).collect();
    let silent: Vec<&String> = case.broken.iter().filter(|rule| !broken.contains(rule.as_str())).collect();
    if judgement.verdict.to_string() == case.verdict && silent.is_empty() {
        return None;
    }
    let (story, verdict, reason) = (&case.story, judgement.verdict, &judgement.reason);
    Some(format!("{name} ({story}): {verdict}, silent {silent:?}, broken {broken:?}: {reason}"))
}

#[test]
fn every_rule_has_a_case_that_breaks_it() {
    let mut broken: BTreeSet<String> = cases().into_iter().flat_map(|(_, case)| case.broken).collect();
    broken.extend(super::tampered::rules_broken());
    broken.extend(super::asked::rules_broken());
    let without: Vec<&str> =
        Rule::ALL.iter().map(|rule| rule.id()).filter(|id| !broken.contains(*id)).collect();
    assert!(without.is_empty(), "no case breaks {without:?}");
}
