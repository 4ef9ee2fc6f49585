//! Gives a volume to the pod's `fsGroup`: every file to the group, readable and writable for it, directories setgid.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::Path;

/// Changes the directory and everything below it. A file that vanishes meanwhile is nobody's.
pub(crate) fn give_to_group(path: &Path, group: u32) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    lchown(path, None, Some(group))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let wanted = if metadata.is_dir() { 0o2770 } else { 0o660 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode((metadata.mode() & 0o7777) | wanted))?;
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            match give_to_group(&entry?.path(), group) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// Whether the directory itself belongs to the group already (`fsGroupChangePolicy: OnRootMismatch`).
pub(crate) fn root_matches(path: &Path, group: u32) -> io::Result<bool> {
    let metadata = path.metadata()?;
    Ok(metadata.gid() == group && metadata.mode() & 0o2770 == 0o2770)
}
