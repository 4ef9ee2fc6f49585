//! Which client asks which member: some clients always ask the same one, so that a member is asked while it is cut off. Pure but
//! for the lock around what is decided.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::configuration::Configuration;
use crate::history::ClientId;

/// The clients that ask one member each, and whom.
pub(super) struct Pins {
    /// Clients below this number are pinned; the others ask the Service.
    pinned_clients: u32,
    chosen: Mutex<BTreeMap<ClientId, SocketAddr>>,
}

impl Pins {
    /// Nobody is pinned to anybody yet.
    pub(super) fn new(configuration: &Configuration) -> Pins {
        Pins { pinned_clients: configuration.pinned_clients, chosen: Mutex::default() }
    }

    /// Whether a client always asks one member.
    pub(super) fn is_pinned(&self, client: ClientId) -> bool {
        client.0 < self.pinned_clients
    }

    /// The member that a client asks from now on, of those that are there; the one that it asked before if none is known.
    pub(super) fn choose(&self, client: ClientId, members: &[SocketAddr]) -> Option<SocketAddr> {
        let mut chosen = self.lock();
        let choice = choose(&chosen, client, members)?;
        chosen.insert(client, choice);
        Some(choice)
    }

    /// The members that clients have chosen; a client calls its member at once.
    pub(super) fn asked(&self) -> BTreeSet<IpAddr> {
        self.lock().values().map(SocketAddr::ip).collect()
    }

    /// A choice is made as a whole, so a panic elsewhere does not spoil the others.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClientId, SocketAddr>> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client stays where it is, unless that member is gone or another one has nobody while this one has several.
fn choose(
    chosen: &BTreeMap<ClientId, SocketAddr>,
    client: ClientId,
    members: &[SocketAddr],
) -> Option<SocketAddr> {
    let present = chosen.get(&client).copied();
    let others =
        |member: &SocketAddr| chosen.iter().filter(|(other, at)| **other != client && *at == member).count();
    let Some(loneliest) = members.iter().min_by_key(|member| (others(member), **member)) else {
        return present;
    };
    let stays = present.filter(|present| members.contains(present));
    let needed_elsewhere = |stay: &SocketAddr| others(loneliest) == 0 && others(stay) > 0;
    Some(stays.filter(|stay| !needed_elsewhere(stay)).unwrap_or(*loneliest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 2379))
    }

    /// Lets all clients choose in turn until nobody moves.
    fn settle(chosen: &mut BTreeMap<ClientId, SocketAddr>, clients: u32, members: &[SocketAddr]) {
        for client in (0..clients).chain(0..clients).map(ClientId) {
            if let Some(choice) = choose(chosen, client, members) {
                chosen.insert(client, choice);
            }
        }
    }

    #[test]
    fn every_member_has_a_client_of_its_own_and_keeps_it() {
        let members = [address(1), address(2), address(3)];
        let mut chosen = BTreeMap::new();
        settle(&mut chosen, 4, &members);
        assert!(members.iter().all(|member| chosen.values().any(|at| at == member)), "{chosen:?}");
        let before = chosen.clone();
        settle(&mut chosen, 4, &members);
        assert_eq!(chosen, before);
    }

    #[test]
    fn the_clients_of_a_member_that_is_gone_move_and_a_new_member_gets_one() {
        let mut chosen = BTreeMap::new();
        settle(&mut chosen, 5, &[address(1), address(2), address(3)]);
        let later = [address(2), address(3), address(4), address(5)];
        settle(&mut chosen, 5, &later);
        assert!(later.iter().all(|member| chosen.values().any(|at| at == member)), "{chosen:?}");
        assert!(chosen.values().all(|at| later.contains(at)), "{chosen:?}");
    }

    #[test]
    fn asked_are_the_members_that_clients_chose_and_nobody_who_was_left() {
        let pins = Pins { pinned_clients: 2, chosen: Mutex::default() };
        assert!(pins.asked().is_empty());
        pins.choose(ClientId(0), &[address(1), address(2)]);
        assert_eq!(pins.asked(), BTreeSet::from([address(1).ip()]));
        pins.choose(ClientId(0), &[address(2), address(3)]);
        pins.choose(ClientId(1), &[address(2), address(3)]);
        assert_eq!(pins.asked(), BTreeSet::from([address(2).ip(), address(3).ip()]));
    }

    #[test]
    fn who_knows_no_member_asks_the_one_from_before() {
        let mut chosen = BTreeMap::new();
        assert_eq!(choose(&chosen, ClientId(0), &[]), None);
        chosen.insert(ClientId(0), address(7));
        assert_eq!(choose(&chosen, ClientId(0), &[]), Some(address(7)));
    }
}
