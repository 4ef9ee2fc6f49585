//! How a data directory is made from a snapshot: by which versions of etcd, and with what its own tool is told. It runs nothing.

use crate::cluster::desired::{EtcdVersion, Line};

/// By so much the revision is raised, as etcd's guide for recovery proposes: more than anybody wrote after the snapshot was taken, so
/// that no revision is ever seen twice with other content (<https://etcd.io/docs/v3.6/op-guide/recovery/>).
pub const REVISION_BUMP: u64 = 1_000_000_000;

/// A backup is not for this version of etcd.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backup is of etcd {taken}, and etcd {with} cannot restore it: use etcd {} or {}, and upgrade afterwards",
    taken.line(), next(taken.line()))]
pub struct OtherMinor {
    /// The version that the cluster ran.
    pub taken: EtcdVersion,
    /// The version that it was to be restored with.
    pub with: EtcdVersion,
}

fn next(line: Line) -> Line {
    Line { minor: line.minor + 1, ..line }
}

/// Whether a version may restore what another one ran with: the same minor, or the one after it.
///
/// # Errors
/// It may not.
pub fn check_minor(taken: EtcdVersion, with: EtcdVersion) -> Result<(), OtherMinor> {
    if with.line() == taken.line() || with.line() == next(taken.line()) {
        return Ok(());
    }
    Err(OtherMinor { taken, with })
}

/// What becomes of revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revisions {
    /// They stay, so that hashes can be compared. For a proof alone: clients would see revisions go back.
    Kept,
    /// The last one is raised, and all before it count as compacted, so that whoever watches notices.
    Bumped(u64),
}

/// The member that is restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a str,
    /// All first members, as etcd's `--initial-cluster`.
    pub initial_cluster: &'a str,
    /// The token of the new cluster.
    pub token: &'a str,
    /// Its peer URLs, separated by commas.
    pub peer_urls: &'a str,
}

/// What `etcdutl` is called with. It checks the digest at the snapshot's end itself.
pub fn etcdutl_arguments(
    snapshot: &str,
    data: &str,
    member: &Member<'_>,
    revisions: Revisions,
) -> Vec<String> {
    let mut arguments: Vec<String> = ["snapshot", "restore", snapshot].map(str::to_owned).into();
    for (flag, value) in [
        ("--data-dir", data),
        ("--name", member.name),
        ("--initial-cluster", member.initial_cluster),
        ("--initial-cluster-token", member.token),
        ("--initial-advertise-peer-urls", member.peer_urls),
    ] {
        arguments.push(format!("{flag}={value}"));
    }
    match revisions {
        Revisions::Kept => {}
        Revisions::Bumped(by) => {
            arguments.push(format!("--bump-revision={by}"));
            arguments.push("--mark-compacted".to_owned());
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> EtcdVersion {
        EtcdVersion::parse(text).unwrap()
    }

    #[test]
    fn the_same_and_the_next_minor_restore_and_no_other() {
        for (taken, with, may) in [
            ("3.5.35", "3.5.32", true),
            ("3.5.35", "3.6.16", true),
            ("3.5.35", "3.7.3", false),
            ("3.6.16", "3.5.35", false),
            ("3.7.3", "3.7.0", true),
        ] {
            assert_eq!(check_minor(version(taken), version(with)).is_ok(), may, "{taken} by {with}");
        }
        let refused = check_minor(version("3.5.35"), version("3.7.3")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the backup is of etcd 3.5.35, and etcd 3.7.3 cannot restore it: use etcd 3.5 or 3.6, and upgrade afterwards"
        );
    }

    #[test]
    fn revisions_are_bumped_and_marked_compacted_together_or_not_at_all() {
        let member =
            Member { name: "a", initial_cluster: "a=http://a:2380", token: "t", peer_urls: "http://a:2380" };
        let kept = etcdutl_arguments("s.db", "data", &member, Revisions::Kept);
        assert_eq!(
            kept,
            [
                "snapshot",
                "restore",
                "s.db",
                "--data-dir=data",
                "--name=a",
                "--initial-cluster=a=http://a:2380",
                "--initial-cluster-token=t",
                "--initial-advertise-peer-urls=http://a:2380",
            ]
        );
        let bumped = etcdutl_arguments("s.db", "data", &member, Revisions::Bumped(REVISION_BUMP));
        assert_eq!(bumped[kept.len()..], ["--bump-revision=1000000000", "--mark-compacted"]);
    }
}
