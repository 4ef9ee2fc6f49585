//! Carries out single actions. It chooses nothing; each action says what it was planned on, and is refused if that no longer
//! holds. How an action failed is told apart: overtaken, refused, not now.

mod kubernetes;
mod membership;

use crate::cluster::observe::Contact;
use crate::etcd::{EtcdError, EtcdPort};
use crate::lease::Leadership;
use crate::telemetry::chain;
use crate::tls;
use crate::write::{KUBERNETES_CALL, WriteError, covered};
use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::cluster::plan::{Action, SetbackKind};
use kube::Client;
use std::sync::Arc;
use thiserror::Error;

/// Why an action was not carried out.
#[derive(Debug, Error)]
pub enum ExecuteError {
    /// Kubernetes was not changed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// etcd failed or refused.
    #[error("failed to ask etcd")]
    Etcd(#[source] EtcdError),
    /// No member that could be asked has answered.
    #[error("no member answered that could be asked")]
    NoContact,
}

impl ExecuteError {
    /// What it means for the next attempt and for the user.
    pub fn setback(&self) -> SetbackKind {
        match self {
            ExecuteError::Write(error) => error.setback(),
            ExecuteError::Etcd(error) => SetbackKind::NotNow(chain(error)),
            ExecuteError::NoContact => SetbackKind::NotNow(self.to_string()),
        }
    }
}

/// All that is needed to act.
pub struct Executor {
    /// For changing objects.
    pub client: Client,
    /// For changing membership.
    pub etcd: Arc<dyn EtcdPort>,
    /// For how long this process may act.
    pub leadership: Leadership,
}

impl Executor {
    /// Carries out one action. Executing an old one is harmless.
    pub async fn execute(
        &self,
        cluster: &EtcdCluster,
        action: &Action,
        contact: &Contact,
    ) -> Result<(), ExecuteError> {
        self.check_lease(action)?;
        match action {
            Action::RecordBootstrap { record, resource_version } => {
                Ok(kubernetes::record_bootstrap(&self.client, cluster, record, resource_version).await?)
            }
            Action::Create(object) => Ok(kubernetes::create(&self.client, object).await?),
            Action::Patch(patch) => Ok(kubernetes::patch(&self.client, patch).await?),
            Action::WriteSecret(write) => Ok(tls::write(&self.client, &self.leadership, write).await?),
            Action::Delete(delete) => Ok(kubernetes::delete(&self.client, delete).await?),
            Action::Evict(evict) => Ok(kubernetes::evict(&self.client, evict).await?),
            Action::AddLearner { member: _, peer_url, planned_on } => {
                self.membership(contact).add_learner(peer_url, planned_on).await
            }
            Action::PromoteMember { member: _, id, planned_on } => {
                self.membership(contact).promote(*id, planned_on).await
            }
            Action::UpdatePeerUrl { member: _, id, peer_url, planned_on } => {
                self.membership(contact).update_peer_url(*id, peer_url, planned_on).await
            }
            Action::RemoveMember { member: _, id, because: _, planned_on } => {
                self.membership(contact).remove(*id, planned_on).await
            }
            Action::MoveLeader { from: _, from_id, to: _, to_id, planned_on } => {
                self.membership(contact).move_leader(*from_id, *to_id, planned_on).await
            }
            Action::Downgrade(request) => self.membership(contact).downgrade(*request).await,
            Action::DisarmAlarm { member_id, alarm } => {
                self.membership(contact).disarm(*member_id, *alarm).await
            }
        }
    }

    fn membership<'a>(&'a self, contact: &'a Contact) -> membership::Membership<'a> {
        membership::Membership { etcd: self.etcd.as_ref(), contact, leadership: &self.leadership }
    }

    /// Whether everything that the action may do would end before the Lease could be somebody else's. A change of
    /// membership is a list, a call, and after an unclear answer another list.
    fn check_lease(&self, action: &Action) -> Result<(), WriteError> {
        let etcd_calls = self.etcd.call_timeout() * 3;
        let needed = match action {
            Action::RecordBootstrap { .. }
            | Action::Create(_)
            | Action::Patch(_)
            | Action::Delete(_)
            | Action::Evict(_)
            // What is read before it changes nothing, and the Lease is looked at once more.
            | Action::WriteSecret(_) => KUBERNETES_CALL,
            Action::AddLearner { .. }
            | Action::PromoteMember { .. }
            | Action::UpdatePeerUrl { .. }
            | Action::RemoveMember { .. }
            | Action::MoveLeader { .. }
            | Action::Downgrade(_)
            | Action::DisarmAlarm { .. } => etcd_calls,
        };
        covered(&self.leadership, needed)
    }
}
