//! From the bytes of a scenario file to a [`Scenario`]. Pure: the caller reads the file.

use serde_saphyr::Location;

use super::error::{ScenarioError, Source};
use super::field::{field_at, sibling};
use super::raw::RawScenario;
use super::{Scenario, guard, validate};

/// A scenario is read by people. What is longer is an accident, and refusing it early keeps the parser out of trouble.
pub const LARGEST_FILE: usize = 256 * 1024;

/// Parses and validates one scenario. `file` is how errors call it.
///
/// # Errors
/// The first thing that is wrong, with file, line, column and field where there is one.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Scenario, ScenarioError> {
    let text = text_of(file, bytes)?;
    let source = Source { file, text };
    let raw = read(&source)?;
    let scenario = validate::validate(&source, &raw)?;
    guard::check(&source, &raw, &scenario)?;
    Ok(scenario)
}

/// A field whose value is right by itself and still cannot be had here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// `subject.cluster.version`.
    Version,
    /// `version` of the fault with this index.
    VersionOfFault(usize),
    /// `subject.selector`.
    Selector,
}

/// Says of a scenario that parses why it cannot be run here, at the field that asks for it.
#[must_use]
pub fn refusal(file: &str, text: &str, field: Unavailable, message: &str) -> ScenarioError {
    let source = Source { file, text };
    let Ok(raw) = read(&source) else { return ScenarioError::of_file(file, message) };
    let subject = &raw.subject;
    let version = subject.value.cluster.as_ref().and_then(|cluster| cluster.version.as_ref());
    let place = subject.referenced;
    let (location, name) = match field {
        Unavailable::Version => {
            (version.map_or(place, |version| version.referenced), "subject.cluster.version".to_owned())
        }
        Unavailable::VersionOfFault(index) => {
            let version = raw.faults.value.get(index).and_then(|fault| fault.version.as_ref());
            (version.map_or(place, |version| version.referenced), format!("faults[{index}].version"))
        }
        Unavailable::Selector => (place, "subject.selector".to_owned()),
    };
    source.error(Some(location), Some(name), message)
}

fn text_of<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, ScenarioError> {
    if bytes.len() > LARGEST_FILE {
        let line = line_at(bytes, LARGEST_FILE);
        let message = format!("the file is too large: a scenario has at most {} KiB", LARGEST_FILE / 1024);
        return Err(ScenarioError::of_file(&format!("{file}:{line}"), message));
    }
    let binary = |offset: usize| {
        ScenarioError::of_file(
            &format!("{file}:{}", line_at(bytes, offset)),
            "this is not text: a scenario is a YAML file in UTF-8",
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|error| binary(error.valid_up_to()))?;
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t');
    if let Some(offset) = bytes.iter().position(control) {
        return Err(binary(offset));
    }
    let empty = text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    });
    if empty {
        let help = "a scenario has at least `name`, `subject` and `faults`; see scenarios/README.md";
        return Err(ScenarioError::of_file(&format!("{file}:1"), "the file is empty").with_help(help));
    }
    Ok(text)
}

/// The line, from 1, that a byte stands in.
fn line_at(bytes: &[u8], offset: usize) -> usize {
    1 + bytes.iter().take(offset).filter(|byte| **byte == b'\n').count()
}

fn read(source: &Source<'_>) -> Result<RawScenario, ScenarioError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_depth: 16,
            max_events: 20_000,
            max_nodes: 20_000,
            max_documents: 1,
            // Anchors keep nothing short that a scenario needs, and they are how small files become huge ones.
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
        },
    };
    serde_saphyr::from_str_with_options(source.text, options).map_err(|error| explain(source, &error))
}

/// The parser's words without its own picture of the place: ours follows, with the file's name.
fn explain(source: &Source<'_>, error: &serde_saphyr::Error) -> ScenarioError {
    let plain = error.without_snippet();
    let location: Option<Location> = error.location();
    let message = match plain {
        serde_saphyr::Error::Eof { .. } => "the file ends in the middle".to_owned(),
        serde_saphyr::Error::Budget { .. } if uses_anchors(source.text) => {
            "anchors (`&name`) and aliases (`*name`) are not accepted in scenarios".to_owned()
        }
        serde_saphyr::Error::Budget { .. } if documents(source.text) > 1 => {
            "a second document begins here: one file is one scenario".to_owned()
        }
        serde_saphyr::Error::DuplicateMappingKey { .. } => {
            "this key stands here for the second time".to_owned()
        }
        serde_saphyr::Error::InvalidScalar { ty, .. } if ty.starts_with('u') => {
            "a whole number is expected".to_owned()
        }
        // The parser points at whatever follows; the missing name itself says more.
        serde_saphyr::Error::SerdeMissingField { field, .. } => {
            let path = location.and_then(|location| missing_field(source.text, location, field));
            let field = path.unwrap_or_else(|| (*field).to_string());
            return source.error(location, Some(field), "this field is missing");
        }
        serde_saphyr::Error::Budget { .. } => {
            "this is more, or deeper nested, than any scenario needs".to_owned()
        }
        other => plainer(&first_line(&other.to_string())),
    };
    source.error(location, None, message)
}

/// The parser points at a sibling of the field that is missing, or at the mapping if it is empty.
fn missing_field(text: &str, location: Location, name: &str) -> Option<String> {
    let line = usize::try_from(location.line()).ok()?;
    let column = usize::try_from(location.column()).ok()?;
    let path = field_at(text, line, column)?;
    let mut rest = text.lines().nth(line.checked_sub(1)?)?.chars().skip(column.checked_sub(1)?);
    Some(match rest.next() {
        Some('{') => format!("{path}.{name}"),
        _ => sibling(&path, name),
    })
}

/// The parser speaks of its own events; people of what they write.
fn plainer(message: &str) -> String {
    match message {
        "expected mapping start" => "a mapping is expected here: `field: value`".to_owned(),
        "expected sequence start" => "a list is expected here: lines that begin with `- `".to_owned(),
        "expected string scalar" => "a text is expected here".to_owned(),
        other => other.to_owned(),
    }
}

fn uses_anchors(text: &str) -> bool {
    text.split_whitespace().any(|word| {
        let word = word.trim_start_matches(['[', '{', ',']);
        word.len() > 1 && (word.starts_with('&') || word.starts_with('*'))
    })
}

fn documents(text: &str) -> usize {
    1 + text.lines().skip(1).filter(|line| line.trim_end() == "---").count()
}

/// Drops the position that the parser repeats at the end of its message.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let end = line.find(" at line ").or_else(|| line.find(" (line ")).unwrap_or(line.len());
    line[..end].trim_end_matches([',', ':', ' ']).to_owned()
}
