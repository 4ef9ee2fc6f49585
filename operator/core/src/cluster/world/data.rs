//! Whose data is the same as the others', and whose is not: from what voters' data hashes to at one revision. Never decides what
//! becomes of anybody.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::observed::DataHash;
use crate::names::MemberId;
use crate::quorum::quorum;

/// What is known of the voters' data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Agreement {
    /// Nobody was asked, or too few have answered what can be compared.
    #[default]
    Unknown,
    /// A majority of all voters has the same data.
    Majority {
        /// Those.
        agreeing: BTreeSet<MemberId>,
        /// Voters whose data is another at the same revision.
        differing: BTreeSet<MemberId>,
    },
    /// Voters differ, and no majority has the same data: nobody can tell whose is right.
    Split,
}

impl Agreement {
    /// Compares what voters answered. Hashes of others are left out, and hashes after different compactions are no hashes of the
    /// same.
    pub fn of(voters: &BTreeSet<MemberId>, hashes: &BTreeMap<MemberId, DataHash>) -> Agreement {
        let mut alike: BTreeMap<DataHash, BTreeSet<MemberId>> = BTreeMap::new();
        for (member, hash) in hashes.iter().filter(|(member, _)| voters.contains(member)) {
            alike.entry(*hash).or_default().insert(*member);
        }
        let majority = alike.iter().find(|(_, members)| members.len() >= quorum(voters.len()));
        let differs = |one: &DataHash, other: &DataHash| {
            one.hash != other.hash
                && (one.revision, one.compact_revision) == (other.revision, other.compact_revision)
        };
        match majority {
            Some((common, agreeing)) => {
                let others = alike.iter().filter(|(hash, _)| differs(hash, common));
                let differing = others.flat_map(|(_, members)| members).copied().collect();
                Agreement::Majority { agreeing: agreeing.clone(), differing }
            }
            None if alike.keys().any(|one| alike.keys().any(|other| differs(one, other))) => Agreement::Split,
            None => Agreement::Unknown,
        }
    }

    /// Whether as many voters as these have the same data, this member left out of those that are counted.
    pub fn holds_without(&self, member: Option<MemberId>, voters: usize) -> bool {
        match self {
            Agreement::Majority { agreeing, differing: _ } => {
                let others = agreeing.iter().filter(|other| Some(**other) != member);
                others.count() >= quorum(voters)
            }
            Agreement::Unknown | Agreement::Split => false,
        }
    }

    /// Whether all of these voters have the same data.
    pub fn is_of_all(&self, voters: usize) -> bool {
        match self {
            Agreement::Majority { agreeing, differing: _ } => agreeing.len() == voters,
            Agreement::Unknown | Agreement::Split => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: u64, answers: &[(u64, i64, u32)]) -> Agreement {
        let hash = |compact_revision, hash| DataHash { revision: 9, compact_revision, hash };
        let answers = answers.iter().map(|(id, compacted, it)| (MemberId(*id), hash(*compacted, *it)));
        Agreement::of(&(1..=size).map(MemberId).collect(), &answers.collect())
    }

    fn majority(agreeing: &[u64], differing: &[u64]) -> Agreement {
        let ids = |of: &[u64]| of.iter().copied().map(MemberId).collect();
        Agreement::Majority { agreeing: ids(agreeing), differing: ids(differing) }
    }

    #[test]
    fn who_differs_from_a_majority_of_all_voters_is_named() {
        assert_eq!(of(3, &[(1, 4, 7), (2, 4, 7), (3, 4, 8)]), majority(&[1, 2], &[3]));
        assert_eq!(
            of(5, &[(1, 4, 7), (2, 4, 7), (3, 4, 7), (4, 4, 1), (5, 4, 2)]),
            majority(&[1, 2, 3], &[4, 5])
        );
    }

    #[test]
    fn without_a_majority_nobody_is_right() {
        assert_eq!(of(3, &[(1, 4, 7), (2, 4, 8)]), Agreement::Split);
        assert_eq!(of(5, &[(1, 4, 7), (2, 4, 7), (3, 4, 8)]), Agreement::Split);
        assert_eq!(of(2, &[(1, 4, 7), (2, 4, 8)]), Agreement::Split);
    }

    #[test]
    fn hashes_after_different_compactions_say_nothing() {
        assert_eq!(of(3, &[(1, 4, 7), (2, 5, 8)]), Agreement::Unknown);
        assert_eq!(of(3, &[(1, 4, 7), (2, 4, 7), (3, 5, 8)]), majority(&[1, 2], &[]));
    }

    #[test]
    fn too_few_answers_say_nothing_and_strangers_are_not_counted() {
        assert_eq!(of(3, &[]), Agreement::Unknown);
        assert_eq!(of(3, &[(1, 4, 7)]), Agreement::Unknown);
        assert_eq!(of(3, &[(1, 4, 7), (9, 4, 7)]), Agreement::Unknown);
    }

    #[test]
    fn the_others_are_a_majority_of_all_or_none() {
        let agreement = majority(&[1, 2, 3], &[]);
        assert!(agreement.holds_without(Some(MemberId(3)), 3) && agreement.is_of_all(3));
        assert!(!majority(&[1, 2], &[]).holds_without(Some(MemberId(2)), 3));
        assert!(majority(&[1, 2], &[3]).holds_without(Some(MemberId(3)), 3));
        assert!(!Agreement::Unknown.holds_without(None, 3) && !Agreement::Split.is_of_all(0));
    }
}
