//! Changes of etcd's membership. Before each call the list is read again, linearizably, and after an unclear answer
//! once more, because none of these calls is idempotent: a change that did happen must not be taken for one that did
//! not.

use super::ExecuteError;
use crate::cluster::observe::Contact;
use crate::etcd::{EtcdError, EtcdMember, EtcdPort, MemberList};
use crate::lease::Leadership;
use crate::write::{WriteError, covered};
use etcd_operator_core::cluster::observed::{Alarm, AlarmKind};
use etcd_operator_core::cluster::plan::{DowngradeRequest, PlannedOn};
use etcd_operator_core::names::{Endpoint, MemberId};
use std::sync::Arc;

/// The members that can be asked.
pub(super) struct Membership<'a> {
    pub(super) etcd: &'a dyn EtcdPort,
    pub(super) contact: &'a Contact,
    pub(super) leadership: &'a Leadership,
}

impl Membership<'_> {
    /// Adds a learner, unless the list has changed.
    pub(super) async fn add_learner(
        &self,
        peer_url: &str,
        planned_on: &PlannedOn,
    ) -> Result<(), ExecuteError> {
        let member = self.checked(planned_on).await?;
        let outcome = member.add_learner(peer_url).await.map(drop);
        let is_added =
            |list: &MemberList| list.members.iter().any(|m| m.peer_urls.iter().any(|u| u == peer_url));
        settle(member.as_ref(), outcome, is_added).await
    }

    /// Promotes a learner, unless the list has changed.
    pub(super) async fn promote(&self, id: MemberId, planned_on: &PlannedOn) -> Result<(), ExecuteError> {
        let member = self.checked(planned_on).await?;
        let outcome = member.promote(id).await;
        let is_voter = |list: &MemberList| list.members.iter().any(|m| m.id == id && !m.is_learner);
        settle(member.as_ref(), outcome, is_voter).await
    }

    /// Changes where a member's peers reach it, unless the list has changed.
    pub(super) async fn update_peer_url(
        &self,
        id: MemberId,
        peer_url: &str,
        planned_on: &PlannedOn,
    ) -> Result<(), ExecuteError> {
        let member = self.checked(planned_on).await?;
        let outcome = member.update_peer_url(id, peer_url).await;
        let is_there =
            |list: &MemberList| list.members.iter().any(|m| m.id == id && m.peer_urls == [peer_url]);
        settle(member.as_ref(), outcome, is_there).await
    }

    /// Removes a member, unless the list has changed.
    pub(super) async fn remove(&self, id: MemberId, planned_on: &PlannedOn) -> Result<(), ExecuteError> {
        let member = self.checked(planned_on).await?;
        let outcome = member.remove(id).await;
        let is_gone = |list: &MemberList| list.members.iter().all(|m| m.id != id);
        settle(member.as_ref(), outcome, is_gone).await
    }

    /// Moves the leadership, unless the list has changed. Only the leader takes the request.
    pub(super) async fn move_leader(
        &self,
        from: MemberId,
        to: MemberId,
        planned_on: &PlannedOn,
    ) -> Result<(), ExecuteError> {
        self.checked(planned_on).await?;
        let endpoint = self.contact.by_member.get(&from).ok_or(ExecuteError::NoContact)?;
        self.member(endpoint).move_leader(to).await.map_err(ExecuteError::Etcd)
    }

    /// Disarms an alarm. Disarming one that is not raised does nothing.
    pub(super) async fn disarm(&self, member_id: MemberId, kind: AlarmKind) -> Result<(), ExecuteError> {
        let endpoint = self.contact.voters.first().ok_or(ExecuteError::NoContact)?;
        self.member(endpoint).disarm(&Alarm { member_id, kind }).await.map_err(ExecuteError::Etcd)
    }

    /// Tells etcd about an earlier minor. Telling it twice what it knows is refused by it, and the next look sees it done.
    pub(super) async fn downgrade(&self, request: DowngradeRequest) -> Result<(), ExecuteError> {
        let endpoint = self.contact.voters.first().ok_or(ExecuteError::NoContact)?;
        self.member(endpoint).downgrade(request).await.map_err(ExecuteError::Etcd)
    }

    fn member(&self, endpoint: &Endpoint) -> Arc<dyn EtcdMember> {
        self.etcd.member(endpoint, &self.contact.access)
    }

    /// A voter that has just confirmed the list that the change was planned on, and this while the Lease still covers
    /// the call that follows.
    async fn checked(&self, planned_on: &PlannedOn) -> Result<Arc<dyn EtcdMember>, ExecuteError> {
        let mut failure = ExecuteError::NoContact;
        for endpoint in &self.contact.voters {
            let member = self.member(endpoint);
            match member.members().await {
                Ok(list) if is_as_planned(&list, planned_on) => {
                    covered(self.leadership, self.etcd.call_timeout())?;
                    return Ok(member);
                }
                Ok(_) => return Err(WriteError::Overtaken("the member list has changed".to_owned()).into()),
                Err(error) => failure = ExecuteError::Etcd(error),
            }
        }
        Err(failure)
    }
}

fn is_as_planned(list: &MemberList, planned_on: &PlannedOn) -> bool {
    let mut members: Vec<_> = list.members.iter().map(|member| member.id).collect();
    members.sort();
    list.cluster_id == planned_on.cluster_id && members == planned_on.members
}

/// Turns an unclear answer into a clear one by reading the list again.
async fn settle(
    member: &dyn EtcdMember,
    outcome: Result<(), EtcdError>,
    has_happened: impl Fn(&MemberList) -> bool,
) -> Result<(), ExecuteError> {
    let error = match outcome {
        Ok(()) => return Ok(()),
        Err(error @ EtcdError::Unclear { .. }) => error,
        Err(
            error @ (EtcdError::Refused { .. }
            | EtcdError::NotAuthorized { .. }
            | EtcdError::Unreachable { .. }),
        ) => {
            return Err(ExecuteError::Etcd(error));
        }
    };
    match member.members().await {
        Ok(list) if has_happened(&list) => Ok(()),
        Ok(_) | Err(_) => Err(ExecuteError::Etcd(error)),
    }
}
