//! The plans for the worlds in `tests/plan/*.yaml`, pass by pass until there is nothing left to do. A file is a spec, what
//! goes wrong, and, below its last marker, the plans; `UPDATE_GOLDEN=1` rewrites those.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use etcd_operator_core::api::EtcdClusterSpec;
use etcd_operator_core::cluster::plan::Plan;
use serde::Deserialize;

use super::check_golden;
use super::model::{Fault, Model, lines};

/// Where the expected plans begin.
const MARKER: &str = "expected: |\n";
/// Plans that are shown at most; a world that is held shows the same plan again and again.
const LIMIT: usize = 24;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    /// What the file shows.
    #[expect(dead_code, reason = "for the reader of the file")]
    about: String,
    /// The spec.
    spec: EtcdClusterSpec,
    /// What happens before the first plan that is shown.
    world: Vec<Fault>,
}

#[test]
fn every_fixture_gives_the_plans_that_it_expects() {
    let files = fixtures();
    assert!(files.len() >= 20, "the fixtures are found");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a fixture can be read");
        let head = text.split(MARKER).next().expect("a split has a first part").trim_end();
        let fixture: Fixture =
            serde_saphyr::from_str(head).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut expected = format!("{head}\n{MARKER}");
        for line in shown(fixture).lines() {
            writeln!(expected, "  {line}").expect("a string takes it");
        }
        check_golden(&file, &expected);
    }
}

fn fixtures() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan");
    let entries = std::fs::read_dir(directory).expect("the fixtures are there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The plans of one fixture as text.
fn shown(fixture: Fixture) -> String {
    let mut model = Model::new(fixture.spec);
    for fault in &fixture.world {
        model.inject(fault);
    }
    let mut text = String::new();
    let mut before = Vec::new();
    for pass in 1..=LIMIT {
        let plan = model.pass();
        let now = lines(&plan);
        if now != before {
            writeln!(text, "pass {pass}").expect("a string takes it");
            now.iter().for_each(|line| writeln!(text, "  {line}").expect("a string takes it"));
            if plan == Plan::default() {
                writeln!(text, "  nothing left to do").expect("a string takes it");
            }
        }
        before = now;
    }
    text + &conditions(&model)
}

fn conditions(model: &Model) -> String {
    let status = model.cluster.status.clone().unwrap_or_default();
    let line = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        format!("{} is {}: {}\n", condition.type_, condition.status, condition.reason)
    };
    status.conditions.iter().map(line).collect()
}
