//! The expressions that our rules consist of. Pure. A rule runs its expressions in order and ends at the first that does
//! not match.

use super::attributes::{Attributes, as_number64, find, parse};

const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;

/// The register that verdicts are written to.
const VERDICT_REGISTER: u32 = 0;
/// The register that values are loaded to and compared in.
const VALUE_REGISTER: u32 = 1;
const DROP: u32 = 0;
const EQUAL: u32 = 0;
const META_TRANSPORT_PROTOCOL: u32 = 16;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

/// The byte of the IPv4 header at which the source address begins.
pub(super) const SOURCE_ADDRESS_OFFSET: u32 = 12;
/// The byte of the IPv4 header at which the destination address begins.
pub(super) const DESTINATION_ADDRESS_OFFSET: u32 = 16;
/// The byte of the TCP header at which the source port begins.
pub(super) const SOURCE_PORT_OFFSET: u32 = 0;
/// The byte of the TCP header at which the destination port begins.
pub(super) const DESTINATION_PORT_OFFSET: u32 = 2;
const TCP: u8 = 6;

/// The expressions of one rule.
#[derive(Debug, Clone, Default)]
pub(super) struct Expressions(Attributes);

impl Expressions {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn add(self, name: &str, data: Attributes) -> Self {
        let expression = Attributes::new().text(EXPRESSION_NAME, name).nested(EXPRESSION_DATA, data);
        Self(self.0.nested(LIST_ELEMENT, expression))
    }

    fn load(self, base: u32, offset: u32, length: u32) -> Self {
        let payload = Attributes::new().number32(1, VALUE_REGISTER).number32(2, base);
        self.add("payload", payload.number32(3, offset).number32(4, length))
    }

    fn compare(self, value: &[u8]) -> Self {
        let data = Attributes::new().bytes(DATA_VALUE, value);
        self.add("cmp", Attributes::new().number32(1, VALUE_REGISTER).number32(2, EQUAL).nested(3, data))
    }

    /// Goes on if the address at this place of the IPv4 header is in the set.
    pub(super) fn address_in_set(self, offset: u32, set: &str) -> Self {
        let lookup = Attributes::new().text(1, set).number32(2, VALUE_REGISTER);
        self.load(NETWORK_HEADER, offset, 4).add("lookup", lookup)
    }

    /// Goes on if the packet is TCP and this port of its header is the given one.
    pub(super) fn tcp_port(self, offset: u32, port: u16) -> Self {
        let protocol = Attributes::new().number32(1, VALUE_REGISTER).number32(2, META_TRANSPORT_PROTOCOL);
        self.add("meta", protocol)
            .compare(&[TCP])
            .load(TRANSPORT_HEADER, offset, 2)
            .compare(&port.to_be_bytes())
    }

    /// Counts the packet and drops it.
    pub(super) fn count_and_drop(self) -> Self {
        let counter = Attributes::new().number64(COUNTER_BYTES, 0).number64(COUNTER_PACKETS, 0);
        let verdict = Attributes::new().number32(VERDICT_CODE, DROP);
        let data = Attributes::new().nested(DATA_VERDICT, verdict);
        let immediate = Attributes::new().number32(1, VERDICT_REGISTER).nested(2, data);
        self.add("counter", counter).add("immediate", immediate)
    }

    pub(super) fn into_attributes(self) -> Attributes {
        self.0
    }
}

/// The packets counted by the expressions of one rule.
pub(super) fn counted_packets(expressions: &[u8]) -> u64 {
    let counters = parse(expressions)
        .filter(|(_, expression)| find(expression, EXPRESSION_NAME).is_some_and(|name| name == b"counter\0"));
    counters
        .filter_map(|(_, expression)| find(find(expression, EXPRESSION_DATA)?, COUNTER_PACKETS))
        .filter_map(as_number64)
        .sum()
}

/// The IPv4 address of a set element's key.
pub(super) fn address_of_key(key: &[u8]) -> Option<std::net::Ipv4Addr> {
    let octets: [u8; 4] = find(key, DATA_VALUE)?.try_into().ok()?;
    Some(octets.into())
}

/// An IPv4 address as a set element's key.
pub(super) fn key_of_address(address: std::net::Ipv4Addr) -> Attributes {
    Attributes::new().bytes(DATA_VALUE, &address.octets())
}
