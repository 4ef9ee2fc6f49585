//! Which backups a retention keeps: each rule alone, and what no rule may do.

use super::*;
use crate::backup::tests::{manifest, proof};

const NOW: &str = "2026-11-30T12:00:00Z";

/// A backup by the end of its name, when it was asked for and its revision.
fn backup(letter: char, asked_for: &str, revision: i64) -> Backup {
    let name = format!("20261130t133500z-{}", letter.to_string().repeat(5));
    let manifest = manifest(&name, asked_for, revision);
    let proof = Some(proof(&manifest));
    Backup { manifest, proof }
}

fn unproved(letter: char, asked_for: &str, revision: i64) -> Backup {
    Backup { proof: None, ..backup(letter, asked_for, revision) }
}

/// The letters of those that are deleted when `z` was just taken.
fn deleted(backups: &[Backup], retention: &Retention, zone: &str) -> String {
    let just_taken = backup('z', NOW, 0).manifest.id();
    let zone = time_zone(zone).expect("a time zone");
    let ids = to_delete(backups, &just_taken, retention, &zone, NOW.parse().expect("a moment"));
    let mut letters: Vec<char> = ids.iter().filter_map(|id| id.name.as_str().chars().last()).collect();
    letters.sort_unstable();
    letters.into_iter().collect()
}

fn last(count: u32) -> Retention {
    Retention { last: Some(count), ..Retention::default() }
}

#[test]
fn without_a_rule_nothing_is_deleted() {
    let all = [backup('a', "2020-01-01T00:00:00Z", 1), backup('b', "2026-11-30T00:00:00Z", 2)];
    assert_eq!(deleted(&all, &Retention::default(), "UTC"), "");
}

#[test]
fn the_newest_are_kept_by_their_revisions_whatever_they_are_called_and_whatever_clocks_said() {
    let all = [
        backup('a', "2026-11-30T03:00:00Z", 30),
        backup('b', "2026-11-30T02:00:00Z", 20),
        backup('c', "2026-11-30T01:00:00Z", 40),
        backup('d', "2026-11-30T04:00:00Z", 10),
    ];
    assert_eq!(deleted(&all, &last(2), "UTC"), "bd");
}

#[test]
fn of_equal_revisions_the_one_that_was_asked_for_later_is_newer() {
    let all = [backup('a', "2026-11-30T03:00:00Z", 7), backup('b', "2026-11-30T02:00:00Z", 7)];
    assert_eq!(deleted(&all, &last(1), "UTC"), "b");
}

#[test]
fn the_newest_proved_one_is_kept_whatever_the_rules_say() {
    let within = Retention { within: Some(SignedDuration::from_hours(1)), ..Retention::default() };
    let all = [
        backup('a', "2026-01-01T00:00:00Z", 1),
        backup('b', "2026-01-02T00:00:00Z", 2),
        unproved('c', "2026-11-30T11:30:00Z", 3),
    ];
    assert_eq!(deleted(&all, &within, "UTC"), "a");
}

#[test]
fn proved_ones_and_others_take_no_places_from_each_other() {
    let all = [
        backup('a', "2026-11-30T01:00:00Z", 1),
        unproved('b', "2026-11-30T02:00:00Z", 2),
        backup('c', "2026-11-30T03:00:00Z", 3),
        unproved('d', "2026-11-30T04:00:00Z", 4),
    ];
    assert_eq!(deleted(&all, &last(2), "UTC"), "");
    assert_eq!(deleted(&all, &last(1), "UTC"), "ab");
}

#[test]
fn the_first_proof_of_a_schedule_that_had_none_costs_no_history() {
    let mut all: Vec<Backup> = ('a'..='d')
        .zip(1..)
        .map(|(letter, revision)| unproved(letter, "2026-11-30T01:00:00Z", revision))
        .collect();
    assert_eq!(deleted(&all, &last(3), "UTC"), "a");
    all.push(backup('e', "2026-11-30T02:00:00Z", 9));
    assert_eq!(deleted(&all, &last(3), "UTC"), "a");
}

#[test]
fn a_schedule_that_proves_no_more_goes_on_deleting() {
    let all = [
        backup('a', "2026-11-30T01:00:00Z", 1),
        unproved('b', "2026-11-30T02:00:00Z", 2),
        unproved('c', "2026-11-30T03:00:00Z", 3),
        unproved('d', "2026-11-30T04:00:00Z", 4),
    ];
    assert_eq!(deleted(&all, &last(2), "UTC"), "b");
}

