//! Writes what a program puts out to the file of its run and tells readers how far it is.

use super::format::{Cutter, Stream};
use super::{LogFile, Progress};
use jiff::Timestamp;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::sync::watch;

/// The log of one run while the run lasts.
#[derive(Debug)]
pub(crate) struct LogWriter {
    file: File,
    progress: watch::Sender<Progress>,
}

impl LogWriter {
    pub(super) async fn create(directory: &Path, run: i32) -> io::Result<(LogWriter, LogFile)> {
        tokio::fs::create_dir_all(directory).await?;
        let path = directory.join(format!("{run}.log"));
        let file = File::create(&path).await?;
        let (progress, receiver) = watch::channel(Progress::default());
        Ok((LogWriter { file, progress }, LogFile { path, progress: receiver }))
    }

    /// Copies both outputs until the program and all that it left behind have closed them.
    pub(crate) async fn copy(mut self, stdout: OwnedFd, stderr: OwnedFd) {
        if let Err(error) = self.copy_both(stdout, stderr).await {
            tracing::warn!(%error, "failed to write a container's log");
        }
        self.progress.send_modify(|progress| progress.ended = true);
    }

    async fn copy_both(&mut self, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<()> {
        let mut stdout = Some(pipe::Receiver::from_owned_fd(stdout)?);
        let mut stderr = Some(pipe::Receiver::from_owned_fd(stderr)?);
        let (mut cut_stdout, mut cut_stderr) = (Cutter::new(Stream::Stdout), Cutter::new(Stream::Stderr));
        let (mut from_stdout, mut from_stderr) = (vec![0; 32 * 1024], vec![0; 32 * 1024]);
        while stdout.is_some() || stderr.is_some() {
            tokio::select! {
                biased;
                count = read(&mut stderr, &mut from_stderr) => {
                    self.append(&mut cut_stderr, &mut stderr, &from_stderr, count?).await?;
                }
                count = read(&mut stdout, &mut from_stdout) => {
                    self.append(&mut cut_stdout, &mut stdout, &from_stdout, count?).await?;
                }
            }
        }
        Ok(())
    }

    async fn append(
        &mut self,
        cutter: &mut Cutter,
        source: &mut Option<pipe::Receiver>,
        buffer: &[u8],
        count: usize,
    ) -> io::Result<()> {
        let now = Timestamp::now();
        let lines = if count == 0 {
            *source = None;
            cutter.finish(now)
        } else {
            cutter.push(&buffer[..count], now)
        };
        if !lines.is_empty() {
            self.file.write_all(&lines).await?;
            self.file.flush().await?;
            self.progress.send_modify(|progress| progress.bytes += lines.len() as u64);
        }
        Ok(())
    }
}

/// Reads from a source, or waits for ever when it is closed.
async fn read(source: &mut Option<pipe::Receiver>, buffer: &mut [u8]) -> io::Result<usize> {
    match source {
        Some(source) => source.read(buffer).await,
        None => std::future::pending().await,
    }
}
