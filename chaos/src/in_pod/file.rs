//! A history file while it is written: lines in the order in which they are recorded, on the disk's way at most a tenth of a
//! second later. Recording never waits for the disk.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::history::{Elapsed, End, Header, Line, write_line};

const FLUSH_INTERVAL: Duration = Duration::from_millis(100);

enum Message {
    Line(Box<Line>),
    Close(Elapsed),
}

/// A history file and the thread that writes it.
pub struct HistoryFile {
    recorder: Recorder,
    thread: JoinHandle<io::Result<()>>,
}

/// Hands lines to a [`HistoryFile`].
#[derive(Debug, Clone)]
pub struct Recorder(Sender<Message>);

impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Message")
    }
}

impl HistoryFile {
    /// Makes the file, in place of any that was there, and writes its header.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path, header: Header) -> io::Result<HistoryFile> {
        let mut writer = Writer { file: BufWriter::new(File::create(path)?), lines: 0 };
        writer.write(&Line::Header(header))?;
        writer.file.flush()?;
        let (sender, messages) = channel();
        let thread = std::thread::spawn(move || writer.run(&messages));
        Ok(HistoryFile { recorder: Recorder(sender), thread })
    }

    /// A way to record lines from anywhere.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Writes the last line and makes the file durable. Lines recorded later are lost, so nobody may record any more.
    ///
    /// # Errors
    /// When this or any earlier line could not be written.
    pub async fn close(self, at: Elapsed) -> io::Result<()> {
        // A thread that has ended says why when it is joined.
        let _ = self.recorder.0.send(Message::Close(at));
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await;
        match joined {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(io::Error::other("the thread that writes the history has panicked")),
        }
    }
}

impl Recorder {
    /// Records a line. A file that cannot be written says so when it is closed.
    pub fn record(&self, line: Line) {
        let _ = self.0.send(Message::Line(Box::new(line)));
    }
}

struct Writer {
    file: BufWriter<File>,
    lines: u64,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) -> io::Result<()> {
        let mut flush_at = Instant::now() + FLUSH_INTERVAL;
        loop {
            match messages.recv_timeout(flush_at.saturating_duration_since(Instant::now())) {
                Ok(Message::Line(line)) => self.write(&line)?,
                Ok(Message::Close(at)) => return self.close(at),
                Err(RecvTimeoutError::Timeout) => {}
                // Nobody is left to close the file: it stays without its last line, and readers see that.
                Err(RecvTimeoutError::Disconnected) => return self.file.flush(),
            }
            if Instant::now() >= flush_at {
                self.file.flush()?;
                flush_at = Instant::now() + FLUSH_INTERVAL;
            }
        }
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        self.lines += 1;
        self.file.write_all(&write_line(line))
    }

    fn close(mut self, at: Elapsed) -> io::Result<()> {
        let lines = self.lines;
        self.write(&Line::End(End { at, lines }))?;
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{UnixNanoseconds, Writer as WriterKind, read_lines};

    #[test_log::test(tokio::test)]
    async fn a_closed_file_ends_with_the_count_of_its_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("load.jsonl");
        let header = Header::new(WriterKind::Load, UnixNanoseconds(1), "p/");
        let file = HistoryFile::create(&path, header.clone()).unwrap();
        file.recorder().record(Line::Header(header.clone()));
        file.close(Elapsed(7)).await.unwrap();
        let lines = read_lines::<Line>("load.jsonl", &std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(lines.cut, None);
        let end = Line::End(End { at: Elapsed(7), lines: 2 });
        assert_eq!(lines.lines, [Line::Header(header.clone()), Line::Header(header), end]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let header = Header::new(WriterKind::Load, UnixNanoseconds(1), "");
        assert!(HistoryFile::create(Path::new("/nonexistent/load.jsonl"), header).is_err());
    }
}
