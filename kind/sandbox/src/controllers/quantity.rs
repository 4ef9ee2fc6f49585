//! Comparing resource quantities and resolving numbers that may be percentages. Pure.
//! The grammar: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The value in thousandths, so that `m` stays exact; none if it is not a quantity.
pub(crate) fn thousandths(quantity: &Quantity) -> Option<i128> {
    let text = quantity.0.trim();
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, '.' | '+' | '-'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = factor_in_thousandths(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let negative = whole.starts_with('-');
    let digits = format!("{}{fraction}", whole.trim_start_matches(['+', '-']));
    let magnitude = digits.parse::<i128>().ok()?.checked_mul(factor)?
        / 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    Some(if negative { -magnitude } else { magnitude })
}

fn factor_in_thousandths(suffix: &str) -> Option<i128> {
    const THOUSAND: i128 = 1000;
    const BINARY: i128 = 1024;
    Some(match suffix {
        "m" => 1,
        "" => THOUSAND,
        "k" => THOUSAND.pow(2),
        "M" => THOUSAND.pow(3),
        "G" => THOUSAND.pow(4),
        "T" => THOUSAND.pow(5),
        "P" => THOUSAND.pow(6),
        "E" => THOUSAND.pow(7),
        "Ki" => THOUSAND * BINARY,
        "Mi" => THOUSAND * BINARY.pow(2),
        "Gi" => THOUSAND * BINARY.pow(3),
        "Ti" => THOUSAND * BINARY.pow(4),
        "Pi" => THOUSAND * BINARY.pow(5),
        "Ei" => THOUSAND * BINARY.pow(6),
        exponent => {
            let power = exponent.strip_prefix(['e', 'E'])?.parse::<u32>().ok()?;
            THOUSAND.checked_mul(10_i128.checked_pow(power)?)?
        }
    })
}

/// Where a percentage of a whole falls between two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// To the next higher number.
    Up,
    /// To the next lower number.
    Down,
}

/// A number, or a percentage of a total; none if the text is no percentage.
pub(crate) fn scaled(value: &IntOrString, total: i32, rounding: Rounding) -> Option<i32> {
    match value {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%')?.parse::<i64>().ok()?;
            let hundredths = percent.checked_mul(i64::from(total))?;
            let rounded = match rounding {
                Rounding::Up => (hundredths + 99).div_euclid(100),
                Rounding::Down => hundredths.div_euclid(100),
            };
            i32::try_from(rounded).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_across_suffixes() {
        let value = |text: &str| thousandths(&Quantity(text.into()));
        assert_eq!(value("1Ki"), value("1024"));
        assert_eq!(value("1.5Gi"), value("1536Mi"));
        assert_eq!(value("100m"), Some(100));
        assert_eq!(value("1e3"), value("1k"));
        assert!(value("2Gi") > value("2G"));
        assert_eq!(value("-1"), Some(-1000));
        assert_eq!(value("many"), None);
        assert_eq!(value("1Xi"), None);
    }

    #[test]
    fn percentages_round_as_asked_and_numbers_stand_for_themselves() {
        let half = IntOrString::String("50%".into());
        assert_eq!(scaled(&half, 3, Rounding::Up), Some(2));
        assert_eq!(scaled(&half, 3, Rounding::Down), Some(1));
        assert_eq!(scaled(&IntOrString::Int(7), 3, Rounding::Up), Some(7));
        assert_eq!(scaled(&IntOrString::String("half".into()), 3, Rounding::Up), None);
    }
}
