//! Which object is looked at: its kind, namespace and name. Never its content.

use std::fmt;

/// The kinds of objects that users write and the operator carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnKind {
    /// A cluster.
    EtcdCluster,
    /// A backup.
    EtcdBackup,
    /// Backups by the clock.
    EtcdBackupSchedule,
}

impl OwnKind {
    /// The kind as Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            OwnKind::EtcdCluster => "EtcdCluster",
            OwnKind::EtcdBackup => "EtcdBackup",
            OwnKind::EtcdBackupSchedule => "EtcdBackupSchedule",
        }
    }
}

/// An object of the operator's own kinds by its key in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: OwnKind,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl Key {
    /// An object of this kind.
    pub fn of(kind: OwnKind, namespace: &str, name: &str) -> Key {
        Key { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// An `EtcdCluster`.
    pub fn of_cluster(namespace: &str, name: &str) -> Key {
        Key::of(OwnKind::EtcdCluster, namespace, name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}
