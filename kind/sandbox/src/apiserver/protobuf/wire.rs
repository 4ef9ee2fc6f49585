//! Protobuf's wire format: <https://protobuf.dev/programming-guides/encoding/>. Pure; never looks beyond its input.

/// The value of one field, as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    /// A number of variable length.
    Number(u64),
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
    /// A number of fixed length, which no field of Kubernetes is.
    Fixed,
}

impl<'a> Wire<'a> {
    /// As a signed number.
    pub(super) fn number(self) -> Result<i64, String> {
        match self {
            Wire::Number(number) => Ok(number.cast_signed()),
            // What an absent value of a map stands for.
            Wire::Bytes([]) => Ok(0),
            Wire::Bytes(_) | Wire::Fixed => Err("a number is not a number".to_owned()),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            Wire::Number(_) | Wire::Fixed => Err("a message is a number".to_owned()),
        }
    }

    pub(super) fn text(self) -> Result<String, String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|error| error.to_string())
    }
}

/// The fields of a message, in their order.
pub(super) fn fields(mut bytes: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => take(&mut bytes, 8).map(|_| Wire::Fixed)?,
            2 => {
                let length = varint(&mut bytes)?;
                Wire::Bytes(take(&mut bytes, length)?)
            }
            5 => take(&mut bytes, 4).map(|_| Wire::Fixed)?,
            other => return Err(format!("there is no wire type {other}")),
        };
        found.push((u32::try_from(tag >> 3).map_err(|error| error.to_string())?, value));
    }
    Ok(found)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or("it ends in the middle of a number")?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is too long".to_owned())
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], String> {
    let length = usize::try_from(length).map_err(|error| error.to_string())?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or("it ends in the middle of a field")?;
    *bytes = rest;
    Ok(taken)
}
