//! The simple JSON paths of printer columns: fields, indices, wildcards, and a filter by equality. Pure.
//! <https://kubernetes.io/docs/reference/kubectl/jsonpath/>; columns may use no more than this.

use serde_json::Value;

/// A parsed path. A path that can't be read finds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonPath(Option<Vec<Step>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
    All,
    /// Items whose field equals a text.
    Where(Vec<Step>, String),
}

impl JsonPath {
    /// Reads a path like `.status.conditions[?(@.type=="Ready")].status`.
    pub(super) fn parse(text: &str) -> JsonPath {
        let trimmed = text.trim().trim_start_matches('{').trim_end_matches('}');
        JsonPath(steps(trimmed.strip_prefix('$').unwrap_or(trimmed)))
    }

    /// Everything that the path leads to.
    pub(super) fn find<'a>(&self, object: &'a Value) -> Vec<&'a Value> {
        let found = self.0.as_ref().map(|steps| follow(steps, object)).unwrap_or_default();
        found.into_iter().filter(|value| !value.is_null()).collect()
    }
}

fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let (name, tail) = field(after);
            if !name.is_empty() {
                steps.push(if name == "*" { Step::All } else { Step::Field(name) });
            } else if !tail.starts_with('[') {
                return None;
            }
            rest = tail;
        } else {
            let inside = rest.strip_prefix('[')?;
            let end = closing(inside)?;
            steps.push(bracket(&inside[..end])?);
            rest = &inside[end + 1..];
        }
    }
    Some(steps)
}

/// A field's name up to the next dot or bracket; a backslash takes the next character as it is.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((position, letter)) = letters.next() {
        match letter {
            '.' | '[' => return (name, &text[position..]),
            '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
            other => name.push(other),
        }
    }
    (name, "")
}

/// Where the bracket ends, brackets inside quotes and filters skipped.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (position, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(position),
            (None, ']') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

fn bracket(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::All);
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|filter| filter.strip_suffix(')')) {
        let (path, value) = filter.split_once("==")?;
        return Some(Step::Where(steps(path.trim().strip_prefix('@')?)?, unquoted(value.trim())?.to_owned()));
    }
    match unquoted(inside) {
        Some(name) => Some(Step::Field(name.to_owned())),
        None => inside.parse().ok().map(Step::Index),
    }
}

fn unquoted(text: &str) -> Option<&str> {
    let with = |quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    with('"').or_else(|| with('\''))
}

fn follow<'a>(steps: &[Step], value: &'a Value) -> Vec<&'a Value> {
    let Some((step, rest)) = steps.split_first() else { return vec![value] };
    let next: Vec<&'a Value> = match step {
        Step::Field(name) => value.get(name).into_iter().collect(),
        Step::Index(index) => value.get(index).into_iter().collect(),
        Step::All => children(value),
        Step::Where(path, wanted) => {
            let holds = |item: &&Value| {
                follow(path, item).first().is_some_and(|found| found.as_str() == Some(wanted))
            };
            children(value).into_iter().filter(holds).collect()
        }
    };
    next.into_iter().flat_map(|value| follow(rest, value)).collect()
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