#[test]
fn the_one_that_was_just_taken_is_kept_even_if_revisions_went_back() {
    let all = [backup('a', "2026-11-30T01:00:00Z", 900), backup('z', NOW, 7)];
    assert_eq!(deleted(&all, &last(1), "UTC"), "");
}

#[test]
fn a_clock_that_leapt_ahead_does_not_make_a_whole_history_old() {
    let within = Retention { within: Some(SignedDuration::from_hours(48)), ..Retention::default() };
    let history = [
        backup('a', "2026-10-01T01:00:00Z", 1),
        backup('b', "2026-10-30T01:00:00Z", 2),
        backup('c', "2026-10-31T01:00:00Z", 3),
        backup('z', NOW, 4),
    ];
    assert_eq!(deleted(&history, &within, "UTC"), "a");
}

#[test]
fn no_more_are_deleted_at_once_than_can_be_told() {
    let all: Vec<Backup> = (0..100)
        .map(|number: i64| {
            let letters: String = [number / 26, number % 26, 0, 0, 0]
                .map(|letter| char::from(b'a' + u8::try_from(letter).expect("a letter")))
                .iter()
                .collect();
            let manifest = manifest(&format!("20261130t133500z-{letters}"), "2026-11-30T01:00:00Z", number);
            Backup { manifest, proof: None }
        })
        .collect();
    let zone = time_zone("UTC").expect("a time zone");
    let newest = all[99].manifest.id();
    let gone = to_delete(&all, &newest, &last(1), &zone, NOW.parse().expect("a moment"));
    assert_eq!(gone.len(), MOST_AT_ONCE);
    assert_eq!(gone[0], all[0].manifest.id(), "the oldest first");
}

#[test]
fn one_from_the_future_is_kept_and_takes_no_place() {
    let all = [
        backup('a', "2026-11-30T01:00:00Z", 1),
        backup('b', "2026-11-30T02:00:00Z", 2),
        backup('c', "2036-01-01T00:00:00Z", 3),
    ];
    assert_eq!(deleted(&all, &last(1), "UTC"), "a");
}

#[test]
fn days_are_those_of_the_time_zone() {
    let daily = Retention { daily: Some(2), ..Retention::default() };
    let all = [
        backup('a', "2026-11-28T22:30:00Z", 1),
        backup('b', "2026-11-28T23:30:00Z", 2),
        backup('c', "2026-11-29T22:30:00Z", 3),
        backup('d', "2026-11-29T23:30:00Z", 4),
    ];
    assert_eq!(deleted(&all, &daily, "UTC"), "ac");
    assert_eq!(deleted(&all, &daily, "Europe/Berlin"), "ab");
}

#[test]
fn an_hour_that_the_clock_shows_twice_is_two_hours() {
    let hourly = Retention { hourly: Some(10), ..Retention::default() };
    let all = [backup('a', "2026-10-25T00:30:00Z", 1), backup('b', "2026-10-25T01:30:00Z", 2)];
    assert_eq!(deleted(&all, &hourly, "Europe/Berlin"), "");
}

#[test]
fn stretches_without_a_backup_take_no_place_and_years_turn_at_the_week_that_they_belong_to() {
    let weekly = Retention { weekly: Some(2), ..Retention::default() };
    let all = [
        backup('a', "2025-12-28T10:00:00Z", 1),
        backup('b', "2025-12-31T10:00:00Z", 2),
        backup('c', "2026-01-02T10:00:00Z", 3),
        backup('d', "2026-03-01T10:00:00Z", 4),
    ];
    assert_eq!(deleted(&all, &weekly, "UTC"), "ab");
    let monthly = Retention { monthly: Some(2), ..Retention::default() };
    assert_eq!(deleted(&all, &monthly, "UTC"), "ab");
    let yearly = Retention { yearly: Some(2), ..Retention::default() };
    assert_eq!(deleted(&all, &yearly, "UTC"), "ac");
}

#[test]
fn what_any_rule_keeps_is_kept() {
    let both = Retention { last: Some(1), daily: Some(2), ..Retention::default() };
    let all = [
        backup('a', "2026-11-28T10:00:00Z", 1),
        backup('b', "2026-11-28T11:00:00Z", 2),
        backup('c', "2026-11-29T10:00:00Z", 3),
        backup('d', "2026-11-29T11:00:00Z", 4),
    ];
    assert_eq!(deleted(&all, &both, "UTC"), "ac");
}
