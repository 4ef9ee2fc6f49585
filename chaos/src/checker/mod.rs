//! The judge: a pure function from a recorded run to a judgement.
//!
//! Every acknowledged write of etcd carries the revision that it made, and the committed log is read back whole at the
//! end. So nothing has to be searched: each call is pinned to its revision, and what remains is to check that the log
//! says the same at that revision and that revisions follow real time. Sorting is the most expensive step.
//!
//! Nothing here believes what was merely asked for. What cannot be checked is said to be so and never counted as held.

mod answers;
mod asked;
mod backups;
mod calls;
mod certificates;
mod changes;
mod clocks;
mod context;
mod departures;
mod disruptions;
mod evidence;
mod experiment;
mod faults;
mod fidelity;
mod findings;
pub mod human;
mod judgement;
mod ledger;
mod log;
mod members;
mod quorum;
mod reads;
mod recovery;
mod removals;
mod restarts;
mod rule;
mod service;
mod serving;
mod statistics;
mod status;
mod testimony;
mod timeline;
mod transactions;
mod verdict;
mod versions;
mod watch;
mod writes;

pub use judgement::{
    Assertion, CallCounts, CallSketch, FaultTimes, Finding, Judgement, MOST_FINDINGS, NotChecked, Outcome,
    RecoveryTimes, Statistics, Verdict,
};
pub use rule::Rule;
pub use timeline::{Round, Story, Timeline};

use context::Context;

use crate::record::RunRecord;

/// Judges a run. The same record always gets the same judgement.
pub fn judge(record: &RunRecord) -> Judgement {
    let context = Context::new(record);
    let mut assertions = writes::check(&context);
    assertions.extend(reads::check(&context));
    assertions.push(transactions::check(&context));
    assertions.extend(backups::check(&context));
    assertions.extend(testimony::check(&context));
    assertions.extend(versions::check(&context));
    assertions.extend(members::check(&context));
    assertions.extend(status::check(&context));
    assertions.extend(faults::check(&context));
    assertions.extend(experiment::check(&context));
    verdict::conclude(&context, assertions)
}
