//! Compares all members' data: `HashKV` of each at one revision that a linearizable read gave.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::questions;
use super::rounds::Prober;
use crate::history::{HashOfMember, HashRound, MemberHash, Observation, Revision};

/// How long members may take to reach the revision.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(10);
/// Hashing reads the whole data of a member.
const HASH_LIMIT: Duration = Duration::from_secs(10);
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(100);

/// The hashes of all members at one revision.
///
/// # Errors
/// When no member answers a linearizable read: then there is no revision to compare at.
pub(super) async fn hash_all(prober: &Prober) -> Result<HashRound, String> {
    let start = prober.clock().now();
    let addresses = prober.addresses().await?;
    let revision = common_revision(prober, &addresses).await?;
    let members = join_all(addresses.iter().map(|address| hash_one(prober, *address, revision))).await;
    Ok(HashRound { start, end: prober.clock().now(), revision, members })
}

/// The highest revision that any member's linearizable read gives: every voter must get there.
async fn common_revision(prober: &Prober, addresses: &[SocketAddr]) -> Result<Revision, String> {
    let reads = join_all(addresses.iter().map(|address| read_one(prober, *address))).await;
    let revisions = reads.iter().filter_map(|read| read.answer()).map(|read| read.revision);
    revisions.max().ok_or_else(|| format!("no member answers a linearizable read: {reads:?}"))
}

async fn read_one(prober: &Prober, address: SocketAddr) -> Observation<crate::history::QuorumRead> {
    match prober.members().get(address, prober.limit()).await {
        Ok(member) => questions::read(member.client, prober.key(), prober.limit(), prober.clock()).await,
        Err(error) => Observation::Failed(error.to_string()),
    }
}

/// Asks until the member answers: one that lags behind says that the revision is in its future.
async fn hash_one(prober: &Prober, address: SocketAddr, revision: Revision) -> HashOfMember {
    let limit = Instant::now() + CATCH_UP_LIMIT;
    loop {
        let hash = hash_once(prober, address, revision).await;
        if hash.answer().is_some() || Instant::now() >= limit {
            return HashOfMember { address: address.ip().to_string(), hash };
        }
        sleep(ATTEMPT_INTERVAL).await;
    }
}

async fn hash_once(prober: &Prober, address: SocketAddr, revision: Revision) -> Observation<MemberHash> {
    let member = match prober.members().get(address, prober.limit()).await {
        Ok(member) => member,
        Err(error) => return Observation::Failed(error.to_string()),
    };
    let hash = questions::hash(member.client.clone(), revision, HASH_LIMIT).await;
    if hash.answer().is_none() {
        prober.members().discard(address, &member);
    }
    hash
}
