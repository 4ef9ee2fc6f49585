//! The etcd port on real members, by one single-endpoint client each. It retries nothing and decides nothing.

use super::{Access, BoxFuture, EtcdError, EtcdMember, EtcdPort, MemberList};
use etcd_client::{
    AlarmAction, AlarmOptions, AlarmType, Certificate, Client, ConnectOptions, DowngradeOptions, Error,
    GetOptions, GetResponse, Identity, MemberAddOptions, TlsOptions,
};
use etcd_operator_core::cluster::desired::Line;
use etcd_operator_core::cluster::observed::{
    Alarm, AlarmKind, DataHash, EtcdAnswer, LinearizableRead, ListedMember,
};
use etcd_operator_core::cluster::plan::DowngradeRequest;
use etcd_operator_core::names::{ClusterId, Endpoint, MemberId, Scheme};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long members are waited for. How they are reached is their cluster's matter ([`Access`]).
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    /// Bound of each call, connecting included.
    pub call_timeout: Duration,
    /// Bound of connecting alone.
    pub connect_timeout: Duration,
    /// Bound of a call that reads all data.
    pub hash_timeout: Duration,
}

impl Default for ConnectionSettings {
    /// Two seconds are twenty times etcd's usual election-free answer, and short enough to probe a dead member often. etcd reads the
    /// 8 GiB that it recommends at most in less than half a minute.
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(1),
            hash_timeout: Duration::from_secs(30),
        }
    }
}

/// Makes connections to real members.
#[derive(Debug, Clone, Default)]
pub struct Connector {
    pub(super) settings: ConnectionSettings,
}

impl Connector {
    /// Connects as the settings say.
    pub fn new(settings: ConnectionSettings) -> Self {
        Self { settings }
    }
}

impl EtcdPort for Connector {
    fn member(&self, endpoint: &Endpoint, access: &Access) -> Arc<dyn EtcdMember> {
        Arc::new(Connection::new(endpoint, access, &self.settings))
    }

    fn call_timeout(&self) -> Duration {
        self.settings.call_timeout
    }
}

/// One endpoint, for one look at a cluster: a connection kept across a member's restart would answer with the old one's silence.
pub struct Connection {
    pub(super) endpoint: Endpoint,
    pub(super) access: Access,
    pub(super) settings: ConnectionSettings,
    /// All calls go over one connection, whose calls are bounded by us alone.
    is_for_long: bool,
    client: OnceCell<Client>,
}

impl Connection {
    pub(super) fn new(endpoint: &Endpoint, access: &Access, settings: &ConnectionSettings) -> Self {
        let (endpoint, access, settings) = (endpoint.clone(), access.clone(), settings.clone());
        Self { endpoint, access, settings, is_for_long: false, client: OnceCell::new() }
    }

    pub(super) fn for_long(endpoint: &Endpoint, access: &Access, settings: &ConnectionSettings) -> Self {
        Self { is_for_long: true, ..Self::new(endpoint, access, settings) }
    }

    pub(super) async fn client(&self) -> Result<Client, Error> {
        let connect = || async {
            match self.is_for_long {
                true => self.connect_for_long().await,
                false => self.connect(self.settings.call_timeout).await,
            }
        };
        self.client.get_or_try_init(connect).await.cloned()
    }

    async fn connect(&self, call_timeout: Duration) -> Result<Client, Error> {
        Client::connect([self.endpoint.to_string()], Some(self.options(call_timeout))).await
    }

    /// For calls that may last as long as they bring something.
    async fn connect_for_long(&self) -> Result<Client, Error> {
        Client::connect([self.endpoint.to_string()], Some(self.options_without_bound())).await
    }

    fn options(&self, call_timeout: Duration) -> ConnectOptions {
        self.options_without_bound().with_timeout(call_timeout)
    }

    fn options_without_bound(&self) -> ConnectOptions {
        let options = ConnectOptions::new().with_connect_timeout(self.settings.connect_timeout);
        let options = match &self.access.user {
            Some(user) => options.with_user(user.name.clone(), user.password.0.clone()),
            None => options,
        };
        match self.endpoint.scheme {
            Scheme::Http => options,
            Scheme::Https => options.with_tls(self.tls()),
        }
    }

