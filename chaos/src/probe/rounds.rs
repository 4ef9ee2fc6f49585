//! One round of questions: all members at the same time, so that a silent one delays nobody but itself.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;

use super::members::Members;
use super::questions;
use crate::history::{Observation, ProbeRound, ProbedMember};
use crate::in_pod::{Clock, Dialer};
use crate::load::resolve;

/// Asks members.
pub(super) struct Prober {
    names: String,
    key: String,
    limit: Duration,
    clock: Clock,
    members: Members,
    /// The addresses that the names last resolved to: a probe that cannot resolve a name goes on asking those.
    known: Mutex<Vec<SocketAddr>>,
}

impl Prober {
    pub(super) fn new(names: String, dialer: Dialer, key: String, limit: Duration, clock: Clock) -> Prober {
        Prober { names, key, limit, clock, members: Members::new(dialer), known: Mutex::default() }
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// The key that linearizable reads ask for.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    pub(super) fn members(&self) -> &Members {
        &self.members
    }

    /// The addresses of the members at this moment.
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        resolve(&self.names, self.limit).await
    }

    /// One round. Rounds may overlap.
    pub(super) async fn round(&self, number: u64) -> ProbeRound {
        let start = self.clock.now();
        let (addresses, resolve_error) = match self.addresses().await {
            Ok(addresses) => {
                self.members.retain(&addresses);
                self.known().clone_from(&addresses);
                (addresses, None)
            }
            Err(error) => (self.known().clone(), Some(error)),
        };
        let members = join_all(addresses.iter().map(|address| self.ask(*address))).await;
        ProbeRound { number: Some(number), start, end: self.clock.now(), members, resolve_error }
    }

    fn known(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, address: SocketAddr) -> ProbedMember {
        let named = address.ip().to_string();
        let member = match self.members.get(address, self.limit).await {
            Ok(member) => member,
            Err(error) => return unasked(named, &error.to_string()),
        };
        let read_then_list = async {
            let read = questions::read(member.client.clone(), &self.key, self.limit, self.clock).await;
            let members = match &read {
                Observation::Answered(_) => questions::list(member.client.clone(), self.limit).await,
                Observation::Failed(_) | Observation::NotAsked => Observation::NotAsked,
            };
            (read, members)
        };
        let status = questions::status(member.client.clone(), self.limit);
        let (status, (read, members)) = tokio::join!(status, read_then_list);
        if matches!(status, Observation::Failed(_)) || matches!(read, Observation::Failed(_)) {
            self.members.discard(address, &member);
        }
        ProbedMember { address: named, status, read, members }
    }
}

fn unasked(address: String, error: &str) -> ProbedMember {
    ProbedMember {
        address,
        status: Observation::Failed(error.to_owned()),
        read: Observation::NotAsked,
        members: Observation::NotAsked,
    }
}
