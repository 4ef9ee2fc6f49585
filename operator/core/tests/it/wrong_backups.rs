//! Each operator that goes wrong about backups breaks a rule of the model; otherwise its silence about the right one would prove little.

use etcd_operator_core::api::{BootstrapSpec, RestoreSpec};
use etcd_operator_mutants::Mutant;
use serde_json::json;

use super::model::Model;
use super::spec_of;
use super::wrong_upgrades::of_version;

/// Whether a member was given another version although no backup was ever proved.
fn upgrades_unproved(mutant: Option<Mutant>) -> bool {
    let mut model = of_version("3.6.16");
    model.mutant = mutant;
    model.change_spec(|spec| {
        let store = json!({ "store": { "volume": { "claimName": "etcd-backups" } } });
        spec.backup = Some(serde_json::from_value(store).expect("a store"));
        spec.version = "3.7.3".to_owned();
    });
    (0..40).for_each(|_| drop(model.pass()));
    model.processes.values().any(|process| process.version.is_some_and(|version| version.line().minor == 7))
}

#[test]
fn the_model_notices_the_mutant_upgrades_without_backup() {
    assert!(!upgrades_unproved(None));
    assert!(upgrades_unproved(Some(Mutant::UpgradesWithoutBackup)));
}

/// Whether anything was started although no restore has ever succeeded.
fn starts_unrestored(mutant: Option<Mutant>) -> bool {
    let mut spec = spec_of("3.6.16");
    let restore = RestoreSpec { backup: Some("before-the-fire".to_owned()), ..RestoreSpec::default() };
    spec.bootstrap = Some(BootstrapSpec { retained_volumes: None, restore: Some(restore) });
    let mut model = Model::new(spec);
    model.restores_fail = true;
    model.mutant = mutant;
    (0..40).any(|_| {
        model.pass();
        !model.pods.is_empty()
    })
}

#[test]
fn the_model_notices_the_mutant_starts_unrestored() {
    assert!(!starts_unrestored(None));
    assert!(starts_unrestored(Some(Mutant::StartsUnrestored)));
}
