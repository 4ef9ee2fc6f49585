//! The etcd port: everything that this crate asks of etcd, as a trait, so that the same operator runs against real
//! members and against modelled ones. It holds no opinion on what the answers mean.

mod access;
mod client;
mod snapshot;

pub use access::{Access, Identity, Pem, Secret, User};
pub use client::{Connection, ConnectionSettings, Connector};
pub use snapshot::{SnapshotBytes, SnapshotStream};

use etcd_operator_core::cluster::observed::{Alarm, DataHash, EtcdAnswer, ListedMember};
use etcd_operator_core::cluster::plan::DowngradeRequest;
use etcd_operator_core::names::{ClusterId, Endpoint, MemberId};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error;

/// A boxed future, so that ports can be chosen at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The member list behind a linearizable read: no older than the moment of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberList {
    /// The cluster that answered.
    pub cluster_id: ClusterId,
    /// All members, by ID.
    pub members: Vec<ListedMember>,
}

/// Why a call to etcd brought nothing, by what is known of its effect.
#[derive(Debug, Error)]
pub enum EtcdError {
    /// The call never reached a member: it had no effect.
    #[error("could not reach {endpoint}")]
    Unreachable {
        /// Whom we called.
        endpoint: Endpoint,
        /// What the transport said.
        #[source]
        source: BoxError,
    },
    /// etcd answered and refused: the call had no effect.
    #[error("{endpoint} refused: {message}")]
    Refused {
        /// Whom we called.
        endpoint: Endpoint,
        /// etcd's words.
        message: String,
    },
    /// etcd answered and asks for credentials: authentication is on. The call had no effect.
    #[error("{endpoint} asks for credentials: {message}")]
    NotAuthorized {
        /// Whom we called.
        endpoint: Endpoint,
        /// etcd's words.
        message: String,
    },
    /// The call may or may not have had an effect. A change must be looked for in a fresh list.
    #[error("no clear answer from {endpoint}: {reason}")]
    Unclear {
        /// Whom we called.
        endpoint: Endpoint,
        /// What happened instead of an answer.
        reason: String,
    },
}

/// Any error that the transport may have.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One member, reached at one endpoint. Every call ends within the connection's time-out, [`EtcdMember::data_hash`] within one of its
/// own.
pub trait EtcdMember: Send + Sync {
    /// The endpoint, for messages.
    fn endpoint(&self) -> &Endpoint;
    /// What the member says of itself; needs no quorum, and tries no read. Where authentication is on, it asks for credentials.
    fn status(&self) -> BoxFuture<'_, Result<EtcdAnswer, EtcdError>>;
    /// A linearizable read through this member: a quorum stands behind it, and it has caught up. Learners refuse it. Where
    /// authentication is on, a refusal says the same: etcd looks at credentials after the quorum has confirmed the read.
    fn read(&self) -> BoxFuture<'_, Result<(), EtcdError>>;
    /// The member list, after a linearizable read on the same member. Needs a quorum, so it proves one.
    fn members(&self) -> BoxFuture<'_, Result<MemberList, EtcdError>>;
    /// Adds a learner; its ID. Not idempotent: look for the peer URL after an unclear answer.
    fn add_learner<'a>(&'a self, peer_url: &'a str) -> BoxFuture<'a, Result<MemberId, EtcdError>>;
    /// Makes a learner a voter. etcd refuses while it lags.
    fn promote(&self, member: MemberId) -> BoxFuture<'_, Result<(), EtcdError>>;
    /// Tells the cluster where the peers of a member reach it. The same twice is the same.
    fn update_peer_url<'a>(
        &'a self,
        member: MemberId,
        peer_url: &'a str,
    ) -> BoxFuture<'a, Result<(), EtcdError>>;
    /// Removes a member for ever.
    fn remove(&self, member: MemberId) -> BoxFuture<'_, Result<(), EtcdError>>;
    /// Hands leadership over. Only the leader accepts it.
    fn move_leader(&self, to: MemberId) -> BoxFuture<'_, Result<(), EtcdError>>;
    /// IDs of all members as the member knows them itself, sorted: it asks no other, and may lag.
    fn known_members(&self) -> BoxFuture<'_, Result<Vec<MemberId>, EtcdError>>;
    /// Tells the cluster to be brought down to an earlier minor, or not any more.
    fn downgrade(&self, request: DowngradeRequest) -> BoxFuture<'_, Result<(), EtcdError>>;
    /// What its data is, up to a revision that it has. Reads all of its data, and so takes longer than other calls; asks no other.
    fn data_hash(&self, revision: i64) -> BoxFuture<'_, Result<DataHash, EtcdError>>;
    /// All alarms that are raised.
    fn alarms(&self) -> BoxFuture<'_, Result<Vec<Alarm>, EtcdError>>;
    /// Clears one alarm.
    fn disarm<'a>(&'a self, alarm: &'a Alarm) -> BoxFuture<'a, Result<(), EtcdError>>;
}

/// Makes connections to members.
pub trait EtcdPort: Send + Sync + 'static {
    /// One member, reached at exactly this endpoint as its cluster is reached. The connection is made by the first call, kept for the
    /// calls after it, and gone with what is returned.
    fn member(&self, endpoint: &Endpoint, access: &Access) -> Arc<dyn EtcdMember>;
    /// The longest that any call can take.
    fn call_timeout(&self) -> std::time::Duration;
}
