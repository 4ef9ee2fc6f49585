//! A model of etcd with clients, probes, an operator's status and three faults, in simulated time: it makes records of
//! runs in which everything went as it must. The same seed makes the same record.

use std::collections::{BTreeMap, BTreeSet};

use chaos::history::{
    Acknowledgement, Call, ClientId, ClusterId, CommittedChange, CommittedEvent, Comparison, Elapsed,
    Expected, FinalRead, Found, HashOfMember, HashRound, Header, Key, ListedMember, MemberHash, MemberId,
    MemberStatus, Observation, Operation, Outcome, ProbeRound, ProbedMember, QuorumRead, Reply, Revision,
    TransactionCall, UnixNanoseconds, Value, Writer,
};
use chaos::record::{
    ClusterKind, ConditionSample, ConditionStatus, Dial, Event, EventLine, KubernetesEvent, ObjectIdentity,
    Operations, Phase, Probes, Proof, Run, RunRecord, RunState, StatusMember, StatusSample, TargetRole,
    TargetedPod, Versions,
};
use chaos::scenario::{ClusterObject, FaultName, Seed, parse, schedule, stream};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// 2026-11-01 12:00:00 UTC.
const ZERO: UnixNanoseconds = UnixNanoseconds(1_793_534_400_000_000_000);
const CLUSTER: ClusterId = ClusterId(0xcdf8_1819_4e3a_8c32);
const MILLISECOND: u64 = 1_000_000;

/// How large a modelled run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) clients: u32,
    pub(super) keys: u32,
    /// The pause of a client between two calls, in milliseconds.
    pub(super) pause: u64,
    /// The interval of the probe, in milliseconds.
    pub(super) probe: u64,
}

/// Small enough to be read line by line.
pub(super) const TINY: Shape = Shape { clients: 2, keys: 2, pause: 1_200, probe: 2_000 };
/// Like a real quickstart.
pub(super) const USUAL: Shape = Shape { clients: 8, keys: 16, pause: 60, probe: 250 };

const SCENARIO: &str = "\
name: model
subject: {cluster: {size: 3}}
load: {clients: 2}
faults:
  - {name: kill-leader, at: 5s, jitter: 0s, kind: pod-kill, target: leader}
  - {name: cut-follower, at: 11s, jitter: 0s, kind: partition, target: follower, for: 4s}
  - {name: corrupt-service, at: 19s, jitter: 0s, kind: corrupt, object: service-selector, for: 3s}
expect: {acknowledgedWrites: 10, acknowledgedWritesPerFault: 1}
";

/// A run in which everything went as it must.
pub(super) fn run(seed: u64, shape: Shape) -> RunRecord {
    let scenario = parse("model.yaml", SCENARIO.as_bytes()).expect("the model's scenario is valid");
    let mut model = Model::new(seed, shape);
    model.simulate();
    let revision = model.revision;
    RunRecord {
        run: head(seed),
        schedule: schedule(&scenario, Seed(seed)),
        events: events(),
        load: Operations {
            header: Some(Header::new(Writer::Load, ZERO, "load/")),
            operations: std::mem::take(&mut model.operations),
        },
        final_read: Some(FinalRead {
            revision,
            first_revision: Revision(1),
            cluster_id: CLUSTER,
            at: at(30_500),
        }),
        committed: std::mem::take(&mut model.log),
        probes: probes(shape, revision),
        problems: Vec::new(),
    }
}

fn at(milliseconds: u64) -> Elapsed {
    Elapsed(milliseconds * MILLISECOND)
}

/// A client's call on its way.
struct Pending {
    sequence: u64,
    start: u64,
    call: Call,
    reply: Option<(Revision, Reply)>,
    /// Whether the client will hear of it.
    answered: bool,
    refused: bool,
}

/// What happens next to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Start,
    Effect,
    End,
}

struct Model {
    random: ChaCha8Rng,
    shape: Shape,
    revision: Revision,
    keys: BTreeMap<Key, Found>,
    log: Vec<CommittedEvent>,
    operations: Vec<Operation>,
    agenda: BTreeSet<(u64, u64, Next, u32)>,
    ticket: u64,
    pending: BTreeMap<u32, Pending>,
    sequences: BTreeMap<u32, u64>,
    known: BTreeMap<(u32, Key), Revision>,
}

