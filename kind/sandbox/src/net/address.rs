//! Which addresses the sandbox uses, and handing them out to pods. Pure: no sockets.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The address of the one node; also the source of connections that the sandbox itself makes to pods.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 2);
/// The next hop of every pod, on the sandbox's side of the wire.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The name server of pods.
pub(crate) const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// All service addresses: network and prefix length.
pub(crate) const SERVICES: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 96, 0, 0), 16);
/// All pod addresses: network and prefix length.
pub(crate) const PODS: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 244, 0, 0), 16);

/// Hands out pod addresses. An address given back is used again only after all others, so that a late packet or a
/// remembered connection does not reach a stranger.
#[derive(Debug)]
pub(crate) struct PodAddresses {
    next: u32,
    used: BTreeSet<Ipv4Addr>,
}

impl Default for PodAddresses {
    fn default() -> Self {
        PodAddresses { next: FIRST, used: BTreeSet::new() }
    }
}

/// 10.244.0.10 and 10.244.255.250: below and above stay free, as on other networks.
const FIRST: u32 = 10;
const LAST: u32 = 0xffff - 5;

impl PodAddresses {
    /// A free address, or nothing when all 65 thousand are in use.
    pub(crate) fn take(&mut self) -> Option<Ipv4Addr> {
        for _ in FIRST..=LAST {
            let address = Ipv4Addr::from(u32::from(PODS.0) + self.next);
            self.next = if self.next >= LAST { FIRST } else { self.next + 1 };
            if self.used.insert(address) {
                return Some(address);
            }
        }
        None
    }

    /// Gives an address back.
    pub(crate) fn give_back(&mut self, address: Ipv4Addr) {
        self.used.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_given_back_is_not_the_next_one_handed_out() {
        let mut addresses = PodAddresses::default();
        let first = addresses.take().unwrap();
        addresses.give_back(first);
        assert_ne!(addresses.take().unwrap(), first);
    }

    #[test]
    fn addresses_in_use_are_skipped_after_a_full_round() {
        let mut addresses = PodAddresses::default();
        let kept = addresses.take().unwrap();
        for _ in FIRST..LAST {
            let other = addresses.take().unwrap();
            addresses.give_back(other);
        }
        assert_ne!(addresses.take(), Some(kept));
    }
}
