//! What the tests of several areas share. Everything that is started here ends with its value.

pub(crate) mod agent;
pub(crate) mod etcd;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod namespace;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that is killed when the test is done with it.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Starts a command; panics with its name if that fails.
    pub(crate) fn start(command: &mut Command) -> Process {
        let child = command.stdin(Stdio::null()).spawn();
        Process(child.unwrap_or_else(|error| panic!("starting {command:?}: {error}")))
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends SIGKILL and waits.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for a fact; panics when it does not come true in time.
pub(crate) fn wait_until(fact: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "not true within {limit:?}: {fact}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Fails, and says why, where a test could not prove anything.
pub(crate) fn need_root() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test makes namespaces and packet filters: run it as root (in a container with CAP_SYS_ADMIN, CAP_NET_ADMIN and \
         CAP_SYS_PTRACE)"
    );
}

/// Runs a command to its end; panics with what it said if it fails.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
