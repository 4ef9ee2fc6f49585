//! Certificates to be made. Never makes one.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// To answer.
    Server,
    /// To ask.
    Client,
}

/// A certificate to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The common name of its subject.
    pub common_name: String,
    /// The names that it is good for, DNS names and IP addresses.
    pub names: BTreeSet<String>,
    /// What it may be used for.
    pub uses: BTreeSet<Use>,
    /// When it is good.
    pub validity: Validity,
}

/// From when until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// Clocks of nodes may be behind by so much.
const CLOCKS_DIFFER_BY: SignedDuration = SignedDuration::from_hours(1);

impl Validity {
    /// For so long from now, and no longer than `at_most`. It begins a little earlier, for clocks that are behind.
    pub fn from_now(as_of: Timestamp, lifetime: SignedDuration, at_most: Option<Timestamp>) -> Validity {
        let earlier = CLOCKS_DIFFER_BY.min(lifetime / 10);
        let not_before = whole_second(as_of.checked_sub(earlier).unwrap_or(as_of));
        let not_after = whole_second(as_of.checked_add(lifetime).unwrap_or(Timestamp::MAX));
        Validity { not_before, not_after: at_most.map_or(not_after, |at_most| not_after.min(at_most)) }
    }
}

/// Certificates know no less than seconds.
fn whole_second(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}
