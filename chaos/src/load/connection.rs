//! One client's connection to etcd: to the client Service first, and, while that does not answer, to single members by turns.
//! It never repeats a call; it only decides where the next one goes.

use std::net::SocketAddr;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, Error};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::configuration::Configuration;
use crate::history::ClientId;

/// Where a client connects to.
pub(super) struct Connection {
    service: String,
    members_name: Option<String>,
    limit: Duration,
    /// Where this client starts among the members, so that clients spread.
    offset: usize,
    /// Connections given up so far: even ones went to the Service, odd ones to a member.
    given_up: usize,
    client: Option<Client>,
}

impl Connection {
    /// A connection that is made when it is first needed.
    pub(super) fn new(configuration: &Configuration, client: ClientId) -> Connection {
        Connection {
            service: configuration.endpoint.clone(),
            members_name: configuration.endpoints_dns.clone(),
            limit: Duration::from_millis(configuration.call_limit_milliseconds),
            offset: client.0 as usize,
            given_up: 0,
            client: None,
        }
    }

    /// The client to use for the next call. It connects with that call.
    ///
    /// # Errors
    /// When the endpoint is not a URL.
    pub(super) async fn client(&mut self) -> Result<Client, Error> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let endpoint = self.next_endpoint().await;
        let options = ConnectOptions::new()
            .with_connect_timeout(self.limit)
            .with_tcp_keepalive(Duration::from_secs(5))
            .with_keep_alive(Duration::from_secs(2), Duration::from_secs(2));
        let client = Client::connect([endpoint], Some(options)).await?;
        self.client = Some(client.clone());
        Ok(client)
    }

    /// Makes the next call use a new connection, elsewhere if possible.
    pub(super) fn give_up(&mut self) {
        self.client = None;
        self.given_up += 1;
    }

    async fn next_endpoint(&self) -> String {
        if self.given_up.is_multiple_of(2) {
            return self.service.clone();
        }
        let members = match &self.members_name {
            Some(name) => resolve(name, self.limit).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let turn = self.offset + self.given_up / 2;
        match members.get(turn % members.len().max(1)) {
            Some(address) => format!("http://{address}"),
            None => self.service.clone(),
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
            Ok(Err(error)) => failure = Some(format!("resolving {name}: {error}")),
            Err(_) => failure = Some(format!("resolving {name}: no answer within {} ms", limit.as_millis())),
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    match failure {
        Some(failure) if addresses.is_empty() => Err(failure),
        Some(_) | None => Ok(addresses),
    }
}