    fn tls(&self) -> TlsOptions {
        let tls = match &self.access.authority {
            Some(authority) => TlsOptions::new().ca_certificate(Certificate::from_pem(&authority.0)),
            None => TlsOptions::new().with_enabled_roots(),
        };
        let tls = match &self.access.server_name {
            Some(name) => tls.domain_name(name.clone()),
            None => tls,
        };
        match &self.access.identity {
            Some(own) => tls.identity(Identity::from_pem(&own.certificate.0, &own.key.0)),
            None => tls,
        }
    }

    /// Bounds a call as a whole: the client's own time-outs do not cover a connection that is accepted and then
    /// never answers.
    pub(super) async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, EtcdError> {
        self.bounded_by(self.settings.call_timeout, call).await
    }

    pub(super) async fn bounded_by<T>(
        &self,
        bound: Duration,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, EtcdError> {
        match tokio::time::timeout(bound, call).await {
            Ok(answer) => answer.map_err(|error| classify(&self.endpoint, error)),
            Err(_) => Err(EtcdError::Unclear {
                endpoint: self.endpoint.clone(),
                reason: format!("no answer within {bound:?}"),
            }),
        }
    }

    /// On a connection whose calls may take longer.
    async fn hash(&self, revision: i64) -> Result<DataHash, EtcdError> {
        let bound = self.settings.hash_timeout;
        self.bounded_by(bound, async {
            let mut client =
                if self.is_for_long { self.client().await? } else { self.connect(bound).await? };
            let response = client.hash_kv(revision).await?;
            let (compact_revision, hash) = (response.compact_version(), response.hash());
            Ok(DataHash { revision, compact_revision, hash })
        })
        .await
    }

    async fn list(&self) -> Result<MemberList, EtcdError> {
        self.bounded(async {
            let mut client = self.client().await?;
            // The read waits until this member has applied everything committed before it, so its member list is at
            // least that new. A refusal for want of credentials comes after that wait.
            match read(&mut client).await {
                Err(Error::GRpcStatus(status)) if is_for_credentials(status.message()) => {}
                other => drop(other?),
            }
            let response = client.member_list().await?;
            let mut members: Vec<_> = response.members().iter().map(listed).collect();
            members.sort_by_key(|member| member.id);
            Ok(MemberList { cluster_id: cluster_id(response.header()), members })
        })
        .await
    }

    async fn own_status(&self) -> Result<EtcdAnswer, EtcdError> {
        self.bounded(async {
            let response = self.client().await?.status().await?;
            let header = response.header();
            Ok(EtcdAnswer {
                cluster_id: cluster_id(header),
                member_id: MemberId(header.map_or(0, |header| header.member_id())),
                version: response.version().to_owned(),
                leader: Some(response.leader()).filter(|leader| *leader != 0).map(MemberId),
                raft_term: response.raft_term(),
                raft_index: response.raft_index(),
                raft_applied_index: response.raft_applied_index(),
                revision: header.map_or(0, |header| header.revision()),
                database_size: response.db_size(),
                is_learner: response.is_learner(),
                storage_line: Line::parse(response.storage_version()),
                downgrade: response
                    .downgrade_info()
                    .filter(|info| info.enabled())
                    .and_then(|info| Line::parse(info.target_version())),
                members: None,
                errors: response.errors().to_vec(),
                read: LinearizableRead::NotTried,
            })
        })
        .await
    }

    /// What the member has itself, without asking the others.
    async fn known(&self) -> Result<Vec<MemberId>, EtcdError> {
        self.bounded(async {
            let response = self.client().await?.member_list().await?;
            let mut members: Vec<_> = response.members().iter().map(|member| MemberId(member.id())).collect();
            members.sort();
            Ok(members)
        })
        .await
    }

    /// etcd says in advance whether it can be brought down, so a request that it would refuse is not made.
    async fn request(&self, request: DowngradeRequest) -> Result<(), EtcdError> {
        let ask = async |options| {
            self.bounded(async { self.client().await?.maintenance_client().downgrade(options).await })
                .await
                .map(drop)
        };
        match request {
            DowngradeRequest::Enable(line) => {
                ask(DowngradeOptions::Validate(line.to_string())).await?;
                ask(DowngradeOptions::Enable(line.to_string())).await
            }
            DowngradeRequest::Cancel => ask(DowngradeOptions::Cancel).await,
        }
    }

    async fn add(&self, peer_url: &str) -> Result<MemberId, EtcdError> {
        let added = self
            .bounded(async {
                let options = MemberAddOptions::new().with_is_learner();
                self.client().await?.member_add([peer_url], Some(options)).await
            })
            .await?;
        let member = added.member().ok_or_else(|| EtcdError::Unclear {
            endpoint: self.endpoint.clone(),
            reason: "the answer to an addition names no member".to_owned(),
        })?;
        Ok(MemberId(member.id()))
    }

    async fn move_peer(&self, member: MemberId, peer_url: &str) -> Result<(), EtcdError> {
        self.bounded(async { self.client().await?.member_update(member.0, [peer_url.to_owned()]).await })
            .await
            .map(drop)
    }

    async fn raised(&self) -> Result<Vec<Alarm>, EtcdError> {
        let response = self
            .bounded(async { self.client().await?.alarm(AlarmAction::Get, AlarmType::None, None).await })
            .await?;
        let mut alarms: Vec<_> = response
            .alarms()
            .iter()
            .filter_map(|alarm| {
                let kind = match alarm.alarm() {
                    AlarmType::None => return None,
                    AlarmType::Nospace => AlarmKind::NoSpace,
                    AlarmType::Corrupt => AlarmKind::Corrupt,
                };
                Some(Alarm { member_id: MemberId(alarm.member_id()), kind })
            })
            .collect();
        alarms.sort_by_key(|alarm| (alarm.member_id, alarm.kind));
        Ok(alarms)
    }

    async fn clear(&self, alarm: &Alarm) -> Result<(), EtcdError> {
        let kind = match alarm.kind {
            AlarmKind::NoSpace => AlarmType::Nospace,
            AlarmKind::Corrupt => AlarmType::Corrupt,
        };
        let mut options = AlarmOptions::new();
        options.with_member(alarm.member_id.0);
        self.bounded(async { self.client().await?.alarm(AlarmAction::Deactivate, kind, Some(options)).await })
            .await
            .map(drop)
    }
}

impl EtcdMember for Connection {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn status(&self) -> BoxFuture<'_, Result<EtcdAnswer, EtcdError>> {
        Box::pin(self.own_status())
    }

