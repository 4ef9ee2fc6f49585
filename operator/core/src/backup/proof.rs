//! Whether what was restored from a backup is what the cluster had. Two hashes say so only at one revision with the same compacted
//! before it; where that cannot be compared the snapshot is taken again, and never called good.

use super::manifest::{Hash, Manifest, Proof};

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is the same data.
    Same,
    /// It says nothing: take another snapshot.
    Incomparable(String),
    /// It is not the same data.
    Different(String),
}

/// Whether a proof is one of this very backup: it may have been copied from another one's folder.
pub fn is_of(manifest: &Manifest, proof: &Proof) -> bool {
    proof.name == manifest.name && compare(&manifest.data, &proof.data, proof.revision) == Comparison::Same
}

/// Compares what the cluster had with what was restored, whose last revision is `last`.
pub fn compare(cluster: &Hash, restored: &Hash, last: i64) -> Comparison {
    if last < cluster.revision {
        return Comparison::Different(format!(
            "the cluster had revision {} before the snapshot was taken, and the snapshot ends at {last}",
            cluster.revision
        ));
    }
    if restored.revision != cluster.revision {
        return Comparison::Incomparable(format!(
            "the data was hashed at revision {}, and not at {}",
            restored.revision, cluster.revision
        ));
    }
    if restored.compact_revision != cluster.compact_revision {
        return Comparison::Incomparable(format!(
            "the cluster was compacted meanwhile, from {} to {}",
            cluster.compact_revision.min(restored.compact_revision),
            cluster.compact_revision.max(restored.compact_revision)
        ));
    }
    if restored.hash != cluster.hash {
        return Comparison::Different(format!(
            "up to revision {} the cluster's data has the hash {:08x}, and what was restored has {:08x}",
            cluster.revision, cluster.hash, restored.hash
        ));
    }
    Comparison::Same
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: Hash = Hash { revision: 10, compact_revision: 4, hash: 0xabcd };

    fn is_different(comparison: &Comparison) -> bool {
        matches!(comparison, Comparison::Different(_))
    }

    fn is_incomparable(comparison: &Comparison) -> bool {
        matches!(comparison, Comparison::Incomparable(_))
    }

    #[test]
    fn the_same_hash_at_the_same_revisions_is_the_same_data() {
        assert_eq!(compare(&HASH, &HASH, 10), Comparison::Same);
        assert_eq!(
            compare(&HASH, &HASH, 12),
            Comparison::Same,
            "later writes came while the stream was opened"
        );
    }

    #[test]
    fn another_hash_or_a_missing_revision_is_other_data() {
        assert!(is_different(&compare(&HASH, &Hash { hash: 1, ..HASH }, 10)));
        assert!(is_different(&compare(&HASH, &HASH, 9)), "a member that lagged");
        let lagging = Hash { hash: 1, revision: 9, ..HASH };
        assert!(is_different(&compare(&HASH, &lagging, 9)));
    }

    #[test]
    fn hashes_of_other_revisions_say_nothing() {
        assert!(is_incomparable(&compare(&HASH, &Hash { compact_revision: 6, ..HASH }, 10)));
        assert!(is_incomparable(&compare(&HASH, &Hash { compact_revision: 6, hash: 1, ..HASH }, 10)));
        assert!(is_incomparable(&compare(&HASH, &Hash { revision: 11, ..HASH }, 11)));
    }
}
