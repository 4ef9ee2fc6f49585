//! Command line of the binary: names, help and defaults. It reads nothing but arguments and environment.

use crate::backup::args::{
    BackupArguments, DeleteArguments, ListArguments, RestoreArguments, VerifyArguments, parse_limit,
};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What `--version` says.
#[cfg(not(feature = "mutants"))]
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What `--version` says of a build that can be wrong on purpose. Image builds look for the words in brackets in the binary and
/// refuse it (`chaos image`), so they change there and here together.
#[cfg(feature = "mutants")]
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (built with deliberately wrong operators: for tests only, never for an image)"
);

/// Port of the operator's HTTP server, unless an address is given.
pub const DEFAULT_PORT: u16 = 8080;

/// Runs etcd clusters on Kubernetes: creates, heals and resizes them without losing an acknowledged write.
#[derive(Debug, Parser)]
#[command(name = "etcd-operator", version = VERSION, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do; without it the operator runs, configured by its environment.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Everything this one binary does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator (the default)
    Run(Run),
    /// Decide whether etcd may start on this pod's volume, then become etcd. Runs as a member's entrypoint
    Gate {
        /// The member's static configuration, as the operator wrote it into the pod: one JSON document
        configuration: String,
    },
    /// Copy this binary to DESTINATION, so that the etcd container can run it as its gate
    InstallGate {
        /// File to write, for example /gate/etcd-operator
        destination: PathBuf,
    },
    /// Print the CustomResourceDefinitions that the operator registers when it starts
    Crd,
    /// Print the manifest that installs the operator
    Manifest {
        /// Install into this namespace, which must exist, and serve only the EtcdClusters in it: the
        /// operator then has no rights outside it except to its own resource types. Without it: into a namespace of its
        /// own, for EtcdClusters everywhere
        #[arg(long, value_name = "NAMESPACE", value_parser = crate::manifest::parse_namespace)]
        namespace: Option<String>,
        /// The operator's image in your registry, with a tag or a digest. Nodes must be able to pull it, or have it
        #[arg(long, value_name = "IMAGE", default_value = crate::manifest::DEFAULT_IMAGE,
            value_parser = crate::manifest::parse_image)]
        image: String,
    },
    /// Back up an etcd cluster to a store and prove the backup by restoring it; works on any etcd, with or without Kubernetes
    Backup(BackupArguments),
    /// List the backups in a store
    List(ListArguments),
    /// Prove a backup: restore it into an etcd of its own, and compare with what the cluster had
    Verify(VerifyArguments),
    /// Delete a backup from a store
    Delete(DeleteArguments),
    /// Restore a backup: make the data directory of a new cluster's member
    Restore(RestoreArguments),
    /// Print the names of the deliberately wrong operators that this build can be; fails in a build that has none.
    #[command(hide = true)]
    Mutants,
}

impl Command {
    /// `run` with everything taken from the environment, which is what the Deployment does.
    pub fn default_run() -> Self {
        Command::Run(Run::parse_from(["etcd-operator"]))
    }
}

/// Settings of the running operator. The Deployment in `deploy/install.yaml` sets each through its environment.
#[derive(Debug, Clone, Parser)]
pub struct Run {
    /// Identity of this process and the image that the members' gate comes from
    #[command(flatten)]
    pub pod: OwnPod,
    /// Address on which /metrics, /healthz and /readyz are served, for example 127.0.0.1:8080 or [::1]:8080; without it,
    /// port 8080 of all addresses, IPv6 and IPv4
    #[arg(long, env = "LISTEN_ADDRESS", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Act only on EtcdClusters in this namespace; without it, in all
    #[arg(long, env = "WATCH_NAMESPACE", value_name = "NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Reconcile at most this many clusters at the same time, and twice as many in which some member does not answer:
    /// those wait more than they work
    #[arg(long, env = "CONCURRENCY", default_value_t = 16, value_name = "COUNT")]
    pub concurrency: usize,
    /// Compare the data of all voters of a cluster at rest this often, for example 10m or 1h. Each reads all of its data for it
    #[arg(long, env = "COMPARE_DATA_EVERY", default_value = "10m", value_name = "DURATION",
        value_parser = parse_limit)]
    pub compare_data_every: Duration,
}

/// What the process knows of the pod it runs in, given by the downward API.
#[derive(Debug, Clone, Args)]
pub struct OwnPod {
    /// Name of the operator's pod
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod_name: String,
    /// UID of the operator's pod: together with the name, the identity in the Lease
    #[arg(long, env = "POD_UID", value_name = "UID")]
    pub pod_uid: String,
    /// Namespace of the operator's pod: the Lease lives here
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub pod_namespace: String,
    /// Image of the operator, from which each member's init container copies the gate
    #[arg(long, env = "OPERATOR_IMAGE", value_name = "IMAGE")]
    pub operator_image: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_address_is_listened_on_as_it_is_given_and_none_is_assumed() {
        let rest = ["--pod-name=p", "--pod-uid=u", "--pod-namespace=n", "--operator-image=i"];
        let listen = |given: &[&str]| Run::parse_from(["run"].iter().chain(&rest).chain(given)).listen;
        assert_eq!(listen(&[]), None);
        for given in ["127.0.0.1:8080", "[::1]:9090", "0.0.0.0:8080"] {
            assert_eq!(listen(&["--listen", given]), Some(given.parse().unwrap()));
        }
    }

    #[test]
    fn a_pause_is_a_time_of_at_least_a_second() {
        assert_eq!(parse_limit("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_limit("1s"), Ok(Duration::from_secs(1)));
        for wrong in ["", "10", "0s", "999ms", "-1m", "soon"] {
            assert!(parse_limit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_gate_takes_its_configuration_as_one_argument() {
        let arguments = Arguments::try_parse_from(["etcd-operator", "gate", "{\"format\":1}"]).unwrap();
        assert!(
            matches!(arguments.command, Some(Command::Gate { configuration }) if configuration == "{\"format\":1}")
        );
    }
}
