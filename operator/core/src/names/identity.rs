//! The identity of a cluster object and the names that follow from it: Services, labels, URLs. Never reads an object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    CLUSTER_UID, Endpoint, FIELD_MANAGER, LABEL_CLUSTER, LABEL_INSTANCE, LABEL_MANAGED_BY, LABEL_MEMBER,
    LABEL_NAME, LABEL_ROLE, MemberName, Role, Scheme, hexadecimal,
};

/// The longest name that an `EtcdCluster` may have; the resource type enforces it.
pub const LONGEST_CLUSTER_NAME: usize = 46;

/// How the cluster's peers Service is named and its pods are selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Naming {
    /// By the cluster's name, as clusters that formed under earlier operators keep it: their members have published it.
    #[default]
    ByName,
    /// By the object's UID, so that no other cluster can come to the same name, whatever it is called.
    ByUid,
}

impl Naming {
    /// Every naming.
    pub const ALL: [Naming; 2] = [Naming::ByName, Naming::ByUid];

    fn is_by_name(&self) -> bool {
        *self == Naming::ByName
    }
}

/// The identity of one `EtcdCluster` object, from which all other names are formed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterIdentity {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// How names are formed from these.
    #[serde(default, skip_serializing_if = "Naming::is_by_name")]
    pub naming: Naming,
}

impl ClusterIdentity {
    /// The same cluster with another naming.
    pub fn with_naming(&self, naming: Naming) -> ClusterIdentity {
        ClusterIdentity { naming, ..self.clone() }
    }

    /// The headless Service through which members find each other.
    ///
    /// Formed by UID it is longer than any cluster's name, so that it is no other cluster's client Service.
    pub fn peers_service(&self) -> String {
        let by_name = format!("{}-peers", self.name);
        match self.naming {
            Naming::ByName => by_name,
            Naming::ByUid => {
                let digest = hexadecimal(&Sha256::digest(&self.uid));
                let length = LONGEST_CLUSTER_NAME.saturating_sub(by_name.len()).max(10);
                format!("{by_name}-{}", &digest[..length])
            }
        }
    }

    /// The Service for clients.
    pub fn client_service(&self) -> String {
        self.name.clone()
    }

    /// The PodDisruptionBudget.
    pub fn disruption_budget(&self) -> String {
        self.name.clone()
    }

    /// etcd's initial cluster token for one attempt to form the cluster.
    pub fn token(&self, attempt: i64) -> String {
        format!("{}-{attempt}", self.uid)
    }

    /// By what the cluster's Services and its budget select its pods.
    pub fn selector(&self) -> BTreeMap<String, String> {
        let (key, value) = match self.naming {
            Naming::ByName => (LABEL_CLUSTER, &self.name),
            Naming::ByUid => (CLUSTER_UID, &self.uid),
        };
        [(key.to_owned(), value.clone())].into()
    }

    /// Labels of every object that goes with the cluster.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.claim_labels();
        labels.insert(LABEL_INSTANCE.to_owned(), self.name.clone());
        labels.insert(CLUSTER_UID.to_owned(), self.uid.clone());
        labels
    }

    /// Labels of every object that goes with one member.
    pub fn member_labels(&self, member: &MemberName) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(LABEL_MEMBER.to_owned(), member.to_string());
        labels
    }

    /// Labels of a member's pods. Where selectors go by name, pods keep the labels that they had from earlier operators.
    pub fn pod_labels(&self, member: &MemberName, role: Role) -> BTreeMap<String, String> {
        let mut labels = self.member_labels(member);
        labels.insert(LABEL_ROLE.to_owned(), role.as_str().to_owned());
        if self.naming == Naming::ByName {
            labels.remove(CLUSTER_UID);
        }
        labels
    }

    /// Labels of a member's claim. It outlives the cluster and so has no owner, and what has none must not bear the label by
    /// which GitOps tools take objects for their own (`app.kubernetes.io/instance`): they would prune the data.
    pub fn member_claim_labels(&self, member: &MemberName) -> BTreeMap<String, String> {
        let mut labels = self.claim_labels();
        labels.insert(LABEL_MEMBER.to_owned(), member.to_string());
        labels
    }

    fn claim_labels(&self) -> BTreeMap<String, String> {
        [(LABEL_NAME, "etcd"), (LABEL_MANAGED_BY, FIELD_MANAGER), (LABEL_CLUSTER, self.name.as_str())]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    /// The URL under which the other members reach this one by a scheme. Being formed from the incarnation's name it is never
    /// used again.
    pub fn peer_url(&self, scheme: Scheme, member: &MemberName) -> String {
        Endpoint { scheme, address: self.host(member), port: scheme.peer_port() }.to_string()
    }

    /// The URL under which clients inside the Kubernetes cluster reach this member by a scheme.
    pub fn client_url(&self, scheme: Scheme, member: &MemberName) -> String {
        Endpoint::of_clients(scheme, &self.host(member)).to_string()
    }

    /// The name under which everybody inside the Kubernetes cluster reaches this member, whoever the others are.
    pub fn host(&self, member: &MemberName) -> String {
        format!("{}.{}.{}.svc", member.pod(), self.peers_service(), self.namespace)
    }

    /// The member whose peer URL this is, if it is exactly what [`Self::peer_url`] forms by either naming and either scheme.
    pub fn member_of_peer_url(&self, url: &str) -> Option<(MemberName, Naming)> {
        let (_, host) = url.split_once("://")?;
        let name = host.split('.').next()?.strip_suffix("-0")?;
        let member = MemberName::parse(self, name)?;
        let is_so_named = |naming: &Naming| {
            let cluster = self.with_naming(*naming);
            Scheme::ALL.into_iter().any(|scheme| cluster.peer_url(scheme, &member) == url)
        };
        let naming = Naming::ALL.into_iter().find(is_so_named)?;
        Some((member, naming))
    }
}
