//! From the bytes of a record's files to a [`RunRecord`]. Pure. What is missing, cut or broken becomes a [`Problem`],
//! never an early end: a broken run still gets its report.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{
    EVENTS_FILE, EVENTS_FORMAT, EVENTS_FORMAT_BEFORE, Event, EventLine, FINAL_FILE, LOAD_FILE, PROBE_FILE,
    RUN_FILE, RUN_FORMAT, RUN_FORMAT_BEFORE, RecordFiles, Run, SCHEDULE_FILE,
};
use crate::history::{
    self, CommittedEvent, FinalRead, HashRound, Header, Line, Operation, ProbeRound, Writer, read_lines,
};
use crate::scenario::{SCHEDULE_FORMAT, SCHEDULE_FORMAT_BEFORE, Schedule};

/// All that is known about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// The head.
    pub run: Run,
    /// What was to be done.
    pub schedule: Schedule,
    /// What the harness did and saw, in the order of the file.
    pub events: Vec<EventLine>,
    /// What the clients did.
    pub load: Operations,
    /// What the final read covers; nothing if it did not take place.
    pub final_read: Option<FinalRead>,
    /// The committed log, in the order of the file.
    pub committed: Vec<CommittedEvent>,
    /// What the probe saw.
    pub probes: Probes,
    /// What is missing, cut or broken.
    pub problems: Vec<Problem>,
}

/// What the clients did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// The clock of the file; nothing if its first line is missing.
    pub header: Option<Header>,
    /// In the order of the file, which is by end.
    pub operations: Vec<Operation>,
}

/// What the probe saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// The clock of the file; nothing if its first line is missing.
    pub header: Option<Header>,
    /// In the order of the file.
    pub rounds: Vec<ProbeRound>,
    /// In the order of the file.
    pub hashes: Vec<HashRound>,
}

/// Something wrong with the record itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// The ways in which a file of a record can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// It is not there.
    Missing,
    /// Its last line ends in the middle.
    Cut {
        /// The line, from 1.
        line: usize,
        /// How many bytes of it are there.
        bytes: usize,
    },
    /// Its writer did not close it.
    NotClosed,
    /// Its last line counts other lines than there are.
    Gap {
        /// Lines counted by the writer.
        written: u64,
        /// Lines in the file.
        found: u64,
    },
    /// It cannot be read.
    Broken {
        /// Why, with the line.
        error: String,
    },
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = &self.file;
        match &self.kind {
            ProblemKind::Missing => write!(formatter, "{file} is missing"),
            ProblemKind::Cut { line, bytes } => {
                write!(formatter, "{file}:{line}: the last line is cut after {bytes} bytes and left out")
            }
            ProblemKind::NotClosed => {
                write!(formatter, "{file}: its writer did not close it, so its end may be missing")
            }
            ProblemKind::Gap { written, found } => {
                write!(formatter, "{file}: its writer counted {written} lines, {found} are there")
            }
            ProblemKind::Broken { error } => write!(formatter, "{file}: {error}"),
        }
    }
}

/// Why a folder holds no record at all.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// One of the two files that nothing can be judged without is not there.
    #[error("{0} is missing: this is not the folder of a run")]
    Missing(&'static str),
    /// One of them cannot be read.
    #[error("{file} cannot be read")]
    Broken {
        /// Which.
        file: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// One of them is of a format that this build does not know.
    #[error("{file} has the format `{found}`; this build reads `{known}`")]
    Format {
        /// Which.
        file: &'static str,
        /// Its format.
        found: String,
        /// Ours.
        known: &'static str,
    },
}

impl RunRecord {
    /// Puts a record together.
    ///
    /// # Errors
    /// Only if `run.json` or `schedule.json` is missing, broken or of an unknown format: without them there is nothing
    /// to hold the rest against. Everything else becomes a [`Problem`].
    pub fn assemble(files: &RecordFiles) -> Result<RunRecord, AssembleError> {
        let run: Run = document(files, RUN_FILE, &[RUN_FORMAT, RUN_FORMAT_BEFORE])?;
        let schedule: Schedule = document(files, SCHEDULE_FILE, &[SCHEDULE_FORMAT, SCHEDULE_FORMAT_BEFORE])?;
        let mut problems = Vec::new();
        let events = events(files, &mut problems);
        let mut record = RunRecord {
            run,
            schedule,
            events,
            load: Operations::default(),
            final_read: None,
            committed: Vec::new(),
            probes: Probes::default(),
            problems: Vec::new(),
        };
        for (file, writer) in
            [(LOAD_FILE, Writer::Load), (FINAL_FILE, Writer::FinalRead), (PROBE_FILE, Writer::Probe)]
        {
            let lines = history_lines(files, file, writer, &mut problems);
            record.take(file, lines, &mut problems);
        }
        record.problems = problems;
        Ok(record)
    }

    fn take(&mut self, file: &str, lines: Vec<Line>, problems: &mut Vec<Problem>) {
        for line in lines {
            match line {
                Line::Header(header) => match header.writer {
                    Writer::Load => self.load.header = Some(header),
                    Writer::Probe => self.probes.header = Some(header),
                    Writer::FinalRead => {}
                },
                Line::Operation(operation) => self.load.operations.push(operation),
                Line::FinalRead(final_read) if self.final_read.is_none() => {
                    self.final_read = Some(final_read)
                }
                Line::FinalRead(_) => problems.push(broken(file, "it holds two final reads")),
                Line::Committed(event) => self.committed.push(event),
                Line::Probe(round) => self.probes.rounds.push(round),
                Line::Hash(round) => self.probes.hashes.push(round),
                Line::End(_) => {}
            }
        }
    }
}

/// The part of a document that every version of it has.
#[derive(Deserialize)]
struct Formatted {
    format: String,
}

/// Reads one document. The format first: a later one may well have fields that this build does not know.
fn document<T: DeserializeOwned>(
    files: &RecordFiles,
    file: &'static str,
    known: &'static [&'static str],
) -> Result<T, AssembleError> {
    let bytes = files.get(file).ok_or(AssembleError::Missing(file))?;
    let failed = |source| AssembleError::Broken { file, source };
    let Formatted { format: found } = serde_json::from_slice(bytes).map_err(failed)?;
    if !known.contains(&found.as_str()) {
        return Err(AssembleError::Format { file, found, known: known[0] });
    }
    serde_json::from_slice(bytes).map_err(failed)
}

