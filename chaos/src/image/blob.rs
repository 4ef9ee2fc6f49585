//! What an image's archive holds by its digest. Plain data.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A digest as the OCI image specification writes it: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    pub(super) fn of(hash: Sha256) -> Digest {
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Digest(format!("sha256:{hex}"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Something that the archive holds by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    /// In bytes.
    pub(super) size: u64,
}

impl Blob {
    pub(super) fn of(bytes: &[u8]) -> Blob {
        let mut hash = Sha256::new();
        hash.update(bytes);
        Blob { digest: Digest::of(hash), size: bytes.len() as u64 }
    }

    /// Where it lies in the archive.
    pub(super) fn path(&self) -> String {
        format!("blobs/{}", self.digest.0.replacen(':', "/", 1))
    }
}
