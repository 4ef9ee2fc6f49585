//! One nftables message as the netlink library sends and receives it. Pure.

use std::convert::Infallible;

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};

use super::attributes::Attributes;

const SUBSYSTEM: u16 = 10;
const HEADER_BYTES: usize = 4;
const IPV4: u8 = 2;

/// What a message asks for or tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    BatchBegin,
    BatchEnd,
    NewTable,
    GetTable,
    DeleteTable,
    NewChain,
    NewRule,
    GetRule,
    NewSet,
    NewElements,
    GetElements,
}

impl Kind {
    /// The message type on the wire.
    fn number(self) -> u16 {
        let of_subsystem = |number: u16| (SUBSYSTEM << 8) | number;
        match self {
            Self::BatchBegin => 16,
            Self::BatchEnd => 17,
            Self::NewTable => of_subsystem(0),
            Self::GetTable => of_subsystem(1),
            Self::DeleteTable => of_subsystem(2),
            Self::NewChain => of_subsystem(3),
            Self::NewRule => of_subsystem(6),
            Self::GetRule => of_subsystem(7),
            Self::NewSet => of_subsystem(9),
            Self::NewElements => of_subsystem(12),
            Self::GetElements => of_subsystem(13),
        }
    }

    fn is_batch_mark(self) -> bool {
        matches!(self, Self::BatchBegin | Self::BatchEnd)
    }
}

/// A message to the kernel or from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    number: u16,
    /// Address family, version and resource of the netfilter header.
    header: [u8; HEADER_BYTES],
    attributes: Vec<u8>,
}

impl Message {
    pub(super) fn new(kind: Kind, attributes: Attributes) -> Self {
        // A batch mark carries the subsystem as its resource and belongs to no family.
        let [high, low] = if kind.is_batch_mark() { SUBSYSTEM.to_be_bytes() } else { [0, 0] };
        let family = if kind.is_batch_mark() { 0 } else { IPV4 };
        Self { number: kind.number(), header: [family, 0, high, low], attributes: attributes.into_bytes() }
    }

    pub(super) fn attributes(&self) -> &[u8] {
        &self.attributes
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.number
    }

    fn buffer_len(&self) -> usize {
        HEADER_BYTES + self.attributes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let (header, attributes) = buffer.split_at_mut(HEADER_BYTES);
        header.copy_from_slice(&self.header);
        attributes.copy_from_slice(&self.attributes);
    }
}

impl NetlinkDeserializable for Message {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        let (start, attributes) = payload.split_at(payload.len().min(HEADER_BYTES));
        let mut header_bytes = [0; HEADER_BYTES];
        header_bytes[..start.len()].copy_from_slice(start);
        Ok(Self { number: header.message_type, header: header_bytes, attributes: attributes.to_vec() })
    }
}
