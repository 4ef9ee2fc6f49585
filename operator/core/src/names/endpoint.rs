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
    /// Reads a URL of scheme, host and port, such as `https://10.0.0.1:2379`; nothing else.
    pub fn parse(text: &str) -> Option<Endpoint> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = Scheme::ALL.into_iter().find(|known| known.as_str() == scheme)?;
        let (address, port) = authority.strip_suffix('/').unwrap_or(authority).rsplit_once(':')?;
        let in_brackets = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
        let is_host = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        let address = match in_brackets {
            Some(address) => address.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
            None => Some(address).filter(|host| !host.is_empty() && host.chars().all(is_host))?.to_owned(),
        };
        Some(Endpoint { scheme, address, port: port.parse().ok().filter(|port| *port != 0)? })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_as_it_is_written() {
        for text in
            ["http://10.0.0.1:2379", "https://[fd00::1]:2379", "https://etcd-0.etcd.default.svc:12379"]
        {
            assert_eq!(Endpoint::parse(text).map(|endpoint| endpoint.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Endpoint::parse("http://a:1/"), Endpoint::parse("http://a:1"));
        for text in [
            "10.0.0.1:2379",
            "ftp://a:1",
            "http://a",
            "http://:1",
            "http://a:0",
            "http://a:x",
            "http://u@a:1",
            "http://a:1/b",
        ] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }
}
