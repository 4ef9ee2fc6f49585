//! What the parts of a run share, and how each of them begins and gives way to the user.

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::directory::RunDirectory;
use super::{Assignment, Settings, Stop};
use crate::live::board::BoardSender;
use crate::live::event_log::EventLog;
use crate::progress::Display;
use crate::record::{Event, Phase};

/// Everything that the parts of a run share.
pub(super) struct Experiment<'a> {
    pub(super) assignment: &'a Assignment,
    pub(super) settings: &'a Settings,
    pub(super) directory: &'a RunDirectory,
    pub(super) recorder: &'a EventLog,
    pub(super) interrupt: &'a CancellationToken,
    pub(super) display: &'a Display,
    pub(super) board: BoardSender,
}

impl Experiment<'_> {
    /// A part of the run begins.
    pub(super) fn begin(&self, phase: Phase) {
        self.recorder.record(Event::Phase { phase });
        self.display.state(&format!("{phase}…"));
    }

    /// Does one thing unless the user wants to stop first.
    pub(super) async fn interruptible<T>(&self, doing: impl Future<Output = Result<T>>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.interrupt.cancelled() => Err(Stop::Interrupted),
            done = doing => done.map_err(Stop::Failed),
        }
    }
}
