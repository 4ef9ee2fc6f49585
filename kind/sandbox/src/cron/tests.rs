//! Schedules against a calendar.

use super::*;

/// The next times after a moment, in the zone.
fn next(schedule: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let (schedule, zone) = (Schedule::parse(schedule).unwrap(), time_zone(zone).unwrap());
    let mut time: Timestamp = after.parse().unwrap();
    let mut found = Vec::new();
    for _ in 0..count {
        time = schedule.next(time, &zone).unwrap();
        found.push(time.to_string());
    }
    found
}

#[test]
fn fields_ranges_steps_and_names_are_understood() {
    let times = next("*/20 3,4 * * *", "UTC", "2026-01-01T03:19:30Z", 4);
    assert_eq!(
        times,
        ["2026-01-01T03:20:00Z", "2026-01-01T03:40:00Z", "2026-01-01T04:00:00Z", "2026-01-01T04:20:00Z"]
    );
    assert_eq!(next("0 0 * feb-mar Mon", "UTC", "2026-01-01T00:00:00Z", 1), ["2026-02-02T00:00:00Z"]);
    assert_eq!(
        next("50/5 0 1 1 *", "UTC", "2026-01-01T00:00:00Z", 2),
        ["2026-01-01T00:50:00Z", "2026-01-01T00:55:00Z"]
    );
}

#[test]
fn a_moment_that_matches_is_not_its_own_successor() {
    assert_eq!(next("@hourly", "UTC", "2026-01-01T03:00:00Z", 1), ["2026-01-01T04:00:00Z"]);
    assert_eq!(next("@every 1h30m", "UTC", "2026-01-01T03:00:00.9Z", 1), ["2026-01-01T04:30:00Z"]);
}

#[test]
fn either_of_two_limited_days_suffices_and_a_star_leaves_the_choice_to_the_other() {
    assert_eq!(
        next("0 0 13 * 5", "UTC", "2026-01-01T00:00:00Z", 3),
        ["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"]
    );
    assert_eq!(next("0 0 13 * *", "UTC", "2026-01-01T00:00:00Z", 1), ["2026-01-13T00:00:00Z"]);
    assert_eq!(next("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1), ["2028-02-29T00:00:00Z"]);
}

#[test]
fn a_time_that_never_comes_is_not_searched_for_ever() {
    let never = Schedule::parse("0 0 31 2 *").unwrap();
    assert_eq!(never.next("2026-01-01T00:00:00Z".parse().unwrap(), &TimeZone::UTC), None);
}

#[test]
fn time_zones_move_with_their_clocks_and_an_hour_left_out_is_not_met() {
    // Berlin puts the clock forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00.
    assert_eq!(
        next("30 8 * * *", "Europe/Berlin", "2026-03-28T08:00:00Z", 2),
        ["2026-03-29T06:30:00Z", "2026-03-30T06:30:00Z"]
    );
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 1), ["2026-03-30T00:30:00Z"]);
    assert_eq!(
        next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]
    );
    assert!(time_zone("europe/berlin").is_none());
    assert!(time_zone("Nowhere/City").is_none());
}

#[test]
fn refusals_say_what_is_wrong_in_the_words_of_kubernetes() {
    let refused = |text: &str| Schedule::parse(text).unwrap_err();
    assert_eq!(refused("* * *"), "expected exactly 5 fields, found 3: [* * *]");
    assert_eq!(refused("60 * * * *"), "end of range (60) above maximum (59): 60");
    assert_eq!(refused("5-1 * * * *"), "beginning of range (5) beyond end of range (1): 5-1");
    assert_eq!(refused("* * 0 * *"), "beginning of range (0) below minimum (1): 0");
    assert_eq!(refused("*/0 * * * *"), "step of range should be a positive number: */0");
    assert_eq!(
        refused("x * * * *"),
        "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"
    );
    assert_eq!(refused("@sometimes"), "unrecognized descriptor: @sometimes");
    assert_eq!(refused("@every x"), "failed to parse duration @every x: time: invalid duration \"x\"");
}
