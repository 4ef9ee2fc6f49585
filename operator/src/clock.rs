//! Time and identifiers as inputs. Nothing else in this crate asks the machine for either, so that a whole operator
//! can run in simulated time.

use jiff::Timestamp;
use rand::RngExt;
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

/// A source of identifiers that are never given twice.
pub trait Identifiers: Send + Sync + 'static {
    /// `length` characters out of `bcdfghjklmnpqrstvwxz2456789`, the alphabet of Kubernetes' generated names.
    /// It has no vowels, so that no words appear.
    fn suffix(&self, length: usize) -> String;
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

/// The alphabet of `k8s.io/apimachinery/pkg/util/rand`: letters and digits without vowels and look-alikes.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl Identifiers for RandomIdentifiers {
    fn suffix(&self, length: usize) -> String {
        let mut random = rand::rng();
        (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_has_the_asked_length_and_only_letters_that_names_allow() {
        let suffix = RandomIdentifiers.suffix(200);
        assert_eq!(suffix.len(), 200);
        assert!(suffix.bytes().all(|byte| ALPHABET.contains(&byte)), "{suffix}");
    }
}
