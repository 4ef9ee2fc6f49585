//! From one version to another: every pair of minors, mixtures in the middle of a change, and the way where one step does not lead there.

use etcd_operator_core::cluster::desired::{Course, EtcdVersion, Line, course};

fn version(text: &str) -> EtcdVersion {
    EtcdVersion::parse(text).expect("a version")
}

fn of(running: &[&str], wanted: &str) -> Course {
    let running: Vec<EtcdVersion> = running.iter().map(|text| version(text)).collect();
    course(&running, version(wanted))
}

/// What a refusal says.
fn refused(running: &[&str], wanted: &str) -> String {
    match of(running, wanted) {
        Course::Refused(detour) => detour.to_string(),
        other => panic!("{running:?} to {wanted} is {other:?}"),
    }
}

#[test]
fn patches_change_either_way_and_minors_one_up() {
    for (from, to) in [
        ("3.5.32", "3.5.35"),
        ("3.5.35", "3.5.32"),
        ("3.5.32", "3.6.11"),
        ("3.6.11", "3.7.3"),
        ("3.6.16", "3.6.16"),
        ("3.7.3", "3.7.0"),
    ] {
        assert_eq!(of(&[from], to), Course::Direct, "{from} to {to}");
    }
}

#[test]
fn one_minor_down_leads_through_etcd() {
    assert_eq!(of(&["3.6.16", "3.6.16"], "3.5.35"), Course::Down(Line { major: 3, minor: 5 }));
    assert_eq!(of(&["3.7.3"], "3.6.16"), Course::Down(Line { major: 3, minor: 6 }));
}

#[test]
fn in_the_middle_of_a_change_both_ends_are_direct() {
    for wanted in ["3.5.35", "3.6.16"] {
        assert_eq!(of(&["3.5.35", "3.6.16", "3.5.35"], wanted), Course::Direct, "{wanted}");
    }
    assert_eq!(of(&["3.6.11", "3.6.16"], "3.7.3"), Course::Direct, "a change of patches may be overtaken");
}

#[test]
fn several_minors_at_once_are_refused_with_the_way() {
    assert_eq!(
        refused(&["3.5.35"], "3.7.3"),
        "3.5.35 and 3.7.3 are more than one minor apart; set one after the other: 3.5.35 → 3.6.16 → 3.7.3"
    );
    assert!(refused(&["3.5.20"], "3.7.3").ends_with("3.5.20 → 3.5.35 → 3.6.16 → 3.7.3"));
    assert!(refused(&["3.7.3"], "3.5.35").ends_with("3.7.3 → 3.6.16 → 3.5.35"));
    assert!(refused(&["3.5.35", "3.6.16"], "3.7.3").ends_with("3.5.35 → 3.6.16 → 3.7.3"));
    assert!(refused(&["3.6.16", "3.7.3"], "3.5.35").ends_with("3.7.3 → 3.6.16 → 3.5.35"));
}

#[test]
fn a_patch_that_loses_data_at_the_next_minor_is_left_first() {
    assert_eq!(
        refused(&["3.5.35", "3.5.20"], "3.6.16"),
        "etcd 3.5.20 is too old to be followed by 3.6; set one after the other: 3.5.20 → 3.5.35 → 3.6.16"
    );
    assert!(refused(&["3.6.10"], "3.7.3").ends_with("3.6.10 → 3.6.16 → 3.7.3"));
}

#[test]
fn where_no_known_version_leads_there_is_no_way() {
    assert_eq!(refused(&["3.7.3"], "3.9.0"), "3.7.3 and 3.9.0 are more than one minor apart");
    assert!(refused(&["3.5.35"], "3.4.30").starts_with("etcd cannot be brought from 3.5.35 down to 3.4.30"));
}
