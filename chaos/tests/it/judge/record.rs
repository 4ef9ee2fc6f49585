//! A record as files, as the harness and its pods would write them.

use chaos::history::{Elapsed, End, Header, Line, Writer, write_line};
use chaos::record::{
    EVENTS_FILE, EVENTS_FORMAT, Event, EventLine, FINAL_FILE, LOAD_FILE, PROBE_FILE, RUN_FILE, RecordFiles,
    RunRecord, SCHEDULE_FILE,
};

/// The files of a record, each closed in order.
pub(super) fn files_of(record: &RunRecord) -> RecordFiles {
    let mut files = RecordFiles::new();
    let pretty = |text: Result<String, serde_json::Error>| (text.expect("plain data") + "\n").into_bytes();
    files.insert(RUN_FILE.to_owned(), pretty(serde_json::to_string_pretty(&record.run)));
    files.insert(SCHEDULE_FILE.to_owned(), pretty(serde_json::to_string_pretty(&record.schedule)));
    files.insert(EVENTS_FILE.to_owned(), events(&record.events));
    let load = record.load.operations.iter().cloned().map(Line::Operation).collect();
    files.insert(LOAD_FILE.to_owned(), history(record.load.header.clone(), load));
    let zero = record.load.header.as_ref().expect("the model writes a header").zero;
    let mut committed: Vec<Line> = record.final_read.iter().cloned().map(Line::FinalRead).collect();
    committed.extend(record.committed.iter().cloned().map(Line::Committed));
    files.insert(
        FINAL_FILE.to_owned(),
        history(
            Some(Header { first_revision: None, ..Header::new(Writer::FinalRead, zero, "load/") }),
            committed,
        ),
    );
    let mut probes: Vec<Line> = record.probes.rounds.iter().cloned().map(Line::Probe).collect();
    probes.extend(record.probes.hashes.iter().cloned().map(Line::Hash));
    files.insert(PROBE_FILE.to_owned(), history(record.probes.header.clone(), probes));
    files
}

fn history(header: Option<Header>, middle: Vec<Line>) -> Vec<u8> {
    let mut lines: Vec<Line> = header.into_iter().map(Line::Header).collect();
    lines.extend(middle);
    lines.push(Line::End(End { at: Elapsed(60_000_000_000), lines: lines.len() as u64 }));
    lines.iter().flat_map(write_line).collect()
}

fn events(middle: &[EventLine]) -> Vec<u8> {
    let first = middle.first().map(|line| line.at).unwrap_or_default();
    let last = middle.last().map(|line| line.at).unwrap_or_default();
    let mut lines = vec![EventLine { at: first, event: Event::Opened { format: EVENTS_FORMAT.to_owned() } }];
    lines.extend(middle.iter().cloned());
    lines.push(EventLine { at: last, event: Event::Closed { lines: lines.len() as u64 } });
    lines.iter().flat_map(write_line).collect()
}
