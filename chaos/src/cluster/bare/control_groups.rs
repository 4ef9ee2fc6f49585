//! Control groups: the one thing of a cluster that no namespace holds. They carry the cluster's name, are removed when it
//! ends, and those that a killed cluster left are removed by the next start.
//!
//! A group is known to be dead by asking the kernel, which refuses to remove one with a process in it: the cluster's own
//! processes are in the group `system` of one hierarchy as long as any of them lives.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

/// What the names of all our groups begin with.
const PREFIX: &str = "etcd-chaos.";
/// The group of the cluster's own processes.
const SYSTEM: &str = "system";
/// The file of the state directory that holds the groups' name.
const NOTE: &str = "control-group";
/// How long the last process of a group may take to end, once it is killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The mounted hierarchies: one with version 2, several with version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hierarchies {
    all: Vec<PathBuf>,
    /// The one in which the cluster's own processes are in a group of their own.
    own: PathBuf,
}

impl Hierarchies {
    /// Reads what this kernel has mounted.
    pub(super) fn read() -> Result<Hierarchies> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("failed to read the mounts")?;
        Hierarchies::parse(&mounts).context(
            "there are no control groups with the controllers `cpu`, `memory` and `pids` mounted below /sys/fs/cgroup: \
             nodes need them; in a container, run it with its own cgroup namespace and write access",
        )
    }

    fn parse(mounts: &str) -> Option<Hierarchies> {
        let mut first = Vec::new();
        let mut second = Vec::new();
        let mut own = None;
        for line in mounts.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, place, kind, options, ..] = fields.as_slice() else { continue };
            match *kind {
                "cgroup" => {
                    // Not every group of `cpuset` can hold a process before it is given processors.
                    if options.split(',').any(|option| option == "pids") {
                        own = Some(PathBuf::from(place));
                    }
                    first.push(PathBuf::from(place));
                }
                "cgroup2" => second.push(PathBuf::from(place)),
                _ => {}
            }
        }
        let own = if first.is_empty() { second.first().cloned() } else { own }?;
        Some(Hierarchies { all: first.into_iter().chain(second).collect(), own })
    }

    /// Makes the groups of a cluster and puts this process, and so all that it starts, into `system`.
    pub(super) fn enter(&self, name: &str) -> Result<()> {
        // First into the group that keeps another cluster's start from taking these for a dead cluster's.
        let own = self.own.join(name);
        make(&own)?;
        inherit_processors(&self.own, &own)?;
        let system = own.join(SYSTEM);
        make(&system)?;
        fs::write(system.join("cgroup.procs"), std::process::id().to_string())
            .with_context(|| format!("failed to enter {}", system.display()))?;
        for hierarchy in self.all.iter().filter(|hierarchy| **hierarchy != self.own) {
            let group = hierarchy.join(name);
            make(&group)?;
            inherit_processors(hierarchy, &group)?;
        }
        Ok(())
    }

    /// Makes the group of one node, below which the kubelet makes those of pods.
    pub(super) fn add_node(&self, name: &str, node: &str) -> Result<()> {
        for hierarchy in &self.all {
            let group = hierarchy.join(name).join(node);
            make(&group)?;
            inherit_processors(&hierarchy.join(name), &group)?;
        }
        Ok(())
    }

    /// Removes the groups of a cluster whose processes have ended, or are just ending.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for hierarchy in &self.all {
            let group = hierarchy.join(name);
            while let Err(error) = remove_tree(&group) {
                if Instant::now() > deadline {
                    return Err(error).with_context(|| format!("failed to remove {}", group.display()));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// Removes the groups that killed clusters left.
    pub(super) fn sweep(&self) -> Result<()> {
        let mut names: Vec<String> = Vec::new();
        for hierarchy in &self.all {
            let entries =
                fs::read_dir(hierarchy).with_context(|| format!("failed to read {}", hierarchy.display()))?;
            let found = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            names.extend(found.filter(|name| name.starts_with(PREFIX)));
        }
        names.sort();
        names.dedup();
        for name in names {
            match fs::remove_dir(self.own.join(&name).join(SYSTEM)) {
                Ok(()) => self.remove(&name)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.remove(&name)?,
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                Err(error) => {
                    bail!("removing the control group {name} of a cluster that was killed: {error}")
                }
            }
        }
        Ok(())
    }
}

/// The name of a cluster's groups; `unique` tells apart two clusters of one name.
pub(super) fn name(cluster: &str, unique: &str) -> String {
    format!("{PREFIX}{cluster}.{unique}")
}

/// Writes the name of a cluster's groups into its state directory, before they are made: who finds the cluster killed finds
/// them by it.
pub(super) fn note(state: &Path, name: &str) -> Result<()> {
    let file = state.join(NOTE);
    fs::write(&file, name).with_context(|| format!("failed to write {}", file.display()))
}

/// The name that was noted in a state directory, if a start had come that far.
pub(super) fn noted(state: &Path) -> Result<Option<String>> {
    let file = state.join(NOTE);
    match fs::read_to_string(&file) {
        // Anything else was not written by us, and must not be removed.
        Ok(name) if name.starts_with(PREFIX) && !name.contains('/') => Ok(Some(name)),
        Ok(name) => bail!("{} names no control group of a cluster: {name:?}", file.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", file.display())),
    }
}

fn make(group: &Path) -> Result<()> {
    match fs::create_dir(group) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("failed to make the control group {}", group.display()))
        }
    }
}

/// In version 1 a new group of `cpuset` has no processors and no memory, and so can hold no process.
fn inherit_processors(parent: &Path, group: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let Ok(value) = fs::read_to_string(parent.join(file)) else { continue };
        if value.trim().is_empty() {
            continue;
        }
        fs::write(group.join(file), value)
            .with_context(|| format!("failed to set {file} of {}", group.display()))?;
    }
    Ok(())
}

/// Removes a group and all below it. A group that is not there is fine.
fn remove_tree(group: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(group) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_version_1_the_hierarchy_of_processes_is_our_own() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup \
                      /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let hierarchies = Hierarchies::parse(mounts).expect("there are hierarchies");
        assert_eq!(hierarchies.own, Path::new("/sys/fs/cgroup/pids"));
        assert_eq!(hierarchies.all.len(), 3);
    }

    #[test]
    fn with_version_2_there_is_one() {
        let mounts = "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n";
        let hierarchies = Hierarchies::parse(mounts).expect("there is a hierarchy");
        assert_eq!(hierarchies.own, Path::new("/sys/fs/cgroup"));
    }

    #[test]
    fn only_the_name_of_a_cluster_s_own_groups_is_taken_from_its_directory() {
        let state = tempfile::tempdir().expect("a directory can be made");
        assert_eq!(noted(state.path()).expect("there is no note"), None);
        note(state.path(), &name("a", "1")).expect("it can be written");
        assert_eq!(noted(state.path()).expect("there is one"), Some("etcd-chaos.a.1".to_owned()));
        for other in ["", "kubepods", "etcd-chaos./../../kubepods"] {
            note(state.path(), other).expect("it can be written");
            assert!(noted(state.path()).is_err(), "{other:?} was taken");
        }
    }

    #[test]
    fn without_any_there_is_nothing_to_use() {
        assert!(Hierarchies::parse("proc /proc proc rw 0 0\n").is_none());
    }
}
