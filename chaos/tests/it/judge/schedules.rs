//! Every bundled scenario parses, says what it is for, and has a golden schedule.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chaos::scenario::{Fault, cross, load, parse, schedule, schedule_json};

fn bundled() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("scenarios/ can be listed").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[test]
fn every_bundled_scenario_has_a_golden_schedule() {
    for path in bundled() {
        let (scenario, _) = load(&path).unwrap_or_else(|error| panic!("{error}"));
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a file has a name");
        assert_eq!(scenario.name.as_str(), stem, "{} is named after its file", path.display());
        let json = schedule_json(&schedule(&scenario, scenario.seed));
        insta::with_settings!({ snapshot_path => "../../schedules", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(stem, json);
        });
    }
}

#[test]
fn every_bundled_scenario_says_in_its_header_what_it_is_for() {
    for path in bundled() {
        let text = std::fs::read_to_string(&path).expect("a listed file can be read");
        let header: String = text.lines().take_while(|line| line.starts_with('#')).collect();
        for word in ["Goal:", "Method:", "Expected:"] {
            assert!(header.contains(word), "{}: the header comment lacks `{word}`", path.display());
        }
    }
}

#[test]
fn every_fault_of_the_bundled_scenarios_can_come_in_the_middle_of_an_upgrade_and_of_a_downgrade() {
    let scenarios: Vec<_> = bundled().iter().map(|path| load(path).expect("it parses")).collect();
    let version = |text: &str| text.parse().expect("a version");
    let (up, left_out) = cross(&scenarios, &version("3.6.16"), &version("3.7.3"));
    assert!(left_out.is_empty(), "{left_out:?}");
    let names: BTreeSet<&str> = up.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names.len(), up.len(), "no two have one name");
    let kinds = |of: &str| names.iter().filter(|name| name.contains(of)).count();
    let all =
        ["process-kill", "pod-kill", "process-pause", "disk-lost", "directory-wiped", "partition", "corrupt"];
    let more = [
        "delete-object",
        "intrude",
        "resize",
        "roll",
        "change",
        "request",
        "operator-kill",
        "operator-pause",
    ];
    for kind in all.iter().chain(&more).chain(&["volume-deletion-stuck", "certificate"]) {
        assert!(kinds(kind) > 0, "{kind} is in no name of {names:?}");
    }
    for one in &up {
        let crossed = parse("crossed", one.text.as_bytes()).expect("what was written parses");
        assert_eq!(crossed.name.as_str(), one.name);
        let stuck = one.name.contains("volume-deletion-stuck");
        assert_eq!(
            crossed.faults.len(),
            if stuck { 3 } else { 2 },
            "the change, what hits it, and who follows"
        );
        let declaring = crossed.faults.iter().filter(|planned| match &planned.fault {
            Fault::Upgrade { .. } => true,
            Fault::Change { spec, .. } => spec.contains_key("version"),
            _ => false,
        });
        assert_eq!(declaring.count(), 1, "{}: one change of the version", one.name);
    }
    let (down, _) = cross(&scenarios, &version("3.7.3"), &version("3.6.16"));
    assert_eq!(down.len(), up.len());
    assert!(down.iter().all(|one| one.name.starts_with("down-")));
}