    fn read(&self) -> BoxFuture<'_, Result<(), EtcdError>> {
        Box::pin(self.bounded(async { read(&mut self.client().await?).await.map(drop) }))
    }

    fn members(&self) -> BoxFuture<'_, Result<MemberList, EtcdError>> {
        Box::pin(self.list())
    }

    fn add_learner<'a>(&'a self, peer_url: &'a str) -> BoxFuture<'a, Result<MemberId, EtcdError>> {
        Box::pin(self.add(peer_url))
    }

    fn promote(&self, member: MemberId) -> BoxFuture<'_, Result<(), EtcdError>> {
        Box::pin(async move {
            self.bounded(async { self.client().await?.member_promote(member.0).await }).await.map(drop)
        })
    }

    fn update_peer_url<'a>(
        &'a self,
        member: MemberId,
        peer_url: &'a str,
    ) -> BoxFuture<'a, Result<(), EtcdError>> {
        Box::pin(self.move_peer(member, peer_url))
    }

    fn remove(&self, member: MemberId) -> BoxFuture<'_, Result<(), EtcdError>> {
        Box::pin(async move {
            self.bounded(async { self.client().await?.member_remove(member.0).await }).await.map(drop)
        })
    }

    fn move_leader(&self, to: MemberId) -> BoxFuture<'_, Result<(), EtcdError>> {
        Box::pin(async move {
            self.bounded(async { self.client().await?.move_leader(to.0).await }).await.map(drop)
        })
    }

    fn known_members(&self) -> BoxFuture<'_, Result<Vec<MemberId>, EtcdError>> {
        Box::pin(self.known())
    }

    fn downgrade(&self, request: DowngradeRequest) -> BoxFuture<'_, Result<(), EtcdError>> {
        Box::pin(self.request(request))
    }

    fn data_hash(&self, revision: i64) -> BoxFuture<'_, Result<DataHash, EtcdError>> {
        Box::pin(self.hash(revision))
    }

    fn alarms(&self) -> BoxFuture<'_, Result<Vec<Alarm>, EtcdError>> {
        Box::pin(self.raised())
    }

    fn disarm<'a>(&'a self, alarm: &'a Alarm) -> BoxFuture<'a, Result<(), EtcdError>> {
        Box::pin(self.clear(alarm))
    }
}

