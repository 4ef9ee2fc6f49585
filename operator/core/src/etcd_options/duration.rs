//! Durations as Go writes them, whole numbers with units: `500ms`, `1m30s`. Never more than that.

/// Units and their nanoseconds. Longer names first, so that `ms` is not read as `m`.
const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The duration in nanoseconds; `None` if it cannot be read, or is longer than etcd can say.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let (unit, each) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        total = total.checked_add(number.checked_mul(*each)?)?;
    }
    i64::try_from(total).ok().filter(|_| !text.is_empty())
}
