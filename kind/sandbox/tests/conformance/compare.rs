//! Where two normalised answers differ, in lines that people can read.
//!
//! Pure.

use serde_json::Value;

/// One place where the arms differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// A JSON pointer into the answer.
    pub(crate) at: String,
    /// What the real server has there.
    pub(crate) real: String,
    /// What the sandbox has there.
    pub(crate) sandbox: String,
}

/// All differences, in the order of the answer's members.
pub(crate) fn differences(real: &Value, sandbox: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(real, sandbox, "", &mut found);
    found
}

fn walk(real: &Value, sandbox: &Value, at: &str, found: &mut Vec<Difference>) {
    match (real, sandbox) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, value) in left {
                let at = format!("{at}/{name}");
                match right.get(name) {
                    Some(other) => walk(value, other, &at, found),
                    None => found.push(difference(&at, Some(value), None)),
                }
            }
            for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
                found.push(difference(&format!("{at}/{name}"), None, Some(value)));
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                let at = format!("{at}/{index}");
                match (left.get(index), right.get(index)) {
                    (Some(one), Some(other)) => walk(one, other, &at, found),
                    (one, other) => found.push(difference(&at, one, other)),
                }
            }
        }
        (one, other) if one == other => {}
        (one, other) => found.push(difference(at, Some(one), Some(other))),
    }
}

fn difference(at: &str, real: Option<&Value>, sandbox: Option<&Value>) -> Difference {
    let shown = |value: Option<&Value>| {
        let text = value.map_or_else(|| "(nothing)".to_owned(), ToString::to_string);
        if text.chars().count() > 700 { text.chars().take(700).chain("…".chars()).collect() } else { text }
    };
    Difference { at: at.to_owned(), real: shown(real), sandbox: shown(sandbox) }
}

/// The differences as an indented block.
pub(crate) fn shown(differences: &[Difference]) -> String {
    let mut text = String::new();
    for one in differences.iter().take(14) {
        text += &format!("    at {}\n      real    {}\n      sandbox {}\n", one.at, one.real, one.sandbox);
    }
    if differences.len() > 14 {
        text += &format!("    and {} more\n", differences.len() - 14);
    }
    text
}
