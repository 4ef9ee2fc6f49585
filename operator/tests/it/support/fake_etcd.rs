//! A modelled etcd behind the etcd port: a member list and nothing else. It passes the same suite as a real member.

use etcd_operator::etcd::{Access, BoxFuture, EtcdError, EtcdMember, EtcdPort, MemberList};
use etcd_operator_core::cluster::observed::{Alarm, DataHash, EtcdAnswer, LinearizableRead, ListedMember};
use etcd_operator_core::cluster::plan::DowngradeRequest;
use etcd_operator_core::names::{ClusterId, Endpoint, MemberId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One modelled cluster. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct FakeEtcd {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Which member answers where.
    endpoints: BTreeMap<Endpoint, MemberId>,
    members: BTreeMap<MemberId, ListedMember>,
    leader: Option<MemberId>,
    next_id: u64,
    /// Every change, in words.
    log: Vec<String>,
    /// Calls that take effect and then answer nothing.
    swallow_answers: bool,
}

/// Nobody writes.
const REVISION: i64 = 1;
const CLUSTER: ClusterId = ClusterId(0xc1);

impl FakeEtcd {
    /// Adds a voter that answers at an endpoint; the first one leads.
    pub(crate) fn with_voter(self, name: &str, endpoint: &Endpoint, peer_url: &str) -> Self {
        let id = {
            let mut state = self.state.lock().unwrap();
            let id = state.add(name, peer_url, false);
            state.endpoints.insert(endpoint.clone(), id);
            state.leader.get_or_insert(id);
            id
        };
        assert!(id.0 > 0);
        self
    }

    /// From now on changes take effect and are answered by nothing.
    pub(crate) fn swallow_answers(&self) {
        self.state.lock().unwrap().swallow_answers = true;
    }

    /// All changes so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    fn change<T>(
        &self,
        endpoint: &Endpoint,
        change: impl FnOnce(&mut State) -> Result<T, String>,
    ) -> Result<T, EtcdError> {
        let mut state = self.state.lock().unwrap();
        let endpoint = endpoint.clone();
        if !state.endpoints.contains_key(&endpoint) {
            let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into();
            return Err(EtcdError::Unreachable { endpoint, source });
        }
        let changed = change(&mut state)
            .map_err(|message| EtcdError::Refused { endpoint: endpoint.clone(), message })?;
        if state.swallow_answers {
            return Err(EtcdError::Unclear { endpoint, reason: "swallowed".to_owned() });
        }
        Ok(changed)
    }

    fn read<T>(&self, endpoint: &Endpoint, read: impl FnOnce(&State, MemberId) -> T) -> Result<T, EtcdError> {
        let state = self.state.lock().unwrap();
        match state.endpoints.get(endpoint) {
            Some(id) => Ok(read(&state, *id)),
            None => {
                let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into();
                Err(EtcdError::Unreachable { endpoint: endpoint.clone(), source })
            }
        }
    }
}

impl State {
    fn add(&mut self, name: &str, peer_url: &str, is_learner: bool) -> MemberId {
        self.next_id += 1;
        let id = MemberId(0xa0 + self.next_id);
        let member = ListedMember {
            id,
            name: name.to_owned(),
            peer_urls: vec![peer_url.to_owned()],
            client_urls: Vec::new(),
            is_learner,
        };
        self.members.insert(id, member);
        id
    }

    fn add_learner(&mut self, peer_url: &str) -> Result<MemberId, String> {
        if self.members.values().any(|member| member.peer_urls.iter().any(|url| url == peer_url)) {
            return Err("etcdserver: Peer URLs already exists".to_owned());
        }
        if self.members.values().any(|member| member.is_learner) {
            return Err("etcdserver: too many learner members in cluster".to_owned());
        }
        self.log.push(format!("add {peer_url}"));
        Ok(self.add("", peer_url, true))
    }

    fn promote(&mut self, id: MemberId) -> Result<(), String> {
        let member = self.members.get_mut(&id).ok_or("etcdserver: member not found")?;
        if member.name.is_empty() {
            return Err(
                "etcdserver: can only promote a learner member which is in sync with leader".to_owned()
            );
        }
        member.is_learner = false;
        self.log.push(format!("promote {id}"));
        Ok(())
    }

    fn update(&mut self, id: MemberId, peer_url: &str) -> Result<(), String> {
        let member = self.members.get_mut(&id).ok_or("etcdserver: member not found")?;
        member.peer_urls = vec![peer_url.to_owned()];
        self.log.push(format!("update {id} {peer_url}"));
        Ok(())
    }

