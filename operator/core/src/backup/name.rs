//! What a backup is called: when it was asked for, and five letters that no other has. Names say nothing of what is newest: manifests do.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::names::Entropy;

/// The letters at a name's end.
const SUFFIX_LENGTH: usize = 5;
/// `20261130t133500z-`.
const MOMENT_LENGTH: usize = 17;

/// A backup's name in its store, as `20261130t133500z-abcde`: fit to be part of a Kubernetes name, and never used again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupName(String);

/// The text is not such a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a backup, such as 20261130t133500z-abcde")]
pub struct NoBackupName(pub String);

impl BackupName {
    /// A new name.
    pub fn new(asked_for: Timestamp, entropy: &Entropy) -> BackupName {
        let moment = asked_for.to_zoned(TimeZone::UTC).strftime("%Y%m%dt%H%M%Sz").to_string();
        BackupName(format!("{moment}-{}", entropy.letters("backup", &moment, SUFFIX_LENGTH)))
    }

    /// Reads a name.
    ///
    /// # Errors
    /// The text, if it is none.
    pub fn parse(text: &str) -> Result<BackupName, NoBackupName> {
        let fits = text.len() == MOMENT_LENGTH + SUFFIX_LENGTH
            && text.bytes().enumerate().all(|(index, byte)| match index {
                8 => byte == b't',
                15 => byte == b'z',
                16 => byte == b'-',
                17.. => byte.is_ascii_lowercase(),
                _ => byte.is_ascii_digit(),
            });
        if fits { Ok(BackupName(text.to_owned())) } else { Err(NoBackupName(text.to_owned())) }
    }

    /// The name as it stands in paths.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BackupName {
    type Error = NoBackupName;

    fn try_from(text: String) -> Result<Self, NoBackupName> {
        BackupName::parse(&text)
    }
}

impl From<BackupName> for String {
    fn from(name: BackupName) -> String {
        name.0
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_when_it_was_asked_for_and_is_read_as_it_is_written() {
        let moment: Timestamp = "2026-11-30T13:35:00Z".parse().unwrap();
        let name = BackupName::new(moment, &Entropy([7; 32]));
        assert!(name.as_str().starts_with("20261130t133500z-"), "{name}");
        assert_eq!(BackupName::parse(name.as_str()), Ok(name.clone()));
        assert_ne!(BackupName::new(moment, &Entropy([8; 32])), name, "two at once have two names");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "newest",
            "20261130t133500z",
            "20261130t133500z-abcd",
            "20261130T133500Z-abcde",
            "../../etc/passwd/xxxxxx",
        ] {
            assert_eq!(BackupName::parse(text), Err(NoBackupName(text.to_owned())));
        }
    }
}
