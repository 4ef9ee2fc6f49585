//! A change of the version waits for a backup, where the spec says where backups are kept: before anything of it, and never in the
//! middle of it.

use etcd_operator_core::api::{BackupPhase, EtcdBackupStatus};
use etcd_operator_core::cluster::plan::{Action, Object, Plan};
use etcd_operator_core::cluster::status::status;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::json;

use super::converge::assert_as_specified;
use super::model::{Model, lines};
use super::wrong_upgrades::of_version;

const LIMIT: usize = 200;

/// A cluster that keeps backups, and is told to run another version.
fn told_to_run(from: &str, to: &str) -> Model {
    let mut model = of_version(from);
    model.change_spec(|spec| {
        let store = json!({ "store": { "volume": { "claimName": "etcd-backups" } } });
        spec.backup = Some(serde_json::from_value(store).expect("a store"));
        spec.version = to.to_owned();
    });
    model
}

/// Passes, and panics if any member is touched or etcd told anything.
fn waits(model: &mut Model, passes: usize) -> Plan {
    let mut last = Plan::default();
    for _ in 0..passes {
        last = model.pass();
        for planned in &last.actions {
            let is_backup =
                matches!(&planned.action, Action::Create(object) if matches!(**object, Object::Backup(_)));
            assert!(is_backup, "{planned}");
        }
        model.advance(1);
    }
    last
}

/// The only backup, as if its Job had told this.
fn tell(model: &mut Model, phase: BackupPhase, is_proved: bool) {
    let cluster_id = model.etcd.as_ref().map(|etcd| etcd.cluster_id.to_string());
    let now = Time(model.now);
    let backup = model.backups.values_mut().next().expect("a backup");
    backup.status = Some(EtcdBackupStatus {
        phase,
        cluster_id,
        backup: Some("20261130t133500z-abcde".to_owned()),
        revision: Some(4),
        asked_for_at: Some(now.clone()),
        proved_at: is_proved.then(|| now.clone()),
        conditions: vec![Condition {
            type_: "Complete".to_owned(),
            status: if phase == BackupPhase::Succeeded { "True" } else { "False" }.to_owned(),
            reason: "Stored".to_owned(),
            message: "as it is told".to_owned(),
            observed_generation: None,
            last_transition_time: now,
        }],
        ..EtcdBackupStatus::default()
    });
}

fn condition(model: &Model, kind: &str) -> Option<(String, String)> {
    let status = status(&model.observe(), &model.plan());
    let found = status.conditions.into_iter().find(|condition| condition.type_ == kind)?;
    Some((found.status, found.reason))
}

#[test]
fn nothing_of_another_version_begins_before_a_backup_is_proved_and_all_of_it_afterwards() {
    for (from, to) in [("3.5.35", "3.6.16"), ("3.6.16", "3.7.3"), ("3.7.3", "3.6.16"), ("3.6.11", "3.6.16")] {
        let mut model = told_to_run(from, to);
        let plan = waits(&mut model, 20);
        assert_eq!(model.backups.len(), 1, "one is asked for, once");
        assert!(
            plan.holds.iter().any(|hold| hold.to_string().contains("is taken before any member runs")),
            "{plan:?}"
        );
        let asked = model.backups.values().next().expect("a backup");
        assert!(asked.spec.prove && asked.spec.cluster == "demo", "{:?}", asked.spec);
        tell(&mut model, BackupPhase::Running, false);
        waits(&mut model, 5);
        tell(&mut model, BackupPhase::Succeeded, true);
        model.settle(LIMIT);
        assert_as_specified(&model);
        assert_eq!(model.backups.len(), 1);
    }
}

