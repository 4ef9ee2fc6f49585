//! What a bare cluster is told when it starts: plain data, handed from process to process. Decides no more than names
//! and addresses.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use sandbox::TreeConfig;
use serde::{Deserialize, Serialize};

use super::control_groups::Hierarchies;

/// How to start a bare cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BareConfig {
    /// Shown in the kubeconfig as cluster and context.
    pub(super) name: String,
    /// Where it stands, and how long.
    pub(super) tree: TreeConfig,
    /// How many nodes it has.
    pub(super) nodes: NodeCount,
    /// The name of its control groups, in every hierarchy of the kernel: what no namespace holds.
    pub(super) control_group: String,
    /// Where these are. The parent could not find out: what it sees of /proc is its children's.
    pub(super) hierarchies: Hierarchies,
    /// The programs that it is made of.
    pub(super) tools: Tools,
    /// Image archives that every node knows from the start; the first ones are needed by the node itself.
    pub(super) archives: Vec<PathBuf>,
}

/// How many nodes a bare cluster has: 1 to 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCount(u8);

impl NodeCount {
    /// A cluster of one node.
    pub const ONE: NodeCount = NodeCount(1);
    const MOST: u8 = 9;

    /// All nodes, in order.
    pub(super) fn all(self) -> impl Iterator<Item = NodeIndex> {
        (1..=self.0).map(NodeIndex)
    }
}

impl std::str::FromStr for NodeCount {
    type Err = String;

    fn from_str(text: &str) -> Result<NodeCount, String> {
        match text.parse() {
            Ok(count @ 1..=Self::MOST) => Ok(NodeCount(count)),
            _ => Err(format!("a bare cluster has 1 to {} nodes", Self::MOST)),
        }
    }
}

impl std::fmt::Display for NodeCount {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Which node, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct NodeIndex(u8);

impl NodeIndex {
    /// Its name in the cluster, and of its wire beside the control plane.
    pub(super) fn name(self) -> String {
        format!("node-{}", self.0)
    }

    /// Its address.
    pub(super) fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 88, 0, 10 + self.0)
    }

    /// The addresses of its pods: network and prefix length.
    pub(super) fn pods(self) -> (Ipv4Addr, u8) {
        (Ipv4Addr::new(10, 244, self.0, 0), 24)
    }
}

/// Where the control plane is: the API server's address in the cluster, and the next hop of every node.
pub(super) const CONTROL_PLANE: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
/// The port of the API server there.
pub(super) const API_PORT: u16 = 6443;
/// All addresses of pods.
pub(super) const PODS: &str = "10.244.0.0/16";
/// All addresses of Services.
pub(super) const SERVICES: &str = "10.96.0.0/16";
/// The first of them: the API server's own Service.
pub(super) const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The name server of pods.
pub(super) const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// The programs that a cluster is made of, absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tools {
    /// All servers of Kubernetes in one.
    pub(super) kubernetes: PathBuf,
    /// The store of the API server.
    pub(super) etcd: PathBuf,
    pub(super) containerd: PathBuf,
    /// containerd's own client, which imports images.
    pub(super) ctr: PathBuf,
    pub(super) runc: PathBuf,
    /// The directory of the network plugins.
    pub(super) plugins: PathBuf,
}

/// The files of a cluster, all below its state directory.
#[derive(Clone, Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn of(state_directory: &Path) -> Files {
        Files(state_directory.to_path_buf())
    }

    /// The administrator's access from the host.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }

    /// Certificates, keys and the access of the components.
    pub(super) fn credentials(&self) -> PathBuf {
        self.0.join("credentials")
    }

    /// What the components say, one file each.
    pub(super) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The API server's data.
    pub(super) fn etcd(&self) -> PathBuf {
        self.0.join("etcd")
    }

    /// One directory per PersistentVolume.
    pub(super) fn volumes(&self) -> PathBuf {
        self.0.join("volumes")
    }

    /// What is one node's own.
    pub(super) fn node(&self, node: NodeIndex) -> PathBuf {
        self.0.join("nodes").join(node.name())
    }

    /// All that a start makes anew; what an earlier cluster left in the same directory means nothing to a new API server.
    pub(super) fn remains(&self) -> [PathBuf; 5] {
        [self.credentials(), self.logs(), self.etcd(), self.volumes(), self.0.join("nodes")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_without_nodes_or_with_too_many_is_refused() {
        assert!("0".parse::<NodeCount>().is_err());
        assert!("10".parse::<NodeCount>().is_err());
        assert!("three".parse::<NodeCount>().is_err());
        assert_eq!("3".parse::<NodeCount>().map(|count| count.all().count()), Ok(3));
    }

    #[test]
    fn no_two_nodes_share_a_name_or_an_address() {
        let nodes: Vec<NodeIndex> = NodeCount(NodeCount::MOST).all().collect();
        let names: std::collections::BTreeSet<String> = nodes.iter().map(|node| node.name()).collect();
        let addresses: std::collections::BTreeSet<Ipv4Addr> =
            nodes.iter().flat_map(|node| [node.address(), node.pods().0, CONTROL_PLANE]).collect();
        assert_eq!((names.len(), addresses.len()), (9, 19));
    }
}
