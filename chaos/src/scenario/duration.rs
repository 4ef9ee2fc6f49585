//! A length of time in Go's syntax (`1m30s`, `250ms`), exact to the nanosecond. Never negative, at most a day.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time as scenario files write it. Go's `time.ParseDuration` syntax without signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

/// No scenario needs longer; an accident such as `30h` for `30s` is found early.
pub const LONGEST_PERIOD: Period = Period(Duration::from_secs(24 * 60 * 60));

/// Why a text is not a [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Nothing there.
    #[error("a duration is missing: write a number with a unit, such as 500ms, 30s or 2m")]
    Empty,
    /// `30`.
    #[error("the unit is missing: write 500ms, 30s or 2m")]
    NoUnit,
    /// `30sec`.
    #[error("unknown unit: the units are ns, us, ms, s, m and h")]
    UnknownUnit,
    /// `-3s`, `1..5s`.
    #[error("not a duration: write a number with a unit, such as 500ms, 1.5s or 2m")]
    NotANumber,
    /// Above [`LONGEST_PERIOD`].
    #[error("longer than a day")]
    TooLong,
}

impl Period {
    /// So many milliseconds.
    pub const fn from_milliseconds(milliseconds: u64) -> Period {
        Period(Duration::from_millis(milliseconds))
    }

    /// So many seconds.
    pub const fn from_seconds(seconds: u64) -> Period {
        Period(Duration::from_secs(seconds))
    }

    /// So many nanoseconds.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Period {
        Period(Duration::from_nanos(nanoseconds))
    }

    /// As the standard library's type.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// In nanoseconds: a day fits.
    pub fn nanoseconds(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether it is no time at all.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// Both after each other.
    pub fn plus(self, other: Period) -> Period {
        Period(self.0.saturating_add(other.0))
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Period, PeriodError> {
        let mut rest = text;
        let mut total: u128 = 0;
        if rest.is_empty() {
            return Err(PeriodError::Empty);
        }
        if rest == "0" {
            return Ok(Period::default());
        }
        while !rest.is_empty() {
            let number_end =
                rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(PeriodError::NoUnit)?;
            let (number, after) = rest.split_at(number_end);
            let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, next) = after.split_at(unit_end);
            total = total.saturating_add(nanoseconds_of(number, unit)?);
            rest = next;
        }
        if total > LONGEST_PERIOD.0.as_nanos() {
            return Err(PeriodError::TooLong);
        }
        Ok(Period(Duration::from_nanos(u64::try_from(total).expect("a day of nanoseconds fits 64 bits"))))
    }
}

fn nanoseconds_of(number: &str, unit: &str) -> Result<u128, PeriodError> {
    let scale: u128 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ if number.is_empty() => return Err(PeriodError::NotANumber),
        _ => return Err(PeriodError::UnknownUnit),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err(PeriodError::NotANumber);
    }
    if whole.len() > 20 || fraction.len() > 20 {
        return Err(PeriodError::TooLong);
    }
    let parse = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<u128>() };
    let whole_nanoseconds = parse(whole).map_err(|_| PeriodError::NotANumber)?.saturating_mul(scale);
    let denominator = 10_u128.pow(u32::try_from(fraction.len()).expect("bounded above"));
    let part = parse(fraction).map_err(|_| PeriodError::NotANumber)?.saturating_mul(scale) / denominator;
    Ok(whole_nanoseconds.saturating_add(part))
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The standard library's debug form is exact and is Go's syntax.
        write!(formatter, "{:?}", self.0)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("0s", 0),
            ("250ms", 250_000_000),
            ("1.5s", 1_500_000_000),
            ("1m30s", 90_000_000_000),
            (".5m", 30_000_000_000),
            ("1h", 3_600_000_000_000),
            ("7ns", 7),
            ("3\u{b5}s", 3_000),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.nanoseconds(), nanoseconds, "{text}");
            assert_eq!(period.to_string().parse::<Period>().unwrap(), period, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_its_reason() {
        for (text, error) in [
            ("", PeriodError::Empty),
            ("30", PeriodError::NoUnit),
            ("30sec", PeriodError::UnknownUnit),
            ("-3s", PeriodError::NotANumber),
            ("s", PeriodError::NotANumber),
            ("1..5s", PeriodError::NotANumber),
            ("25h", PeriodError::TooLong),
            ("99999999999999999999999s", PeriodError::TooLong),
        ] {
            assert_eq!(text.parse::<Period>(), Err(error), "{text:?}");
        }
    }
}
