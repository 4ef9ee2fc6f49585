//! The configuration files of a node's parts, as text. Pure. Where a value only repeats a default it is left out; why a value
//! differs from it stands beside it.

use std::path::Path;

use super::config::{NAME_SERVER, NodeIndex, PODS, Tools};

/// The fixed places inside a node's mount namespace.
pub(super) mod places {
    /// All that the node is given by the host.
    pub(in super::super) const GIVEN: &str = "/run/etcd-chaos";
    /// The node's own directory, kept on the host's disk.
    pub(in super::super) const OWN: &str = "/run/etcd-chaos/node";
    /// The directories of PersistentVolumes; the same on every node.
    pub(in super::super) const VOLUMES: &str = "/run/etcd-chaos/volumes";
    /// Where containerd listens.
    pub(in super::super) const CONTAINERD: &str = "/run/containerd/containerd.sock";
}

/// The image that holds a pod's namespaces open.
pub(super) const PAUSE_IMAGE: &str = "etcd-chaos-pause:v1";

/// containerd's configuration.
pub(super) fn containerd(tools: &Tools) -> String {
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/{PAUSE_IMAGE}"
  # A process may raise its own score but not lower it without a right that containers of test machines often lack.
  restrict_oom_score_adj = true
  # Profiles belong to the kernel, not to a namespace.
  disable_apparmor = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{given}/network"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
"#,
        socket = places::CONTAINERD,
        given = places::GIVEN,
        plugins = tools.plugins.display(),
        runc = tools.runc.display(),
    )
}

/// The pod network: a wire from each pod to its node, routed. With a bridge, answers between pods of one node would pass
/// by the address translation of Services.
pub(super) fn pod_network(node: NodeIndex) -> String {
    let (network, length) = node.pods();
    format!(
        r#"{{
  "cniVersion": "0.4.0",
  "name": "pods",
  "plugins": [{{
    "type": "ptp",
    "ipMasq": false,
    "ipam": {{
      "type": "host-local",
      "dataDir": "/run/cni-addresses",
      "ranges": [[{{ "subnet": "{network}/{length}" }}]],
      "routes": [{{ "dst": "0.0.0.0/0" }}]
    }}
  }}]
}}
"#
    )
}

/// The kubelet's configuration. It must not begin with `{`, or the kubelet would read it as JSON with YAML's keys.
pub(super) fn kubelet(node: NodeIndex, control_group: &str) -> String {
    format!(
        r#"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  x509:
    clientCAFile: {own}/ca.crt
tlsCertFile: {own}/kubelet.crt
tlsPrivateKeyFile: {own}/kubelet.key
containerRuntimeEndpoint: unix://{socket}
clusterDNS: ["{NAME_SERVER}"]
clusterDomain: cluster.local
resolvConf: {given}/resolv.conf
# There is no systemd in the namespaces of a node.
cgroupDriver: cgroupfs
cgroupRoot: /{control_group}/{name}
# Many test machines have version 1 of control groups.
failCgroupV1: false
# Limits and scores of the host are not ours to change: a kubelet that cannot goes on.
featureGates:
  KubeletInUserNamespace: true
oomScoreAdj: 0
failSwapOn: false
makeIPTablesUtilChains: false
# The default is a directory of the host, which it would make.
volumePluginDir: /var/lib/kubelet/volume-plugins
# The disk and the memory are shared with the host: how full they are says nothing about the cluster.
imageGCHighThresholdPercent: 100
evictionHard:
  memory.available: "1Mi"
  nodefs.available: "0%"
  nodefs.inodesFree: "0%"
  imagefs.available: "0%"
  imagefs.inodesFree: "0%"
"#,
        own = places::OWN,
        given = places::GIVEN,
        socket = places::CONTAINERD,
        name = node.name(),
    )
}

/// kube-proxy's configuration. It must not begin with `{` either.
pub(super) fn proxy(node: NodeIndex) -> String {
    format!(
        r#"apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection:
  kubeconfig: {own}/proxy.kubeconfig
clusterCIDR: {PODS}
hostnameOverride: {name}
mode: nftables
# The size of the table of connections is the host's.
conntrack:
  maxPerCore: 0
  min: 0
"#,
        own = places::OWN,
        name = node.name(),
    )
}

/// How the kubelet is started.
pub(super) fn kubelet_arguments(node: NodeIndex) -> Vec<String> {
    vec![
        "kubelet".to_owned(),
        format!("--config={}/kubelet.yaml", places::OWN),
        format!("--kubeconfig={}/kubelet.kubeconfig", places::OWN),
        format!("--hostname-override={}", node.name()),
        format!("--node-ip={}", node.address()),
    ]
}

/// How kube-proxy is started.
pub(super) fn proxy_arguments() -> Vec<String> {
    vec!["kube-proxy".to_owned(), format!("--config={}/proxy.yaml", places::OWN)]
}

/// Where the node sees the image archive with this number.
pub(super) fn archive(number: usize) -> String {
    Path::new(places::GIVEN).join(format!("images/{number}.tar")).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::bare::config::NodeCount;

    #[test]
    fn configuration_files_are_not_taken_for_json() {
        for node in NodeCount::ONE.all() {
            assert!(!kubelet(node, "group").starts_with('{'));
            assert!(!proxy(node).starts_with('{'));
        }
    }

    #[test]
    fn the_pod_network_is_json() {
        for node in NodeCount::ONE.all() {
            serde_json::from_str::<serde_json::Value>(&pod_network(node)).expect("it is JSON");
        }
    }
}