/// A linearizable read of a key that need not exist.
pub(super) async fn read(client: &mut Client) -> Result<GetResponse, Error> {
    let options = GetOptions::new().with_keys_only().with_limit(1);
    client.get("etcd.operators.rs/linearizable-read", Some(options)).await
}

fn cluster_id(header: Option<&etcd_client::ResponseHeader>) -> ClusterId {
    ClusterId(header.map_or(0, |header| header.cluster_id()))
}

fn listed(member: &etcd_client::Member) -> ListedMember {
    ListedMember {
        id: MemberId(member.id()),
        name: member.name().to_owned(),
        peer_urls: member.peer_urls().to_vec(),
        client_urls: member.client_urls().to_vec(),
        is_learner: member.is_learner(),
    }
}

/// gRPC codes by which etcd says that it looked at a request and did not carry it out
/// (`etcd/api/v3rpc/rpctypes/error.go`). All others, Cancelled and Unavailable among them, also come from time-outs
/// and broken connections.
const REFUSALS: [i32; 8] = [3, 5, 6, 7, 8, 9, 11, 16];

/// gRPC's code for "the server can't be used now".
const UNAVAILABLE: i32 = 14;

/// etcd's check before a change of membership (`strict-reconfig-check`): not all voters have been connected for five
/// seconds. It has the code of a broken connection, and yet nothing was done.
const UNHEALTHY_CLUSTER: &str = "etcdserver: unhealthy cluster";

/// In these words etcd asks for credentials (`etcd/api/v3rpc/rpctypes/error.go`); the codes alone are used for other things too. Whoever shows a
/// certificate is the user of its common name, whom etcd may not know.
const FOR_CREDENTIALS: [&str; 4] = [
    "etcdserver: user name is empty",
    "etcdserver: permission denied",
    "etcdserver: invalid auth token",
    "etcdserver: user name not found",
];

fn is_for_credentials(message: &str) -> bool {
    FOR_CREDENTIALS.contains(&message)
}

/// What is known of a failed call's effect. In doubt it is unclear.
pub(super) fn classify(endpoint: &Endpoint, error: Error) -> EtcdError {
    let endpoint = endpoint.clone();
    match error {
        Error::GRpcStatus(status) => {
            let code = status.code() as i32;
            let message = status.message().to_owned();
            if is_for_credentials(&message) {
                EtcdError::NotAuthorized { endpoint, message }
            } else if REFUSALS.contains(&code) || message == UNHEALTHY_CLUSTER {
                EtcdError::Refused { endpoint, message }
            } else if code == UNAVAILABLE && is_connect_failure(&status) {
                EtcdError::Unreachable { endpoint, source: Box::new(Error::GRpcStatus(status)) }
            } else {
                EtcdError::Unclear { endpoint, reason: format!("{:?}: {message}", status.code()) }
            }
        }
        Error::InvalidArgs(_) | Error::InvalidUri(_) | Error::EndpointError(_) => {
            EtcdError::Unreachable { endpoint, source: Box::new(error) }
        }
        other => EtcdError::Unclear { endpoint, reason: other.to_string() },
    }
}

/// Whether the chain of causes says that no connection was made, so that nothing was sent.
fn is_connect_failure(status: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(status), |error| error.source()).any(|error| {
        error.downcast_ref::<std::io::Error>().is_some_and(|error| {
            matches!(
                error.kind(),
                std::io::ErrorKind::ConnectionRefused
                    | std::io::ErrorKind::HostUnreachable
                    | std::io::ErrorKind::NetworkUnreachable
            )
        })
    })
}
