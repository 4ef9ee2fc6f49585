//! The line format of container logs (the CRI's): `2006-01-02T15:04:05.999999999Z stdout F text`. Pure.

use jiff::Timestamp;

/// Longer lines are cut into parts, as container run-times do.
const LONGEST: usize = 16 * 1024;

/// One of a program's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Cuts an output into log lines; keeps what has no end yet.
#[derive(Debug)]
pub(super) struct Cutter {
    stream: Stream,
    pending: Vec<u8>,
}

impl Cutter {
    pub(super) fn new(stream: Stream) -> Cutter {
        Cutter { stream, pending: Vec::new() }
    }

    /// The log lines that these bytes complete.
    pub(super) fn push(&mut self, bytes: &[u8], now: Timestamp) -> Vec<u8> {
        let mut lines = Vec::with_capacity(bytes.len() + 64);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(piece);
            if self.pending.ends_with(b"\n") {
                self.pending.pop();
                self.line(&mut lines, "F", now);
            }
            while self.pending.len() >= LONGEST {
                let rest = self.pending.split_off(LONGEST);
                self.line(&mut lines, "P", now);
                self.pending = rest;
            }
        }
        lines
    }

    /// What the output ended with, if not with a line's end.
    pub(super) fn finish(&mut self, now: Timestamp) -> Vec<u8> {
        let mut lines = Vec::new();
        if !self.pending.is_empty() {
            self.line(&mut lines, "P", now);
        }
        lines
    }

    fn line(&mut self, lines: &mut Vec<u8>, part: &str, now: Timestamp) {
        let stream = match self.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        lines.extend_from_slice(format!("{now:.9} {stream} {part} ").as_bytes());
        lines.append(&mut self.pending);
        lines.push(b'\n');
    }
}

/// A line of a log, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) time: &'a str,
    /// With its line's end, unless it is a part.
    pub(super) text: &'a [u8],
    pub(super) complete: bool,
}

/// Takes a line apart; `line` is without its end.
pub(super) fn parse(line: &[u8]) -> Option<Line<'_>> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(fields.next()?).ok()?;
    let (_, part, text) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Line { time, text, complete: part == b"F" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn lines_are_written_when_they_end() {
        let mut cutter = Cutter::new(Stream::Stderr);
        assert!(cutter.push(b"he", NOW).is_empty());
        let line = cutter.push(b"llo\nnext", NOW);
        assert_eq!(line, b"1970-01-01T00:00:00.000000000Z stderr F hello\n");
        assert_eq!(cutter.finish(NOW), b"1970-01-01T00:00:00.000000000Z stderr P next\n");
    }

    #[test]
    fn a_very_long_line_is_cut_into_parts() {
        let mut cutter = Cutter::new(Stream::Stdout);
        let lines = cutter.push(&[b'x'; LONGEST + 1], NOW);
        let parsed = parse(lines.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!((parsed.text.len(), parsed.complete), (LONGEST, false));
    }

    #[test]
    fn a_line_is_taken_apart_as_it_was_put_together() {
        let line = parse(b"1970-01-01T00:00:00.000000000Z stdout F a b c").unwrap();
        assert_eq!(line, Line { time: "1970-01-01T00:00:00.000000000Z", text: b"a b c", complete: true });
    }
}
