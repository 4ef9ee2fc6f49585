//! From a target's word to the members it means now. Pure: the seed has spoken before, as an order of preference.

use std::collections::BTreeMap;

use crate::scenario::{FaultName, Target};

use super::{SeenMember, View};

/// Why a target means nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// The members do not agree on a leader.
    #[error("no leader is known")]
    NoLeader,
    /// There is no voter of the kind asked for, or it has no running pod.
    #[error("no {0} with a running pod is there")]
    Nobody(String),
    /// All are meant, and one has no running pod at this moment.
    #[error("{0} has no running pod")]
    PodMissing(String),
    /// The earlier fault hit nobody yet, or whom it hit is gone.
    #[error("no member that {0} hit is there any more")]
    EarlierGone(FaultName),
}

/// The members that `target` means in `view`, by name. Empty for targets that are no members.
///
/// `preference` orders the candidates, which stand by name: its first entry that is an index of a candidate wins. `earlier`
/// holds the member names that each fault has hit so far.
///
/// # Errors
/// If the target means members and there is none. A target of members never resolves to nobody.
pub fn resolve<'a>(
    target: &Target,
    preference: &[u8],
    view: &'a View,
    earlier: &BTreeMap<FaultName, Vec<String>>,
) -> Result<Vec<&'a SeenMember>, NoTarget> {
    let running: Vec<&SeenMember> = view.voters().into_iter().filter(|member| member.has_pod()).collect();
    let is_leader = |member: &SeenMember| Some(member.id) == view.leader;
    let chosen = match target {
        Target::Operator | Target::Cluster => return Ok(Vec::new()),
        Target::Leader => {
            let leader = view.leader.ok_or(NoTarget::NoLeader)?;
            running.into_iter().filter(|member| member.id == leader).collect()
        }
        Target::Follower => {
            let _leader_known = view.leader.ok_or(NoTarget::NoLeader)?;
            let followers: Vec<_> = running.into_iter().filter(|member| !is_leader(member)).collect();
            take(followers, preference, 1)
        }
        Target::Member => take(running, preference, 1),
        Target::Minority => {
            let spare = view.voters().len().saturating_sub(view.quorum());
            take(running, preference, spare)
        }
        Target::All => match view.without_pod() {
            Some(member) => return Err(NoTarget::PodMissing(member.name.clone())),
            None => running,
        },
        Target::SameAs(fault) => {
            let names = earlier.get(fault).map(Vec::as_slice).unwrap_or_default();
            let same: Vec<_> = running.into_iter().filter(|member| names.contains(&member.name)).collect();
            if same.is_empty() {
                return Err(NoTarget::EarlierGone(fault.clone()));
            }
            same
        }
    };
    if chosen.is_empty() { Err(NoTarget::Nobody(target.to_string())) } else { Ok(chosen) }
}

fn take<'a>(candidates: Vec<&'a SeenMember>, preference: &[u8], count: usize) -> Vec<&'a SeenMember> {
    let preferred = preference.iter().map(|rank| usize::from(*rank)).filter(|rank| *rank < candidates.len());
    let mut order: Vec<usize> = Vec::with_capacity(candidates.len());
    for rank in preferred.chain(0..candidates.len()) {
        if !order.contains(&rank) {
            order.push(rank);
        }
    }
    let mut chosen: Vec<&SeenMember> = order.into_iter().take(count).map(|rank| candidates[rank]).collect();
    chosen.sort_by(|left, right| left.name.cmp(&right.name));
    chosen
}
