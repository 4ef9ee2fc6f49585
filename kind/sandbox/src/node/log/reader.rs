//! Serves a log as `kubectl logs` asks for it: whole or its end, once or as it grows.

use super::format::{Line, parse};
use super::{LogFile, Progress};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream};
use jiff::{SignedDuration, Timestamp};
use std::io;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, BufReader};
use tokio::sync::watch;

/// What is asked of a log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Request {
    pub(crate) follow: bool,
    pub(crate) timestamps: bool,
    pub(crate) tail_lines: Option<u64>,
    pub(crate) since_seconds: Option<u64>,
    pub(crate) limit_bytes: Option<u64>,
}

struct Reader {
    file: BufReader<File>,
    progress: watch::Receiver<Progress>,
    request: Request,
    since: Option<Timestamp>,
    /// Bytes of the file that have been read.
    position: u64,
    /// Bytes that may still be sent.
    allowed: u64,
    pending: Vec<u8>,
}

/// Opens a log; the stream ends with the file, or when followed with the run.
pub(crate) async fn open(
    log: LogFile,
    request: Request,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send> {
    let mut file = File::open(&log.path).await?;
    let position = match request.tail_lines {
        Some(count) => tail_position(&mut file, count).await?,
        None => 0,
    };
    file.seek(io::SeekFrom::Start(position)).await?;
    let since = request.since_seconds.and_then(|seconds| i64::try_from(seconds).ok());
    let reader = Reader {
        file: BufReader::new(file),
        progress: log.progress,
        request,
        since: since.map(|seconds| Timestamp::now() - SignedDuration::from_secs(seconds)),
        position,
        allowed: request.limit_bytes.unwrap_or(u64::MAX),
        pending: Vec::new(),
    };
    Ok(stream::try_unfold(reader, |mut reader| async move {
        Ok(reader.next().await?.map(|bytes| (bytes, reader)))
    }))
}

/// Where the last `count` lines begin.
async fn tail_position(file: &mut File, count: u64) -> io::Result<u64> {
    let mut content = Vec::new();
    file.read_to_end(&mut content).await?;
    let ends = content.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    // The end of the last line is not the beginning of one that is asked for.
    let skipped = usize::try_from(count).unwrap_or(usize::MAX);
    let begin = ends.map(|(position, _)| position + 1).nth(skipped).unwrap_or(0);
    Ok(if count == 0 { content.len() } else { begin } as u64)
}

impl Reader {
    /// The next part of the answer: all lines that are there now, up to a limit.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        const ENOUGH: usize = 64 * 1024;
        loop {
            let seen = *self.progress.borrow_and_update();
            let mut part = BytesMut::new();
            while self.position < seen.bytes && part.len() < ENOUGH && self.allowed > 0 {
                let count = self.file.read_until(b'\n', &mut self.pending).await?;
                if count == 0 {
                    break;
                }
                self.position += count as u64;
                self.take_line(&mut part);
            }
            if !part.is_empty() {
                return Ok(Some(part.freeze()));
            }
            let all_read = self.position >= seen.bytes;
            if self.allowed == 0 || all_read && (seen.ended || !self.request.follow) {
                return Ok(None);
            }
            if all_read && self.progress.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    fn take_line(&mut self, part: &mut BytesMut) {
        let line = std::mem::take(&mut self.pending);
        let Some(Line { time, text, complete }) = parse(line.strip_suffix(b"\n").unwrap_or(&line)) else {
            return;
        };
        let old = || time.parse::<Timestamp>().is_ok_and(|time| self.since.is_some_and(|since| time < since));
        if self.since.is_some() && old() {
            return;
        }
        let mut shown = Vec::new();
        if self.request.timestamps {
            shown.extend_from_slice(time.as_bytes());
            shown.push(b' ');
        }
        shown.extend_from_slice(text);
        if complete {
            shown.push(b'\n');
        }
        shown.truncate(usize::try_from(self.allowed).unwrap_or(usize::MAX));
        self.allowed -= shown.len() as u64;
        part.extend_from_slice(&shown);
    }
}
