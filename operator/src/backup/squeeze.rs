//! A snapshot on its way: checked for being whole, compressed, encrypted where that is asked for, cut into parts of equal length. A thread
//! of its own does the work; it holds one part and some chunks, whatever the snapshot's length.

use super::store::PART_BYTES;
use age::stream::StreamWriter;
use age::x25519::Recipient;
use age::{EncryptError, Encryptor};
use bytes::Bytes;
use etcd_operator_core::backup::manifest::Snapshot;
use etcd_operator_core::backup::trailer::{NotWhole, Trailer};
use etcd_operator_core::names::hexadecimal;
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use thiserror::Error;
use tokio::sync::mpsc::{Receiver, Sender};

/// zstd's own default: a third of the length for a tenth of the time of better levels.
const LEVEL: i32 = 3;

/// Why a snapshot did not become parts.
#[derive(Debug, Error)]
pub enum SqueezeError {
    /// It did not come over whole.
    #[error("the snapshot did not come over whole")]
    NotWhole(#[from] NotWhole),
    /// The compressor failed, or nobody takes the parts any more.
    #[error("failed to compress the snapshot")]
    Compress(#[from] io::Error),
    /// The key is not one to encrypt for.
    #[error("failed to encrypt the snapshot")]
    Encrypt(#[from] EncryptError),
}

/// Compresses what comes until nothing more does, and encrypts it for this key if there is one; parts of it go out as they become full.
/// Blocks.
pub fn squeeze(
    mut chunks: Receiver<Bytes>,
    parts: Sender<Bytes>,
    recipient: Option<&Recipient>,
) -> Result<Snapshot, SqueezeError> {
    let mut trailer = Trailer::compared();
    let sealer = Sealer::new(Cutter::new(parts), recipient)?;
    let mut encoder = zstd::stream::write::Encoder::new(sealer, LEVEL)?;
    encoder.include_checksum(true)?;
    while let Some(chunk) = chunks.blocking_recv() {
        trailer.take(&chunk);
        encoder.write_all(&chunk)?;
    }
    let whole = trailer.finish()?;
    let (stored_bytes, stored_sha256) = encoder.finish()?.finish()?;
    let (bytes, database_sha256) = (whole.bytes, whole.database_sha256);
    Ok(Snapshot { stored_bytes, stored_sha256, bytes, database_sha256 })
}

/// Encrypts what is written, if it is to be.
enum Sealer {
    Open(Cutter),
    Encrypting(StreamWriter<Cutter>),
}

impl Sealer {
    fn new(cutter: Cutter, recipient: Option<&Recipient>) -> Result<Self, SqueezeError> {
        let Some(recipient) = recipient else { return Ok(Self::Open(cutter)) };
        let encryptor = Encryptor::with_recipients(std::iter::once(recipient as &dyn age::Recipient))?;
        Ok(Self::Encrypting(encryptor.wrap_output(cutter)?))
    }

    fn finish(self) -> io::Result<(u64, String)> {
        match self {
            Self::Open(cutter) => cutter.finish(),
            Self::Encrypting(writer) => writer.finish()?.finish(),
        }
    }
}

impl Write for Sealer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Open(cutter) => cutter.write(bytes),
            Self::Encrypting(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Open(cutter) => cutter.flush(),
            Self::Encrypting(writer) => writer.flush(),
        }
    }
}

/// Cuts what is written into parts, and counts and hashes it.
struct Cutter {
    parts: Sender<Bytes>,
    part: Vec<u8>,
    hasher: Sha256,
    bytes: u64,
}

impl Cutter {
    fn new(parts: Sender<Bytes>) -> Self {
        Self { parts, part: Vec::with_capacity(PART_BYTES), hasher: Sha256::new(), bytes: 0 }
    }

    fn send(&mut self) -> io::Result<()> {
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART_BYTES));
        self.parts.blocking_send(part.into()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<(u64, String)> {
        if !self.part.is_empty() {
            self.send()?;
        }
        Ok((self.bytes, hexadecimal(&self.hasher.finalize())))
    }
}

impl Write for Cutter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        self.hasher.update(&bytes[..taken]);
        self.bytes += taken as u64;
        if self.part.len() == PART_BYTES {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