    fn remove(&mut self, id: MemberId) -> Result<(), String> {
        self.members.remove(&id).ok_or("etcdserver: member not found")?;
        self.log.push(format!("remove {id}"));
        Ok(())
    }
}

impl EtcdPort for FakeEtcd {
    fn member(&self, endpoint: &Endpoint, _access: &Access) -> Arc<dyn EtcdMember> {
        Arc::new(FakeMember { cluster: self.clone(), endpoint: endpoint.clone() })
    }

    fn call_timeout(&self) -> Duration {
        Duration::from_millis(100)
    }
}

struct FakeMember {
    cluster: FakeEtcd,
    endpoint: Endpoint,
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl EtcdMember for FakeMember {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn status(&self) -> BoxFuture<'_, Result<EtcdAnswer, EtcdError>> {
        ready(self.cluster.read(&self.endpoint, |state, id| EtcdAnswer {
            cluster_id: CLUSTER,
            member_id: id,
            version: "3.6.16".to_owned(),
            leader: state.leader,
            raft_term: 2,
            raft_index: 10,
            raft_applied_index: 10,
            revision: REVISION,
            database_size: 1,
            is_learner: state.members.get(&id).is_some_and(|member| member.is_learner),
            storage_line: None,
            downgrade: None,
            members: None,
            errors: Vec::new(),
            read: LinearizableRead::NotTried,
        }))
    }

    fn read(&self) -> BoxFuture<'_, Result<(), EtcdError>> {
        let learner = |state: &State, id| state.members.get(&id).is_some_and(|member| member.is_learner);
        ready(self.cluster.read(&self.endpoint, learner).and_then(|is_learner| {
            let message = "etcdserver: rpc not supported for learner".to_owned();
            if is_learner {
                Err(EtcdError::Refused { endpoint: self.endpoint.clone(), message })
            } else {
                Ok(())
            }
        }))
    }

    fn members(&self) -> BoxFuture<'_, Result<MemberList, EtcdError>> {
        ready(self.cluster.read(&self.endpoint, |state, _| MemberList {
            cluster_id: CLUSTER,
            members: state.members.values().cloned().collect(),
        }))
    }

    fn add_learner<'a>(&'a self, peer_url: &'a str) -> BoxFuture<'a, Result<MemberId, EtcdError>> {
        ready(self.cluster.change(&self.endpoint, |state| state.add_learner(peer_url)))
    }

    fn promote(&self, member: MemberId) -> BoxFuture<'_, Result<(), EtcdError>> {
        ready(self.cluster.change(&self.endpoint, |state| state.promote(member)))
    }

    fn update_peer_url<'a>(
        &'a self,
        member: MemberId,
        peer_url: &'a str,
    ) -> BoxFuture<'a, Result<(), EtcdError>> {
        ready(self.cluster.change(&self.endpoint, |state| state.update(member, peer_url)))
    }

    fn remove(&self, member: MemberId) -> BoxFuture<'_, Result<(), EtcdError>> {
        ready(self.cluster.change(&self.endpoint, |state| state.remove(member)))
    }

    fn move_leader(&self, to: MemberId) -> BoxFuture<'_, Result<(), EtcdError>> {
        ready(self.cluster.change(&self.endpoint, |state| {
            state.leader = Some(to);
            Ok(())
        }))
    }

    fn known_members(&self) -> BoxFuture<'_, Result<Vec<MemberId>, EtcdError>> {
        ready(self.cluster.read(&self.endpoint, |state, _| state.members.keys().copied().collect()))
    }

    fn downgrade(&self, request: DowngradeRequest) -> BoxFuture<'_, Result<(), EtcdError>> {
        ready(self.cluster.change(&self.endpoint, |state| {
            state.log.push(format!("{request:?}"));
            Ok(())
        }))
    }

    fn data_hash(&self, revision: i64) -> BoxFuture<'_, Result<DataHash, EtcdError>> {
        let message = "etcdserver: mvcc: required revision is a future revision".to_owned();
        ready(self.cluster.read(&self.endpoint, |_, _| ()).and_then(|()| {
            if revision > REVISION {
                return Err(EtcdError::Refused { endpoint: self.endpoint.clone(), message });
            }
            Ok(DataHash { revision, compact_revision: -1, hash: 7 })
        }))
    }

    fn alarms(&self) -> BoxFuture<'_, Result<Vec<Alarm>, EtcdError>> {
        ready(self.cluster.read(&self.endpoint, |_, _| Vec::new()))
    }

    fn disarm<'a>(&'a self, _alarm: &'a Alarm) -> BoxFuture<'a, Result<(), EtcdError>> {
        ready(self.cluster.read(&self.endpoint, |_, _| ()))
    }
}
