//! The one kind of error that a scenario file can cause: where it is wrong, in which field, and what to write instead.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};

use super::field::field_at;

/// A longer message quotes a value that is not meant to be read.
const LONGEST_MESSAGE: usize = 400;
/// A line longer than this makes no picture.
const LONGEST_PICTURED_LINE: usize = 240;

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
            message: shortened(message.into()),
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
            field: field.or_else(|| field_at(self.text, count(line), count(column))),
            message: shortened(message.into()),
            help: None,
            picture: offset.filter(|_| self.can_be_pictured(count(line))).map(|offset| {
                let source = NamedSource::new(self.file, self.text.to_owned());
                let span = SourceSpan::new(offset.min(self.text.len()).into(), length);
                Box::new(Picture { source, span })
            }),
        }
    }

    /// Whether the lines around a place are short enough to be shown.
    fn can_be_pictured(&self, line: usize) -> bool {
        let around = self.text.lines().skip(line.saturating_sub(2)).take(3);
        around.into_iter().all(|line| line.len() <= LONGEST_PICTURED_LINE)
    }
}

/// Lines and columns as numbers to count with.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn shortened(message: String) -> String {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}
