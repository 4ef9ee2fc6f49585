//! Quantities, as far as the API server itself compares them.
//!
//! Pure.

/// A quantity of bytes; `None` for forms that no volume size has.
pub(crate) fn bytes(quantity: &str) -> Option<f64> {
    let split = quantity.find(|character: char| character.is_ascii_alphabetic()).unwrap_or(quantity.len());
    let number: f64 = quantity[..split].parse().ok()?;
    let power = |base: f64, exponent: i32| Some(number * base.powi(exponent));
    match &quantity[split..] {
        "" => Some(number),
        "Ki" => power(1024.0, 1),
        "Mi" => power(1024.0, 2),
        "Gi" => power(1024.0, 3),
        "Ti" => power(1024.0, 4),
        "k" => power(1000.0, 1),
        "M" => power(1000.0, 2),
        "G" => power(1000.0, 3),
        "T" => power(1000.0, 4),
        _ => None,
    }
}
