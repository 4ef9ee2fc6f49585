//! How a recording process begins and ends: a place for its histories, a port for the harness, and its work beside both.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

use super::{Clock, ClockOffset, Handler, HistoryFile, serve, until_told_to_end};
use crate::history::{Header, Writer};

/// The directory of a process's histories, all by one clock.
#[derive(Debug, Clone)]
pub struct Histories {
    directory: PathBuf,
    /// Started when the process was ready to record.
    pub clock: Clock,
}

impl Histories {
    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the files of this process begin with.
    pub fn header(&self, writer: Writer, prefix: &str) -> Header {
        Header::new(writer, self.clock.wall_at_zero(), prefix)
    }

    /// Makes one file, in place of any that was there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self, name: &str, header: Header) -> Result<HistoryFile> {
        let path = self.directory.join(name);
        HistoryFile::create(&path, header).with_context(|| format!("failed to make {}", path.display()))
    }
}

/// Takes the port first, so that a second process of the kind leaves the first one's histories alone.
///
/// # Errors
/// When the port is taken or the directory cannot be made.
pub async fn open(
    listen: SocketAddr,
    directory: &Path,
    offset: ClockOffset,
) -> Result<(TcpListener, Histories)> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("failed to listen on {listen} for the harness"))?;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("failed to make the history directory {}", directory.display()))?;
    Ok((listener, Histories { directory: directory.to_owned(), clock: Clock::start(offset) }))
}

/// Serves and works until the process is told to end.
///
/// # Errors
/// When the work fails, or signals cannot be listened for.
pub async fn run(
    listener: TcpListener,
    service: Arc<impl Handler>,
    work: impl Future<Output = Result<Infallible>>,
) -> Result<()> {
    tokio::select! {
        biased;
        ended = until_told_to_end() => ended.context("failed to wait for the signal to end"),
        () = serve(listener, service) => Ok(()),
        failed = work => failed.map(|never| match never {}),
    }
}
