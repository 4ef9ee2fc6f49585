//! Looks at one cluster: all objects by live reads, each member by asking it. These are the only reads that a plan is
//! made from. It judges nothing and keeps nothing.

mod kubernetes;
mod members;

pub use kubernetes::Objects;
pub use members::Contact;

use crate::clock::{SharedClock, SharedIdentifiers};
use crate::etcd::EtcdPort;
use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::desired::identity;
use etcd_operator_core::observed::{Observed, Settings};
use kube::Client;
use std::sync::Arc;
use thiserror::Error;

/// Why there is nothing to plan from.
#[derive(Debug, Error)]
pub enum ObserveError {
    /// A live read failed; acting on the rest could take an unseen object for an absent one.
    #[error("read {what}")]
    Read {
        /// Which objects.
        what: String,
        /// What the API server said.
        #[source]
        source: kube::Error,
    },
    /// The cluster object has no name, namespace or UID.
    #[error("identify the cluster")]
    Identity(#[source] etcd_operator_core::desired::Invalid),
}

/// All that is needed to look.
pub struct Observer {
    /// For live reads.
    pub client: Client,
    /// For asking members.
    pub etcd: Arc<dyn EtcdPort>,
    /// For saying when.
    pub clock: SharedClock,
    /// For the plan's names.
    pub identifiers: SharedIdentifiers,
    /// Passed on to the plan.
    pub settings: Settings,
}

/// What was seen, and at which endpoints members answered.
pub struct Sight {
    /// For the plan.
    pub observed: Observed,
    /// For the executor.
    pub contact: Contact,
}

impl Observer {
    /// Looks at everything that concerns a cluster.
    pub async fn observe(&self, cluster: &EtcdCluster) -> Result<Sight, ObserveError> {
        let identity = identity(cluster).map_err(ObserveError::Identity)?;
        let mut objects = kubernetes::list(&self.client, &identity).await?;
        let asked = members::ask(self.etcd.as_ref(), &self.clock, &objects.pods).await;
        let names = kubernetes::known_names(&identity, cluster, &objects, &asked.member_list);
        kubernetes::complete(&self.client, &identity, &names, &mut objects).await?;
        let Objects { stateful_sets, pods, claims, services, disruption_budgets } = objects;
        let observed = Observed {
            as_of: self.clock.wall(),
            entropy: self.identifiers.entropy(),
            settings: self.settings.clone(),
            cluster: cluster.clone(),
            stateful_sets,
            pods,
            claims,
            services,
            disruption_budgets,
            probes: asked.probes,
            member_list: asked.member_list,
        };
        Ok(Sight { observed, contact: asked.contact })
    }
}
