//! Laws of counting votes, for every number of voters that a cluster can have and some that it cannot.

use etcd_operator_core::quorum::{Votes, quorum};
use proptest::prelude::*;

fn votes() -> impl Strategy<Value = Votes> {
    (1_usize..12).prop_flat_map(|voters| (0..=voters).prop_map(move |healthy| Votes { voters, healthy }))
}

proptest! {
    #[test]
    fn two_majorities_share_a_voter(voters in 1_usize..100) {
        prop_assert!(2 * quorum(voters) > voters);
        prop_assert!(2 * (quorum(voters) - 1) <= voters);
    }

    #[test]
    fn what_remains_after_a_removal_is_a_majority(votes in votes(), is_healthy: bool) {
        prop_assume!(!is_healthy || votes.healthy > 0);
        prop_assume!(is_healthy || votes.healthy < votes.voters);
        if votes.may_remove(is_healthy) {
            prop_assert!(votes.without(is_healthy).has_quorum());
            prop_assert!(votes.voters > 1);
        }
    }

    #[test]
    fn a_restart_leaves_a_majority_of_others(votes in votes(), is_healthy: bool) {
        prop_assume!(!is_healthy || votes.healthy > 0);
        if votes.may_restart(is_healthy) && votes.voters > 1 {
            prop_assert!(votes.healthy - usize::from(is_healthy) >= quorum(votes.voters));
        }
    }

    #[test]
    fn an_addition_never_takes_the_majority(votes in votes()) {
        if votes.may_add() && votes.has_quorum() {
            let after = Votes { voters: votes.voters + 1, healthy: votes.healthy + 1 };
            prop_assert!(after.has_quorum());
        }
    }
}

#[test]
fn a_cluster_of_two_or_one_loses_nobody() {
    assert!(!Votes { voters: 1, healthy: 1 }.may_remove(true));
    assert!(!Votes { voters: 2, healthy: 1 }.may_restart(true));
    assert!(Votes { voters: 2, healthy: 2 }.may_remove(true), "one healthy voter of one remains");
    assert!(!Votes { voters: 3, healthy: 2 }.may_remove(true));
    assert!(Votes { voters: 3, healthy: 2 }.may_remove(false));
}
