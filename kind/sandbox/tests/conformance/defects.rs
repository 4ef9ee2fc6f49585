//! Each planted defect against the suite: cases until one differs, then random operations. A defect that nobody finds is a
//! hole in the suite.

use std::fmt::Write as _;
use std::time::Instant;

use sandbox::apiserver::defects::{Defect, plant};

use crate::cases;
use crate::emulated::Emulated;
use crate::fuzz::Fuzz;
use crate::real::{Controllers, Real};
use crate::run::{AGREE_LIMIT, Suite};
use crate::step::Case;

/// Sequences of random operations that are tried on a defect that no case found.
const SEQUENCES: u64 = 300;

/// What noticed a defect.
enum Finding {
    Case(String),
    Seed(u64),
    Nothing,
}

/// Runs the defect that is named, or all, and writes the table that is kept. True when each was found.
///
/// # Errors
/// An unknown name; when the arms can't be started or a connection breaks.
pub(crate) async fn run(name: &str) -> anyhow::Result<bool> {
    let chosen = if name.is_empty() { Defect::ALL.to_vec() } else { vec![name.parse()?] };
    let started = Instant::now();
    let real = Real::start(Controllers::All).await?;
    let quiet = Real::start(Controllers::None).await?;
    let mut table = "| defect | found by | the same without the defect |\n|---|---|---|\n".to_owned();
    let (mut found, mut namespaces) = (0, 0);
    for defect in &chosen {
        let finding = find(*defect, &real, &quiet, &mut namespaces).await?;
        let (by, control) = match &finding {
            Finding::Case(sentence) => (format!("case \"{sentence}\""), "no difference"),
            Finding::Seed(seed) => (format!("random operations, seed {seed}"), "no difference"),
            Finding::Nothing => ("NOBODY".to_owned(), ""),
        };
        found += usize::from(!matches!(finding, Finding::Nothing));
        println!("{}: {by} ({:.0} s)", defect.name(), started.elapsed().as_secs_f64());
        writeln!(table, "| {} | {by} | {control} |", defect.name())?;
    }
    plant(None);
    println!("\n{table}\n{found} of {} planted defects found.", chosen.len());
    Ok(found == chosen.len())
}

async fn find(defect: Defect, real: &Real, quiet: &Real, namespaces: &mut u64) -> anyhow::Result<Finding> {
    let loaded = cases::load(cases::CASES)?;
    plant(None);
    let emulated = Emulated::start(true, real.authority()?);
    let mut suite =
        Suite { real: real.arm(), sandbox: emulated.arm(), bodies: loaded.bodies, agree_limit: AGREE_LIMIT };
    // The definitions that cases need come before the defect; on the real arm they may be there already.
    for (_, case) in loaded.cases.iter().filter(|(file, _)| file == "00-setup") {
        let steps = case.steps(&suite.bodies, "default").map_err(anyhow::Error::msg)?;
        suite.run_steps(&steps, true).await?;
    }
    for (_, case) in loaded.cases.iter().filter(|(file, case)| file != "00-setup" && is_quick(case)) {
        // The control: a case that differs without the defect proves nothing about it.
        *namespaces += 1;
        plant(None);
        if !suite.run(case, &format!("defect-{namespaces}"), false).await?.is_empty() {
            println!("{}: left out, it differs without a defect: {}", defect.name(), case.case);
            continue;
        }
        *namespaces += 1;
        plant(Some(defect));
        if !suite.run(case, &format!("defect-{namespaces}"), false).await?.is_empty() {
            return Ok(Finding::Case(case.case.clone()));
        }
    }
    plant(None);
    let mut fuzz = Fuzz::of_requests(quiet, &format!("defect-{namespaces}")).await?;
    for seed in 1..=SEQUENCES {
        plant(None);
        if fuzz.differs(seed).await? {
            continue;
        }
        plant(Some(defect));
        if fuzz.differs(seed).await? {
            return Ok(Finding::Seed(seed));
        }
    }
    Ok(Finding::Nothing)
}

/// Cases that wait for controllers cost seconds when the arms differ; accepted differences differ by themselves, and objects
/// without a namespace are there from the defect before.
fn is_quick(case: &Case) -> bool {
    let line = |step: &std::collections::BTreeMap<String, serde_json::Value>| {
        step.keys().any(|line| {
            ["namespaces", "priorityclasses", "gadgets", "nodes"]
                .iter()
                .any(|kind| line.contains(&format!(" {kind}")))
        })
    };
    case.differs_because.is_none() && !case.steps.iter().any(line)
}
