//! Lengths of time and counts as people read them. Pure.

use std::time::Duration;

/// A length of time: `340 ms`, `1.3 s`, `2 min 5 s`.
pub fn duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        0 if duration.is_zero() => "0 s".to_owned(),
        0 => format!("{} µs", duration.as_micros()),
        1..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1_000),
    }
}

/// A count with thin spaces between the thousands: `12 345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `1 fault`, `2 faults`.
pub fn plural(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let milliseconds = Duration::from_millis;
        assert_eq!(duration(milliseconds(0)), "0 s");
        assert_eq!(duration(Duration::from_micros(80)), "80 µs");
        assert_eq!(duration(milliseconds(340)), "340 ms");
        assert_eq!(duration(milliseconds(1_370)), "1.3 s");
        assert_eq!(duration(milliseconds(125_000)), "2 min 5 s");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12), "12");
        assert_eq!(plural(1, "fault"), "1 fault");
    }
}
