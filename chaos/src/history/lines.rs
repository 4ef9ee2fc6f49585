//! JSON lines: a record that a crash may cut. The cut last line is accepted and named; anything else broken is an error.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The lines of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines<T> {
    /// Every whole line, in the order of the file.
    pub lines: Vec<T>,
    /// The last line, if it was cut off while being written.
    pub cut: Option<CutLine>,
}

/// A last line that ends in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutLine {
    /// The file.
    pub file: String,
    /// Its number, from 1.
    pub line: usize,
    /// How many bytes of it are there.
    pub bytes: usize,
}

/// A file that is broken before its end.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: failed to read the record: this is not a line of this format")]
pub struct ReadError {
    /// The file.
    pub file: String,
    /// The broken line, from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub source: serde_json::Error,
}

/// Reads JSON lines. Only the last line may be broken, and only if no line feed follows it.
///
/// # Errors
/// Any other line that is not a whole `T`.
pub fn read_lines<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<Lines<T>, ReadError> {
    let mut lines = Vec::new();
    for (index, piece) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice(piece) {
            Ok(line) => lines.push(line),
            Err(_) if piece.last() != Some(&b'\n') => {
                let cut = CutLine { file: file.to_owned(), line: index + 1, bytes: piece.len() };
                return Ok(Lines { lines, cut: Some(cut) });
            }
            Err(source) => return Err(ReadError { file: file.to_owned(), line: index + 1, source }),
        }
    }
    Ok(Lines { lines, cut: None })
}

/// One line with its line feed, to be handed to the file in a single write.
pub fn write_line<T: Serialize>(line: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("the types of a record are made of what JSON can hold");
    bytes.push(b'\n');
    bytes
}
