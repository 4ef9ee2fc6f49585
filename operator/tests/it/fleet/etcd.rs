//! Modelled etcd clusters, as many as are wanted: who is a member, who runs, who leads. Members never lose anything and never join
//! later; what they can do is stand still. It knows no wire.

use super::proto::{
    AlarmResponse, Member, MemberListResponse, RangeResponse, ResponseHeader, StatusResponse,
};
use etcd_operator_core::gate::{FORMAT, GateHoldReason, GateReport, GateState, Permit};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

/// All clusters. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Etcds(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Who is at an address.
    pods: BTreeMap<Ipv4Addr, Pod>,
    /// By the UID of the cluster object.
    clusters: BTreeMap<String, Cluster>,
    /// What was asked so far.
    asked: Asked,
}

struct Pod {
    uid: String,
    /// By its permit.
    member: Option<(String, u64)>,
    stands_still: bool,
}

#[derive(Default)]
struct Cluster {
    id: u64,
    members: Vec<Member>,
    running: BTreeSet<u64>,
}

/// How much the members were asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) connections: u64,
    pub(crate) calls: u64,
    pub(crate) health_questions: u64,
}

impl Etcds {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// A pod runs here, and its gate waits.
    pub(crate) fn pod_runs(&self, address: Ipv4Addr, uid: &str) {
        let pod = Pod { uid: uid.to_owned(), member: None, stands_still: false };
        self.with(|state| drop(state.pods.insert(address, pod)));
    }

    /// The gate was given its permit: etcd runs. Every first member forms the cluster from the list in its permit.
    pub(crate) fn permitted(&self, address: Ipv4Addr, permit: &Permit) {
        self.with(|state| {
            let number = state.clusters.len() as u64 + 1;
            let cluster = state.clusters.entry(permit.cluster_uid.clone()).or_insert_with(|| Cluster {
                id: 0xc_0000 + number,
                members: first_members(number, permit),
                running: BTreeSet::new(),
            });
            let name = permit.member.as_str();
            let Some(member) = cluster.members.iter_mut().find(|member| member.name == name) else { return };
            member.client_urls = vec![format!("http://{address}:2379")];
            cluster.running.insert(member.id);
            if let Some(pod) = state.pods.get_mut(&address) {
                pod.member = Some((permit.cluster_uid.clone(), member.id));
            }
        });
    }

    /// Where the members of the cluster of the one here are well, that one among them.
    pub(crate) fn well_beside(&self, address: Ipv4Addr) -> Vec<Ipv4Addr> {
        self.with(|state| {
            let Some((uid, _)) = state.pods.get(&address).and_then(|pod| pod.member.clone()) else {
                return Vec::new();
            };
            if state.clusters.get(&uid).is_none_or(|cluster| cluster.leader().is_none()) {
                return Vec::new();
            }
            let is_peer = |pod: &Pod| pod.member.as_ref().is_some_and(|(cluster, _)| *cluster == uid);
            state.pods.iter().filter(|(_, pod)| is_peer(pod)).map(|(address, _)| *address).collect()
        })
    }

    /// Whether etcd runs here.
    pub(crate) fn runs(&self, address: Ipv4Addr) -> bool {
        self.with(|state| state.pods.get(&address).is_some_and(|pod| pod.member.is_some()))
    }

    /// From now on the member accepts connections and answers nothing; or it answers again.
    pub(crate) fn stand_still(&self, address: Ipv4Addr, stands_still: bool) {
        self.with(|state| {
            if let Some(pod) = state.pods.get_mut(&address) {
                pod.stands_still = stands_still;
            }
        });
    }

    pub(super) fn stands_still(&self, address: Ipv4Addr) -> bool {
        self.with(|state| state.pods.get(&address).is_none_or(|pod| pod.stands_still))
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Asked {
        self.with(|state| state.asked)
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Asked)) {
        self.with(|state| count(&mut state.asked));
    }

    /// The gate's report, while it waits.
    pub(super) fn gate(&self, address: Ipv4Addr) -> Option<GateReport> {
        self.with(|state| {
            let pod = state.pods.get(&address).filter(|pod| pod.member.is_none())?;
            Some(GateReport {
                format: FORMAT,
                state: GateState::Holding,
                reason: GateHoldReason::Lost,
                pod_uid: pod.uid.clone(),
                stamp: None,
                boot_counter: 0,
                spent_permits: Vec::new(),
            })
        })
    }

    /// Whether the member here is well, or none if no etcd runs.
    pub(super) fn is_well(&self, address: Ipv4Addr) -> Option<bool> {
        self.with(|state| state.at(address).map(|(cluster, _)| cluster.leader().is_some()))
    }

    /// The answer to a gRPC call, encoded; or none if no etcd runs here, or it does not know the method.
    pub(super) fn call(&self, address: Ipv4Addr, method: &str) -> Option<Result<Vec<u8>, &'static str>> {
        self.with(|state| {
            let (cluster, member) = state.at(address)?;
            let header = Some(cluster.header(member));
            let needs_quorum = method != "/etcdserverpb.Maintenance/Status";
            if needs_quorum && cluster.leader().is_none() {
                return Some(Err("etcdserver: no leader"));
            }
            let encoded = match method {
                "/etcdserverpb.Maintenance/Status" => cluster.status(member).encode_to_vec(),
                "/etcdserverpb.Maintenance/Alarm" => AlarmResponse { header }.encode_to_vec(),
                "/etcdserverpb.KV/Range" => RangeResponse { header }.encode_to_vec(),
                "/etcdserverpb.Cluster/MemberList" => {
                    MemberListResponse { header, members: cluster.members.clone() }.encode_to_vec()
                }
                _ => return None,
            };
            Some(Ok(encoded))
        })
    }
}

impl State {
    fn at(&self, address: Ipv4Addr) -> Option<(&Cluster, u64)> {
        let (cluster, member) = self.pods.get(&address)?.member.as_ref()?;
        Some((self.clusters.get(cluster)?, *member))
    }
}

fn first_members(cluster: u64, permit: &Permit) -> Vec<Member> {
    let members = permit.initial_cluster.iter().zip(1_u64..);
    let member = members.map(|(member, place)| Member {
        id: cluster * 0x10 + place,
        name: member.name.to_string(),
        peer_urls: vec![member.peer_url.clone()],
        ..Member::default()
    });
    member.collect()
}

impl Cluster {
    /// The first that runs, if a majority does.
    fn leader(&self) -> Option<u64> {
        let has_quorum = self.running.len() > self.members.len() / 2;
        self.running.first().copied().filter(|_| has_quorum)
    }

    fn header(&self, member: u64) -> ResponseHeader {
        ResponseHeader { cluster_id: self.id, member_id: member, revision: 1, raft_term: 2 }
    }

    fn status(&self, member: u64) -> StatusResponse {
        StatusResponse {
            header: Some(self.header(member)),
            version: "3.6.16".to_owned(),
            database_size: 1 << 20,
            leader: self.leader().unwrap_or(0),
            raft_index: 100,
            raft_term: 2,
            raft_applied_index: 100,
            is_learner: false,
        }
    }
}
