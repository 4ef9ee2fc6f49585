//! The last rounds, kept for the harness. Pure: a window over numbered rounds. All rounds are in the history as well.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::history::{Header, ProbeRound};

/// How many rounds are kept for asking; at four a second this is a quarter of an hour.
const KEPT: usize = 3600;

/// One round with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Counts from 1 without gaps.
    pub number: u64,
    /// The round.
    pub round: ProbeRound,
}

/// `GET /samples?since=N` and `GET /latest`: rounds with numbers above N, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Samples {
    /// Ties the rounds' times to the wall clock.
    pub header: Header,
    /// The number of the newest round; what to ask with next time.
    pub newest: u64,
    /// The rounds.
    pub samples: Vec<Sample>,
}

/// The rounds that are kept.
#[derive(Debug, Default)]
pub(super) struct Window {
    newest: u64,
    kept: VecDeque<Sample>,
}

impl Window {
    pub(super) fn add(&mut self, round: ProbeRound) {
        self.newest += 1;
        self.kept.push_back(Sample { number: self.newest, round });
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    pub(super) fn since(&self, header: &Header, number: u64) -> Samples {
        let newer = self.kept.iter().filter(|sample| sample.number > number);
        Samples { header: header.clone(), newest: self.newest, samples: newer.cloned().collect() }
    }

    pub(super) fn latest(&self, header: &Header) -> Samples {
        self.since(header, self.newest.saturating_sub(1))
    }
}
