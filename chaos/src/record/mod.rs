//! What the harness writes down about a run, and the whole record as the judge reads it. Plain data and its reader.
//!
//! | file in the run's folder | type |
//! |---|---|
//! | `run.json` | [`Run`]: written when the run starts, rewritten when it ends |
//! | `schedule.json` | [`Schedule`](crate::scenario::Schedule) |
//! | `events.jsonl` | [`EventLine`]: opened by [`Event::Opened`], closed by [`Event::Closed`] |
//! | `history/load.jsonl`, `history/final.jsonl`, `history/probe.jsonl` | [`crate::history::Line`] |

mod assemble;
mod certificate;
mod event;
mod folder;
mod proof;
mod run;
mod sample;
#[cfg(test)]
mod tests;

pub use assemble::{AssembleError, Operations, Probes, Problem, ProblemKind, RunRecord};
pub use certificate::{CertificateEntry, Handshake, Refusal};
pub use event::{ClockReading, Event, EventLine, Phase};
pub use folder::{OpenError, RecordFiles, open, read_folder};
pub use proof::{Dial, ObjectIdentity, ProcessIdentity, Proof, TargetRole, TargetedPod};
pub use run::{ClusterKind, Run, RunState, Versions};
pub use sample::{ConditionSample, ConditionStatus, KubernetesEvent, PodSample, StatusMember, StatusSample};

/// The format of `run.json` that this build writes.
pub const RUN_FORMAT: &str = "etcd-chaos/run/v2";
/// The format before, which is still read: it names no wrong operator.
pub const RUN_FORMAT_BEFORE: &str = "etcd-chaos/run/v1";

/// The format of `events.jsonl` that this build writes.
pub const EVENTS_FORMAT: &str = "etcd-chaos/events/v2";
/// The format before, which is still read: nobody compared the clocks, and targets do not name their claims.
pub const EVENTS_FORMAT_BEFORE: &str = "etcd-chaos/events/v1";

/// The name of the file that holds the [`Run`].
pub const RUN_FILE: &str = "run.json";
/// The name of the file that holds the schedule.
pub const SCHEDULE_FILE: &str = "schedule.json";
/// The name of the file that holds the events of the harness.
pub const EVENTS_FILE: &str = "events.jsonl";
/// The name of the file that holds the clients' operations.
pub const LOAD_FILE: &str = "history/load.jsonl";
/// The name of the file that holds the committed log.
pub const FINAL_FILE: &str = "history/final.jsonl";
/// The name of the file that holds the probe's samples.
pub const PROBE_FILE: &str = "history/probe.jsonl";
/// Every file of a record.
pub const FILES: [&str; 6] = [RUN_FILE, SCHEDULE_FILE, EVENTS_FILE, LOAD_FILE, FINAL_FILE, PROBE_FILE];
