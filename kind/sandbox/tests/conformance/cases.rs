//! The cases from files, all of them on both arms.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use futures::StreamExt;
use serde_json::Value;

use crate::arm::Arm;
use crate::compare::shown;
use crate::emulated::Emulated;
use crate::real::{Controllers, Real};
use crate::run::{AGREE_LIMIT, Disagreement, Suite};
use crate::step::{Case, CaseFile};

/// All cases with the name of their file, and the bodies that they share.
pub(crate) struct Cases {
    pub(crate) bodies: BTreeMap<String, Value>,
    pub(crate) cases: Vec<(String, Case)>,
}

/// The folder of the cases that need an API server and controllers, and no node.
pub(crate) const CASES: &str = "cases";

/// Reads all files of a folder of cases beside this file, in the order of their names.
///
/// # Errors
/// A file that can't be read, with its name.
pub(crate) fn load(folder: &str) -> anyhow::Result<Cases> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(folder);
    let mut paths = std::fs::read_dir(&folder)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        })
        .with_context(|| format!("reading {}", folder.display()))?;
    paths.sort();
    let mut all = Cases { bodies: BTreeMap::new(), cases: Vec::new() };
    for path in paths {
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let file: CaseFile =
            serde_saphyr::from_str_with_options(&text, serde_saphyr::options! { strict_booleans: true })
                .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        all.bodies.extend(file.bodies);
        all.cases.extend(file.cases.into_iter().map(|case| (stem.clone(), case)));
    }
    Ok(all)
}

/// So many cases run beside each other, each in a namespace of its own.
const BESIDE: usize = 4;

/// Runs the cases whose file or sentence contains a text. True when all are as they must be.
///
/// # Errors
/// When the arms can't be started or a connection breaks.
pub(crate) async fn run(filter: &str) -> anyhow::Result<bool> {
    let started = Instant::now();
    let loaded = load(CASES)?;
    let real = Real::start(Controllers::All).await?;
    let emulated = Emulated::start(true, real.authority()?);
    println!("both arms are up after {:.1} s", started.elapsed().as_secs_f64());
    let arms = async || Ok((real.arm(), emulated.arm()));
    let passed = run_between(arms, loaded, filter, "case", Afterwards::Keep).await;
    passed.with_context(|| real.log("kube-apiserver"))
}

/// What becomes of a case's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// The whole cluster goes.
    Keep,
    /// It is deleted: what runs in it would burden the cases to come, and the clusters are somebody else's.
    Delete,
}

/// Runs the cases whose file or sentence contains a text between the arms that `arms` gives, each case in a namespace that
/// begins with the prefix. True when all are as they must be.
///
/// # Errors
/// When a connection breaks.
pub(crate) async fn run_between(
    arms: impl AsyncFn() -> anyhow::Result<(Arm, Arm)>,
    Cases { bodies, cases }: Cases,
    filter: &str,
    prefix: &str,
    afterwards: Afterwards,
) -> anyhow::Result<bool> {
    let started = Instant::now();
    let all = cases.len();
    let run = async |index: usize, (file, case): &(String, Case)| {
        let begun = Instant::now();
        let (real, sandbox) = arms().await?;
        let mut suite = Suite { real, sandbox, bodies: bodies.clone(), agree_limit: AGREE_LIMIT };
        let namespace = format!("{prefix}-{}", index + 1);
        let found = suite.run(case, &namespace, true).await;
        if afterwards == Afterwards::Delete {
            suite.delete(&namespace).await?;
        }
        let found = found?;
        anyhow::Ok(report(index + 1, all, file, case, &found, begun.elapsed().as_secs_f64()))
    };
    let mut verdicts = Vec::new();
    // What all others need comes first, and in order.
    let is_setup = |file: &str| file == "00-setup";
    for (index, case) in cases.iter().enumerate().filter(|(_, (file, _))| is_setup(file)) {
        verdicts.push(run(index, case).await?);
    }
    let chosen = cases
        .iter()
        .enumerate()
        .filter(|(_, (file, case))| !is_setup(file) && (file.contains(filter) || case.case.contains(filter)));
    let others: Vec<_> = chosen.map(|(index, case)| run(index, case)).collect();
    anyhow::ensure!(!others.is_empty(), "no case contains {filter:?}");
    let mut others = futures::stream::iter(others).buffer_unordered(BESIDE);
    while let Some(verdict) = others.next().await {
        verdicts.push(verdict?);
    }
    let passed = verdicts.iter().filter(|fine| **fine).count();
    println!(
        "conformance: {passed} as they must be, {} not, in {:.0} s",
        verdicts.len() - passed,
        started.elapsed().as_secs_f64()
    );
    Ok(passed == verdicts.len())
}

fn report(number: usize, of: usize, file: &str, case: &Case, found: &[Disagreement], seconds: f64) -> bool {
    let expected = case.differs_because.is_some();
    let listed = |at: &str| case.differs_at.iter().any(|place| begins_at(at, place));
    let all_listed = found.iter().flat_map(|one| &one.differences).all(|one| listed(&one.at));
    let verdict = match (found.is_empty(), expected && all_listed) {
        (true, _) if expected => "NO LONGER DIFFERS: take it off the list",
        (true, _) => "same",
        (false, true) => "differs as listed",
        (false, false) => "DIFFERS",
    };
    println!("[{number}/{of}] {file}: {}: {verdict} ({seconds:.1} s)", case.case);
    if verdict == "DIFFERS" {
        for one in found {
            let unlisted: Vec<_> = one.differences.iter().filter(|one| !listed(&one.at)).cloned().collect();
            if !unlisted.is_empty() {
                println!("  step {}: {}\n{}", one.number, one.line, shown(&unlisted));
            }
        }
    }
    matches!(verdict, "same" | "differs as listed")
}

/// Whether a JSON pointer begins with a place, in which `*` stands for any one member or item and `$` for the end.
fn begins_at(at: &str, place: &str) -> bool {
    let (place, whole) = place.strip_suffix('$').map_or((place, false), |place| (place, true));
    if whole && at.split('/').count() != place.split('/').count() {
        return false;
    }
    let mut own = at.split('/');
    let last = place.split('/').count() - 1;
    place.split('/').enumerate().all(|(index, wanted)| match own.next() {
        Some(has) => wanted == "*" || has == wanted || index == last && has.starts_with(wanted),
        None => false,
    })
}
