//! Whose write-ahead log is this? Reads the head of a segment as etcd writes it
//! (`go.etcd.io/etcd/server/v3/storage/wal`). Pure: bytes in, identity out; what it does not understand it does not
//! guess.
//!
//! A segment is a sequence of frames: eight bytes of length, little-endian, whose top byte may say how many bytes of
//! padding follow, then a protobuf `walpb.Record` {1: type, 2: crc, 3: data}. Every segment begins with a record of
//! type crc and one of type metadata, whose data is `etcdserverpb.Metadata` {1: node ID, 2: cluster ID}.

use etcd_operator_core::gate::LogIdentity;
use etcd_operator_core::names::{ClusterId, MemberId};

/// How much of a segment is needed: the first two records are far shorter.
pub const HEAD_BYTES: usize = 4096;

const METADATA_RECORD: u64 = 1;

/// The identity in the head of a segment, if it has one that can be read.
pub fn parse(head: &[u8]) -> Option<LogIdentity> {
    let mut rest = head;
    loop {
        let (record, after) = frame(rest)?;
        let fields = fields(record)?;
        let kind = fields.iter().find_map(|field| field.number(1));
        if kind == Some(METADATA_RECORD) {
            let data = fields.iter().find_map(|field| field.bytes(3))?;
            return metadata(data);
        }
        rest = after;
    }
}

/// One record and what follows it.
fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<8>()?;
    let word = u64::from_le_bytes(*header);
    // The low 56 bits are the length; if the top bit is set, the low three bits of the top byte count the padding.
    let length = usize::try_from(word & 0x00ff_ffff_ffff_ffff).ok()?;
    let padding = if word >> 63 == 1 { usize::try_from((word >> 56) & 0x7).ok()? } else { 0 };
    if length == 0 {
        return None;
    }
    let record = rest.get(..length)?;
    Some((record, rest.get(length + padding..)?))
}

fn metadata(data: &[u8]) -> Option<LogIdentity> {
    let fields = fields(data)?;
    let member_id = fields.iter().find_map(|field| field.number(1))?;
    let cluster_id = fields.iter().find_map(|field| field.number(2))?;
    Some(LogIdentity { cluster_id: ClusterId(cluster_id), member_id: MemberId(member_id) })
}

enum Field<'a> {
    Number(u64, u64),
    Bytes(u64, &'a [u8]),
}

impl<'a> Field<'a> {
    fn number(&self, tag: u64) -> Option<u64> {
        match self {
            Field::Number(own, value) if *own == tag => Some(*value),
            Field::Number(..) | Field::Bytes(..) => None,
        }
    }

    fn bytes(&self, tag: u64) -> Option<&'a [u8]> {
        match self {
            Field::Bytes(own, value) if *own == tag => Some(value),
            Field::Number(..) | Field::Bytes(..) => None,
        }
    }
}

/// The fields of a protobuf message that has only varints and byte strings.
fn fields(mut message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match key & 0x7 {
            0 => fields.push(Field::Number(key >> 3, varint(&mut message)?)),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let value = message.get(..length)?;
                message = &message[length..];
                fields.push(Field::Bytes(key >> 3, value));
            }
            _ => return None,
        }
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a segment, as etcd frames it: a padded crc record, then the metadata.
    fn head() -> Vec<u8> {
        let mut head = vec![0x04, 0, 0, 0, 0, 0, 0, 0x84, 0x08, 0x04, 0x10, 0x00, 0, 0, 0, 0];
        let mut data = vec![0x08];
        data.extend(encoded(0x8e9e_05c5_2164_694d));
        data.push(0x10);
        data.extend(encoded(0xcdf8_18df_ed4a_9c01));
        let mut record = vec![0x08, 0x01, 0x10, 0x05, 0x1a, u8::try_from(data.len()).unwrap()];
        record.extend(&data);
        head.extend(u64::try_from(record.len()).unwrap().to_le_bytes());
        head.extend(&record);
        head
    }

    fn encoded(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            if value == 0 {
                bytes.push(low);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    }

    #[test]
    fn the_identity_stands_in_the_metadata_record() {
        let identity = parse(&head()).unwrap();
        assert_eq!(identity.member_id, MemberId(0x8e9e_05c5_2164_694d));
        assert_eq!(identity.cluster_id, ClusterId(0xcdf8_18df_ed4a_9c01));
    }

    #[test]
    fn a_cut_or_foreign_head_has_no_identity() {
        let head = head();
        for length in 0..head.len() - 1 {
            assert_eq!(parse(&head[..length]), None, "{length} bytes");
        }
        assert_eq!(parse(&[0; HEAD_BYTES]), None);
        assert_eq!(parse(&[0xff; HEAD_BYTES]), None);
    }
}
