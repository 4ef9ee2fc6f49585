//! Secret keys of age that snapshots are encrypted and opened with. They are read once and never shown: whatever is said of one names its
//! public half.

use age::x25519::{Identity, Recipient as PublicKey};
use etcd_operator_core::backup::encryption::Recipient;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// How a secret key begins.
const SECRET_KEY: &str = "AGE-SECRET-KEY-1";
/// How a public key begins.
const PUBLIC_KEY: &str = "age1";

/// Why a text holds no keys.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeysError {
    /// A line is none.
    #[error("{place}, line {line}: {what}")]
    Line {
        /// Where the text is from.
        place: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, without the line's own text.
        what: &'static str,
    },
    /// There is none in it.
    #[error("{0} holds no key of age: it should have a line that begins with {SECRET_KEY}")]
    Empty(String),
}

/// Keys that are held; the first is the one to encrypt for.
#[derive(Clone, Default)]
pub struct Keys(Vec<Identity>);

impl Keys {
    /// Reads what `age-keygen` writes: a secret key in a line, and lines that begin with `#`. `place` says where the text is from.
    ///
    /// # Errors
    /// A line is something else, or there is no key: a backup that ought to be encrypted is never taken for one that need not be.
    pub fn parse(text: &str, place: &str) -> Result<Keys, KeysError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = Identity::from_str(line).map_err(|_| KeysError::Line {
                place: place.to_owned(),
                line: index + 1,
                what: what_is_wrong(line),
            })?;
            keys.push(key);
        }
        if keys.is_empty() { Err(KeysError::Empty(place.to_owned())) } else { Ok(Keys(keys)) }
    }

    /// The key to encrypt for, if anything is to be encrypted.
    pub(super) fn to_encrypt(&self) -> Option<PublicKey> {
        self.0.first().map(Identity::to_public)
    }

    /// All keys, to open what was encrypted.
    pub(super) fn to_open(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|key| key as &dyn age::Identity)
    }

    /// Their public halves, in the same order.
    pub fn recipients(&self) -> Vec<Recipient> {
        self.0.iter().map(|key| Recipient(key.to_public().to_string())).collect()
    }
}

fn what_is_wrong(line: &str) -> &'static str {
    if line.starts_with(PUBLIC_KEY) {
        "this is a public key: the secret one is needed, because each backup is opened again to prove it"
    } else if line.starts_with(SECRET_KEY) {
        "this key of age is damaged"
    } else {
        "this is no secret key of age: one begins with AGE-SECRET-KEY-1"
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Keys").field(&self.recipients()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::secrecy::ExposeSecret;

    fn secret(key: &Identity) -> String {
        key.to_string().expose_secret().to_owned()
    }

    #[test]
    fn keys_are_read_as_age_keygen_writes_them_and_the_first_is_the_one_to_encrypt_for() {
        let (first, second) = (Identity::generate(), Identity::generate());
        let text = format!(
            "# created: 2026-11-30\n# public key: {}\n{}\n\n  {}  \n",
            first.to_public(),
            secret(&first),
            secret(&second)
        );
        let keys = Keys::parse(&text, "key.txt").unwrap();
        let public = [first, second].map(|key| Recipient(key.to_public().to_string()));
        assert_eq!(keys.recipients(), public);
        assert_eq!(keys.to_encrypt().unwrap().to_string(), public[0].0);
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_line_and_never_repeated() {
        let key = Identity::generate();
        let (secret, public) = (secret(&key), key.to_public().to_string());
        let cut = &secret[..secret.len() - 1];
        for (text, line, words) in [
            (format!("# mine\n{public}"), 2, "the secret one is needed"),
            (cut.to_owned(), 1, "is damaged"),
            (format!("{secret}\nhunter2"), 2, "begins with AGE-SECRET-KEY-1"),
        ] {
            let said = Keys::parse(&text, "key.txt").unwrap_err().to_string();
            assert!(said.starts_with(&format!("key.txt, line {line}: ")) && said.contains(words), "{said}");
            assert!(!said.contains(cut) && !said.contains("hunter2"), "{said}");
        }
        for nothing in ["", "\n", "# only a comment"] {
            assert_eq!(Keys::parse(nothing, "key.txt").unwrap_err(), KeysError::Empty("key.txt".to_owned()));
        }
        let shown = format!("{:?}", Keys::parse(&secret, "key.txt").unwrap());
        assert!(shown.contains(&public) && !shown.contains(cut), "{shown}");
    }
}
