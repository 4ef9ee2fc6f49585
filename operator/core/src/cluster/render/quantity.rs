//! Kubernetes quantities, as far as comparing two of them needs: the API server rewrites `1024Mi` as `1Gi`, and that is
//! no change. See `k8s.io/apimachinery/pkg/api/resource`. Formats only amounts of bytes.

/// The value in thousandths of its unit, rounded up as Kubernetes does for what is finer. `None` if the text is no
/// quantity or is beyond what 128 bits hold.
pub fn parse(text: &str) -> Option<i128> {
    let digits_end =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits_end);
    let (mantissa, decimals) = parse_decimal(number)?;
    let (multiplier, divisor) = scale(suffix)?;
    let numerator = mantissa.checked_mul(multiplier)?.checked_mul(1000)?;
    let denominator = divisor.checked_mul(10_i128.checked_pow(decimals)?)?;
    Some(numerator.div_euclid(denominator) + i128::from(numerator.rem_euclid(denominator) != 0))
}

/// Whether two quantities are the same amount. Texts that are no quantities are compared as they are.
pub fn same(left: &str, right: &str) -> bool {
    match (parse(left), parse(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

/// Whether one quantity is more than another. Texts that are no quantities are not.
pub fn is_above(left: &str, right: &str) -> bool {
    matches!((parse(left), parse(right)), (Some(left), Some(right)) if left > right)
}

/// An amount of bytes in the largest binary unit that divides it.
pub fn binary(bytes: u64) -> String {
    let units = [(60, "Ei"), (50, "Pi"), (40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")];
    let fitting = units.into_iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    match fitting {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// An amount of bytes for people, in the unit that fits.
pub fn for_people(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// An amount of bytes rounded up to whole kibibytes, in the one form that the API server leaves as it is. What is no amount stays.
pub fn whole_binary(text: &str) -> String {
    let bytes =
        parse(text).and_then(|thousandths| u128::try_from(thousandths).ok()).map(|it| it.div_ceil(1000));
    match bytes.and_then(|bytes| u64::try_from(bytes).ok()?.checked_next_multiple_of(1 << 10)) {
        Some(bytes) => binary(bytes),
        None => text.to_owned(),
    }
}

/// A decimal number as an integer and the number of its decimal places.
fn parse_decimal(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.contains(['+', '-', '.'])
        || (whole.trim_start_matches(['+', '-']).is_empty() && fraction.is_empty())
    {
        return None;
    }
    let mantissa = format!("{whole}{fraction}").parse().ok()?;
    Some((mantissa, u32::try_from(fraction.len()).ok()?))
}

/// The suffix as a multiplier and a divisor.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let scale = match suffix {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "" => (1, 1),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let size = 10_i128.checked_pow(power.unsigned_abs())?;
            if power < 0 { (1, size) } else { (size, 1) }
        }
    };
    Some(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_told_to_people_in_the_unit_that_fits() {
        for (bytes, said) in
            [(0, "0 B"), (1023, "1023 B"), (20_512, "20 KiB"), (3 << 20, "3 MiB"), (2_684_354_560, "2.5 GiB")]
        {
            assert_eq!(for_people(bytes), said);
        }
    }

    #[test]
    fn quantities_that_the_api_server_rewrites_are_the_same() {
        assert!(same("1024Mi", "1Gi"));
        assert!(same("0.5", "500m"));
        assert!(same("1e3", "1k"));
        assert!(same("1.5Gi", "1536Mi"));
        assert!(!same("1G", "1Gi"));
        assert!(!same("1", "2"));
    }

    #[test]
    fn amounts_are_rounded_up_to_whole_kibibytes() {
        for (text, whole) in [("1.5Gi", "1536Mi"), ("8G", "7812500Ki"), ("1500k", "1465Ki"), ("1", "1Ki")] {
            assert_eq!(whole_binary(text), whole);
            assert_eq!(whole_binary(whole), whole);
        }
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in ["", "Gi", "1Zi", "1.2.3", "--1", "1 Gi", "1e", "."] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
