//! Looks at one cluster: all objects by live reads, each of its own members by asking it. These are the only reads that a plan is
//! made from. It judges nothing; what it remembers of earlier looks is kept by its caller.

mod backups;
mod data;
mod explain;
mod kubernetes;
mod members;
mod restoring;
mod tls;

pub use data::hashes_at;
pub use kubernetes::Objects;
pub use members::{Contact, etcd_view};

use crate::clock::{SharedClock, SharedIdentifiers};
use crate::etcd::EtcdPort;
use crate::reconcile::ObserveError;
use crate::telemetry::chain;
use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::cluster::desired::identity;
use etcd_operator_core::cluster::memory::Memory;
use etcd_operator_core::cluster::observed::{MemberList, Observed, Places, Settings, TlsSeen};
use etcd_operator_core::cluster::world::{Ownership, World};
use etcd_operator_core::names::ClusterIdentity;
use explain::AskError;
use kube::Client;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Looks at everything that concerns a cluster; and where members' data may differ, compares it and looks once more: reading all
    /// data takes so long that all else is old by then.
    pub async fn observe(&self, cluster: &EtcdCluster, memory: &mut Memory) -> Result<Sight, ObserveError> {
        let identity = identity(cluster).map_err(|error| ObserveError::Identity(error.into()))?;
        let sight = self.look(cluster, &identity, memory).await?;
        let may_differ = World::read(&sight.observed, identity.clone()).may_data_differ();
        if !may_differ && !memory.suspects_data() {
            return Ok(sight);
        }
        let Sight { observed, contact } = sight;
        let endpoints = &contact.by_member;
        let hashes = data::hashes_of(self.etcd.as_ref(), &contact.access, &observed.probes, endpoints).await;
        let Sight { observed, contact } = self.look(cluster, &identity, memory).await?;
        let observed = Observed { hashes, ..observed };
        if World::read(&observed, identity).has_same_data() {
            memory.note_same_data();
        }
        Ok(Sight { observed, contact })
    }

    async fn look(
        &self,
        cluster: &EtcdCluster,
        identity: &ClusterIdentity,
        memory: &mut Memory,
    ) -> Result<Sight, ObserveError> {
        let mut objects = kubernetes::list(&self.client, identity).await?;
        // Whoever lost its label is found by name before anybody is asked; and once more, when etcd has named its members.
        let names = kubernetes::known_names(identity, cluster, &objects, &MemberList::Unknown(String::new()));
        kubernetes::complete(&self.client, identity, &names, &mut objects).await?;
        let ownership = Ownership::read(identity, &objects.stateful_sets, &objects.claims);
        let own_pods: Vec<_> = objects.pods.iter().filter(|pod| ownership.has_pod(identity, pod)).collect();
        let concerned = (&names, objects.stateful_sets.as_slice(), own_pods.clone());
        let mut tls = tls::read(&self.client, &self.clock, cluster, identity, concerned).await?;
        let access = std::mem::take(&mut tls.access);
        let asked = members::ask(self.etcd.as_ref(), access, &self.clock, own_pods.into_iter());
        let (asked, handshakes) = futures::join!(asked, tls::handshakes(&tls));
        let tls = TlsSeen { handshakes, ..tls.seen };
        let names = kubernetes::known_names(identity, cluster, &objects, &asked.member_list);
        kubernetes::complete(&self.client, identity, &names, &mut objects).await?;
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
            hashes: BTreeMap::new(),
            silence: BTreeMap::new(),
            places: Places::NotAsked,
            undone: memory.undone(),
            backups: backups::of(&self.client, cluster).await,
            restore: restoring::of(&self.client, cluster).await?,
            tls,
            warnings: BTreeMap::new(),
        };
        let observed = self.with_what_time_tells(observed, identity.clone(), memory).await;
        memory.note_observed(self.clock.monotonic());
        Ok(Sight { observed, contact: asked.contact })
    }

    /// Adds for how long what is amiss has been so, and what Kubernetes says about it.
    async fn with_what_time_tells(
        &self,
        mut observed: Observed,
        identity: ClusterIdentity,
        memory: &mut Memory,
    ) -> Observed {
        let now = self.clock.monotonic();
        let namespace = identity.namespace.clone();
        let world = World::read(&observed, identity);
        let (silent, to_place) = (world.silent_members(), world.volumes_to_place());
        let to_explain = world.objects_to_explain();
        observed.silence = memory.note_silence(now, silent);
        if !to_place.is_empty() {
            observed.places = self.places(&to_place, now, memory).await;
        }
        if let Some(objects) = memory.due_explanations(now, to_explain) {
            let warnings = explain::warnings(&self.client, &namespace, objects).await;
            memory.note_explanations(now, warnings);
        }
        observed.warnings = memory.explanations();
        observed
    }

    async fn places(
        &self,
        volumes: &BTreeMap<String, String>,
        now: std::time::Duration,
        memory: &mut Memory,
    ) -> Places {
        match explain::cut_off(&self.client, volumes).await {
            Ok(cut_off) => Places::CutOff(memory.note_cut_off(now, cut_off)),
            Err(AskError::NotAllowed) => Places::NotAllowed,
            Err(AskError::Failed(error)) => {
                tracing::warn!(error = chain(&error), "failed to read nodes and volumes");
                Places::NotAsked
            }
        }
    }
}
