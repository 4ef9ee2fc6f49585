//! The one kind of error that a scenario file can cause: where it is wrong, in which field, and what to write instead.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};

/// A scenario file that cannot be run. Shown by miette with the lines around the place.
#[derive(Debug)]
pub struct ScenarioError {
    place: String,
    field: Option<String>,
    message: String,
    help: Option<String>,
    picture: Option<Box<Picture>>,
}

/// The text and the place in it that are shown beside the message.
#[derive(Debug)]
struct Picture {
    source: NamedSource<String>,
    span: SourceSpan,
}

impl ScenarioError {
    /// The file, line and column where they are known, such as `scenarios/quickstart.yaml:3:7`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The path of the field, such as `faults[1].target`.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// An error of the file as a whole.
    pub(super) fn of_file(file: &str, message: impl Into<String>) -> ScenarioError {
        ScenarioError {
            place: file.to_owned(),
            field: None,
            message: message.into(),
            help: None,
            picture: None,
        }
    }

    /// Says what to do about it.
    pub(super) fn with_help(mut self, help: impl Into<String>) -> ScenarioError {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(formatter, "{}: {field}: {}", self.place, self.message),
            None => write!(formatter, "{}: {}", self.place, self.message),
        }
    }
}

impl std::error::Error for ScenarioError {}

impl Diagnostic for ScenarioError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.picture.as_ref().map(|picture| &picture.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(Some("here".to_owned()), self.picture.as_ref()?.span);
        Some(Box::new(std::iter::once(label)))
    }
}

/// The text that errors point into.
pub(super) struct Source<'a> {
    /// As the user named it.
    pub(super) file: &'a str,
    /// The whole text.
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// An error at a place of the text; the field is named by the caller or else found from the text.
    pub(super) fn error(
        &self,
        location: Option<serde_saphyr::Location>,
        field: Option<String>,
        message: impl Into<String>,
    ) -> ScenarioError {
        let located = location.filter(|location| location.line() > 0);
        let Some(location) = located else {
            return ScenarioError { field, ..ScenarioError::of_file(self.file, message) };
        };
        let (line, column) = (location.line(), location.column());
        let span = location.span();
        let offset = span.byte_offset().and_then(|offset| usize::try_from(offset).ok());
        let length = span.byte_len().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        ScenarioError {
            place: format!("{}:{line}:{column}", self.file),
            field: field.or_else(|| field_at(self.text, usize::try_from(line).unwrap_or(usize::MAX))),
            message: message.into(),
            help: None,
            picture: offset.map(|offset| {
                let source = NamedSource::new(self.file, self.text.to_owned());
                let span = SourceSpan::new(offset.min(self.text.len()).into(), length);
                Box::new(Picture { source, span })
            }),
        }
    }
}

/// The path of the field that a line of block-style YAML belongs to, found by indentation. Good enough to tell a person
/// where to look when the parser itself gave up.
pub(super) fn field_at(text: &str, line: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let at = line.checked_sub(1)?;
    let (mut indentation, key) = entry(lines.get(at)?)?;
    let mut path = vec![key];
    let mut siblings = usize::from(is_item(lines.get(at)?));
    let mut in_item = siblings > 0;
    for above in lines[..at].iter().rev() {
        let Some((above_indentation, above_key)) = entry(above) else { continue };
        let item = is_item(above);
        if item && above_indentation == indentation {
            siblings += 1;
            in_item = true;
        }
        let dash = above_indentation - if item { 2 } else { 0 };
        // A sequence may be indented as far as its own key.
        let outside =
            if in_item { dash <= indentation - 2 && !item } else { above_indentation < indentation };
        if outside {
            let suffix = if in_item { format!("[{}]", siblings - 1) } else { String::new() };
            path.push(format!("{above_key}{suffix}"));
            indentation = above_indentation;
            siblings = usize::from(item);
            in_item = item;
        }
    }
    path.reverse();
    Some(path.join("."))
}

fn is_item(line: &str) -> bool {
    line.trim_start().starts_with("- ")
}

/// The indentation and the name of the key that a line begins with; the dash of a sequence counts as indentation.
fn entry(line: &str) -> Option<(usize, String)> {
    let trimmed = line.trim_start();
    let body = trimmed.strip_prefix("- ").map_or(trimmed, str::trim_start);
    if body.starts_with('#') {
        return None;
    }
    let (key, _) = body.split_once(':')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (!key.is_empty() && key.bytes().all(plain)).then(|| (line.len() - body.len(), key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::field_at;

    #[test]
    fn the_field_of_a_line_is_found_by_indentation() {
        let text = "name: x\nsubject:\n  cluster:\n    size: 4\nfaults:\n  - at: 1s\n    kind: a\n  # two\n  - at: 2s\n    when:\n      within: 3s\nload:\n  mix: {}\n";
        let found: Vec<_> = (1..=13).map(|line| field_at(text, line).unwrap_or_default()).collect();
        assert_eq!(
            found,
            [
                "name",
                "subject",
                "subject.cluster",
                "subject.cluster.size",
                "faults",
                "faults[0].at",
                "faults[0].kind",
                "",
                "faults[1].at",
                "faults[1].when",
                "faults[1].when.within",
                "load",
                "load.mix",
            ]
        );
    }

    #[test]
    fn a_sequence_may_stand_as_far_left_as_its_key() {
        assert_eq!(field_at("faults:\n- at: 1s\n- kind: x\n  at: 3s\n", 4).as_deref(), Some("faults[1].at"));
    }
}
