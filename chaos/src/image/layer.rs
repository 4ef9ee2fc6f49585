//! The one layer of an image: a tar of its files in the order of their paths, owned by root, all with one time. Never reads
//! owner, time or mode of the files on this machine.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tar::{Builder, EntryType, Header};

use super::{Image, ImageFile};

/// The mode of folders above the files.
const FOLDER_MODE: u32 = 0o755;

/// Writes the layer of `image` and gives the writer back.
pub(super) fn write<W: Write>(image: &Image, to: W) -> Result<W> {
    let mut layer = Builder::new(to);
    let created = u64::from(image.created_seconds);
    for folder in folders(image)? {
        let mut header = header(EntryType::Directory, FOLDER_MODE, 0, created);
        // A slash at the end is what other writers give folders, and what some readers look at.
        let path = format!("{}/", folder.display());
        layer
            .append_data(&mut header, &path, std::io::empty())
            .with_context(|| format!("failed to add the folder {path}"))?;
    }
    for (path, file) in &image.files {
        append(&mut layer, path, file, created)
            .with_context(|| format!("failed to add {}", path.display()))?;
    }
    layer.into_inner().context("failed to end the layer")
}

fn append<W: Write>(layer: &mut Builder<W>, path: &Path, file: &ImageFile, created: u64) -> Result<()> {
    let source = file.source.display();
    let content = File::open(&file.source).with_context(|| format!("failed to open {source}"))?;
    let data = content.metadata().with_context(|| format!("failed to read the size of {source}"))?;
    if !data.is_file() {
        bail!("{source} is not a file: an image is made of files");
    }
    let mut header = header(EntryType::Regular, file.mode, data.len(), created);
    let mut content = content.take(data.len());
    layer
        .append_data(&mut header, relative(path)?, &mut content)
        .with_context(|| format!("failed to read {source}"))?;
    if content.limit() > 0 {
        bail!("{source} became shorter while it was read");
    }
    Ok(())
}

fn header(kind: EntryType, mode: u32, size: u64, created: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(created);
    header
}

/// Every folder above a file, each before what lies in it.
fn folders(image: &Image) -> Result<BTreeSet<PathBuf>> {
    let mut folders = BTreeSet::new();
    for path in image.files.keys() {
        let above = relative(path)?.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        folders.extend(above.map(Path::to_owned));
    }
    Ok(folders)
}

/// The path as layers have it: below the root, without a way out.
fn relative(path: &Path) -> Result<&Path> {
    let relative = path.strip_prefix("/");
    let relative =
        relative.with_context(|| format!("{} is not an absolute path in the image", path.display()))?;
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || relative.as_os_str().is_empty() {
        bail!("{} does not name a file below the image's root", path.display());
    }
    Ok(relative)
}
