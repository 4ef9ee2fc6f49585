//! Chooses a client's next call. Pure: a seed, a client and what it was answered so far determine the call.

use std::collections::BTreeMap;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha256};

use super::configuration::{Configuration, Mix};
use crate::history::{
    Acknowledgement, Call, ClientId, Comparison, Expected, Key, Outcome, Reply, Revision, TransactionCall,
    Value,
};

/// The most keys that one transaction writes.
const MOST_KEYS: usize = 3;

/// One client's stream of choices, and what it knows about keys.
pub(super) struct Chooser {
    client: ClientId,
    configuration: Configuration,
    random: ChaCha8Rng,
    sequence: u64,
    /// The modification revision of keys as this client last saw it; 0 for a key that did not exist.
    seen: BTreeMap<Key, Revision>,
}

enum Kind {
    Put,
    Get,
    CompareAndSwap,
    MultipleKeys,
}

impl Chooser {
    /// The stream of a client. Streams of different clients or seeds have nothing in common.
    pub(super) fn new(configuration: &Configuration, client: ClientId) -> Chooser {
        let mut hash = Sha256::new();
        hash.update(configuration.seed.to_be_bytes());
        hash.update(format!("load/client/{}", client.0));
        Chooser {
            client,
            configuration: configuration.clone(),
            random: ChaCha8Rng::from_seed(hash.finalize().into()),
            sequence: 0,
            seen: BTreeMap::new(),
        }
    }

    /// The next call and its number. Each value in it is new in this run.
    pub(super) fn next_call(&mut self) -> (u64, Call) {
        let sequence = self.sequence;
        self.sequence += 1;
        let call = match self.kind() {
            Kind::Put => Call::Put { key: self.key(), value: self.value(sequence, 0) },
            Kind::Get => Call::Get { key: self.key() },
            Kind::CompareAndSwap => Call::Transaction(self.compare_and_swap(sequence)),
            Kind::MultipleKeys => Call::Transaction(self.multiple_keys(sequence)),
        };
        (sequence, call)
    }

    /// Remembers what an answer tells about keys; comparisons of later calls build on it.
    pub(super) fn learn(&mut self, call: &Call, outcome: &Outcome) {
        let Outcome::Acknowledged(Acknowledgement { revision, reply, .. }) = outcome else { return };
        match (call, reply) {
            (Call::Put { key, .. }, Reply::Put) => self.saw(key, *revision),
            (Call::Get { key }, Reply::Get { found }) => {
                self.saw(key, found.as_ref().map_or(Revision(0), |found| found.modified_at));
            }
            (Call::Transaction(call), Reply::Transaction { succeeded: true, .. }) => {
                call.puts.iter().for_each(|(key, _)| self.saw(key, *revision));
            }
            (Call::Transaction(call), Reply::Transaction { succeeded: false, found }) => {
                for (key, found) in call.otherwise_get.iter().zip(found) {
                    self.saw(key, found.as_ref().map_or(Revision(0), |found| found.modified_at));
                }
            }
            (Call::Put { .. } | Call::Get { .. } | Call::Transaction(_), _) => {}
        }
    }

    fn saw(&mut self, key: &Key, revision: Revision) {
        self.seen.insert(key.clone(), revision);
    }

    fn kind(&mut self) -> Kind {
        let Mix { put, get, compare_and_swap, multiple_keys } = self.configuration.mix;
        let drawn = self.random.random_range(0..put + get + compare_and_swap + multiple_keys);
        if drawn < put {
            Kind::Put
        } else if drawn < put + get {
            Kind::Get
        } else if drawn < put + get + compare_and_swap {
            Kind::CompareAndSwap
        } else {
            Kind::MultipleKeys
        }
    }

    fn key(&mut self) -> Key {
        let number = self.random.random_range(0..self.configuration.keys);
        Key(format!("{}{number:06}", self.configuration.prefix))
    }

    fn distinct_keys(&mut self) -> Vec<Key> {
        let most = MOST_KEYS.min(self.configuration.keys as usize);
        let wanted = self.random.random_range(2..=most);
        let mut keys = Vec::new();
        while keys.len() < wanted {
            let key = self.key();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    fn value(&self, sequence: u64, part: usize) -> Value {
        let mut value = format!("c{}s{sequence}p{part}", self.client.0);
        let padding = self.configuration.value_bytes.saturating_sub(value.len());
        value.extend(std::iter::repeat_n('.', padding));
        Value(value)
    }

    fn comparison(&self, key: &Key) -> Comparison {
        let expected = match self.seen.get(key) {
            None | Some(Revision(0)) => Expected::Absent,
            Some(revision) => Expected::ModifiedAt { revision: *revision },
        };
        Comparison { key: key.clone(), expected }
    }

    fn compare_and_swap(&mut self, sequence: u64) -> TransactionCall {
        let key = self.key();
        TransactionCall {
            comparisons: vec![self.comparison(&key)],
            puts: vec![(key.clone(), self.value(sequence, 0))],
            otherwise_get: vec![key],
        }
    }

    /// Half of these compare their first key, so that both branches happen; the others always write.
    fn multiple_keys(&mut self, sequence: u64) -> TransactionCall {
        let keys = self.distinct_keys();
        let compares = self.random.random_bool(0.5);
        TransactionCall {
            comparisons: if compares { vec![self.comparison(&keys[0])] } else { Vec::new() },
            puts: keys
                .iter()
                .enumerate()
                .map(|(part, key)| (key.clone(), self.value(sequence, part)))
                .collect(),
            otherwise_get: keys,
        }
    }
}
