//! Writes `events.jsonl` line by line as things happen, each line flushed: a killed run leaves all it knew. Decides nothing.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow};

use crate::history::UnixNanoseconds;
use crate::in_pod::Clock;
use crate::record::{EVENTS_FILE, EVENTS_FORMAT, Event, EventLine};

/// A handle on the run's event file; clones write to the same file, one whole line at a time.
#[derive(Clone)]
pub struct EventLog {
    state: Arc<Mutex<State>>,
}

struct State {
    clock: Clock,
    file: BufWriter<File>,
    lines: u64,
    /// The first failure to write; later lines are not tried, so that the file has no hole.
    failure: Option<std::io::Error>,
}

impl EventLog {
    /// Creates the file in a run's directory and opens the record.
    pub fn create(directory: &Path, clock: Clock) -> Result<EventLog> {
        let path = directory.join(EVENTS_FILE);
        let file = File::create_new(&path).with_context(|| format!("failed to create {}", path.display()))?;
        let state = State { clock, file: BufWriter::new(file), lines: 0, failure: None };
        let recorder = EventLog { state: Arc::new(Mutex::new(state)) };
        recorder.record(Event::Opened { format: EVENTS_FORMAT.to_owned() });
        Ok(recorder)
    }

    /// Writes one event with the time of now. A failure to write is kept and told by [`EventLog::close`].
    pub fn record(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock is read under the lock, so that the times of the file never go back between lines.
        let line = EventLine { at: state.clock.steady_wall(), event };
        state.write(&line);
    }

    /// The time of now by the clock of the record.
    pub fn now(&self) -> UnixNanoseconds {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clock.steady_wall()
    }

    /// Writes one sentence for the reader of the record.
    pub fn note(&self, text: impl Into<String>) {
        self.record(Event::Note { text: text.into() });
    }

    /// Writes the last line and says whether every line got to the file.
    pub fn close(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let line = EventLine { at: state.clock.steady_wall(), event: Event::Closed { lines: state.lines } };
        state.write(&line);
        match state.failure.take() {
            None => Ok(()),
            Some(error) => Err(anyhow!(error).context(format!("failed to write {EVENTS_FILE}"))),
        }
    }
}

impl State {
    fn write(&mut self, line: &EventLine) {
        if self.failure.is_some() {
            return;
        }
        let written = serde_json::to_string(line)
            .map_err(std::io::Error::other)
            .and_then(|text| writeln!(self.file, "{text}"))
            .and_then(|()| self.file.flush());
        match written {
            Ok(()) => self.lines += 1,
            Err(error) => self.failure = Some(error),
        }
    }
}
