//! One client's connection to etcd: to the client Service, to one member, or, for the final dump, to whoever answers. It never
//! repeats a call; it only decides where the next one goes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions};
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout};

use super::configuration::Configuration;
use super::pins::Pins;
use crate::history::{ClientId, SentTo, no_answer};
use crate::in_pod::{DialError, Dialer};

/// How often a pinned client looks whether its member is still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How often another one connects to the Service anew: a connection stays with the member that it first came to.
const SERVICE_INTERVAL: Duration = Duration::from_secs(1);

/// How a connection chooses its endpoint.
enum Route {
    /// Always the Service.
    Service,
    /// Always the member that the client is pinned to.
    Member { client: ClientId, pins: Arc<Pins> },
    /// The Service and single members by turns, until one answers.
    Anybody { given_up: usize },
}

/// Where one connection leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Destination {
    Service,
    Member(SocketAddr),
}

impl Destination {
    fn sent_to(self) -> SentTo {
        match self {
            Destination::Service => SentTo::Service,
            Destination::Member(address) => SentTo::Member(address.ip().to_string()),
        }
    }
}

/// Where a client connects to.
pub(super) struct Connection {
    service: String,
    members_name: Option<String>,
    limit: Duration,
    route: Route,
    dialer: Dialer,
    client: Option<(Destination, Client)>,
    /// Where the last client leads, whether or not there is one yet.
    dialed: Option<Destination>,
    looked: Option<Instant>,
}

impl Connection {
    /// A client's connection, made when it is first needed.
    pub(super) fn new(configuration: &Configuration, client: ClientId, pins: Arc<Pins>) -> Connection {
        let pinned = pins.is_pinned(client) && configuration.endpoints_dns.is_some();
        let route = if pinned { Route::Member { client, pins } } else { Route::Service };
        Connection::of(configuration, route)
    }

    /// A connection to whoever answers.
    pub(super) fn to_anybody(configuration: &Configuration) -> Connection {
        Connection::of(configuration, Route::Anybody { given_up: 0 })
    }

    fn of(configuration: &Configuration, route: Route) -> Connection {
        Connection {
            service: configuration.service().unwrap_or_default().to_owned(),
            members_name: configuration.endpoints_dns.clone(),
            limit: Duration::from_millis(configuration.call_limit_milliseconds),
            route,
            dialer: Dialer::new(configuration.tls.clone()),
            client: None,
            dialed: None,
            looked: None,
        }
    }

    /// Where the next call goes, and the client for it, which connects with that call.
    ///
    /// # Errors
    /// When the endpoint is no host and port, or the files of TLS cannot be used.
    pub(super) async fn client(&mut self) -> (SentTo, Result<Client, DialError>) {
        let interval = match self.route {
            Route::Service => Some(SERVICE_INTERVAL),
            Route::Member { .. } => Some(LOOK_INTERVAL),
            Route::Anybody { .. } => None,
        };
        let looks = interval.is_some_and(|interval| self.looked.is_none_or(|at| at.elapsed() >= interval));
        if let Some((destination, client)) = self.client.as_ref().filter(|_| !looks) {
            return (destination.sent_to(), Ok(client.clone()));
        }
        let destination = self.destination().await;
        let stays = |before: &Destination| *before == destination && destination != Destination::Service;
        if let Some((_, client)) = self.client.as_ref().filter(|(before, _)| stays(before)) {
            return (destination.sent_to(), Ok(client.clone()));
        }
        let options = ConnectOptions::new()
            .with_connect_timeout(self.limit)
            .with_tcp_keepalive(Duration::from_secs(5))
            .with_keep_alive(Duration::from_secs(2), Duration::from_secs(2));
        self.dialed = Some(destination);
        let connected = self.dialer.client(&self.address(destination), options).await;
        self.client = connected.as_ref().ok().map(|client| (destination, client.clone()));
        (destination.sent_to(), connected)
    }

    /// Makes the next call use a new connection, elsewhere if possible.
    pub(super) fn give_up(&mut self) {
        self.client = None;
        if let Some(destination) = self.dialed {
            self.dialer.failed(&self.address(destination));
        }
        if let Route::Anybody { given_up } = &mut self.route {
            *given_up += 1;
        }
    }

    fn address(&self, destination: Destination) -> String {
        match destination {
            Destination::Service => self.service.clone(),
            Destination::Member(address) => address.to_string(),
        }
    }

    async fn destination(&mut self) -> Destination {
        self.looked = Some(Instant::now());
        let member = match &self.route {
            Route::Service => None,
            Route::Member { client, pins } => {
                let members = self.members().await;
                pins.choose(*client, &members)
            }
            Route::Anybody { given_up } if given_up.is_multiple_of(2) => None,
            Route::Anybody { given_up } => {
                let members = self.members().await;
                members.get((given_up / 2) % members.len().max(1)).copied()
            }
        };
        member.map_or(Destination::Service, Destination::Member)
    }

    async fn members(&self) -> Vec<SocketAddr> {
        match &self.members_name {
            Some(name) => resolve(name, self.limit).await.unwrap_or_default(),
            None => Vec::new(),
        }
    }
}

/// The addresses behind names with ports, separated by commas, sorted and without doubles.
///
/// # Errors
/// When none of the names resolves in time; says why for the last.
pub(crate) async fn resolve(names: &str, limit: Duration) -> Result<Vec<SocketAddr>, String> {
    let mut addresses = Vec::new();
    let mut failure = None;
    for name in names.split(',') {
        match timeout(limit, lookup_host(name)).await {
            Ok(Ok(found)) => addresses.extend(found.filter(SocketAddr::is_ipv4)),
            Ok(Err(error)) => failure = Some(format!("failed to resolve {name}: {error}")),
            Err(_) => failure = Some(format!("failed to resolve {name}: {}", no_answer(limit))),
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    match failure {
        Some(failure) if addresses.is_empty() => Err(failure),
        Some(_) | None => Ok(addresses),
    }
}