#[test]
fn a_backup_that_failed_or_was_not_proved_changes_no_version_and_is_said() {
    let mut model = told_to_run("3.6.16", "3.7.3");
    waits(&mut model, 3);
    tell(&mut model, BackupPhase::Failed, false);
    let plan = waits(&mut model, 10);
    let said = |words: &str| lines(&plan).iter().any(|line| line.contains(words));
    assert!(
        said("delete that and another one is taken") && said("failed: as it is told"),
        "{:?}",
        lines(&plan)
    );
    tell(&mut model, BackupPhase::Succeeded, false);
    waits(&mut model, 10);
    model.backups.clear();
    waits(&mut model, 3);
    assert_eq!(model.backups.len(), 1, "another one is asked for");
    tell(&mut model, BackupPhase::Succeeded, true);
    model.settle(LIMIT);
    assert_as_specified(&model);
}

#[test]
fn a_backup_of_long_ago_or_of_another_cluster_does_not_count_and_a_fresh_one_that_somebody_took_does() {
    let taken = || {
        let mut model = told_to_run("3.6.16", "3.7.3");
        waits(&mut model, 2);
        tell(&mut model, BackupPhase::Succeeded, true);
        let mut backup = model.backups.pop_first().expect("a backup").1;
        backup.metadata.name = Some("by-hand".to_owned());
        backup.metadata.labels = None;
        (model, backup)
    };
    let (mut model, backup) = taken();
    model.backups.insert("by-hand".to_owned(), backup);
    model.settle(LIMIT);
    assert_as_specified(&model);
    assert_eq!(model.backups.len(), 1, "no other one was asked for");

    let (mut model, mut backup) = taken();
    backup.status.as_mut().expect("a status").cluster_id = Some("77".to_owned());
    model.backups.insert("by-hand".to_owned(), backup);
    waits(&mut model, 5);
    assert_eq!(model.backups.len(), 2);

    let (mut model, backup) = taken();
    model.backups.insert("by-hand".to_owned(), backup);
    model.advance(16 * 60);
    waits(&mut model, 5);
    assert_eq!(model.backups.len(), 2);

    // Only what completes it dates it.
    let (mut model, mut backup) = taken();
    model.advance(16 * 60);
    let conditions = &mut backup.status.as_mut().expect("a status").conditions;
    let proved = Condition {
        type_: "Proved".to_owned(),
        last_transition_time: Time(model.now),
        ..conditions[0].clone()
    };
    conditions.insert(0, proved);
    model.backups.insert("by-hand".to_owned(), backup);
    waits(&mut model, 5);
    assert_eq!(model.backups.len(), 2);

    // Nor does one that is about to go.
    let (mut model, mut backup) = taken();
    backup.metadata.deletion_timestamp = Some(Time(model.now));
    model.backups.insert("by-hand".to_owned(), backup);
    waits(&mut model, 5);
    assert_eq!(model.backups.len(), 2);
}

#[test]
fn what_has_begun_waits_for_no_other_backup_and_neither_does_what_is_taken_back() {
    let mut begun = 0;
    for passes in 1..14 {
        let mut model = told_to_run("3.6.16", "3.7.3");
        waits(&mut model, 2);
        tell(&mut model, BackupPhase::Succeeded, true);
        (0..passes).for_each(|_| drop(model.pass()));
        model.backups.clear();
        if model.is_any_told("3.7.3") {
            begun += 1;
            let mut on = model.clone();
            on.settle(LIMIT);
            assert_as_specified(&on);
            assert_eq!(
                on.backups.len(),
                0,
                "what has begun goes on without another backup after {passes} passes"
            );
        }
        let mut back = model.clone();
        back.change_spec(|spec| spec.version = "3.6.16".to_owned());
        back.settle(LIMIT);
        assert_as_specified(&back);
        assert_eq!(back.backups.len(), 0, "nothing is backed up to go back after {passes} passes");
    }
    assert!(begun > 3, "in most of these passes a member was told, and in few it ran: {begun}");
}

#[test]
fn a_tag_waits_for_the_backup_with_the_version_that_is_in_it() {
    let mut model = told_to_run("3.6.16", "3.7.3");
    model.change_spec(|spec| spec.image.tag = Some("v3.7.3".to_owned()));
    waits(&mut model, 10);
    tell(&mut model, BackupPhase::Succeeded, true);
    model.settle(LIMIT);
    assert_as_specified(&model);
}

