//! Every bundled scenario parses, says what it is for, and has a golden schedule.

use std::path::{Path, PathBuf};

use chaos::scenario::{load, schedule, schedule_json};

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
