//! Refuses a fault that would take the quorum away unless the scenario says so. Pure: counts what was seen.

use std::collections::BTreeSet;

use super::{SeenMember, View};

/// Why a fault may not happen now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No member answered a linearizable read a moment ago.
    #[error("the cluster has no quorum before the fault")]
    NoQuorumNow,
    /// Too few voters would be left.
    #[error("of {voters} voters {left} would be left, and {quorum} are needed (already away: {away})")]
    QuorumLost {
        /// How many voters there are.
        voters: usize,
        /// How many would still answer.
        left: usize,
        /// How many must.
        quorum: usize,
        /// The voters that do not answer already or that another fault holds.
        away: String,
    },
}

/// Whether `victims` may stop serving now. `held` are the names of members that a fault in force already holds.
///
/// # Errors
/// If fewer voters than a quorum would be left.
pub fn permit(view: &View, victims: &[&SeenMember], held: &BTreeSet<String>) -> Result<(), Refusal> {
    if !view.has_quorum() {
        return Err(Refusal::NoQuorumNow);
    }
    let voters = view.voters();
    let is_victim = |member: &SeenMember| victims.iter().any(|victim| victim.id == member.id);
    let is_away = |member: &SeenMember| !member.answers || held.contains(&member.name);
    let left = voters.iter().filter(|member| !is_away(member) && !is_victim(member)).count();
    let quorum = view.quorum();
    if left >= quorum {
        return Ok(());
    }
    let away: Vec<&str> =
        voters.iter().filter(|member| is_away(member)).map(|member| member.name.as_str()).collect();
    let away = if away.is_empty() { "none".to_owned() } else { away.join(", ") };
    Err(Refusal::QuorumLost { voters: voters.len(), left, quorum, away })
}
