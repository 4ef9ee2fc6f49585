//! A record of a real run that passes, changed in ways of which the right verdict is known: each must be judged rightly, and the
//! rule that sees it must be named. The run is `tests/records/everyday`; see the README there for how it was made.

mod data;
mod experiment;
mod faults;
mod members;
mod processes;
mod properties;
mod time;
mod view;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chaos::checker::{Outcome, Rule, Verdict, judge};
use chaos::record::{FILES, RecordFiles, RunRecord};

/// What a changed record may be judged as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// Something that must hold did not.
    Fail,
    /// The run proves nothing.
    Invalid,
    /// Either of the two.
    NotPass,
    /// The system under test did nothing wrong.
    NotFail,
    /// All is well: the judge must be able to tell.
    Pass,
}

impl Right {
    fn allows(self, verdict: Verdict) -> bool {
        match self {
            Right::Fail => verdict == Verdict::Fail,
            Right::Invalid => verdict == Verdict::Invalid,
            Right::NotPass => verdict != Verdict::Pass,
            Right::NotFail => verdict != Verdict::Fail,
            Right::Pass => verdict == Verdict::Pass,
        }
    }
}

/// One way to change the record.
struct Recipe {
    /// What happened in the run that the changed record tells of.
    story: &'static str,
    right: Right,
    /// The rules that must not hold; others may break with them.
    broken: &'static [Rule],
    tamper: fn(&mut RunRecord),
}

fn recipes() -> Vec<Recipe> {
    [data::RECIPES, members::RECIPES, time::RECIPES, experiment::RECIPES, faults::RECIPES, processes::RECIPES]
        .into_iter()
        .flatten()
        .map(|recipe| Recipe { ..*recipe })
        .collect()
}

/// The words of the rules that some recipe breaks.
pub(super) fn rules_broken() -> impl Iterator<Item = String> {
    recipes().into_iter().flat_map(|recipe| recipe.broken).map(|rule| rule.id().to_owned())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/everyday")
}

/// The record as it was recorded. `UPDATE_RECORD=DIR` takes another run in its place.
fn recorded() -> RunRecord {
    let mut files = RecordFiles::new();
    for name in FILES {
        let path = folder().join(format!("{name}.gz"));
        let mut text = Vec::new();
        let packed = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut text)
            .expect("the record is whole");
        files.insert(name.to_owned(), text);
    }
    RunRecord::assemble(&files).expect("the record is one")
}

#[test]
fn the_recorded_run_passes_with_nothing_left_open() {
    if let Some(from) = std::env::var_os("UPDATE_RECORD") {
        pack(Path::new(&from));
    }
    let judgement = judge(&recorded());
    let open: Vec<_> = judgement.assertions.iter().filter(|one| one.outcome != Outcome::Held).collect();
    assert!(open.is_empty() && judgement.verdict == Verdict::Pass, "{open:#?}");
}

fn pack(from: &Path) {
    for name in FILES {
        let path = folder().join(format!("{name}.gz"));
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).unwrap();
        let mut packed =
            flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::best());
        std::io::Write::write_all(&mut packed, &std::fs::read(from.join(name)).unwrap()).unwrap();
        packed.finish().unwrap();
    }
}

#[test]
fn each_changed_record_is_judged_rightly_and_by_the_rule_that_sees_it() {
    let recorded = recorded();
    let wrong: Vec<String> = recipes().iter().filter_map(|recipe| misjudged(&recorded, recipe)).collect();
    assert!(wrong.is_empty(), "{} misjudged:\n{}", wrong.len(), wrong.join("\n"));
}

fn misjudged(recorded: &RunRecord, recipe: &Recipe) -> Option<String> {
    let mut record = recorded.clone();
    (recipe.tamper)(&mut record);
    assert!(record != *recorded || recipe.right == Right::Pass, "nothing was changed: {}", recipe.story);
    let judgement = judge(&record);
    let broken: BTreeSet<Rule> = judgement
        .assertions
        .iter()
        .filter(|assertion| assertion.outcome != Outcome::Held)
        .map(|assertion| assertion.rule)
        .collect();
    let silent: Vec<&Rule> = recipe.broken.iter().filter(|rule| !broken.contains(rule)).collect();
    let right = recipe.right.allows(judgement.verdict) && silent.is_empty();
    (!right).then(|| {
        format!(
            "{} ({:?} is right): {}, silent {silent:?}, broken {broken:?}: {}",
            recipe.story, recipe.right, judgement.verdict, judgement.reason
        )
    })
}

#[test]
fn there_is_a_recipe_for_each_kind_of_change_twice_over() {
    assert!(recipes().len() >= 54, "{}", recipes().len());
}
