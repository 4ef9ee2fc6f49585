//! The integration tests of the core, in one binary. Nothing here talks to anything: the world is a model.

#![allow(clippy::disallowed_methods, reason = "fixtures and goldens are files")]

mod api;
mod backup_deletion;
mod backup_first;
mod backup_run;
mod backup_schedule;
mod changes;
mod converge;
mod data;
mod documents;
mod identity;
mod in_memory;
mod memory;
mod model;
mod pace;
mod plan_golden;
mod properties;
mod reference;
mod render_golden;
mod restore;
mod settings;
mod stale;
mod status;
mod target;
mod tls;
mod trouble;
mod upgrades;
mod versions;
mod wrong_backups;
mod wrong_tls;
mod wrong_upgrades;

/// The seed of random tests: the same at every run, so that what fails once fails again. `PROPTEST_RNG_SEED` tries another.
fn seed() -> proptest::test_runner::RngSeed {
    let asked_for = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok());
    proptest::test_runner::RngSeed::Fixed(asked_for.unwrap_or(1))
}

/// A spec of only a version.
fn spec_of(version: &str) -> etcd_operator_core::api::EtcdClusterSpec {
    serde_json::from_value(serde_json::json!({ "version": version })).expect("a spec")
}

/// Compares text with a golden file; rewrites it instead if `UPDATE_GOLDEN` is set.
fn check_golden(path: &std::path::Path, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, actual).expect("the golden can be written");
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(expected, actual, "{} differs; UPDATE_GOLDEN=1 rewrites it", path.display());
}
