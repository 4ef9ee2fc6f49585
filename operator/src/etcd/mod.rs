//! The etcd port: everything that this crate asks of etcd, as a trait, so that the same operator runs against real
//! members and against modelled ones. It holds no opinion on what the answers mean.

mod client;

pub use client::{Connection, ConnectionSettings, Connector};

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use thiserror::Error;

/// A boxed future, so that ports can be chosen at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// etcd's ID of a member: assigned when it is added, different each time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawMemberId(pub u64);

impl fmt::Display for RawMemberId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}", self.0)
    }
}

impl fmt::Debug for RawMemberId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// One member as etcd's own list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMember {
    /// Its ID.
    pub id: RawMemberId,
    /// Its name; empty until it has started once.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: BTreeSet<String>,
    /// Where clients reach it; empty until it has started once.
    pub client_urls: BTreeSet<String>,
    /// Whether it does not vote yet.
    pub is_learner: bool,
}

/// The member list behind a linearizable read: no older than the moment of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberList {
    /// The cluster that answered.
    pub cluster_id: u64,
    /// All members, by ID.
    pub members: Vec<ListedMember>,
}

/// What one member says of itself. It may be behind; only the IDs and the version are certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// The cluster it believes to be in.
    pub cluster_id: u64,
    /// Its own ID.
    pub member_id: RawMemberId,
    /// The leader it knows, if any.
    pub leader: Option<RawMemberId>,
    /// Version of the running binary.
    pub version: String,
    /// Raft term.
    pub term: u64,
    /// Index of the last committed entry it knows.
    pub index: u64,
    /// Index of the last applied entry.
    pub applied_index: u64,
    /// Revision of the key space.
    pub revision: i64,
    /// Bytes of the database file.
    pub database_bytes: i64,
    /// Whether it does not vote yet.
    pub is_learner: bool,
    /// What it complains about, for example an alarm.
    pub errors: Vec<String>,
}

/// Kinds of alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    /// The database reached its quota.
    NoSpace,
    /// Members disagree on the data.
    Corrupt,
}

/// An alarm that is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    /// For which member.
    pub member: RawMemberId,
    /// Which.
    pub kind: AlarmKind,
}

/// Why a call to etcd brought nothing, by what is known of its effect.
#[derive(Debug, Error)]
pub enum EtcdError {
    /// The call never reached a member: it had no effect.
    #[error("could not reach {endpoint}")]
    Unreachable {
        /// Whom we called.
        endpoint: String,
        /// What the transport said.
        #[source]
        source: BoxError,
    },
    /// etcd answered and refused: the call had no effect.
    #[error("{endpoint} refused: {message}")]
    Refused {
        /// Whom we called.
        endpoint: String,
        /// etcd's words.
        message: String,
    },
    /// The call may or may not have had an effect. A change must be looked for in a fresh list.
    #[error("no clear answer from {endpoint}: {reason}")]
    Unclear {
        /// Whom we called.
        endpoint: String,
        /// What happened instead of an answer.
        reason: String,
    },
}

/// Any error that the transport may have.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One member, reached at one endpoint. Every call ends within the connection's time-out.
pub trait EtcdMember: Send + Sync {
    /// The endpoint, for messages.
    fn endpoint(&self) -> &str;
    /// What the member says of itself; needs no quorum.
    fn status(&self) -> BoxFuture<'_, Result<MemberStatus, EtcdError>>;
    /// The member list, after a linearizable read on the same member. Needs a quorum, so it proves one.
    fn members(&self) -> BoxFuture<'_, Result<MemberList, EtcdError>>;
    /// Adds a learner; its ID. Not idempotent: look for the peer URL after an unclear answer.
    fn add_learner<'a>(&'a self, peer_url: &'a str) -> BoxFuture<'a, Result<RawMemberId, EtcdError>>;
    /// Makes a learner a voter. etcd refuses while it lags.
    fn promote(&self, member: RawMemberId) -> BoxFuture<'_, Result<(), EtcdError>>;
    /// Removes a member for ever.
    fn remove(&self, member: RawMemberId) -> BoxFuture<'_, Result<(), EtcdError>>;
    /// Hands leadership over. Only the leader accepts it.
    fn move_leader(&self, to: RawMemberId) -> BoxFuture<'_, Result<(), EtcdError>>;
    /// All alarms that are raised.
    fn alarms(&self) -> BoxFuture<'_, Result<Vec<Alarm>, EtcdError>>;
    /// Clears one alarm.
    fn disarm(&self, alarm: Alarm) -> BoxFuture<'_, Result<(), EtcdError>>;
}

/// Makes connections to members.
pub trait EtcdPort: Send + Sync + 'static {
    /// A connection to exactly one endpoint, for example `http://10.0.0.7:2379`. It is made lazily and never fails.
    fn member(&self, endpoint: &str) -> Box<dyn EtcdMember>;
    /// The longest that any call can take.
    fn call_timeout(&self) -> std::time::Duration;
}
