//! The archive around an image: an OCI image layout in one tar, with Docker's `manifest.json` beside it. The layer is made
//! twice, once to know its digest and once to write it, so that no image is ever held in memory.

use std::io::{self, Write};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::blob::{Blob, Digest};
use super::{Image, documents, layer};

/// The mode of the archive's own files.
const MODE: u32 = 0o644;

/// What an archive turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The digest of the image's manifest: what `NAME@DIGEST` would name once it is in a registry.
    pub manifest: Digest,
    /// The digest of the whole archive.
    pub archive: Digest,
    /// The size of the archive in bytes.
    pub archive_size: u64,
    /// The size of its layer in bytes: what the image takes on a node.
    pub layer_size: u64,
}

/// Writes the archive of an image. The same image with the same content gives the same bytes.
pub fn write(image: &Image, to: impl Write) -> Result<Written> {
    let layer = measure_layer(image)?;
    let configuration =
        documents::configuration(image, &layer).context("failed to write the image's configuration")?;
    let configuration_blob = Blob::of(&configuration);
    let manifest =
        documents::manifest(&configuration_blob, &layer).context("failed to write the image's manifest")?;
    let manifest_blob = Blob::of(&manifest);
    let index = documents::index(image, &manifest_blob).context("failed to write the index")?;
    let docker = documents::docker_manifest(image, &configuration_blob, &layer)
        .context("failed to write manifest.json")?;

    let created = u64::from(image.created_seconds);
    let mut archive = Builder::new(Counted::new(to));
    append(&mut archive, "oci-layout", documents::LAYOUT.as_bytes(), created)?;
    append(&mut archive, "index.json", &index, created)?;
    append(&mut archive, "manifest.json", &docker, created)?;
    append(&mut archive, &manifest_blob.path(), &manifest, created)?;
    append(&mut archive, &configuration_blob.path(), &configuration, created)?;
    append_layer(&mut archive, image, &layer)?;
    let counted = archive.into_inner().context("failed to end the archive")?;
    Ok(Written {
        manifest: manifest_blob.digest,
        archive_size: counted.size,
        archive: Digest::of(counted.hash),
        layer_size: layer.size,
    })
}

fn measure_layer(image: &Image) -> Result<Blob> {
    let counted = layer::write(image, Counted::new(io::sink())).context("failed to measure the layer")?;
    Ok(Blob { size: counted.size, digest: Digest::of(counted.hash) })
}

/// The tar library wants to read what we want to write, so the header is written by hand and the layer after it.
fn append_layer<W: Write>(archive: &mut Builder<Counted<W>>, image: &Image, expected: &Blob) -> Result<()> {
    let header = header(&expected.path(), expected.size, u64::from(image.created_seconds))?;
    let out = archive.get_mut();
    out.write_all(header.as_bytes()).context("failed to write the head of the layer")?;
    let counted = layer::write(image, Counted::new(&mut *out)).context("failed to write the layer")?;
    let (size, digest) = (counted.size, Digest::of(counted.hash));
    if size != expected.size || digest != expected.digest {
        bail!("a file of the image changed while the archive was written: try again");
    }
    // A layer is whole blocks of 512 bytes already: nothing is missing up to the next header.
    debug_assert_eq!(size % 512, 0, "a tar is a multiple of its block size");
    Ok(())
}

fn append<W: Write>(archive: &mut Builder<W>, path: &str, content: &[u8], created: u64) -> Result<()> {
    let header = header(path, content.len() as u64, created)?;
    archive.append(&header, content).with_context(|| format!("failed to write {path}"))
}

fn header(path: &str, size: u64, created: u64) -> Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(path).with_context(|| format!("failed to name {path}"))?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(MODE);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(created);
    header.set_cksum();
    Ok(header)
}

/// Hashes and counts what passes through.
struct Counted<W> {
    to: W,
    hash: Sha256,
    size: u64,
}

impl<W> Counted<W> {
    fn new(to: W) -> Counted<W> {
        Counted { to, hash: Sha256::new(), size: 0 }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
