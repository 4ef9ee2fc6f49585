//! By what a cluster's members are reached: the scheme of their client port, and who the operator is to them. It reads no Secret.

use etcd_operator_core::names::{Endpoint, Scheme};
use std::collections::BTreeSet;
use std::fmt;

/// Everything that a connection to a cluster's members needs besides their addresses. One cluster's is never used for another's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// How the client port is spoken to.
    pub scheme: Scheme,
    /// Addresses of members that are spoken to by TLS, whatever the others are: on the way from one scheme to the other.
    pub secured: BTreeSet<String>,
    /// The name that members must prove, where they are not called by one.
    pub server_name: Option<String>,
    /// Whom members must prove to be, by `https`; without it, whom the machine trusts.
    pub authority: Option<Pem>,
    /// The certificate that the operator shows, where members ask for one.
    pub identity: Option<Identity>,
    /// The user of etcd that the operator is, where authentication is on.
    pub user: Option<User>,
}

impl Access {
    /// The client port of the member at this address.
    pub fn endpoint(&self, address: &str) -> Endpoint {
        let scheme = if self.secured.contains(address) { Scheme::Https } else { self.scheme };
        Endpoint::of_clients(scheme, address)
    }
}

/// A certificate, or several, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pem(pub Vec<u8>);

/// A certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those between it and the authority.
    pub certificate: Pem,
    /// Its private key, as PEM.
    pub key: Secret<Vec<u8>>,
}

/// A user of etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: Secret<String>,
}

/// What must never be written anywhere: it has no text of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(pub T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_asked_at_addresses_of_either_family_and_by_either_scheme() {
        let https = Access { scheme: Scheme::Https, ..Access::default() };
        assert_eq!(Access::default().endpoint("10.0.0.1").to_string(), "http://10.0.0.1:2379");
        assert_eq!(https.endpoint("fd00::1").to_string(), "https://[fd00::1]:2379");
        for address in ["10.0.0.1", "fd00::1"] {
            let endpoint: http::Uri = https.endpoint(address).to_string().parse().unwrap();
            assert_eq!(endpoint.port_u16(), Some(2379), "{endpoint}");
        }
    }

    #[test]
    fn a_secret_is_in_no_message() {
        let user = User { name: "root".to_owned(), password: Secret("hunter2".to_owned()) };
        let access = Access { user: Some(user), ..Access::default() };
        let shown = format!("{access:?}");
        assert!(shown.contains("root") && !shown.contains("hunter2"), "{shown}");
    }
}
