//! Objects as YAML for people: one document each, with the reasons that stand beside what they explain as comments.

use serde::Serialize;
use serde_json::Value;

/// The field of an object in a list that is no field but the reason for it. Sorts before all others.
pub(super) const REASON: &str = "#";

/// Comments are broken here.
const WIDTH: usize = 116;

/// One YAML document, with its separator before it.
pub(super) fn document<T: Serialize>(object: &T) -> String {
    let mut value = serde_json::to_value(object).expect("Kubernetes objects are JSON");
    let mut reasons = Vec::new();
    number(&mut value, &mut reasons);
    let text = serde_saphyr::to_string(&value).expect("JSON is YAML");
    let mut lines = String::from("---\n");
    // A reason takes the place of the first field of its item, whose dash goes to the next line.
    let mut dash = false;
    for line in text.lines() {
        let content = line.trim_start();
        let indent = &line[..line.len() - content.len()];
        match content.strip_prefix("- ").and_then(marked).and_then(|index| reasons.get(index)) {
            Some(reason) => {
                lines.push_str(&comment(indent, reason));
                dash = true;
            }
            None if std::mem::take(&mut dash) => {
                let item = indent.strip_suffix("  ").unwrap_or(indent);
                lines.push_str(&format!("{item}- {content}\n"));
            }
            None => lines.push_str(&format!("{line}\n")),
        }
    }
    lines
}

/// Puts a number in the place of each reason, which a YAML writer leaves as it is.
fn number(value: &mut Value, reasons: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(reason) = fields.get_mut(REASON) {
                reasons.push(reason.as_str().unwrap_or_default().to_owned());
                *reason = Value::from(reasons.len() - 1);
            }
            fields.values_mut().for_each(|field| number(field, reasons));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| number(item, reasons)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The number behind the field of a reason, however its name is quoted.
fn marked(field: &str) -> Option<usize> {
    let (name, number) = field.split_once(": ")?;
    (name.trim_matches(['\'', '"']) == REASON).then(|| number.parse().ok())?
}

fn comment(indent: &str, reason: &str) -> String {
    let mut lines = String::new();
    let mut line = format!("{indent}#");
    for word in reason.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = format!("{indent}#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reason_becomes_a_comment_before_its_item() {
        let object = json!({ "rules": [{ REASON: "It must.", "verbs": ["get"] }, { "verbs": ["list"] }] });
        let expected = "---\nrules:\n# It must.\n- verbs:\n  - get\n- verbs:\n  - list\n";
        assert_eq!(document(&object), expected);
    }
}
