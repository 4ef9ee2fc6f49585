//! etcd's data is for etcd alone: its directories get mode 0700 before each start. A volume with an fsGroup becomes
//! writable for the group at each mount, which etcd complains about. Whoever this process runs as must own them; if not, it
//! only says so.

use nix::unistd::geteuid;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What etcd gives the directories that it makes.
const PRIVATE: u32 = 0o700;
/// What nobody but the owner needs.
const OTHERS: u32 = 0o077;

/// What became of one directory.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// There is no such directory, or nobody else can use it.
    NothingToDo,
    /// Others could use it and now cannot; the mode before.
    MadePrivate(u32),
    /// Others can use it, and it is theirs.
    NotOurs(u32),
}

/// Closes the data directory to others. No failure stops a start: etcd runs on an open directory too.
pub(super) fn close_to_others(data: &Path) {
    for directory in directories(data) {
        let path = directory.display();
        match make_private(&directory) {
            Ok(Outcome::NothingToDo) => {}
            Ok(Outcome::MadePrivate(mode)) => {
                tracing::info!(%path, before = %format!("{mode:04o}"), "the directory is private again");
            }
            Ok(Outcome::NotOurs(owner)) => {
                tracing::warn!(%path, owner, user = %geteuid(), "others may use the directory, and it is not ours to close");
            }
            Err(error) => tracing::warn!(%path, %error, "failed to make the directory private"),
        }
    }
}

/// The directories that etcd makes itself.
fn directories(data: &Path) -> [PathBuf; 4] {
    let member = data.join("member");
    [data.to_owned(), member.clone(), member.join("wal"), member.join("snap")]
}

fn make_private(directory: &Path) -> io::Result<Outcome> {
    let metadata = match directory.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Outcome::NothingToDo),
        Err(error) => return Err(error),
    };
    let mode = metadata.mode() & 0o7777;
    if !metadata.is_dir() || mode & OTHERS == 0 {
        return Ok(Outcome::NothingToDo);
    }
    if metadata.uid() != geteuid().as_raw() {
        return Ok(Outcome::NotOurs(metadata.uid()));
    }
    fs::set_permissions(directory, Permissions::from_mode(PRIVATE))?;
    Ok(Outcome::MadePrivate(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn directories_that_a_mount_opened_to_the_group_are_closed_again_and_files_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        fs::create_dir_all(data.join("member/wal")).unwrap();
        fs::create_dir_all(data.join("member/snap")).unwrap();
        let database = data.join("member/snap/db");
        fs::write(&database, "").unwrap();
        fs::set_permissions(&database, Permissions::from_mode(0o660)).unwrap();
        for directory in directories(&data) {
            fs::set_permissions(&directory, Permissions::from_mode(0o2770)).unwrap();
        }
        close_to_others(&data);
        assert_eq!(directories(&data).map(|directory| mode(&directory)), [PRIVATE; 4]);
        assert_eq!(mode(&database), 0o660);
    }

    #[test]
    fn before_etcd_ever_ran_there_is_nothing_to_close() {
        let root = tempfile::tempdir().unwrap();
        close_to_others(&root.path().join("data"));
        assert!(!root.path().join("data").exists());
    }

    #[test]
    fn a_directory_of_another_user_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, Permissions::from_mode(0o770)).unwrap();
        std::os::unix::fs::chown(&data, Some(12345), None).unwrap();
        assert_eq!(make_private(&data).unwrap(), Outcome::NotOurs(12345));
        close_to_others(&data);
        assert_eq!(mode(&data), 0o770);
    }

    #[test]
    fn a_link_is_not_followed_out_of_the_volume() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = root.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::set_permissions(&elsewhere, Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.path().join("data")).unwrap();
        assert_eq!(make_private(&root.path().join("data")).unwrap(), Outcome::NothingToDo);
        assert_eq!(mode(&elsewhere), 0o755);
    }
}
