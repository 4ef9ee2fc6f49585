//! Label and field selectors: parsing their query form and matching them against objects.
//!
//! Grammar: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors> and
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

/// Why a selector could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// In a requirement on labels.
    #[error("unable to parse requirement: {0}")]
    Label(String),
    /// In a requirement on fields.
    #[error("invalid selector: '{0}'; can't understand '{0}'")]
    Field(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Exists(String),
    Absent(String),
}

/// A conjunction of requirements on labels and fields. The empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

impl Selector {
    /// Parses the `labelSelector` and `fieldSelector` query parameters.
    ///
    /// # Errors
    /// When either is malformed.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, SelectorError> {
        let labels =
            split_outside_parentheses(labels).into_iter().map(parse_label).collect::<Result<_, _>>()?;
        let terms = fields.split(',').map(str::trim).filter(|term| !term.is_empty());
        let fields = terms.map(parse_field).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Reads a `metav1.LabelSelector` object (`matchLabels`, `matchExpressions`).
    ///
    /// # Errors
    /// When an operator is unknown.
    pub fn from_object(selector: &Value) -> Result<Self, SelectorError> {
        let mut labels = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            labels.push(Requirement::In(key.clone(), BTreeSet::from([value])));
        }
        for term in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let key = term["key"].as_str().unwrap_or_default().to_owned();
            let values = term["values"].as_array().into_iter().flatten();
            let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
            labels.push(match term["operator"].as_str() {
                Some("In") => Requirement::In(key, values),
                Some("NotIn") => Requirement::NotIn(key, values),
                Some("Exists") => Requirement::Exists(key),
                Some("DoesNotExist") => Requirement::Absent(key),
                other => {
                    return Err(SelectorError::Label(format!(
                        "{} is not a valid selector operator",
                        other.unwrap_or("")
                    )));
                }
            });
        }
        Ok(Self { labels, fields: Vec::new() })
    }

    /// Whether nothing is required.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The field paths that are asked about, so that unsupported ones can be refused.
    pub fn field_paths(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(path, _, _)| path.as_str())
    }

    /// Whether an object satisfies every requirement.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        self.labels.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => label(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
        }) && self.fields.iter().all(|(path, equal, wanted)| (field(object, path) == *wanted) == *equal)
    }
}

fn field(object: &Value, path: &str) -> String {
    // Only Events can be asked for their source, which stands in two places.
    if path == "source" {
        let component = field(object, "source.component");
        return if component.is_empty() { field(object, "reportingComponent") } else { component };
    }
    let found = path.split('.').try_fold(object, |at, segment| at.get(segment));
    match found {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn parse_label(term: &str) -> Result<Requirement, SelectorError> {
    let one = |key: &str, value: &str| (key.trim().to_owned(), BTreeSet::from([value.trim().to_owned()]));
    let requirement = if let Some(open) = term.find('(') {
        let values =
            term[open + 1..].strip_suffix(')').ok_or_else(|| SelectorError::Label(term.to_owned()))?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        match term[..open].split_whitespace().collect::<Vec<_>>().as_slice() {
            [key, "in"] => Requirement::In((*key).to_owned(), values),
            [key, "notin"] => Requirement::NotIn((*key).to_owned(), values),
            _ => return Err(SelectorError::Label(term.to_owned())),
        }
    } else if let Some((key, value)) = term.split_once("!=") {
        let (key, values) = one(key, value);
        Requirement::NotIn(key, values)
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        let (key, values) = one(key, value);
        Requirement::In(key, values)
    } else if let Some(key) = term.strip_prefix('!') {
        Requirement::Absent(key.trim().to_owned())
    } else {
        Requirement::Exists(term.to_owned())
    };
    let key = match &requirement {
        Requirement::In(key, _) | Requirement::NotIn(key, _) => key,
        Requirement::Exists(key) | Requirement::Absent(key) => key,
    };
    let legal = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
    let plain = |value: &String| value.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one));
    let values = match &requirement {
        Requirement::In(_, values) | Requirement::NotIn(_, values) => values.iter().all(plain),
        Requirement::Exists(_) | Requirement::Absent(_) => true,
    };
    if key.is_empty() || !key.chars().all(legal) || !values {
        return Err(SelectorError::Label(term.to_owned()));
    }
    Ok(requirement)
}

fn parse_field(term: &str) -> Result<(String, bool, String), SelectorError> {
    let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
        (path, false, value)
    } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (path, true, value)
    } else {
        return Err(SelectorError::Field(term.to_owned()));
    };
    Ok((path.trim().to_owned(), equal, value.trim().to_owned()))
}
