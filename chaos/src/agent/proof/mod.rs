//! What a complete proof of a fault is. Pure: reads the lines that an agent wrote and names what is missing. It never
//! gives the agent the benefit of the doubt: what was not measured is not proved.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::agent::protocol::{AgentFault, Observation, PartitionFault, ProofEvent, ProofLine};

/// Everything that one agent wrote, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentProof {
    /// The pod that the agent ran in.
    pub pod: String,
    /// That pod's uid.
    pub pod_uid: String,
    /// The agent's container.
    pub container: String,
    /// The fault asked for.
    pub fault: AgentFault,
    /// The lines of its log.
    pub lines: Vec<ProofLine>,
}

/// What keeps a proof from being complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// The agent said so itself.
    #[error("the agent failed: {0}")]
    AgentFailed(String),
    /// The log ends before the fault was in force.
    #[error("the agent never said that the fault was in force")]
    NeverApplied,
    /// The log ends before the end of the fault.
    #[error("the agent's log ends before its fault was over")]
    NotFinished,
    /// Something could not be reached before the fault, so that its silence during the fault says nothing.
    #[error("{0} could not be reached before the fault")]
    UnreachableBefore(std::net::SocketAddrV4),
    /// A peer that was to be cut answered.
    #[error("{0} answered while it should have been cut off")]
    StillReachable(std::net::SocketAddrV4),
    /// No measurement while the fault was in force.
    #[error("nothing was measured while the fault was in force")]
    NotMeasured,
    /// The drop rules of a direction never saw a packet.
    #[error("not one {0} packet was dropped")]
    NothingDropped(String),
    /// An address that was to stay reachable did not answer: more was broken than asked for.
    #[error("{0} should have stayed reachable and did not answer")]
    CutTooMuch(std::net::SocketAddrV4),
    /// Something did not come back.
    #[error("{0} could not be reached after the fault")]
    UnreachableAfter(std::net::SocketAddrV4),
    /// The kernel still cut an address after its time.
    #[error("the kernel still cut {0} after the fault's time")]
    NotExpired(std::net::Ipv4Addr),
    /// There was no process to harm.
    #[error("the target container had no first process")]
    NoProcess,
    /// A thread of a paused process was not stopped.
    #[error("not all threads of the process were stopped")]
    NotStopped,
    /// A paused process is another one than before, or still stopped.
    #[error("the process did not continue after the pause")]
    NotContinued,
    /// There was nothing to wipe.
    #[error("the directory was already empty")]
    NothingToWipe,
    /// Something is left of a wiped directory.
    #[error("{0} entries are left in the directory")]
    NotEmptied(u64),
    /// The text to be written over was not there.
    #[error("the file does not hold the text that is to be written over")]
    NothingToSpoil,
    /// The text that was written over is still there.
    #[error("the text still stands in {0} places of the file")]
    NotSpoiled(u64),
}

