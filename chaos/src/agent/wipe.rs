//! Empties a directory so that it stays empty after a crash of the machine. The directory itself stays, and links are removed,
//! never followed.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, ensure};

/// What a directory holds, at any depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Content {
    /// Files, directories and links.
    pub(super) entries: u64,
    /// Sum of the sizes of regular files.
    pub(super) bytes: u64,
}

/// Counts what a directory holds.
pub(super) fn measure(directory: &Path) -> anyhow::Result<Content> {
    let mut content = Content::default();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        let reading = || format!("reading directory {}", next.display());
        for entry in fs::read_dir(&next).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let kind = entry.file_type().with_context(reading)?;
            content.entries += 1;
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() {
                // A file that its owner removes meanwhile has no size.
                content.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
    }
    Ok(content)
}

/// Removes everything in a directory and makes that durable.
pub(super) fn empty_directory(directory: &Path) -> anyhow::Result<()> {
    let kind = fs::symlink_metadata(directory)
        .with_context(|| format!("failed to look at the directory to wipe, {}", directory.display()))?;
    ensure!(kind.is_dir(), "what should be wiped, {}, is not a directory", directory.display());
    for entry in fs::read_dir(directory).with_context(|| format!("failed to read {}", directory.display()))? {
        let entry = entry.with_context(|| format!("failed to read {}", directory.display()))?;
        let path = entry.path();
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        removed.with_context(|| format!("failed to remove {}", path.display()))?;
    }
    sync(directory)?;
    directory.parent().map_or(Ok(()), sync)
}

fn sync(directory: &Path) -> anyhow::Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.with_context(|| format!("failed to make the wipe of {} durable", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wiped_directory_is_empty_and_what_its_links_point_to_is_not() {
        let volume = tempfile::tempdir().unwrap();
        let (data, outside) = (volume.path().join("data"), volume.path().join("outside"));
        fs::create_dir_all(data.join("member/wal")).unwrap();
        fs::write(data.join("member/wal/0.wal"), b"12345").unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), b"1").unwrap();
        std::os::unix::fs::symlink(&outside, data.join("link")).unwrap();
        assert_eq!(measure(&data).unwrap(), Content { entries: 4, bytes: 5 });

        empty_directory(&data).unwrap();

        assert_eq!(measure(&data).unwrap(), Content::default());
        assert!(outside.join("kept").exists());
    }

    #[test]
    fn a_link_in_place_of_the_directory_is_refused() {
        let volume = tempfile::tempdir().unwrap();
        fs::create_dir(volume.path().join("real")).unwrap();
        std::os::unix::fs::symlink(volume.path().join("real"), volume.path().join("data")).unwrap();
        let error = empty_directory(&volume.path().join("data")).unwrap_err();
        assert!(error.to_string().contains("is not a directory"), "{error}");
    }
}
