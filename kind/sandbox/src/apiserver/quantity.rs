//! Quantities of resources: reading, comparing, adding and writing them as Kubernetes does.
//!
//! The grammar: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>. Pure.

use std::cmp::Ordering;

/// One, in billionths.
const ONE: i128 = 1_000_000_000;
/// More digits than any resource has, and few enough that no product below overflows.
const MOST_DIGITS: usize = 18;
const MALFORMED: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const NO_SUFFIX: &str = "unable to parse quantity's suffix";
const NO_NUMBER: &str = "unable to parse numeric part of quantity";
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, i32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// The family of suffixes in which a quantity is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Decimal,
    Exponent,
    Binary,
}

/// An amount of a resource.
#[derive(Clone, Debug)]
pub(crate) struct Quantity {
    billionths: i128,
    family: Family,
    /// The text it was read from, where a real server keeps it.
    kept: Option<String>,
}

/// The parts of a quantity's text.
struct Parts<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

impl Quantity {
    /// So many whole ones.
    pub(crate) fn count(number: u32) -> Self {
        Self { billionths: i128::from(number) * ONE, family: Family::Decimal, kept: None }
    }

    /// Reads a quantity.
    ///
    /// # Errors
    /// What a real server says of a text that is none.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err(MALFORMED);
        }
        let parts = split(text)?;
        let (family, exponent) = suffix(parts.suffix)?;
        let digits = format!("{}{}", parts.whole, parts.fraction);
        let number: i128 = match digits.trim_start_matches('0') {
            "" => 0,
            digits if digits.len() > MOST_DIGITS => return Err(NO_NUMBER),
            digits => digits.parse().map_err(|_| NO_NUMBER)?,
        };
        let places = i32::try_from(parts.fraction.len()).map_err(|_| NO_NUMBER)?;
        let billionths = match family {
            Family::Binary => scaled(number << exponent, 9 - places),
            Family::Decimal | Family::Exponent => scaled(number, 9 + exponent - places),
        };
        let is_kept = is_kept(&parts, &digits, number, family, exponent - places);
        let billionths = if parts.is_negative { -billionths } else { billionths };
        // A part of one is shown in thousandths, whatever it was written in.
        let is_part = family == Family::Binary && billionths.abs() < ONE;
        let family = if is_part { Family::Decimal } else { family };
        Ok(Self { billionths, family, kept: is_kept.then(|| text.to_owned()) })
    }

    /// The text of the quantity, in its shortest form unless a real server keeps what it was written as.
    pub(crate) fn text(&self) -> String {
        self.kept.clone().unwrap_or_else(|| self.shortest())
    }

    fn shortest(&self) -> String {
        if self.billionths == 0 {
            return "0".to_owned();
        }
        if self.family == Family::Binary && self.billionths.abs() >= 1024 * ONE {
            let mut number = round_up(self.billionths, ONE);
            let mut power = 0;
            while number % 1024 == 0 && power < BINARY.len() {
                number /= 1024;
                power += 1;
            }
            let suffix = power.checked_sub(1).map_or("", |index| BINARY[index].0);
            return format!("{number}{suffix}");
        }
        let (mut number, mut index) = (self.billionths, 0);
        while number % 1000 == 0 && index + 1 < DECIMAL.len() {
            number /= 1000;
            index += 1;
        }
        match (self.family, DECIMAL[index]) {
            (Family::Exponent, (_, 0)) => number.to_string(),
            (Family::Exponent, (_, exponent)) => format!("{number}e{exponent}"),
            (Family::Decimal | Family::Binary, (suffix, _)) => format!("{number}{suffix}"),
        }
    }

    /// Both together, written like this one unless it is nothing.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let family = if self.billionths == 0 { other.family } else { self.family };
        Self { billionths: self.billionths.saturating_add(other.billionths), family, kept: None }
    }

    /// What is left without the other.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.plus(&Self { billionths: -other.billionths, ..other.clone() })
    }

    /// The same, or the next larger one that is made of thousandths.
    pub(crate) fn in_thousandths(self) -> Self {
        const THOUSANDTH: i128 = ONE / 1000;
        if self.billionths % THOUSANDTH == 0 {
            return self;
        }
        Self { billionths: round_up(self.billionths, THOUSANDTH) * THOUSANDTH, kept: None, ..self }
    }

    /// Whether it is less than nothing.
    pub(crate) fn is_negative(&self) -> bool {
        self.billionths < 0
    }

    /// Whether it is nothing.
    pub(crate) fn is_zero(&self) -> bool {
        self.billionths == 0
    }

    /// Whether it is made of whole ones.
    pub(crate) fn is_whole(&self) -> bool {
        self.billionths % ONE == 0
    }

    /// How many times the other it is.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        self.billionths as f64 / other.billionths as f64
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.billionths == other.billionths
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.billionths.cmp(&other.billionths)
    }
}

