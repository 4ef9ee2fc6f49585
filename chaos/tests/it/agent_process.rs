//! Death, standstill and a wiped directory, done to a process that is PID 1 of its own pid namespace, as in a container.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use chaos::agent::protocol::{AgentFault, Observation, PauseFault, ProofEvent, WipeFault};

use crate::support::agent::{CHAOS, RunningAgent, is_applied, is_during};
use crate::support::{Process, etcd, need_root, wait_until};

/// A process that is PID 1 of a pid namespace with its own `/proc`.
struct Container {
    outer: Process,
    /// PID 1, seen from outside.
    first: i32,
    volume: tempfile::TempDir,
}

impl Container {
    /// A shell that adds a line to a file all the time, beside a directory with data.
    fn start() -> Container {
        let script = "while true; do echo beat >> \"$0/beats\"; sleep 0.01; done";
        let mut command = Command::new("sh");
        let volume = tempfile::tempdir().unwrap();
        command.args(["-c", script]).arg(volume.path());
        let mut container = Container::run(command);
        std::fs::create_dir_all(volume.path().join("data/member/wal")).unwrap();
        std::fs::write(volume.path().join("data/member/wal/0.wal"), b"log").unwrap();
        container.volume = volume;
        wait_until("the container works", Duration::from_secs(10), || {
            container.volume.path().join("beats").exists()
        });
        container
    }

    /// Any command.
    fn run(inner: Command) -> Container {
        need_root();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(inner.get_program());
        command.args(inner.get_args()).stdout(Stdio::null()).stderr(Stdio::null());
        let outer = Process::start(&mut command);
        let mut first = None;
        wait_until("the first process of the container runs", Duration::from_secs(10), || {
            first = child_of(outer.id());
            first.is_some_and(has_left_unshare)
        });
        Container { outer, first: first.unwrap(), volume: tempfile::tempdir().unwrap() }
    }

    /// An agent that shares the container's pid namespace.
    fn agent(&self, fault: AgentFault) -> RunningAgent {
        let mut command = Command::new("nsenter");
        command.args(["--pid", "--mount", "--target", &self.first.to_string(), "--", CHAOS]);
        RunningAgent::start(command, fault)
    }

    fn beats(&self) -> u64 {
        std::fs::metadata(self.volume.path().join("beats")).unwrap().len()
    }

    fn beats_on(&self) -> bool {
        let before = self.beats();
        let limit = Instant::now() + Duration::from_secs(5);
        while self.beats() == before {
            if Instant::now() > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

/// The only child of a process.
fn child_of(process_id: u32) -> Option<i32> {
    let children = format!("/proc/{process_id}/task/{process_id}/children");
    std::fs::read_to_string(children).ok()?.split_whitespace().next()?.parse().ok()
}

/// Between the fork and the exec the child is still `unshare`, without its mounts.
fn has_left_unshare(process_id: i32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{process_id}/comm")).unwrap_or_default();
    !name.is_empty() && name.trim() != "unshare"
}

#[test]
fn the_first_process_of_a_pid_namespace_is_killed_and_named_before() {
    let mut container = Container::start();
    let proof = container.agent(AgentFault::Kill).finish();
    assert_eq!(proof.gaps(), []);
    let status = container.outer.0.wait().unwrap();
    assert!(!status.success(), "the container ended by itself");
}

#[test]
fn a_signal_from_inside_would_not_have_killed_it() {
    let container = Container::start();
    let mut command = Command::new("nsenter");
    command.args(["--pid", "--target", &container.first.to_string(), "--", "kill", "-9", "1"]);
    crate::support::run(&mut command);
    assert!(container.beats_on());
}

#[test]
fn a_paused_process_stands_still_for_its_time_and_goes_on() {
    let container = Container::start();
    let mut agent = container.agent(AgentFault::Pause(PauseFault { duration_milliseconds: 1500 }));
    let line = agent.read_until(is_during);
    let ProofEvent::During { observation: Observation::Process { process: Some(process) } } = line.event
    else {
        panic!("no process was measured");
    };
    assert!(process.is_stopped(), "{process:?}");
    // The shell's child may still end its sleep; the shell itself writes nothing.
    let before = container.beats();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(container.beats(), before, "the paused process wrote");
    assert_eq!(agent.finish().gaps(), []);
    assert!(container.beats_on(), "the process did not go on");
}

#[test]
fn a_pause_ends_when_its_agent_is_killed() {
    let container = Container::start();
    let mut agent = container.agent(AgentFault::Pause(PauseFault { duration_milliseconds: 60_000 }));
    agent.read_until(is_during);
    // The agent is a child of nsenter, which had to fork to enter the pid namespace.
    let agent_id = child_of(agent.process.id()).expect("the agent runs");
    kill(Pid::from_raw(agent_id), Signal::SIGKILL).unwrap();
    assert!(container.beats_on(), "the process still stands still");
}

#[test]
fn all_threads_of_etcd_are_paused() {
    let directory = tempfile::tempdir().unwrap();
    let (client, peer) = (etcd::free_address(), etcd::free_address());
    let arguments = etcd::single_member_arguments(
        &directory.path().join("data"),
        &format!("http://{client}"),
        &format!("http://{peer}"),
    );
    let mut command = Command::new(etcd::binary());
    let name = format!("--initial-cluster=default=http://{peer}");
    command.args(arguments).arg(name).stdout(Stdio::null()).stderr(Stdio::null());
    let container = Container::run(command);
    wait_until("etcd listens", Duration::from_secs(30), || TcpStream::connect(client).is_ok());
    let fault = AgentFault::Pause(PauseFault { duration_milliseconds: 1000 });
    let mut agent = container.agent(fault);
    let line = agent.read_until(is_during);
    let ProofEvent::During { observation: Observation::Process { process: Some(process) } } = line.event
    else {
        panic!("no process was measured");
    };
    assert_eq!(process.command, "etcd");
    assert!(process.threads_by_state[&'t'] > 3, "{process:?}");
    assert_eq!(agent.finish().gaps(), []);
}

#[test]
fn a_directory_is_wiped_and_the_process_killed_without_writing_again() {
    let mut container = Container::start();
    let path = container.volume.path().join("data");
    let fault = AgentFault::Wipe(WipeFault { path: path.clone(), then_kill: true });
    let mut agent = container.agent(fault);
    agent.read_until(is_applied);
    let beats = container.beats();
    assert_eq!(agent.finish().gaps(), []);
    container.outer.0.wait().unwrap();
    assert_eq!(container.beats(), beats, "the process wrote after the wipe");
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
}

#[test]
fn a_directory_is_wiped_without_touching_the_process() {
    let container = Container::start();
    let path = container.volume.path().join("data");
    let proof = container.agent(AgentFault::Wipe(WipeFault { path, then_kill: false })).finish();
    assert_eq!(proof.gaps(), []);
    assert!(container.beats_on());
}
