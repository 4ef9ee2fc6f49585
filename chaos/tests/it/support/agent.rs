//! Runs the agent as the harness does, by its argument, and reads its proof.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use chaos::agent::proof::AgentProof;
use chaos::agent::protocol::{AgentFault, AgentRequest, ProofEvent, ProofLine};

use super::Process;

/// The program under test.
pub(crate) const CHAOS: &str = env!("CARGO_BIN_EXE_chaos");

/// An agent at work.
pub(crate) struct RunningAgent {
    pub(crate) process: Process,
    lines: BufReader<std::process::ChildStdout>,
    proof: AgentProof,
}

impl RunningAgent {
    /// Starts `command` (the program, or something that starts it elsewhere) with the agent's arguments added.
    pub(crate) fn start(mut command: Command, fault: AgentFault) -> RunningAgent {
        let request = serde_json::to_string(&AgentRequest::new(fault.clone())).unwrap();
        let mut process = Process::start(command.args(["agent", &request]).stdout(Stdio::piped()));
        let lines = BufReader::new(process.0.stdout.take().unwrap());
        let proof = AgentProof {
            pod: "test".to_owned(),
            pod_uid: "test".to_owned(),
            container: "test".to_owned(),
            fault,
            lines: Vec::new(),
        };
        RunningAgent { process, lines, proof }
    }

    /// The next line of proof, or nothing at the end of the log.
    pub(crate) fn next_line(&mut self) -> Option<ProofLine> {
        let mut text = String::new();
        self.lines.read_line(&mut text).unwrap();
        if text.is_empty() {
            return None;
        }
        let line: ProofLine =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in line of proof: {text}"));
        self.proof.lines.push(line.clone());
        Some(line)
    }

    /// Reads until a line that is wanted; panics at the end of the log or if the agent failed.
    pub(crate) fn read_until(&mut self, wanted: impl Fn(&ProofEvent) -> bool) -> ProofLine {
        while let Some(line) = self.next_line() {
            assert!(!matches!(line.event, ProofEvent::Failed { .. }), "the agent failed: {line:?}");
            if wanted(&line.event) {
                return line;
            }
        }
        panic!("the agent's log ended early: {:#?}", self.proof.lines);
    }

    /// Reads to the end and returns the whole proof.
    pub(crate) fn finish(mut self) -> AgentProof {
        while self.next_line().is_some() {}
        self.proof.clone()
    }
}

/// Whether the fault is in force.
pub(crate) fn is_applied(event: &ProofEvent) -> bool {
    matches!(event, ProofEvent::Applied { .. })
}

/// Whether this was measured during the fault.
pub(crate) fn is_during(event: &ProofEvent) -> bool {
    matches!(event, ProofEvent::During { .. })
}
