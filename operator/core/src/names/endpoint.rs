//! Where a member is reached: scheme, address and port, as a type and not as text. Never resolves or connects.

use std::fmt;

use super::{CLIENT_PORT, METRICS_PORT, PEER_PORT, TLS_PEER_PORT};

/// How a port is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Plain text.
    #[default]
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// Both.
    pub const ALL: [Scheme; 2] = [Scheme::Http, Scheme::Https];

    /// The scheme as URLs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port on which members speak to each other by this scheme. It is not the same for both, so that a cluster can change
    /// from one to the other while both are served.
    pub fn peer_port(self) -> u16 {
        match self {
            Scheme::Http => PEER_PORT,
            Scheme::Https => TLS_PEER_PORT,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One port of one member. Written as a URL, with the brackets that an IPv6 address needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// An IP address without brackets, or a DNS name.
    pub address: String,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// etcd's client port at a pod's address.
    pub fn of_clients(scheme: Scheme, address: &str) -> Endpoint {
        Endpoint { scheme, address: address.to_owned(), port: CLIENT_PORT }
    }

    /// Address and port, as a URL and the header `Host` have them.
    pub fn authority(&self) -> String {
        let Endpoint { scheme: _, address, port } = self;
        if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
    }

    /// The port of metrics and health at a pod's address; always plain text, because the kubelet asks it too.
    pub fn of_metrics(address: &str) -> Endpoint {
        Endpoint { scheme: Scheme::Http, address: address.to_owned(), port: METRICS_PORT }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.authority())
    }
}
