//! What a run of `etcd-operator backup`, `delete` or `restore` leaves for whoever started it, as JSON: the last words of a pod, of which Kubernetes keeps
//! 4096 bytes. Never more than that.

use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, Proof};
use super::name::BackupName;
use super::retention::MOST_AT_ONCE;
use crate::pods::trouble::{last_terminated, status_of};

/// Longest message, in bytes: with all else that an outcome has it fits into what Kubernetes keeps.
const LONGEST_MESSAGE: usize = 1500;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is in the store.
    Taken(Box<Taken>),
    /// A member was restored from it.
    Restored(RestoredFrom),
    /// These are no longer in the store.
    Deleted(Vec<BackupName>),
    /// It is not.
    Failed {
        /// Why.
        message: String,
    },
}

/// A backup that is in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// What it is of.
    pub manifest: Manifest,
    /// That it was restored, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Earlier backups of the same schedule that were deleted, because its retention keeps them no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<BackupName>,
    /// Why earlier ones could not be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_failed: Option<String>,
}

/// What a member was restored from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredFrom {
    /// Which backup.
    pub backup: BackupName,
    /// Size of its database in bytes.
    pub database_bytes: u64,
    /// Whether users and roles are in force in it.
    pub authentication: bool,
}

impl Outcome {
    /// A failure, with its message cut to what fits.
    pub fn failed(message: &str) -> Outcome {
        Outcome::Failed { message: cut(message) }
    }

    /// A success, with what fits of it.
    pub fn taken(mut taken: Taken) -> Outcome {
        taken.deleted.truncate(MOST_AT_ONCE);
        taken.retention_failed = taken.retention_failed.as_deref().map(cut);
        Outcome::Taken(Box::new(taken))
    }

    /// A deletion, with the names that fit.
    pub fn deleted(mut names: Vec<BackupName>) -> Outcome {
        names.truncate(MOST_AT_ONCE);
        Outcome::Deleted(names)
    }

    /// As one line.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("plain fields are JSON")
    }

    /// What a pod's last words say, if they are such words.
    pub fn of_text(text: &str) -> Option<Outcome> {
        serde_json::from_str(text.trim()).ok()
    }
}

/// What the container of a pod has left, if that is such words.
pub fn of_pod(pod: &Pod, container: &str) -> Option<Outcome> {
    let ended = last_terminated(status_of(pod, container)?)?;
    Outcome::of_text(ended.message.as_deref()?)
}

fn cut(message: &str) -> String {
    if message.len() <= LONGEST_MESSAGE {
        return message.to_owned();
    }
    let end = (0..=LONGEST_MESSAGE).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::tests::{manifest, proof};

    #[test]
    fn what_was_left_is_read_as_it_was_meant_and_fits_into_what_kubernetes_keeps() {
        let manifest = manifest("20261130t133500z-abcde", "2026-11-30T13:35:00Z", 48_121);
        let deleted = vec![manifest.name.clone(); 500];
        let proof = Some(proof(&manifest));
        let retention_failed = Some("ä".repeat(5000));
        let taken = Outcome::taken(Taken { manifest, proof, deleted, retention_failed });
        for outcome in [taken, Outcome::failed(&"\u{1F600}".repeat(5000)), Outcome::failed("no")] {
            let text = outcome.to_text();
            assert!(text.len() <= 4096, "{}", text.len());
            assert_eq!(Outcome::of_text(&text), Some(outcome));
        }
    }

    #[test]
    fn what_a_log_ends_with_is_no_outcome() {
        for text in ["", "etcd-operator: failed", "{}", "{\"taken\":{}}"] {
            assert_eq!(Outcome::of_text(text), None, "{text}");
        }
    }
}