fn broken(file: &str, error: impl Into<String>) -> Problem {
    Problem { file: file.to_owned(), kind: ProblemKind::Broken { error: error.into() } }
}

/// Reads one file of lines; what cannot be read becomes a problem and leaves nothing.
fn lines_of<T: DeserializeOwned>(files: &RecordFiles, file: &str, problems: &mut Vec<Problem>) -> Vec<T> {
    let Some(bytes) = files.get(file) else {
        problems.push(Problem { file: file.to_owned(), kind: ProblemKind::Missing });
        return Vec::new();
    };
    match read_lines::<T>(file, bytes) {
        Ok(read) => {
            if let Some(cut) = read.cut {
                let kind = ProblemKind::Cut { line: cut.line, bytes: cut.bytes };
                problems.push(Problem { file: file.to_owned(), kind });
            }
            read.lines
        }
        Err(error) => {
            problems.push(broken(file, format!("line {}: {}", error.line, error.source)));
            Vec::new()
        }
    }
}

fn events(files: &RecordFiles, problems: &mut Vec<Problem>) -> Vec<EventLine> {
    let lines: Vec<EventLine> = lines_of(files, EVENTS_FILE, problems);
    match lines.first().map(|line| &line.event) {
        Some(Event::Opened { format }) if format == EVENTS_FORMAT || format == EVENTS_FORMAT_BEFORE => {}
        Some(Event::Opened { format }) => {
            problems.push(broken(EVENTS_FILE, format!("its format `{format}` is not `{EVENTS_FORMAT}`")));
            return Vec::new();
        }
        Some(_) => problems.push(broken(EVENTS_FILE, "its first line is missing")),
        None => return lines,
    }
    let before_last = lines.len() as u64 - 1;
    let closed = match lines.last().map(|line| &line.event) {
        Some(Event::Closed { lines }) => Some(*lines),
        _ => None,
    };
    closing(EVENTS_FILE, closed, before_last, problems);
    lines
}

fn history_lines(files: &RecordFiles, file: &str, writer: Writer, problems: &mut Vec<Problem>) -> Vec<Line> {
    let lines: Vec<Line> = lines_of(files, file, problems);
    match lines.first() {
        Some(Line::Header(header))
            if header.format != history::FORMAT && header.format != history::FORMAT_BEFORE =>
        {
            let error = format!("its format `{}` is not `{}`", header.format, history::FORMAT);
            problems.push(broken(file, error));
            return Vec::new();
        }
        Some(Line::Header(header)) if header.writer == writer => {}
        Some(_) => problems.push(broken(file, "its first line is missing or of another writer")),
        None => return lines,
    }
    if lines.iter().skip(1).any(|line| matches!(line, Line::Header(_))) {
        problems.push(broken(file, "it was begun twice: its writer restarted and its clock with it"));
    }
    let before_last = lines.len() as u64 - 1;
    let closed = match lines.last() {
        Some(Line::End(end)) => Some(end.lines),
        _ => None,
    };
    closing(file, closed, before_last, problems);
    lines
}

fn closing(file: &str, closed: Option<u64>, found: u64, problems: &mut Vec<Problem>) {
    let kind = match closed {
        None => ProblemKind::NotClosed,
        Some(written) if written != found => ProblemKind::Gap { written, found },
        Some(_) => return,
    };
    problems.push(Problem { file: file.to_owned(), kind });
}
