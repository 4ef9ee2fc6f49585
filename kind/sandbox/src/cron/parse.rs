//! Reading a schedule. Pure; every refusal is worded as Kubernetes words it.

use std::ops::RangeInclusive;

use jiff::SignedDuration;

use super::{Fields, STAR, Schedule};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What a field may hold, and the names that stand for its values from the smallest on.
struct Bounds {
    values: RangeInclusive<u64>,
    names: &'static [&'static str],
}

const MINUTE: Bounds = Bounds { values: 0..=59, names: &[] };
const HOUR: Bounds = Bounds { values: 0..=23, names: &[] };
const DAY_OF_MONTH: Bounds = Bounds { values: 1..=31, names: &[] };
const MONTH: Bounds = Bounds { values: 1..=12, names: &MONTHS };
const DAY_OF_WEEK: Bounds = Bounds { values: 0..=6, names: &WEEKDAYS };

pub(super) fn schedule(text: &str) -> Result<Schedule, String> {
    if text.is_empty() {
        return Err("empty spec string".to_owned());
    }
    if text.starts_with('@') {
        return descriptor(text);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day_of_month, month, day_of_week] = words.as_slice() else {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", words.len(), words.join(" ")));
    };
    Ok(Schedule::Fields(Fields {
        minute: field(minute, &MINUTE)?,
        hour: field(hour, &HOUR)?,
        day_of_month: field(day_of_month, &DAY_OF_MONTH)?,
        month: field(month, &MONTH)?,
        day_of_week: field(day_of_week, &DAY_OF_WEEK)?,
    }))
}

fn descriptor(text: &str) -> Result<Schedule, String> {
    let same_as = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => return every(other),
    };
    schedule(same_as)
}

fn every(text: &str) -> Result<Schedule, String> {
    let Some(distance) = text.strip_prefix("@every ") else {
        return Err(format!("unrecognized descriptor: {text}"));
    };
    let parsed = go_duration(distance)
        .ok_or_else(|| format!("failed to parse duration {text}: time: invalid duration \"{distance}\""))?;
    Ok(Schedule::Every(SignedDuration::from_secs(parsed.as_secs().max(1))))
}

/// A duration in Go's form, such as `1h30m` or `1.5h`.
fn go_duration(text: &str) -> Option<SignedDuration> {
    if text == "0" {
        return Some(SignedDuration::ZERO);
    }
    let (mut rest, mut seconds) = (text.strip_prefix('+').unwrap_or(text), 0.0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|one: char| !one.is_ascii_digit() && one != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let after = &rest[end..];
        let units =
            [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let (unit, factor) = units.into_iter().find(|(unit, _)| after.starts_with(unit))?;
        seconds += number * factor;
        rest = &after[unit.len()..];
    }
    SignedDuration::try_from_secs_f64(seconds).ok()
}

fn field(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(|part| range(part, bounds)).try_fold(0, |bits, part| Ok(bits | part?))
}

/// One value, range or star of a field, perhaps with a step.
fn range(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let around: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = around[0].split('-').collect();
    let (least, most) = (*bounds.values.start(), *bounds.values.end());
    let is_star = matches!(ends[0], "*" | "?");
    let (first, mut last) = match ends.as_slice() {
        _ if is_star => (least, most),
        [one] => (value(one, bounds)?, value(one, bounds)?),
        [first, last] => (value(first, bounds)?, value(last, bounds)?),
        _ => return Err(format!("too many hyphens: {text}")),
    };
    let step = match around.as_slice() {
        [_] => 1,
        [_, step] => {
            let step = number(step)?;
            // `5/15` means from 5 on.
            if ends.len() == 1 {
                last = most;
            }
            step
        }
        _ => return Err(format!("too many slashes: {text}")),
    };
    let wrong = match () {
        () if first < least => Some(format!("beginning of range ({first}) below minimum ({least}): {text}")),
        () if last > most => Some(format!("end of range ({last}) above maximum ({most}): {text}")),
        () if first > last => {
            Some(format!("beginning of range ({first}) beyond end of range ({last}): {text}"))
        }
        () if step == 0 => Some(format!("step of range should be a positive number: {text}")),
        () => None,
    };
    if let Some(why) = wrong {
        return Err(why);
    }
    let step_by = usize::try_from(step).unwrap_or(usize::MAX);
    let bits = (first..=last).step_by(step_by).fold(0, |bits, value| bits | 1 << value);
    Ok(if is_star && step == 1 { bits | STAR } else { bits })
}

fn value(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let named =
        bounds.names.iter().zip(bounds.values.clone()).find(|(name, _)| name.eq_ignore_ascii_case(text));
    named.map_or_else(|| number(text), |(_, value)| Ok(value))
}

fn number(text: &str) -> Result<u64, String> {
    match text.parse::<i64>() {
        Ok(negative) if negative < 0 => Err(format!("negative number ({negative}) not allowed: {text}")),
        Ok(number) => Ok(number.unsigned_abs()),
        Err(error) => {
            let why = match error.kind() {
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                    "value out of range"
                }
                _ => "invalid syntax",
            };
            Err(format!("failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": {why}"))
        }
    }
}
