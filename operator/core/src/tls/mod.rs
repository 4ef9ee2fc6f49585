//! TLS of members, in reading order:
//!
//! 1. [`MemberTls`]: what a member serves and whom it trusts. Part of what it should run, so a change of it is a restart.
//! 2. [`facts`]: what is known of certificates and keys that were found. Never a key itself.
//! 3. [`request`]: certificates to be made, fully specified.
//! 4. [`written`]: Secrets to be written, fully specified.
//!
//! Authorities are public and stand where a member's configuration stands: what a member trusts is then what it was started with, whatever
//! happens to any Secret. Certificates and their keys are in Secrets, and etcd reads them anew at each handshake.

pub mod facts;
mod member;
pub mod request;
pub mod written;

pub(crate) use member::bundle;
pub use member::{Authorities, MemberTls, Pem, Serves};
