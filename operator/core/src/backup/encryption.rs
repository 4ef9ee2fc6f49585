//! For which key a snapshot is encrypted, and whether keys that are held open it. It knows public keys only, and never sees a secret one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A public key of age (<https://age-encryption.org/v1>), for which a snapshot is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recipient(pub String);

impl fmt::Display for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// No key that is held opens a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Locked {
    /// There is no key at all.
    #[error("it is encrypted for {0}, and no key is given")]
    WithoutKey(Recipient),
    /// There are only others.
    #[error("it is encrypted for {recipient}, and the keys that are given are those of {}", listed(held))]
    OtherKey {
        /// The key that it was encrypted for.
        recipient: Recipient,
        /// Those that are held.
        held: Vec<Recipient>,
    },
}

fn listed(keys: &[Recipient]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether one of the keys that are held opens what was encrypted for this one, or for nobody.
///
/// # Errors
/// None does.
pub fn check_opens(encrypted_for: Option<&Recipient>, held: &[Recipient]) -> Result<(), Locked> {
    match encrypted_for {
        None => Ok(()),
        Some(recipient) if held.contains(recipient) => Ok(()),
        Some(recipient) if held.is_empty() => Err(Locked::WithoutKey(recipient.clone())),
        Some(recipient) => Err(Locked::OtherKey { recipient: recipient.clone(), held: held.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_is_opened_by_its_own_key_alone_and_the_error_names_both() {
        let [first, second] = ["age1first", "age1second"].map(|key| Recipient(key.to_owned()));
        assert_eq!(check_opens(None, &[]), Ok(()));
        assert_eq!(check_opens(Some(&first), &[second.clone(), first.clone()]), Ok(()));
        let said = |held: &[Recipient]| check_opens(Some(&first), held).unwrap_err().to_string();
        assert_eq!(said(&[]), "it is encrypted for age1first, and no key is given");
        assert_eq!(
            said(&[second]),
            "it is encrypted for age1first, and the keys that are given are those of age1second"
        );
    }
}