impl AgentProof {
    /// Names everything that is missing from this proof; an empty list means that the fault was real and is over.
    /// For a fault that kills the agent, the new process must be proved from outside.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = self.lines.iter().filter_map(agent_failure).collect();
        if self.time_of(|event| matches!(event, ProofEvent::Applied { .. })).is_none() {
            gaps.push(Gap::NeverApplied);
        }
        let finished = self.lines.iter().any(|line| matches!(line.event, ProofEvent::Finished));
        if !finished && !self.fault.kills_the_agent() {
            gaps.push(Gap::NotFinished);
        }
        match &self.fault {
            AgentFault::Partition(partition) => self.partition_gaps(partition, &mut gaps),
            AgentFault::Kill => self.kill_gaps(&mut gaps),
            AgentFault::Pause(_) => self.pause_gaps(&mut gaps),
            AgentFault::Wipe(_) => self.wipe_gaps(&mut gaps),
            AgentFault::Spoil(_) => self.spoil_gaps(&mut gaps),
            AgentFault::CheckHeal(_) => self.check_heal_gaps(&mut gaps),
        }
        gaps
    }

    /// When the fault came into force, in nanoseconds since 1970.
    pub fn applied_at(&self) -> Option<u64> {
        self.time_of(|event| matches!(event, ProofEvent::Applied { .. }))
    }

    /// When the fault was seen to be over, in nanoseconds since 1970.
    pub fn healed_at(&self) -> Option<u64> {
        self.time_of(|event| matches!(event, ProofEvent::After { .. }))
    }

    fn time_of(&self, wanted: impl Fn(&ProofEvent) -> bool) -> Option<u64> {
        self.lines.iter().find(|line| wanted(&line.event)).map(|line| line.at_unix_nanoseconds)
    }

    fn partition_gaps(&self, partition: &PartitionFault, gaps: &mut Vec<Gap>) {
        for observation in self.before() {
            let Observation::Network { peers, uncut, .. } = observation else { continue };
            let unreachable = peers.iter().chain(uncut).filter(|dial| !dial.path_works());
            gaps.extend(unreachable.map(|dial| Gap::UnreachableBefore(dial.address)));
        }
        let mut measured = false;
        let mut answered_meanwhile = BTreeSet::new();
        for observation in self.during() {
            let Observation::Network { peers, uncut, .. } = observation else { continue };
            measured |= peers.len() == partition.peers.len();
            let leaks = peers.iter().filter(|dial| dial.path_works());
            gaps.extend(leaks.map(|dial| Gap::StillReachable(dial.address)));
            answered_meanwhile.extend(uncut.iter().filter(|dial| dial.path_works()).map(|dial| dial.address));
        }
        // One slow answer is no cut; an address that never answered while the fault lasted may have been cut as well.
        let silent = partition.uncut.iter().filter(|address| !answered_meanwhile.contains(address));
        gaps.extend(silent.copied().map(Gap::CutTooMuch));
        if !measured || self.before().next().is_none() {
            gaps.push(Gap::NotMeasured);
        }
        self.drop_gaps(partition, gaps);
        self.healing_gaps(gaps);
    }

    fn drop_gaps(&self, partition: &PartitionFault, gaps: &mut Vec<Gap>) {
        let counted = self.during().filter_map(|observation| match observation {
            Observation::Network { dropped, .. } => Some(dropped),
            Observation::Process { .. } | Observation::Directory { .. } | Observation::File { .. } => None,
        });
        let (mut inbound, mut outbound) = (0, 0);
        for dropped in counted {
            inbound = inbound.max(dropped.inbound_packets);
            outbound = outbound.max(dropped.outbound_packets);
        }
        // With both directions cut our own dials never get an answer to be dropped, so inbound drops depend on the
        // peers' traffic; what must have been counted is a drop in the direction in which we send.
        if partition.direction.drops_outbound() && outbound == 0 {
            gaps.push(Gap::NothingDropped("outbound".to_owned()));
        }
        if !partition.direction.drops_outbound() && inbound == 0 {
            gaps.push(Gap::NothingDropped("inbound".to_owned()));
        }
    }

    fn healing_gaps(&self, gaps: &mut Vec<Gap>) {
        for line in &self.lines {
            let ProofEvent::Expired { observation: Observation::Network { cut_addresses, .. } } = &line.event
            else {
                continue;
            };
            gaps.extend(cut_addresses.iter().copied().map(Gap::NotExpired));
        }
        self.check_heal_gaps(gaps);
    }

    fn check_heal_gaps(&self, gaps: &mut Vec<Gap>) {
        let mut measured = false;
        for observation in self.after() {
            let Observation::Network { peers, uncut, cut_addresses, .. } = observation else { continue };
            measured = true;
            let unreachable = peers.iter().chain(uncut).filter(|dial| !dial.path_works());
            gaps.extend(unreachable.map(|dial| Gap::UnreachableAfter(dial.address)));
            gaps.extend(cut_addresses.iter().copied().map(Gap::NotExpired));
        }
        if !measured && !gaps.contains(&Gap::NotFinished) {
            gaps.push(Gap::NotFinished);
        }
    }

    fn kill_gaps(&self, gaps: &mut Vec<Gap>) {
        let found =
            self.before().any(|observation| matches!(observation, Observation::Process { process: Some(_) }));
        if !found {
            gaps.push(Gap::NoProcess);
        }
    }

    fn pause_gaps(&self, gaps: &mut Vec<Gap>) {
        let process_of = |observation: &Observation| match observation {
            Observation::Process { process } => process.clone(),
            Observation::Network { .. } | Observation::Directory { .. } | Observation::File { .. } => None,
        };
        let Some(before) = self.before().find_map(process_of) else {
            gaps.push(Gap::NoProcess);
            return;
        };
        let during: Vec<_> = self.during().map(process_of).collect();
        if during.is_empty() {
            gaps.push(Gap::NotMeasured);
        }
        if !during.iter().all(|process| process.as_ref().is_some_and(|found| found.is_stopped())) {
            gaps.push(Gap::NotStopped);
        }
        let continued = self.after().find_map(process_of).is_some_and(|after| {
            after.start_time_ticks == before.start_time_ticks && !after.threads_by_state.contains_key(&'t')
        });
        if !continued {
            gaps.push(Gap::NotContinued);
        }
    }

    fn wipe_gaps(&self, gaps: &mut Vec<Gap>) {
        let entries_of = |observation: &Observation| match observation {
            Observation::Directory { entries, .. } => Some(*entries),
            Observation::Network { .. } | Observation::Process { .. } | Observation::File { .. } => None,
        };
        match self.before().find_map(entries_of) {
            None => gaps.push(Gap::NotMeasured),
            Some(0) => gaps.push(Gap::NothingToWipe),
            Some(_) => {}
        }
        match self.during().chain(self.after()).filter_map(entries_of).last() {
            None => gaps.push(Gap::NotMeasured),
            Some(0) => {}
            Some(left) => gaps.push(Gap::NotEmptied(left)),
        }
    }

    fn spoil_gaps(&self, gaps: &mut Vec<Gap>) {
        let places_of = |observation: &Observation| match observation {
            Observation::File { places } => Some(*places),
            Observation::Network { .. } | Observation::Process { .. } | Observation::Directory { .. } => None,
        };
        match self.before().find_map(places_of) {
            None => gaps.push(Gap::NotMeasured),
            Some(0) => gaps.push(Gap::NothingToSpoil),
            Some(_) => {}
        }
        match self.after().filter_map(places_of).last() {
            None => gaps.push(Gap::NotMeasured),
            Some(0) => {}
            Some(left) => gaps.push(Gap::NotSpoiled(left)),
        }
    }

    fn before(&self) -> impl Iterator<Item = &Observation> {
        self.lines.iter().filter_map(|line| match &line.event {
            ProofEvent::Before { observation } => Some(observation),
            _ => None,
        })
    }

    fn during(&self) -> impl Iterator<Item = &Observation> {
        self.lines.iter().filter_map(|line| match &line.event {
            ProofEvent::During { observation } => Some(observation),
            _ => None,
        })
    }

    fn after(&self) -> impl Iterator<Item = &Observation> {
        self.lines.iter().filter_map(|line| match &line.event {
            ProofEvent::After { observation } => Some(observation),
            _ => None,
        })
    }
}

fn agent_failure(line: &ProofLine) -> Option<Gap> {
    match &line.event {
        ProofEvent::Failed { message } => Some(Gap::AgentFailed(message.clone())),
        _ => None,
    }
}
