//! The differences that random operations may meet: wordings of refusals that show Go's own view of a value. Each has a case
//! in `cases/90-accepted.yaml`, which fails once the difference is gone.
//!
//! Pure. Only the text of a refusal may be explained, and only from the place on where Go begins to speak; what is refused,
//! with which code, reason and field, must agree.

use crate::compare::Difference;

/// How such a text goes on.
const GO_SPEAKS: [&str; 5] = [
    "\\n@@ ",
    "Invalid value: {",
    "Duplicate value: {",
    "failed to create typed patch object",
    "Invalid value: \\\"{",
];

/// The differences that are not explained.
pub(crate) fn unexplained(found: Vec<Difference>) -> Vec<Difference> {
    found.into_iter().filter(|one| !is_explained(one)).collect()
}

fn is_explained(difference: &Difference) -> bool {
    let text = difference.at == "/body/message"
        || difference.at.starts_with("/body/details/causes/") && difference.at.ends_with("/message");
    let agrees = |marker: &str| match difference.real.split_once(marker) {
        Some((before, _)) => difference.sandbox.starts_with(before.trim_end_matches('\\')),
        None => false,
    };
    text && GO_SPEAKS.into_iter().any(agrees)
}
