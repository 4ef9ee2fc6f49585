//! Whether the cluster under test speaks TLS, as its spec and the changes of it say. Pure; what a cluster really speaks is seen only by
//! dialing it.

use super::{Fault, Schedule, Subject};

/// What is spoken with the members of the subject in the course of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Plain text alone.
    Never,
    /// TLS alone.
    Always,
    /// First one and later the other: a fault switches TLS on or off.
    Switched,
}

impl Schedule {
    /// What is spoken with the members of the subject.
    #[must_use]
    pub fn encryption(&self) -> Encryption {
        encryption(&self.subject, self.steps.iter().map(|step| &step.fault))
    }
}

/// What is spoken with a subject in the course of these faults.
pub(super) fn encryption<'a>(subject: &Subject, faults: impl Iterator<Item = &'a Fault>) -> Encryption {
    let begins_with_tls = match subject {
        Subject::Cluster(cluster) => cluster.tls.is_some(),
        Subject::Selector(_) => false,
    };
    let is_switched = |fault: &Fault| match fault {
        // By a merge patch: null takes the field away, and all else leaves or brings it.
        Fault::Change { spec, .. } => spec.get("tls").is_some_and(|tls| tls.is_null() == begins_with_tls),
        Fault::PodKill { .. }
        | Fault::ProcessKill
        | Fault::ProcessPause { .. }
        | Fault::DiskLost
        | Fault::DirectoryWiped
        | Fault::Partition { .. }
        | Fault::Corrupt { .. }
        | Fault::Certificate { .. }
        | Fault::DeleteObject { .. }
        | Fault::Intrude { .. }
        | Fault::Resize { .. }
        | Fault::Roll
        | Fault::Upgrade { .. }
        | Fault::Request { .. }
        | Fault::Backup
        | Fault::OperatorKill
        | Fault::OperatorPause { .. }
        | Fault::VolumeDeletionStuck { .. } => false,
    };
    match (faults.into_iter().any(is_switched), begins_with_tls) {
        (true, _) => Encryption::Switched,
        (false, true) => Encryption::Always,
        (false, false) => Encryption::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    fn spoken(cluster: &str, changes: &[&str]) -> Encryption {
        let changes = changes.iter().enumerate().map(|(index, spec)| {
            format!("  - {{at: {}s, kind: change, effect: restarted, spec: {{{spec}}}}}\n", index + 1)
        });
        let faults: String = changes.collect();
        let faults = format!("{faults}  - {{at: 1m, kind: roll}}\n");
        let text = format!("name: x\nsubject:\n  cluster: {{size: 3{cluster}}}\nfaults:\n{faults}");
        let scenario = parse("x.yaml", text.as_bytes()).unwrap();
        encryption(&scenario.subject, scenario.faults.iter().map(|planned| &planned.fault))
    }

    #[test]
    fn without_a_change_of_tls_a_cluster_speaks_what_it_began_with() {
        assert_eq!(spoken("", &[]), Encryption::Never);
        assert_eq!(spoken("", &["quota: 1"]), Encryption::Never);
        assert_eq!(spoken(", tls: {}", &[]), Encryption::Always);
        assert_eq!(spoken(", tls: {certificateLifetimeSeconds: 60}", &["quota: 1"]), Encryption::Always);
    }

    #[test]
    fn tls_is_switched_by_a_change_that_brings_it_or_takes_it_away() {
        assert_eq!(spoken("", &["tls: {}"]), Encryption::Switched);
        assert_eq!(spoken("", &["tls: {}", "tls: null"]), Encryption::Switched);
        assert_eq!(spoken(", tls: {}", &["tls: null"]), Encryption::Switched);
    }

    #[test]
    fn a_change_of_how_tls_is_spoken_switches_nothing() {
        assert_eq!(spoken(", tls: {}", &["tls: {clientCertificates: Optional}"]), Encryption::Always);
        assert_eq!(spoken("", &["tls: null"]), Encryption::Never);
    }
}
