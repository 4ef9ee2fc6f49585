//! `chaos cluster up` that is stopped in the middle: whatever it had begun is gone, and the name is free again.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::place::Place;
use crate::support::agent::CHAOS;
use crate::support::{need_root, wait_until};

const NAME: &str = "stopped";

/// Until a start is over, on a machine that has other things to do.
const START: Duration = Duration::from_secs(60);
/// What dies with its parent is gone within this.
const SUDDEN_END: Duration = Duration::from_secs(5);
/// A start that was over before the signal came proves nothing and is tried again, this often.
const TRIES: u32 = 10;

/// How far a start has come, by what is seen of it from outside, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The program was started.
    Begun,
    /// There is a state directory.
    Directory,
    /// The sandbox's outermost process has recorded itself.
    Record,
    /// The first process inside the sandbox's namespaces runs.
    FirstProcess,
    /// The API server's process runs.
    Server,
    /// The API server can be reached.
    Kubeconfig,
}

const MOMENTS: [Moment; 6] = [
    Moment::Begun,
    Moment::Directory,
    Moment::Record,
    Moment::FirstProcess,
    Moment::Server,
    Moment::Kubeconfig,
];

/// A `chaos cluster up` that is under way, in a process group of its own like a command of a shell.
struct Start<'a> {
    child: Child,
    place: &'a Place,
}

impl Start<'_> {
    fn begin(place: &Place) -> Start<'_> {
        let log = fs::File::create(place.path().join("log")).unwrap();
        let mut command = place.command(&["cluster", "up", "--name", NAME]);
        let child = command.process_group(0).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Start { child, place }
    }

    fn process(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Waits for the moment, or for the end if that comes first.
    fn reach(&mut self, moment: Moment) {
        let start = Instant::now();
        while !self.has_reached(moment) && self.child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < START, "{moment:?} never came: {}", self.log());
            std::thread::yield_now();
        }
    }

    fn has_reached(&self, moment: Moment) -> bool {
        match moment {
            Moment::Begun => true,
            Moment::Directory => directory(self.place).exists(),
            Moment::Record => directory(self.place).join("sandbox.json").exists(),
            Moment::FirstProcess => self.place.runs("sandbox-init"),
            Moment::Server => self.place.runs("sandbox-server"),
            Moment::Kubeconfig => directory(self.place).join("kubeconfig").exists(),
        }
    }

    /// Waits for the end; nothing if a signal was the end.
    fn end(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("`cluster up` ends", START, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap()
    }
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.place.chaos(&["cluster", "down", "--name", NAME]);
    }
}

fn directory(place: &Place) -> PathBuf {
    place.cache().join("clusters").join(NAME)
}

fn place() -> Place {
    need_root();
    let operator = Path::new(CHAOS).with_file_name("etcd-operator");
    assert!(operator.exists(), "run `cargo build -p etcd-operator` first: {} is missing", operator.display());
    Place::new()
}

/// All files but the log of the command itself.
fn files(place: &Place) -> Vec<PathBuf> {
    let files = place.files().into_iter().filter(|(_, size)| size.is_some()).map(|(path, _)| path);
    files.filter(|path| !path.ends_with("log")).collect()
}

/// The name can be used at once, and given back.
fn assert_free(place: &Place, after: &str) {
    for (arguments, said) in [
        (["cluster", "up", "--name", NAME], "kubeconfig"),
        (["cluster", "status", "--name", NAME], "stopped runs (process "),
        (["cluster", "down", "--name", NAME], ""),
    ] {
        let answer = place.chaos(&arguments);
        assert_eq!(answer.code, Some(0), "{after}: {arguments:?}: {answer:?}");
        assert!(answer.stdout.contains(said), "{after}: {arguments:?}: {answer:?}");
    }
    place.assert_quiet();
}

/// Whether Ctrl-C at the moment broke the start off. If so, nothing is left when the command returns; if it came too
/// late, the cluster runs.
fn interrupt_breaks_off(place: &Place, moment: Moment) -> bool {
    let before = files(place);
    let mut start = Start::begin(place);
    start.reach(moment);
    // A terminal sends it to every process of the group. One that has ended already can't be reached.
    let _ = killpg(start.process(), Signal::SIGINT);
    let code = start.end();
    let log = start.log();
    if code == Some(0) {
        assert_eq!(place.chaos(&["cluster", "status", "--name", NAME]).code, Some(0), "{moment:?}: {log}");
        return false;
    }
    place.assert_quiet();
    assert_eq!(files(place), before, "{moment:?} left files: {log}");
    assert!(!directory(place).exists(), "{moment:?} left the state directory: {log}");
    match (moment, code) {
        // Until the program listens for it, the signal ends it, and it has made nothing yet.
        (Moment::Begun, None) => {}
        (_, Some(2)) => {
            assert!(log.contains("interrupted"), "{moment:?}: {log}");
            assert_eq!(log.matches("error:").count(), 1, "{moment:?}: {log}");
        }
        (_, other) => panic!("{moment:?}: exit code {other:?}: {log}"),
    }
    true
}

#[test]
fn an_interrupt_at_any_moment_of_cluster_up_leaves_nothing_and_the_name_is_free() {
    let place = place();
    for moment in MOMENTS {
        let broken_off = (0..TRIES).any(|_| interrupt_breaks_off(&place, moment));
        // The kubeconfig is the last thing that a start writes: one that has come so far may rightly be over.
        assert!(broken_off || moment == Moment::Kubeconfig, "{moment:?} was always too late");
        assert_free(&place, &format!("{moment:?}"));
    }
}

#[test]
fn a_killed_cluster_up_takes_what_it_began_with_it_and_the_name_is_free() {
    let place = place();
    for moment in [Moment::Directory, Moment::Record, Moment::FirstProcess, Moment::Server] {
        let killed = (0..TRIES).any(|_| {
            let mut start = Start::begin(&place);
            start.reach(moment);
            // One that has ended already can't be reached.
            let _ = kill(start.process(), Signal::SIGKILL);
            if start.end() == Some(0) {
                return false;
            }
            wait_until(&format!("after {moment:?}, nothing is left"), SUDDEN_END, || {
                place.leavings().is_empty()
            });
            let status = place.chaos(&["cluster", "status", "--name", NAME]);
            assert_eq!(status.code, Some(2), "{moment:?}: {status:?}");
            assert_free(&place, &format!("{moment:?}"));
            true
        });
        assert!(killed, "{moment:?} was always too late");
    }
}
