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
}

impl Bootstrap {
    /// The record as the status holds it.
    pub fn to_record(&self) -> BootstrapRecord {
        BootstrapRecord {
            attempt: self.attempt,
            token: self.token.clone(),
            members: self.members.iter().map(ToString::to_string).collect(),
        }
    }

    fn parse(cluster: &ClusterIdentity, attempt: i64, token: &str, members: &[String]) -> Option<Bootstrap> {
        let names: Option<BTreeSet<MemberName>> =
            members.iter().map(|name| MemberName::parse(cluster, name)).collect();
        let members = names.filter(|names| !names.is_empty())?;
        Some(Bootstrap { attempt, token: token.to_owned(), members })
    }
}

impl World<'_> {
    /// The latest attempt that anything records.
    pub(super) fn latest_bootstrap(&self) -> Option<Bootstrap> {
        let on_claims = self.own_claims().filter_map(|(_, facts)| match facts.origin.as_ref()? {
            Origin::First { attempt, token, members, naming: _ } => {
                Bootstrap::parse(&self.cluster, *attempt, token, members)
            }
            Origin::Added { .. } => None,
        });
        let on_claims = on_claims.max_by_key(|bootstrap| bootstrap.attempt);
        let in_status = self.status().and_then(|status| status.bootstrap.as_ref()).and_then(|record| {
            Bootstrap::parse(&self.cluster, record.attempt, &record.token, &record.members)
        });
        match (on_claims, in_status) {
            (Some(claims), Some(status)) if status.attempt > claims.attempt => Some(status),
            (Some(claims), _) => Some(claims),
            (None, status) => status,
        }
    }
}
