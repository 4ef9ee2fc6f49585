//! What load and probe share: a clock, a history file, and an HTTP server through which the harness reads both. It knows
//! nothing about what is recorded.

mod clock;
mod file;
mod server;

pub use clock::Clock;
pub use file::{HistoryFile, Recorder};
pub use server::{
    Answer, Digest, Handler, Question, digest, history_piece, json, not_found, serve, until_told_to_end,
};
