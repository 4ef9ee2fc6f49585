//! Which object is looked at: its kind, namespace and name. Never its content.

use std::fmt;

/// The kinds of objects that users write and the operator carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnKind {
    /// A cluster.
    EtcdCluster,
}

impl OwnKind {
    /// The kind as Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            OwnKind::EtcdCluster => "EtcdCluster",
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
    /// An `EtcdCluster`.
    pub fn of_cluster(namespace: &str, name: &str) -> Key {
        Key { kind: OwnKind::EtcdCluster, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}
