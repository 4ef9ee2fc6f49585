//! The first members: a list that is frozen until the cluster has formed. Never decides whether an attempt goes on.

use std::collections::BTreeSet;

use super::World;
use super::claim::Origin;
use crate::api::BootstrapRecord;
use crate::names::{ClusterIdentity, MemberName};

/// The first members, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Counts from 1.
    pub attempt: i64,
    /// etcd's token.
    pub token: String,
    /// The members, sorted.
    pub members: BTreeSet<MemberName>,
    /// A digest of what says which backup their data comes from, if from any.
    pub restore: Option<String>,
}

impl Bootstrap {
    /// The record as the status holds it.
    pub fn to_record(&self) -> BootstrapRecord {
        BootstrapRecord {
            attempt: self.attempt,
            token: self.token.clone(),
            members: self.members.iter().map(ToString::to_string).collect(),
            restore: self.restore.clone(),
        }
    }

    fn parse(cluster: &ClusterIdentity, record: &BootstrapRecord) -> Option<Bootstrap> {
        let BootstrapRecord { attempt, token, members, restore } = record;
        let names: Option<BTreeSet<MemberName>> =
            members.iter().map(|name| MemberName::parse(cluster, name)).collect();
        let members = names.filter(|names| !names.is_empty())?;
        Some(Bootstrap { attempt: *attempt, token: token.clone(), members, restore: restore.clone() })
    }
}

impl World<'_> {
    /// The latest attempt that anything records.
    pub(super) fn latest_bootstrap(&self) -> Option<Bootstrap> {
        let on_claims = self.own_claims().filter_map(|(_, facts)| match facts.origin.as_ref()? {
            Origin::First { attempt, token, members, naming: _, restore } => {
                let (token, members, restore) = (token.clone(), members.clone(), restore.clone());
                Bootstrap::parse(
                    &self.cluster,
                    &BootstrapRecord { attempt: *attempt, token, members, restore },
                )
            }
            Origin::Added { .. } => None,
        });
        let on_claims = on_claims.max_by_key(|bootstrap| bootstrap.attempt);
        let in_status = self.status().and_then(|status| status.bootstrap.as_ref());
        let in_status = in_status.and_then(|record| Bootstrap::parse(&self.cluster, record));
        match (on_claims, in_status) {
            (Some(claims), Some(status)) if status.attempt > claims.attempt => Some(status),
            (Some(claims), _) => Some(claims),
            (None, status) => status,
        }
    }
}
