//! Assembles the root file system of a container from an image's files, volumes and the few devices every program
//! expects. Runs in the container's own mount namespace; nothing of it is seen outside or outlives it.

use super::spec::{MountSpec, RootSpec};
use crate::sys::mount;
use anyhow::{Context as _, Result};
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

/// Name, major and minor number, see devices.txt of the kernel's documentation.
const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Assembles the root and makes it the root of the calling process.
pub(crate) fn assemble(spec: &RootSpec, working_directory: &Path) -> Result<()> {
    let root = spec.directory.as_path();
    mount::memory(root, MsFlags::empty(), "mode=0755").context("failed to mount the container's root")?;
    for (target, source) in &spec.image {
        let file = MountSpec { source: source.clone(), target: target.clone(), read_only: true };
        show(root, &file).context("failed to show a file of the image")?;
    }
    mount_system(root, spec.privileged)?;
    for volume in &spec.mounts {
        show(root, volume).context("failed to mount a volume")?;
    }
    make_directory(&below(root, working_directory))?;
    if spec.read_only {
        mount::remount_read_only(root).context("failed to make the root read-only")?;
    }
    mount::change_root(root).context("failed to change to the container's root")
}

/// /proc, /sys and /dev.
fn mount_system(root: &Path, privileged: bool) -> Result<()> {
    let (processes, system, devices) = (root.join("proc"), root.join("sys"), root.join("dev"));
    for directory in [&processes, &system, &devices] {
        make_directory(directory)?;
    }
    mount::process_information(&processes).context("failed to mount /proc")?;
    mount::system_information(&system).context("failed to mount /sys")?;
    if !privileged {
        for path in ["sys", "sysrq-trigger", "irq", "bus", "fs"].map(|name| processes.join(name)) {
            if path.exists() {
                mount::bind(&path, &path, true)
                    .with_context(|| format!("failed to protect {}", path.display()))?;
            }
        }
    }
    mount_devices(&devices)
}

fn mount_devices(devices: &Path) -> Result<()> {
    mount::memory(devices, MsFlags::MS_NOSUID, "mode=0755").context("failed to mount /dev")?;
    for (name, major, minor) in DEVICES {
        make_device(devices, name, makedev(major, minor))
            .with_context(|| format!("failed to make /dev/{name}"))?;
    }
    for (name, target) in DEVICE_LINKS {
        symlink(target, devices.join(name)).with_context(|| format!("failed to link /dev/{name}"))?;
    }
    let shared = devices.join("shm");
    make_directory(&shared)?;
    mount::memory(&shared, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=1777,size=64m")
        .context("failed to mount /dev/shm")
}

/// Makes a device of the container's own: what the container does to it, to whom it belongs for example, does not
/// reach the host's.
fn make_device(devices: &Path, name: &str, number: u64) -> Result<()> {
    let path = devices.join(name);
    mknod(&path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), number)?;
    // The mask of the process has taken bits away.
    Ok(std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?)
}

/// Binds a file or a directory at its place below `root`, making that place first.
fn show(root: &Path, what: &MountSpec) -> Result<()> {
    let target = below(root, &what.target);
    let describe = || format!("{} at {}", what.source.display(), what.target.display());
    let metadata = std::fs::metadata(&what.source).with_context(describe)?;
    if metadata.is_dir() {
        make_directory(&target)?;
    } else if !target.exists() {
        make_directory(target.parent().unwrap_or(root))?;
        std::fs::write(&target, []).with_context(describe)?;
    }
    mount::bind(&what.source, &target, what.read_only).with_context(describe)
}

fn make_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path).with_context(|| format!("failed to make directory {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("failed to open directory {}", path.display()))
}

/// A container's path below the root being assembled; `..` never leads out of it.
fn below(root: &Path, path: &Path) -> PathBuf {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
    });
    names.fold(root.to_path_buf(), |path, name| path.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_dots_stays_below_the_root() {
        assert_eq!(
            below(Path::new("/root"), Path::new("/../../etc/./passwd")),
            Path::new("/root/etc/passwd")
        );
    }
}
