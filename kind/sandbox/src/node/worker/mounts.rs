//! What a container is shown: volumes, the files of its pod, and the file for its last words.

use super::Worker;
use crate::node::container::spec::MountSpec;
use crate::node::lifecycle::ContainerRecord;
use k8s_openapi::api::core::v1::Container;
use std::path::{Component, Path, PathBuf};

impl Worker {
    /// Volumes by the length of their path, so that a mount below another comes after it, then the pod's own files.
    pub(super) fn mounts(&self, record: &ContainerRecord) -> Result<Vec<MountSpec>, String> {
        let mut mounts = Vec::new();
        for mount in record.container.volume_mounts.iter().flatten() {
            let (path, read_only) = self
                .volumes
                .as_ref()
                .and_then(|volumes| volumes.path(&mount.name))
                .ok_or_else(|| format!("volume \"{}\" not found", mount.name))?;
            let source = sub_path(path, mount.sub_path.as_deref().unwrap_or_default())?;
            let read_only = read_only || mount.read_only == Some(true);
            mounts.push(MountSpec { source, target: PathBuf::from(&mount.mount_path), read_only });
        }
        let directory = self.node.pod_directory(&self.key);
        for (target, source) in super::prepare::files(&directory) {
            if mounts.iter().all(|mount| mount.target != target) {
                mounts.push(MountSpec { source, target, read_only: false });
            }
        }
        let message = message_file(&directory, &record.container.name);
        std::fs::write(&message, [])
            .and_then(|()| open_to_all(&message))
            .map_err(|error| error.to_string())?;
        mounts.push(MountSpec { source: message, target: message_path(&record.container), read_only: false });
        mounts.sort_by_key(|mount| mount.target.components().count());
        Ok(mounts)
    }
}

/// The file behind `terminationMessagePath`.
pub(super) fn message_file(directory: &Path, container: &str) -> PathBuf {
    directory.join("containers").join(format!("{container}.message"))
}

fn message_path(container: &Container) -> PathBuf {
    container.termination_message_path.clone().unwrap_or_else(|| "/dev/termination-log".into()).into()
}

fn open_to_all(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))
}

/// A path in a volume, made as a directory if nothing is there. It must stay in the volume, links included.
fn sub_path(volume: &Path, sub_path: &str) -> Result<PathBuf, String> {
    if sub_path.is_empty() {
        return Ok(volume.to_path_buf());
    }
    if !Path::new(sub_path).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(format!("subPath \"{sub_path}\" leads out of its volume"));
    }
    let path = volume.join(sub_path);
    if !path.exists() {
        std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
    }
    let real = std::fs::canonicalize(&path).map_err(|error| error.to_string())?;
    if real.starts_with(volume) {
        Ok(real)
    } else {
        Err(format!("subPath \"{sub_path}\" leads out of its volume"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_path_must_stay_in_its_volume() {
        let directory = tempfile::tempdir().unwrap();
        let volume = directory.path().join("volume");
        std::fs::create_dir(&volume).unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("link")).unwrap();
        assert_eq!(sub_path(&volume, "a/b").unwrap(), volume.join("a/b"));
        assert!(sub_path(&volume, "../other").is_err());
        assert!(sub_path(&volume, "link").is_err());
    }
}
