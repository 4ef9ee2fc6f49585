//! What load and probe share: a clock, history files, an HTTP server through which the harness reads both, and how etcd is dialed. It
//! knows nothing about what is recorded.

mod clock;
mod file;
mod process;
mod server;
mod tls;

pub use clock::{Clock, ClockFace, ClockOffset};
pub use file::{HistoryFile, Recorder};
pub use process::{Histories, open, run};
pub use server::{Answer, Digest, Handler, Question, digest, failed, history_piece, json, not_found};
pub use tls::{DialError, Dialer, Tls, TlsMode};

use server::{serve, until_told_to_end};
