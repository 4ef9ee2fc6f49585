//! Whether a snapshot came over whole. etcd appends the SHA-256 of the database to the stream, and databases are whole pages, so that a
//! stream which was cut ends elsewhere (`etcdutl snapshot restore` makes the same two checks). It keeps 32 bytes of the stream, no more.

use sha2::{Digest, Sha256};

use crate::names::hexadecimal;

/// The length of the digest at the end.
const DIGEST: usize = 32;
/// Databases are multiples of this; bbolt's pages are larger.
const PAGE: u64 = 512;

/// A stream while it comes in.
#[derive(Debug)]
pub struct Trailer {
    /// Nothing where somebody else compares the digest.
    hasher: Option<Sha256>,
    /// The last bytes, which may be the digest.
    held: Vec<u8>,
    /// How many bytes came before them.
    before: u64,
}

/// A snapshot that came over whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its length with the digest.
    pub bytes: u64,
    /// The SHA-256 of the database as etcd appended it, in hexadecimal.
    pub database_sha256: String,
}

/// Why a snapshot is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWhole {
    /// It does not end where a database and its digest end.
    #[error("it was cut after {bytes} bytes")]
    Cut {
        /// What came.
        bytes: u64,
    },
    /// The digest is of other bytes.
    #[error(
        "its bytes are not those that etcd sent: they have the digest {found}, and should have {expected}"
    )]
    Changed {
        /// What etcd said.
        expected: String,
        /// What came.
        found: String,
    },
}

impl Trailer {
    /// Of a stream whose digest is compared.
    pub fn compared() -> Trailer {
        Trailer { hasher: Some(Sha256::new()), held: Vec::new(), before: 0 }
    }

    /// Of a stream that is known to be what was compared once: where it ends is all that is looked at.
    pub fn known() -> Trailer {
        Trailer { hasher: None, held: Vec::new(), before: 0 }
    }

    /// Takes the next bytes of the stream.
    pub fn take(&mut self, bytes: &[u8]) {
        let settled = (self.held.len() + bytes.len()).saturating_sub(DIGEST);
        // The digest's place is known at the end alone, so that most bytes are never copied.
        let of_held = settled.min(self.held.len());
        let (before, held) = bytes.split_at(settled - of_held);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&self.held[..of_held]);
            hasher.update(before);
        }
        self.held.drain(..of_held);
        self.held.extend_from_slice(held);
        self.before += settled as u64;
    }

    /// What is known once the stream has ended.
    ///
    /// # Errors
    /// It is not whole.
    pub fn finish(self) -> Result<Whole, NotWhole> {
        let bytes = self.before + self.held.len() as u64;
        if self.held.len() < DIGEST || self.before == 0 || !self.before.is_multiple_of(PAGE) {
            return Err(NotWhole::Cut { bytes });
        }
        let expected = hexadecimal(&self.held);
        match self.hasher.map(|hasher| hexadecimal(&hasher.finalize())) {
            Some(found) if found != expected => Err(NotWhole::Changed { expected, found }),
            Some(_) | None => Ok(Whole { bytes, database_sha256: expected }),
        }
    }
}

#[cfg(test)]
mod tests {
    use assert_matches::assert_matches;

    use super::*;

    fn snapshot(pages: usize) -> Vec<u8> {
        let database: Vec<u8> = (0..pages * PAGE as usize).map(|index| (index % 251) as u8).collect();
        let digest = Sha256::digest(&database);
        [database, digest.to_vec()].concat()
    }

    fn read(bytes: &[u8], chunk: usize) -> Result<Whole, NotWhole> {
        let mut trailer = Trailer::compared();
        bytes.chunks(chunk).for_each(|chunk| trailer.take(chunk));
        trailer.finish()
    }

    #[test]
    fn a_whole_snapshot_is_whole_however_it_is_cut_into_chunks() {
        let bytes = snapshot(8);
        for chunk in [1, 31, 32, 33, 512, 4096, bytes.len()] {
            let whole = read(&bytes, chunk).unwrap();
            let mut known = Trailer::known();
            bytes.chunks(chunk).for_each(|chunk| known.take(chunk));
            assert_eq!(known.finish().as_ref(), Ok(&whole));
            assert_eq!(whole.bytes, bytes.len() as u64);
            assert_eq!(whole.database_sha256, hexadecimal(&bytes[bytes.len() - DIGEST..]));
        }
    }

    #[test]
    fn a_stream_that_ends_anywhere_else_is_not() {
        let bytes = snapshot(4);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length], 100).is_err(), "{length} of {} bytes", bytes.len());
        }
        assert_matches!(read(&[], 1), Err(NotWhole::Cut { bytes: 0 }));
        assert_matches!(read(&snapshot(0), 1), Err(NotWhole::Cut { bytes: 32 }), "an empty database is none");
    }

    #[test]
    fn a_single_bit_that_is_another_one_shows() {
        let bytes = snapshot(1);
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_matches!(read(&changed, 64), Err(NotWhole::Changed { .. }), "byte {index}");
        }
    }
}
