//! The directories behind PersistentVolumes: `<state>/volumes/<volume handle>`. A directory whose volume was deleted
//! goes when the last pod has let go of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// All volume directories of the node.
#[derive(Clone, Debug)]
pub(crate) struct VolumeRegistry {
    directory: PathBuf,
    uses: Arc<Mutex<Uses>>,
}

#[derive(Debug, Default)]
struct Uses {
    in_use: BTreeMap<String, u32>,
    doomed: BTreeSet<String>,
}

/// A pod's hold on a volume directory.
#[derive(Debug)]
pub(crate) struct VolumeUse {
    registry: VolumeRegistry,
    handle: String,
}

impl VolumeRegistry {
    pub(crate) fn new(state_directory: &Path) -> VolumeRegistry {
        VolumeRegistry { directory: state_directory.join("volumes"), uses: Arc::default() }
    }

    /// Takes hold of a volume's directory, making it at its first use.
    pub(crate) fn hold(&self, handle: &str) -> io::Result<(VolumeUse, PathBuf)> {
        let path = self.path(handle)?;
        if !path.exists() {
            std::fs::create_dir_all(&path)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777))?;
        }
        *self.lock().in_use.entry(handle.to_owned()).or_default() += 1;
        Ok((VolumeUse { registry: self.clone(), handle: handle.to_owned() }, path))
    }

    /// Removes the directory of a deleted volume, now or when it is no longer in use.
    pub(crate) fn doom(&self, handle: &str) -> io::Result<()> {
        let mut uses = self.lock();
        if uses.in_use.contains_key(handle) {
            uses.doomed.insert(handle.to_owned());
            return Ok(());
        }
        drop(uses);
        self.remove(handle)
    }

    fn release(&self, handle: &str) {
        let mut uses = self.lock();
        if let Some(count) = uses.in_use.get_mut(handle) {
            *count -= 1;
            if *count == 0 {
                uses.in_use.remove(handle);
            }
        }
        let remove = !uses.in_use.contains_key(handle) && uses.doomed.remove(handle);
        drop(uses);
        if remove && let Err(error) = self.remove(handle) {
            tracing::warn!(handle, %error, "failed to remove a deleted volume's directory");
        }
    }

    fn remove(&self, handle: &str) -> io::Result<()> {
        match std::fs::remove_dir_all(self.path(handle)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// A handle is one name, never a path that leads elsewhere.
    fn path(&self, handle: &str) -> io::Result<PathBuf> {
        if handle.is_empty() || handle.contains('/') || handle.starts_with('.') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("volume handle {handle:?} is no name"),
            ));
        }
        Ok(self.directory.join(handle))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for VolumeUse {
    fn drop(&mut self) {
        self.registry.release(&self.handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_volume_keeps_its_directory_until_the_last_pod_lets_go() {
        let state = tempfile::tempdir().unwrap();
        let registry = VolumeRegistry::new(state.path());
        let (hold, path) = registry.hold("pvc-1").unwrap();
        registry.doom("pvc-1").unwrap();
        assert!(path.is_dir());
        drop(hold);
        assert!(!path.exists());
    }

    #[test]
    fn a_handle_cannot_lead_out_of_the_directory() {
        let state = tempfile::tempdir().unwrap();
        assert!(VolumeRegistry::new(state.path()).hold("../elsewhere").is_err());
    }
}
