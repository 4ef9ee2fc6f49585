//! Counting votes. Small and fully tested, because every disruptive step rests on it. Never knows who votes.

/// Votes that make a majority of `voters`.
pub fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// The voters of a cluster and how many of them are healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Votes {
    /// Voting members in the member list.
    pub voters: usize,
    /// Those of them that are healthy.
    pub healthy: usize,
}

impl Votes {
    /// Whether the healthy ones are a majority.
    pub fn has_quorum(self) -> bool {
        self.healthy >= quorum(self.voters)
    }

    /// The votes after one voter is gone from the list.
    pub fn without(self, voter_is_healthy: bool) -> Votes {
        Votes {
            voters: self.voters.saturating_sub(1),
            healthy: self.healthy.saturating_sub(usize::from(voter_is_healthy)),
        }
    }

    /// Whether a voter may be removed: those who remain must be a majority of what remains, and somebody must remain.
    pub fn may_remove(self, voter_is_healthy: bool) -> bool {
        let rest = self.without(voter_is_healthy);
        rest.voters > 0 && rest.has_quorum()
    }

    /// Whether a voter may restart: the others must be a majority of all. A single voter has no others, and was
    /// promised none.
    pub fn may_restart(self, voter_is_healthy: bool) -> bool {
        let others = self.healthy.saturating_sub(usize::from(voter_is_healthy));
        self.voters == 1 || others >= quorum(self.voters)
    }

    /// Whether one voter more may be added while not all are healthy. Going from an even to an odd number leaves the
    /// majority as it is and only adds a vote; from odd to even it raises the majority.
    pub fn may_add(self) -> bool {
        self.healthy == self.voters || quorum(self.voters + 1) == quorum(self.voters)
    }
}
