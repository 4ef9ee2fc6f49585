//! A model of etcd with clients, probes, an operator's status and three faults, in simulated time: it makes records of
//! runs in which everything went as it must. The same seed makes the same record.

mod events;
mod probes;

use std::collections::{BTreeMap, BTreeSet};

use chaos::history::{
    Acknowledgement, Call, ClientId, ClusterId, CommittedChange, CommittedEvent, Comparison, Elapsed,
    Expected, FinalRead, Found, Header, Key, MemberId, Operation, Outcome, Reply, Revision, SentTo,
    TransactionCall, UnixNanoseconds, Value, Writer,
};
use chaos::record::{ClusterKind, Operations, Run, RunRecord, RunState, Versions};
use chaos::scenario::{Seed, parse, schedule, stream};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// 2026-11-01 12:00:00 UTC.
pub(super) const ZERO: UnixNanoseconds = UnixNanoseconds(1_793_534_400_000_000_000);
const CLUSTER: ClusterId = ClusterId(0xcdf8_1819_4e3a_8c32);
pub(super) const MILLISECOND: u64 = 1_000_000;

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
pub(super) const TINY: Shape = Shape { clients: 4, keys: 2, pause: 1_200, probe: 2_000 };
/// Like a real quickstart.
pub(super) const USUAL: Shape = Shape { clients: 8, keys: 16, pause: 60, probe: 250 };

const SCENARIO: &str = "\
name: model
subject: {cluster: {size: 3}}
load: {clients: CLIENTS}
faults:
  - {name: kill-leader, at: 5s, jitter: 0s, kind: pod-kill, target: leader}
  - {name: cut-follower, at: 11s, jitter: 0s, kind: partition, target: follower, for: 4s}
  - {name: corrupt-service, at: 19s, jitter: 0s, kind: corrupt, object: service-selector, for: 3s}
expect: {acknowledgedWrites: 10, acknowledgedWritesPerFault: 1}
";

fn scenario_text(shape: Shape) -> String {
    SCENARIO.replace("CLIENTS", &shape.clients.to_string())
}

/// A run in which everything went as it must.
pub(super) fn run(seed: u64, shape: Shape) -> RunRecord {
    let text = scenario_text(shape);
    let scenario = parse("model.yaml", text.as_bytes()).expect("the model's scenario is valid");
    let mut model = Model::new(seed, shape);
    model.simulate();
    let revision = model.revision;
    RunRecord {
        run: head(seed, text),
        schedule: schedule(&scenario, Seed(seed)),
        events: events::events(),
        probes: probes::probes(shape, &model.history),
        load: Operations {
            header: Some(Header {
                first_revision: Some(Revision(1)),
                ..Header::new(Writer::Load, ZERO, "load/")
            }),
            operations: std::mem::take(&mut model.operations),
        },
        final_read: Some(FinalRead {
            revision,
            first_revision: Revision(2),
            cluster_id: CLUSTER,
            at: at(30_500),
        }),
        committed: std::mem::take(&mut model.log),
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
    sent_to: SentTo,
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
    /// When each revision was made.
    history: Vec<(u64, Revision)>,
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
            history: vec![(0, Revision(1))],
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
                Next::Effect => self.effect(now, client),
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
        let pinned = self.pin(client);
        let sent_to = pinned.map_or(SentTo::Service, |member| SentTo::Member(MEMBERS[member].2.to_owned()));
        let silent = pinned.is_some() && state(now / MILLISECOND).0 == pinned;
        let cut = silent && now >= 10_000 * MILLISECOND;
        // No leader for a second after the kill: calls are refused at once or their outcome stays unknown.
        let leaderless = (5_000 * MILLISECOND..6_000 * MILLISECOND).contains(&now);
        let refused = (silent && !cut) || (leaderless && self.random.random_bool(0.5));
        let answered = !leaderless && !silent;
        let takes_effect = !refused && !cut && (!leaderless || self.random.random_bool(0.4));
        let took = self.random.random_range(MILLISECOND..8 * MILLISECOND);
        let until = if answered || refused { now + took } else { now + 2_000 * MILLISECOND };
        let pending = Pending { sequence, start: now, call, sent_to, reply: None, answered, refused };
        self.pending.insert(client, pending);
        if takes_effect {
            let effect = self.random.random_range(now + 1..until);
            self.plan(effect, Next::Effect, client);
        }
        self.plan(until, Next::End, client);
    }

    /// Who answers: the member that was asked, or one of those that serve, by turns.
    fn answerer(&self, now: u64, client: u32, sequence: u64) -> usize {
        let turn = usize::try_from(u64::from(client) + sequence).unwrap_or_default();
        let serves = |index: &usize| state(now / MILLISECOND).0 != Some(*index);
        let by_turns: Vec<usize> = (0..MEMBERS.len()).filter(serves).collect();
        self.pin(client).unwrap_or(by_turns[turn % by_turns.len()])
    }

    /// The member that a client always asks: half of the clients have one.
    fn pin(&self, client: u32) -> Option<usize> {
        let pinned = (self.shape.clients / 2).max(3.min(self.shape.clients.saturating_sub(1)));
        (client < pinned).then_some(client as usize % MEMBERS.len())
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

    fn effect(&mut self, now: u64, client: u32) {
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
        self.history.push((now / MILLISECOND, revision));
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
                let member_id = MemberId(MEMBERS[self.answerer(now, client, pending.sequence)].1);
                Outcome::Acknowledged(Acknowledgement { revision, cluster_id: CLUSTER, member_id, reply })
            }
            _ if pending.refused => Outcome::Failed { error: "etcdserver: no leader".to_owned() },
            _ => Outcome::Unknown { error: "no answer within 2000 ms".to_owned() },
        };
        self.operations.push(Operation {
            client: ClientId(client),
            sequence: pending.sequence,
            start: Elapsed(pending.start),
            end: Elapsed(now),
            sent_to: Some(pending.sent_to),
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

fn head(seed: u64, scenario_text: String) -> Run {
    Run {
        format: chaos::record::RUN_FORMAT.to_owned(),
        scenario: "model".parse().expect("a name"),
        seed: Seed(seed),
        scenario_file: "model.yaml".to_owned(),
        scenario_text,
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
        mutant: None,
        arguments: Vec::new(),
    }
}

/// The members: a name, an identity and an address each.
pub(super) const MEMBERS: [(&str, u64, &str); 3] = [
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