impl Model {
    fn new(seed: u64, shape: Shape) -> Model {
        Model {
            random: stream(Seed(seed), "model"),
            shape,
            revision: Revision(1),
            keys: BTreeMap::new(),
            log: Vec::new(),
            operations: Vec::new(),
            agenda: BTreeSet::new(),
            ticket: 0,
            pending: BTreeMap::new(),
            sequences: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    fn simulate(&mut self) {
        for client in 0..self.shape.clients {
            let first = self.random.random_range(0..self.shape.pause * MILLISECOND);
            self.plan(first, Next::Start, client);
        }
        while let Some((now, _, next, client)) = self.agenda.pop_first() {
            match next {
                Next::Start if now >= 30_000 * MILLISECOND => {}
                Next::Start => self.start(now, client),
                Next::Effect => self.effect(client),
                Next::End => self.end(now, client),
            }
        }
        self.operations.sort_by_key(|operation| operation.end);
    }

    fn plan(&mut self, when: u64, next: Next, client: u32) {
        self.ticket += 1;
        self.agenda.insert((when, self.ticket, next, client));
    }

    fn start(&mut self, now: u64, client: u32) {
        let sequence = *self.sequences.entry(client).and_modify(|next| *next += 1).or_insert(0);
        let call = self.call(client, sequence);
        // No leader for a second after the kill: calls are refused at once or their outcome stays unknown.
        let leaderless = (5_000 * MILLISECOND..6_000 * MILLISECOND).contains(&now);
        let refused = leaderless && self.random.random_bool(0.5);
        let answered = !leaderless;
        let takes_effect = !refused && (!leaderless || self.random.random_bool(0.4));
        let took = self.random.random_range(MILLISECOND..8 * MILLISECOND);
        let until = if answered || refused { now + took } else { now + 2_000 * MILLISECOND };
        self.pending.insert(client, Pending { sequence, start: now, call, reply: None, answered, refused });
        if takes_effect {
            let effect = self.random.random_range(now + 1..until);
            self.plan(effect, Next::Effect, client);
        }
        self.plan(until, Next::End, client);
    }

    fn call(&mut self, client: u32, sequence: u64) -> Call {
        let key = Key(format!("load/{}", self.random.random_range(0..self.shape.keys)));
        let value = Value(format!("{client}-{sequence}"));
        match self.random.random_range(0..10) {
            0..5 => Call::Put { key, value },
            5..8 => Call::Get { key },
            _ => {
                let expected = match self.known.get(&(client, key.clone())) {
                    Some(revision) => Expected::ModifiedAt { revision: *revision },
                    None => Expected::Absent,
                };
                let comparisons = vec![Comparison { key: key.clone(), expected }];
                Call::Transaction(TransactionCall {
                    comparisons,
                    puts: vec![(key.clone(), value)],
                    otherwise_get: vec![key],
                })
            }
        }
    }

    fn effect(&mut self, client: u32) {
        let call = self.pending[&client].call.clone();
        let reply = match call {
            Call::Put { key, value } => {
                self.write(key, value);
                Reply::Put
            }
            Call::Get { key } => Reply::Get { found: self.keys.get(&key).cloned() },
            Call::Transaction(call) => {
                let holds = call.comparisons.iter().all(|comparison| match &comparison.expected {
                    Expected::Absent => !self.keys.contains_key(&comparison.key),
                    Expected::ModifiedAt { revision } => {
                        self.keys.get(&comparison.key).is_some_and(|found| found.modified_at == *revision)
                    }
                    Expected::Value { value } => {
                        self.keys.get(&comparison.key).is_some_and(|found| found.value == *value)
                    }
                });
                if holds {
                    for (key, value) in call.puts {
                        self.write(key, value);
                    }
                    Reply::Transaction { succeeded: true, found: Vec::new() }
                } else {
                    let found = call.otherwise_get.iter().map(|key| self.keys.get(key).cloned()).collect();
                    Reply::Transaction { succeeded: false, found }
                }
            }
        };
        let revision = self.revision;
        self.pending.get_mut(&client).expect("an effect belongs to a call").reply = Some((revision, reply));
    }

    fn write(&mut self, key: Key, value: Value) {
        self.revision = Revision(self.revision.0 + 1);
        let version = self.keys.get(&key).map_or(1, |found| found.version + 1);
        let change = CommittedChange::Put { value: value.clone(), version };
        self.log.push(CommittedEvent { revision: self.revision, key: key.clone(), change });
        self.keys.insert(key, Found { value, modified_at: self.revision, version });
    }

    fn end(&mut self, now: u64, client: u32) {
        let pending = self.pending.remove(&client).expect("an end belongs to a call");
        let outcome = match pending.reply {
            Some((revision, reply)) if pending.answered => {
                self.learn(client, &pending.call, revision, &reply);
                let member_id = MemberId(0x10 + u64::from(client % 3));
                Outcome::Acknowledged(Acknowledgement { revision, cluster_id: CLUSTER, member_id, reply })
            }
            _ if pending.refused => Outcome::Failed { error: "etcdserver: no leader".to_owned() },
            _ => Outcome::Unknown { error: "deadline exceeded".to_owned() },
        };
        self.operations.push(Operation {
            client: ClientId(client),
            sequence: pending.sequence,
            start: Elapsed(pending.start),
            end: Elapsed(now),
            call: pending.call,
            outcome,
        });
        let pause = self.random.random_range(1..self.shape.pause * MILLISECOND);
        self.plan(now + pause, Next::Start, client);
    }

    fn learn(&mut self, client: u32, call: &Call, revision: Revision, reply: &Reply) {
        match (call, reply) {
            (Call::Put { key, .. }, _) => {
                self.known.insert((client, key.clone()), revision);
            }
            (Call::Get { key }, Reply::Get { found: Some(found) }) => {
                self.known.insert((client, key.clone()), found.modified_at);
            }
            (Call::Transaction(call), Reply::Transaction { succeeded: true, .. }) => {
                for (key, _) in &call.puts {
                    self.known.insert((client, key.clone()), revision);
                }
            }
            (Call::Transaction(call), Reply::Transaction { found, .. }) => {
                for (key, found) in call.otherwise_get.iter().zip(found) {
                    if let Some(found) = found {
                        self.known.insert((client, key.clone()), found.modified_at);
                    }
                }
            }
            (Call::Get { .. } | Call::Transaction(_), _) => {}
        }
    }
}

fn head(seed: u64) -> Run {
    Run {
        format: chaos::record::RUN_FORMAT.to_owned(),
        scenario: "model".parse().expect("a name"),
        seed: Seed(seed),
        scenario_file: "model.yaml".to_owned(),
        scenario_text: SCENARIO.to_owned(),
        started: ZERO,
        ended: Some(ZERO.plus_nanoseconds(32_000 * MILLISECOND)),
        state: RunState::Complete,
        cluster: ClusterKind::Sandbox,
        namespace: "chaos-model-abcde".to_owned(),
        subject: "model".to_owned(),
        versions: Versions {
            chaos: "0.1.0".to_owned(),
            operator: "etcd-operator:v0.1.0".to_owned(),
            etcd: "3.6.16".to_owned(),
            kubernetes: "v1.34.0-sandbox".to_owned(),
        },
    }
}

/// The members: a name, an identity and an address each.
const MEMBERS: [(&str, u64, &str); 3] = [
    ("model-aaaaa", 0x10, "10.244.0.10"),
    ("model-bbbbb", 0x11, "10.244.0.11"),
    ("model-ccccc", 0x12, "10.244.0.12"),
];

/// Which members do not answer, and who leads, at a millisecond of the run.
fn state(now: u64) -> (Option<usize>, Option<usize>) {
    let silent = match now {
        5_000..7_500 => Some(0),
        11_000..15_000 => Some(2),
        _ => None,
    };
    let leader = match now {
        0..5_000 => Some(0),
        5_000..6_000 => None,
        _ => Some(1),
    };
    (silent, leader)
}

fn probes(shape: Shape, revision: Revision) -> Probes {
    let rounds = (0..=31_000 / shape.probe).map(|round| probe_round(round * shape.probe)).collect();
    let hash = |(_, id, address): &(&str, u64, &str)| HashOfMember {
        address: (*address).to_owned(),
        hash: Observation::Answered(MemberHash {
            member_id: MemberId(*id),
            hash: 0xfeed_beef,
            revision,
            compact_revision: -1,
        }),
    };
    let hashes = vec![HashRound {
        start: at(31_000),
        end: at(31_010),
        revision,
        members: MEMBERS.iter().map(hash).collect(),
    }];
    Probes { header: Some(Header::new(Writer::Probe, ZERO, "")), rounds, hashes }
}

fn probe_round(now: u64) -> ProbeRound {
    let (silent, leader) = state(now);
    let listed = |(name, id, _): &(&str, u64, &str)| ListedMember {
        member_id: MemberId(*id),
        name: (*name).to_owned(),
        learner: false,
    };
    let list: Vec<ListedMember> = MEMBERS.iter().map(listed).collect();
    let members = MEMBERS.iter().enumerate().map(|(index, (_, id, address))| {
        let address = (*address).to_owned();
        // The cut member's process runs; the killed one's does not.
        let dead = silent == Some(index) && now < 10_000;
        let no_quorum = silent == Some(index) || leader.is_none();
        let failed = "deadline exceeded".to_owned();
        ProbedMember {
            address,
            status: if dead {
                Observation::Failed("connection refused".to_owned())
            } else {
                Observation::Answered(MemberStatus {
                    member_id: MemberId(*id),
                    cluster_id: CLUSTER,
                    leader: leader.filter(|_| !no_quorum).map(|leader| MemberId(MEMBERS[leader].1)),
                    term: if now < 6_000 { 2 } else { 3 },
                    learner: false,
                    version: "3.6.16".to_owned(),
                    revision: Revision(1 + now / 100),
                    alarms: BTreeSet::new(),
                })
            },
            read: if no_quorum {
                Observation::Failed(failed)
            } else {
                Observation::Answered(QuorumRead {
                    revision: Revision(1 + now / 100),
                    cluster_id: CLUSTER,
                    at: at(now + 4),
                })
            },
            members: if no_quorum { Observation::NotAsked } else { Observation::Answered(list.clone()) },
        }
    });
    ProbeRound { start: at(now), end: at(now + 5), members: members.collect(), resolve_error: None }
}

fn events() -> Vec<EventLine> {
    let mut events = Vec::new();
    let mut add = |milliseconds: u64, event: Event| {
        events.push(EventLine { at: ZERO.plus_nanoseconds(milliseconds * MILLISECOND), event });
    };
    for (milliseconds, phase) in [(0, Phase::WarmUp), (4_000, Phase::Faults), (23_500, Phase::Recovery)] {
        add(milliseconds, Event::Phase { phase });
    }
    add(27_000, Event::Phase { phase: Phase::CoolDown });
    add(30_200, Event::Phase { phase: Phase::FinalRead });
    for (milliseconds, resource_version, silent) in [
        (100, 100, None),
        (5_400, 120, Some(0)),
        (8_000, 131, None),
        (12_200, 140, Some(2)),
        (15_600, 147, None),
    ] {
        add(milliseconds, Event::Status(status(resource_version, milliseconds, silent)));
    }
    for (milliseconds, reason, note) in [
        (7_900, "MemberHealthy", "Member model-aaaaa answers again"),
        (12_300, "ReplacementHeld", "Member model-ccccc is silent; it is replaced after 5m0s of silence"),
        (22_600, "DriftRepaired", "Service model: selector put back"),
    ] {
        let (kind, action) = if reason.ends_with("Held") { ("Warning", "Hold") } else { ("Normal", "Act") };
        add(
            milliseconds,
            Event::Kubernetes(KubernetesEvent {
                reporter: "etcd-operator".to_owned(),
                kind: kind.to_owned(),
                reason: reason.to_owned(),
                action: action.to_owned(),
                note: note.to_owned(),
                regarding: "EtcdCluster/model".to_owned(),
                count: 1,
            }),
        );
    }
    fault_events(&mut add);
    events.sort_by_key(|line| line.at);
    events
}

fn status(resource_version: u32, now: u64, silent: Option<usize>) -> StatusSample {
    let condition = |kind: &str, holds: bool, reason: &str| ConditionSample {
        kind: kind.to_owned(),
        status: if holds { ConditionStatus::True } else { ConditionStatus::False },
        reason: reason.to_owned(),
        message: String::new(),
    };
    let members = MEMBERS.iter().enumerate().map(|(index, (name, id, _))| StatusMember {
        name: (*name).to_owned(),
        member_id: Some(MemberId(*id)),
        leader: state(now).1 == Some(index),
        learner: false,
        healthy: silent != Some(index),
    });
    StatusSample {
        resource_version: resource_version.to_string(),
        generation: 1,
        observed_generation: Some(1),
        size: 3,
        conditions: vec![
            condition("Available", true, "QuorumServes"),
            condition(
                "Ready",
                silent.is_none(),
                if silent.is_none() { "AllMembersHealthy" } else { "MemberSilent" },
            ),
        ],
        members: members.collect(),
    }
}

fn fault_events(add: &mut impl FnMut(u64, Event)) {
    let name = |name: &str| name.parse::<FaultName>().expect("a name");
    let pod = |index: usize, role: TargetRole| TargetedPod {
        pod: format!("{}-0", MEMBERS[index].0),
        uid: format!("uid-{}", MEMBERS[index].0),
        member: Some(MEMBERS[index].0.to_owned()),
        member_id: Some(MemberId(MEMBERS[index].1)),
        role,
    };
    let identity = |name: &str, uid: &str| ObjectIdentity { name: name.to_owned(), uid: uid.to_owned() };
    let kill = name("kill-leader");
    let leader = pod(0, TargetRole::Leader);
    let killed = Proof::PodReplaced {
        before: identity(&leader.pod, &leader.uid),
        after: identity(&leader.pod, "uid-model-aaaaa-second"),
    };
    add(4_980, Event::FaultInjecting { fault: kill.clone(), targets: vec![leader.clone()] });
    add(5_000, Event::FaultInjected { fault: kill.clone() });
    add(5_001, Event::FaultHealed { fault: kill.clone() });
    add(6_400, Event::FaultProof { fault: kill, pod: Some(leader.pod), proof: killed });

    let cut = name("cut-follower");
    let follower = pod(2, TargetRole::Follower);
    let dial = |peer: &str, connected| Dial { peer: peer.to_owned(), connected };
    let felt = Proof::PartitionFelt {
        dropped_packets: 214,
        cut: vec![dial("10.244.0.10:2380", false), dial("10.244.0.11:2380", false)],
        uncut: vec![dial("10.96.0.1:443", true)],
    };
    let over =
        Proof::PartitionOver { dials: vec![dial("10.244.0.10:2380", true), dial("10.244.0.11:2380", true)] };
    let in_pod = Some(follower.pod.clone());
    add(10_960, Event::FaultInjecting { fault: cut.clone(), targets: vec![follower] });
    add(11_000, Event::FaultInjected { fault: cut.clone() });
    add(15_000, Event::FaultHealed { fault: cut.clone() });
    add(15_010, Event::FaultProof { fault: cut.clone(), pod: in_pod.clone(), proof: felt });
    add(15_020, Event::FaultProof { fault: cut, pod: in_pod, proof: over });

    let corrupt = name("corrupt-service");
    let service = identity("model", "uid-service");
    let field = "spec.selector".to_owned();
    let changed = Proof::ObjectChanged {
        object: ClusterObject::ServiceSelector,
        identity: service.clone(),
        resource_version: "155".to_owned(),
        field: field.clone(),
        before: "role=voter".to_owned(),
        after: "role=nobody".to_owned(),
    };
    let felt = Proof::CorruptionFelt { observation: "the Service had no endpoints for 2.1 s".to_owned() };
    let repaired = Proof::ObjectRepaired {
        object: ClusterObject::ServiceSelector,
        identity: service,
        resource_version: "161".to_owned(),
        field,
        value: "role=voter".to_owned(),
        manager: "etcd-operator".to_owned(),
    };
    add(18_990, Event::FaultInjecting { fault: corrupt.clone(), targets: Vec::new() });
    add(19_000, Event::FaultInjected { fault: corrupt.clone() });
    add(19_001, Event::FaultProof { fault: corrupt.clone(), pod: None, proof: changed });
    add(21_900, Event::FaultProof { fault: corrupt.clone(), pod: None, proof: felt });
    add(22_000, Event::FaultHealed { fault: corrupt.clone() });
    add(22_700, Event::FaultProof { fault: corrupt, pod: None, proof: repaired });
}
