//! What load and probe share: a clock, history files, and an HTTP server through which the harness reads both. It knows
//! nothing about what is recorded.

mod clock;
mod file;
mod process;
mod server;

pub use clock::{Clock, ClockFace, ClockOffset};
pub use file::{HistoryFile, Recorder};
pub use process::{Histories, open, run};
pub use server::{Answer, Digest, Handler, Question, digest, failed, history_piece, json, not_found};

use server::{serve, until_told_to_end};
