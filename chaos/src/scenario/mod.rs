//! The scenario file: parsed, validated and turned into a schedule by a seed. Never reads a clock or the network.

mod duration;
mod fault;
mod model;
mod names;
mod schedule;

pub use duration::{LONGEST_PERIOD, Period, PeriodError};
pub use fault::{ClusterObject, Condition, Direction, Fault, Peers, Target};
pub use model::{
    Allow, Expect, Load, Mix, PlannedFault, QuorumLoss, Scenario, Subject, SubjectCluster, SubjectSelector,
    Timing,
};
pub use names::{
    ClusterSize, EtcdVersion, FaultName, NameError, ScenarioName, Seed, SizeError, VersionError,
};
pub use schedule::{SCHEDULE_FORMAT, Schedule, Step, Trigger};
