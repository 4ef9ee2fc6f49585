//! The gate's last words: one sentence in the file that Kubernetes shows as the container's termination message. It ends
//! nothing, and whether it could be written changes nothing.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Kubernetes reads no more of it (`k8s.io/kubernetes/pkg/kubelet/container`, MaxContainerTerminationMessageLength).
const LONGEST: usize = 4096;

/// Leaves the error with all its causes.
pub(super) fn leave_message(path: &Path, error: &anyhow::Error) {
    let sentence = format!("The gate ended and etcd was not started: {error:#}.");
    let message = &sentence[..sentence.floor_char_boundary(LONGEST)];
    // The kubelet made the file; outside a container there is none, and none is made.
    let written = File::options()
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(message.as_bytes()));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "failed to leave the termination message");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};
    use std::fs;

    #[test]
    fn the_message_is_one_sentence_with_all_causes_and_replaces_an_earlier_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "an earlier and much longer message ".repeat(100)).unwrap();
        let error = Err::<(), _>(anyhow!("third")).context("second").context("first").unwrap_err();
        leave_message(file.path(), &error);
        let message = fs::read_to_string(file.path()).unwrap();
        assert_eq!(message, "The gate ended and etcd was not started: first: second: third.");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for shift in 0..3 {
            leave_message(file.path(), &anyhow!("{}{}", "x".repeat(shift), "€".repeat(2000)));
            let length = fs::read_to_string(file.path()).unwrap().len();
            assert!((LONGEST - 2..=LONGEST).contains(&length), "{length}");
        }
    }

    #[test]
    fn where_no_file_is_none_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("termination-log");
        leave_message(&path, &anyhow!("something"));
        assert!(!path.exists());
    }
}
