//! Secrets of a cluster: their names, the names of their entries, and the names that stand in certificates. Never reads one.

use std::collections::BTreeSet;

use super::{ClusterIdentity, MemberName};

/// The two authorities of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthorityKind {
    /// Between members.
    Peers,
    /// Between clients and members.
    Clients,
}

impl AuthorityKind {
    /// Both.
    pub const ALL: [AuthorityKind; 2] = [AuthorityKind::Peers, AuthorityKind::Clients];

    /// The word in messages, in metrics and in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthorityKind::Peers => "peers",
            AuthorityKind::Clients => "clients",
        }
    }
}

/// The names of two entries that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// Of the certificate.
    pub certificate: &'static str,
    /// Of its private key.
    pub key: &'static str,
}

/// In a Secret with an authority: the one that signs. In a Secret for clients: what they show.
pub const OWN: Pair = Pair { certificate: "tls.crt", key: "tls.key" };
/// In a Secret with an authority: the one that is to sign next.
pub const NEXT: Pair = Pair { certificate: "next.crt", key: "next.key" };
/// In a Secret with an authority: the one that signed before. Its key may be anywhere by now, and signs nothing more.
pub const PREVIOUS: Pair = Pair { certificate: "previous.crt", key: "previous.key" };
/// In a Secret for clients: whom they trust.
pub const TRUSTED_ENTRY: &str = "ca.crt";
/// In a member's Secret: what it shows to clients.
pub const SERVER: Pair = Pair { certificate: "server.crt", key: "server.key" };
/// In a member's Secret: what it shows to members that ask it.
pub const PEER_SERVER: Pair = Pair { certificate: "peer-server.crt", key: "peer-server.key" };
/// In a member's Secret: what it shows to members that it asks. It bears no names, so that nobody looks any up: etcd would, by its address,
/// for a client certificate with names.
pub const PEER_CLIENT: Pair = Pair { certificate: "peer-client.crt", key: "peer-client.key" };

/// The Secret with the certificate by which the operator and its Jobs ask members of the cluster with this name.
pub fn operator_secret(cluster_name: &str) -> String {
    format!("{cluster_name}-operator-tls")
}

impl MemberName {
    /// The Secret with its certificates.
    pub fn certificates(&self) -> String {
        format!("{self}-tls")
    }
}

impl ClusterIdentity {
    /// The Secret with an authority and its key, which no pod mounts.
    pub fn authority_secret(&self, kind: AuthorityKind) -> String {
        match kind {
            AuthorityKind::Peers => format!("{}-peer-ca", self.name),
            AuthorityKind::Clients => format!("{}-client-ca", self.name),
        }
    }

    /// The Secret with the certificate for applications.
    pub fn client_secret(&self) -> String {
        format!("{}-client-tls", self.name)
    }

    /// The Secret with the certificate by which the operator and its Jobs ask members.
    pub fn operator_secret(&self) -> String {
        operator_secret(&self.name)
    }

    /// The name that stands in the certificates of all members: that of the client Service.
    pub fn server_name(&self) -> String {
        format!("{}.{}.svc", self.client_service(), self.namespace)
    }

    /// The names under which a member is reached, by peers and by clients. Kubernetes' own domain may be called otherwise, so that names end
    /// with `svc`, and with the usual domain beside.
    pub fn server_names(&self, member: &MemberName) -> BTreeSet<String> {
        let (peers, namespace) = (self.peers_service(), &self.namespace);
        let mut names = BTreeSet::from(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        for of in [format!("{}.{peers}", member.pod()), format!("*.{peers}"), self.client_service()] {
            names.extend([
                format!("{of}.{namespace}.svc"),
                format!("{of}.{namespace}.svc.cluster.local"),
                format!("{of}.{namespace}"),
            ]);
        }
        names.insert(self.client_service());
        names
    }
}
