//! Mounts, each function one step. Every mount is made in a private mount namespace and dies with it.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::Path;

const NONE: Option<&str> = None;

/// Keeps every later mount of this namespace from reaching another.
pub fn make_everything_private() -> nix::Result<()> {
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
}

/// Mounts a fresh /proc for the process namespace of the caller.
pub fn process_information(target: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), target, Some("proc"), flags, NONE)
}

/// Mounts a read-only /sys for the network namespace of the caller.
pub fn system_information(target: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    mount(Some("sysfs"), target, Some("sysfs"), flags, NONE)
}

/// Mounts an empty file system in memory; `options` as of mount(8).
pub fn memory(target: &Path, flags: MsFlags, options: &str) -> nix::Result<()> {
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))
}

/// Shows the file or directory `source` at `target`.
pub fn bind(source: &Path, target: &Path, read_only: bool) -> nix::Result<()> {
    mount(Some(source), target, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?;
    if read_only { remount_read_only(target) } else { Ok(()) }
}

/// Makes an existing mount read-only.
pub fn remount_read_only(target: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | kept_flags(target);
    mount(NONE, target, NONE, flags, NONE)
}

/// Makes `root` the root of this mount namespace and forgets every other mount.
pub fn change_root(root: &Path) -> nix::Result<()> {
    nix::unistd::chdir(root)?;
    // With the same directory twice the old root is stacked on the new one, so that no directory is needed for it.
    nix::unistd::pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    nix::unistd::chdir("/")
}

/// The flags which a remount would otherwise drop.
fn kept_flags(target: &Path) -> MsFlags {
    use nix::sys::statvfs::FsFlags;
    let Ok(information) = nix::sys::statvfs::statvfs(target) else { return MsFlags::empty() };
    let pairs = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ];
    let present = pairs.into_iter().filter(|(flag, _)| information.flags().contains(*flag));
    present.fold(MsFlags::empty(), |flags, (_, flag)| flags | flag)
}