fn split(text: &str) -> Result<Parts<'_>, &'static str> {
    let is_negative = text.starts_with('-');
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text).trim_start_matches('0');
    let digits = |text: &str| text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
    let (whole, rest) = rest.split_at(digits(rest));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    let after = rest.trim_start_matches(|one: char| "eEinumkKMGTP".contains(one));
    let after = after.strip_prefix(['-', '+']).unwrap_or(after);
    if after.chars().all(|one| one.is_ascii_digit()) {
        Ok(Parts { is_negative, whole, fraction, suffix: rest })
    } else {
        Err(MALFORMED)
    }
}

fn suffix(text: &str) -> Result<(Family, i32), &'static str> {
    let of = |table: &[(&str, i32)]| table.iter().find(|(name, _)| *name == text).map(|(_, power)| *power);
    if let Some(exponent) = of(&DECIMAL) {
        return Ok((Family::Decimal, exponent));
    }
    if let Some(exponent) = of(&BINARY) {
        return Ok((Family::Binary, exponent));
    }
    let exponent = text.strip_prefix(['e', 'E']).and_then(|digits| digits.parse().ok()).ok_or(NO_SUFFIX)?;
    Ok((Family::Exponent, exponent))
}

/// A text is kept where it is in shortest form, or nearly so: this is a real server's quick test of that.
fn is_kept(parts: &Parts<'_>, digits: &str, number: i128, family: Family, scale: i32) -> bool {
    match family {
        Family::Binary => parts.fraction.is_empty() && number & 7 != 0,
        Family::Decimal | Family::Exponent => {
            scale >= -9
                && scale % 3 == 0
                && !parts.whole.is_empty()
                && !digits.ends_with("000")
                && !digits.starts_with('0')
        }
    }
}

/// A number with its point moved; what gets too small to be seen counts as the smallest there is.
fn scaled(number: i128, places: i32) -> i128 {
    let power = 10_i128.checked_pow(places.unsigned_abs()).unwrap_or(i128::MAX);
    if places >= 0 { number.saturating_mul(power) } else { round_up(number, power) }
}

/// Divides, away from zero.
fn round_up(number: i128, by: i128) -> i128 {
    let rest = if number % by == 0 { 0 } else { number.signum() };
    number / by + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(written: &str) -> String {
        Quantity::parse(written).expect("the test knows quantities").text()
    }

    #[test]
    fn a_quantity_is_written_in_its_shortest_form() {
        let cases = [
            ("1000m", "1"),
            ("500m", "500m"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("100Mi", "100Mi"),
            ("1000", "1k"),
            ("1e3", "1e3"),
            ("0Mi", "0"),
            ("-1", "-1"),
            ("512", "512"),
            ("0.5Ki", "512"),
        ];
        for (written, expected) in cases {
            assert_eq!(text(written), expected, "{written}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_by_its_part() {
        assert_eq!(Quantity::parse("a lot").unwrap_err(), MALFORMED);
        assert_eq!(Quantity::parse("").unwrap_err(), MALFORMED);
        assert_eq!(Quantity::parse("1Kim").unwrap_err(), NO_SUFFIX);
    }

    #[test]
    fn a_sum_is_written_like_its_first_part() {
        let sum = |one: &str, other: &str| {
            Quantity::parse(one).unwrap().plus(&Quantity::parse(other).unwrap()).text()
        };
        assert_eq!(sum("1Gi", "512Mi"), "1536Mi");
        assert_eq!(sum("0", "1Gi"), "1Gi");
        assert_eq!(sum("250m", "750m"), "1");
    }
}