#[test]
fn without_a_quorum_no_other_version_begins_either() {
    let mut model = told_to_run("3.6.11", "3.6.16");
    waits(&mut model, 2);
    let pods: Vec<String> = model.pods.keys().take(2).cloned().collect();
    model.unschedulable.extend(pods.iter().cloned());
    for pod in &pods {
        model.pods.remove(pod);
    }
    for _ in 0..120 {
        let plan = model.pass();
        assert!(
            lines(&plan).iter().all(|line| !line.contains("what its member runs next")),
            "{:?}",
            lines(&plan)
        );
        model.advance(1);
    }
}

#[test]
fn no_backup_is_taken_while_no_member_could_be_changed_anyway() {
    let mut model = told_to_run("3.6.16", "3.6.16");
    model.settle(LIMIT);
    let sick = model.resolve("follower");
    model.unreachable.insert(sick.pod());
    model.change_spec(|spec| spec.version = "3.7.3".to_owned());
    let mut last = Plan::default();
    for _ in 0..20 {
        last = model.pass();
        model.advance(1);
    }
    assert_eq!(model.backups.len(), 0);
    assert!(lines(&last).iter().any(|line| line.contains("and not yet")), "{:?}", lines(&last));
}

#[test]
fn a_version_that_no_step_leads_to_is_refused_and_nothing_is_backed_up_for_it() {
    let mut model = told_to_run("3.5.35", "3.7.3");
    waits(&mut model, 5);
    assert_eq!(model.backups.len(), 0);
}

#[test]
fn a_lost_member_is_replaced_while_a_backup_is_waited_for_and_with_the_version_of_the_others() {
    let mut model = told_to_run("3.6.16", "3.7.3");
    waits(&mut model, 2);
    let lost = model.resolve("follower");
    model.lose_disk(&lost);
    for _ in 0..60 {
        model.pass();
        model.advance(1);
    }
    let etcd = model.etcd.as_ref().expect("etcd");
    assert_eq!(etcd.members.len(), 3);
    assert!(model.observe().probes.len() == 3);
    tell(&mut model, BackupPhase::Succeeded, true);
    model.settle(LIMIT);
    assert_as_specified(&model);
}

#[test]
fn without_a_store_versions_change_at_once_and_a_condition_says_that_there_is_no_backup() {
    let mut model = of_version("3.6.16");
    assert_eq!(condition(&model, "BackedUp"), None);
    model.change_spec(|spec| spec.version = "3.7.3".to_owned());
    model.pass();
    assert_eq!(condition(&model, "BackedUp"), Some(("False".to_owned(), "NoStoreDeclared".to_owned())));
    model.settle(LIMIT);
    assert_as_specified(&model);
    assert_eq!(condition(&model, "BackedUp"), None);
}

#[test]
fn the_age_of_the_newest_proved_backup_of_this_very_cluster_is_told() {
    let mut model = told_to_run("3.6.16", "3.6.16");
    model.settle(LIMIT);
    assert_eq!(condition(&model, "BackedUp"), Some(("False".to_owned(), "NeverProved".to_owned())));
    let mut asking = told_to_run("3.6.16", "3.7.3");
    waits(&mut asking, 2);
    model.backups = asking.backups;
    tell(&mut model, BackupPhase::Succeeded, true);
    assert_eq!(condition(&model, "BackedUp"), Some(("True".to_owned(), "ProvedLately".to_owned())));
    let backup = status(&model.observe(), &model.plan()).backup.expect("it is told");
    assert_eq!((backup.revision, backup.backup.as_str()), (4, "20261130t133500z-abcde"));
    model.advance(25 * 3600);
    assert_eq!(condition(&model, "BackedUp"), Some(("False".to_owned(), "ProvedTooLongAgo".to_owned())));
}
