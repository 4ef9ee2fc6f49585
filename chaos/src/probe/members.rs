//! One client for each member address. A client whose call got no answer is thrown away: its connection may wait for a
//! retransmission long after the member is back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions};

use crate::in_pod::{DialError, Dialer};

/// The clients in use.
pub(super) struct Members {
    dialer: Dialer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    made: u64,
    clients: BTreeMap<SocketAddr, Member>,
}

/// A client of one member only.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) client: Client,
    /// Tells this client from an earlier one for the same address.
    number: u64,
}

impl Members {
    /// There are no clients yet.
    pub(super) fn new(dialer: Dialer) -> Members {
        Members { dialer, state: Mutex::default() }
    }

    /// The client for an address. It connects with its first call.
    pub(super) async fn get(&self, address: SocketAddr, limit: Duration) -> Result<Member, DialError> {
        if let Some(member) = self.state().clients.get(&address) {
            return Ok(member.clone());
        }
        let options = ConnectOptions::new().with_connect_timeout(limit);
        let named = address.to_string();
        let client = self.dialer.client(&named, options).await.inspect_err(|_| self.dialer.failed(&named))?;
        let mut state = self.state();
        state.made += 1;
        let member = Member { client, number: state.made };
        state.clients.insert(address, member.clone());
        Ok(member)
    }

    /// Throws a client away, unless that was done already.
    pub(super) fn discard(&self, address: SocketAddr, member: &Member) {
        let mut state = self.state();
        if state.clients.get(&address).is_some_and(|present| present.number == member.number) {
            state.clients.remove(&address);
            self.dialer.failed(&address.to_string());
        }
    }

    /// Throws away the clients of addresses that are gone.
    pub(super) fn retain(&self, addresses: &[SocketAddr]) {
        self.dialer.retain(|dialed| addresses.iter().any(|address| address.to_string() == dialed));
        self.state().clients.retain(|address, _| addresses.contains(address));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
