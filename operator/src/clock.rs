//! Time and identifiers as inputs. Nothing else in this crate asks the machine for either, so that a whole operator
//! can run in simulated time.

use etcd_operator_core::names::Entropy;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Wall time, which is only ever shown or stored, and monotonic time, which alone decides whether a Lease is held.
pub trait Clock: Send + Sync + 'static {
    /// Time of day. It may jump in either direction.
    fn wall(&self) -> Timestamp;
    /// Time since an origin fixed when the process started. It never goes back.
    fn monotonic(&self) -> Duration;
}

/// A source of randomness, from which the core derives names and identifiers.
pub trait Identifiers: Send + Sync + 'static {
    /// Bytes that were never given before.
    fn entropy(&self) -> Entropy;
}

/// Shared handle on a clock.
pub type SharedClock = Arc<dyn Clock>;
/// Shared handle on a source of identifiers.
pub type SharedIdentifiers = Arc<dyn Identifiers>;

/// The machine's clocks. Monotonic time is tokio's, so it stands still where tokio's does.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic origin is now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// Identifiers from the operating system's randomness.
#[derive(Debug, Default)]
pub struct RandomIdentifiers;

impl Identifiers for RandomIdentifiers {
    fn entropy(&self) -> Entropy {
        Entropy(rand::random())
    }
}
