//! Certificates: read from Secrets as facts, made as they are asked for, and shown in handshakes. Private keys stay in this folder and in the
//! Secrets that they are written to; nothing here decides what is made or trusted.

mod handshake;
mod make;
mod read;
mod write;

pub use handshake::{Dial, DialError, dial};
pub use make::{KeyPem, Made, MakeError, authority, certificate};
pub use read::{Authority, authorities, secret_facts};
pub(crate) use write::pair_of;
pub use write::write;
