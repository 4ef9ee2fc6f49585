//! A refusal of the file system, put so that a person knows what to change: who asked, whose the path is, and what would
//! help. It changes nothing itself.

use nix::unistd::{getegid, geteuid, getgroups};
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The error, with what stands in its way if the file system refused `path` to this process.
pub(super) fn explained(path: &Path, error: Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::PermissionDenied => match obstacle(path) {
            Some((path, metadata)) => anyhow::Error::new(error).context(refusal(path, &metadata)),
            None => error.into(),
        },
        ErrorKind::ReadOnlyFilesystem => {
            anyhow::Error::new(error).context("the volume is mounted read-only; look for errors of its disk")
        }
        _ => error.into(),
    }
}

/// The path itself, or the nearest directory above it that this process may look at.
fn obstacle(path: &Path) -> Option<(&Path, Metadata)> {
    path.ancestors().find_map(|path| path.metadata().ok().map(|metadata| (path, metadata)))
}

fn refusal(path: &Path, metadata: &Metadata) -> String {
    let user = geteuid();
    let mut groups = BTreeSet::from([getegid().as_raw()]);
    groups.extend(getgroups().unwrap_or_default().iter().map(|group| group.as_raw()));
    let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
    format!(
        "{path} belongs to user {owner} and group {group} with mode {mode:04o}, and this process runs as user {user} \
         with groups {groups}; let user {user} own it, or give it one of these groups and let that group read and \
         write there (Kubernetes does so by the pod's fsGroup, if the volume's driver supports it)",
        path = path.display(),
        owner = metadata.uid(),
        group = metadata.gid(),
        mode = metadata.mode() & 0o7777,
        groups = groups.join(", "),
    )
}
