//! Writes the files of a volume so that a reader sees either all old or all new ones: a fresh directory, and one
//! symbolic link `..data` that is swapped by a rename. This is the kubelet's atomic writer.

use super::payload::Payload;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// Replaces the content of `volume` by `payload`. `version` names the fresh directory and must not have been used.
pub(crate) fn write(volume: &Path, payload: &Payload, version: &str, group: Option<u32>) -> io::Result<()> {
    let fresh = volume.join(format!("..{version}"));
    make_directory(&fresh, group)?;
    for (path, file) in payload {
        let target = fresh.join(path);
        if let Some(parent) = target.parent().filter(|parent| *parent != fresh) {
            std::fs::create_dir_all(parent)?;
        }
        let mode = if group.is_some() { file.mode | 0o440 } else { file.mode };
        let mut handle = std::fs::File::options().create_new(true).write(true).mode(0o600).open(&target)?;
        io::Write::write_all(&mut handle, &file.content)?;
        chown(&target, None, group)?;
        handle.set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    let old = std::fs::read_link(volume.join(DATA)).ok();
    symlink(format!("..{version}"), volume.join(NEW_DATA))?;
    std::fs::rename(volume.join(NEW_DATA), volume.join(DATA))?;
    link_names(volume, payload)?;
    match old {
        Some(old) => std::fs::remove_dir_all(volume.join(old)),
        None => Ok(()),
    }
}

/// One link in the volume for each first part of a path; links to what is gone are removed.
fn link_names(volume: &Path, payload: &Payload) -> io::Result<()> {
    let names: BTreeSet<&str> = payload.keys().filter_map(|path| path.split('/').next()).collect();
    for name in &names {
        let link = volume.join(name);
        if link.symlink_metadata().is_err() {
            symlink(Path::new(DATA).join(name), link)?;
        }
    }
    for entry in std::fs::read_dir(volume)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !names.contains(name.as_ref()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn make_directory(path: &Path, group: Option<u32>) -> io::Result<()> {
    std::fs::create_dir(path)?;
    chown(path, None, group)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::volume::payload::VolumeFile;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let file = |content: &str| VolumeFile { content: content.as_bytes().to_vec(), mode: 0o644 };
        files.iter().map(|(path, content)| ((*path).to_owned(), file(content))).collect()
    }

    #[test]
    fn a_second_version_replaces_the_first_and_removes_its_leftovers() {
        let volume = tempfile::tempdir().unwrap();
        write(volume.path(), &payload(&[("a", "1"), ("deep/b", "2")]), "1", None).unwrap();
        assert_eq!(std::fs::read_to_string(volume.path().join("deep/b")).unwrap(), "2");
        write(volume.path(), &payload(&[("a", "3")]), "2", None).unwrap();
        assert_eq!(std::fs::read_to_string(volume.path().join("a")).unwrap(), "3");
        let mut names: Vec<_> =
            std::fs::read_dir(volume.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["..2", "..data", "a"]);
    }
}
