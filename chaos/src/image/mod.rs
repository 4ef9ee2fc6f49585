//! Container images as OCI archives, made without a container engine: `ctr images import`, `kind load image-archive`,
//! `docker load` and `skopeo copy oci-archive:…` all take them. The same input gives the same bytes. Never compresses (an
//! archive is loaded, not sent), never talks to a registry or an engine.
//!
//! An image is one layer of files on nothing (`FROM scratch`), so its programs must be static.

mod archive;
mod binary;
mod blob;
mod build;
mod documents;
mod layer;
mod name;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use archive::{Written, write};
pub use binary::{Architecture, Program};
pub use blob::Digest;
pub use build::{ArchiveFile, WrongOperators, created_seconds, from_source, save};
pub use name::ImageName;

/// Everything that decides the bytes of an archive, except the content of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What containers call it.
    pub name: ImageName,
    /// The processor that its programs are for.
    pub architecture: Architecture,
    /// The files of its only layer, by absolute path in the image. Folders above them appear by themselves.
    pub files: BTreeMap<PathBuf, ImageFile>,
    /// The command when a container names none.
    pub entrypoint: Vec<String>,
    /// Variables of the image; a container's own win.
    pub environment: BTreeMap<String, String>,
    /// The numeric user and group when a container names none; root otherwise.
    pub user: Option<u32>,
    /// Labels, by convention those of `org.opencontainers.image`.
    pub labels: BTreeMap<String, String>,
    /// The time of the image and of all its files, in whole seconds since 1970: what `SOURCE_DATE_EPOCH` means
    /// (<https://reproducible-builds.org/specs/source-date-epoch/>).
    pub created_seconds: u32,
}

/// One file of an image. Owned by root, like everything in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// The file of this machine that holds the content.
    pub source: PathBuf,
    /// Permission bits, such as 0o755.
    pub mode: u32,
}
