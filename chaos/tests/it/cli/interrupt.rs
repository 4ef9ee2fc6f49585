//! Real runs that are stopped in the middle: by Ctrl-C once, by Ctrl-C twice, and by SIGKILL. Slow, so there are few, and
//! only one at a time.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chaos::record::{Event, RunRecord, RunState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::{ETCD_VERSION, Place};
use crate::support::agent::CHAOS;
use crate::support::{etcd, need_root, wait_until};

/// One real run at a time: a machine that is too busy proves nothing.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A fault that lasts longer than any of these tests waits for its end.
const LONG: &str = "\
name: long
subject: {cluster: {size: 3}}
load: {warmUp: 1s, coolDown: 1s}
faults:
  - {name: cut, at: 1s, kind: partition, direction: both, target: follower, for: 120s}
";

/// Until a fault is in force.
const UNTIL_BROKEN: Duration = Duration::from_secs(120);
/// Heal, collect, report and remove; far less than the fault would last.
const ORDERLY_END: Duration = Duration::from_secs(60);
/// What dies with its parent is gone within this.
const SUDDEN_END: Duration = Duration::from_secs(5);

struct Run {
    child: Child,
    out: PathBuf,
    place: Place,
    _turn: MutexGuard<'static, ()>,
}

impl Run {
    /// Starts a scenario on the sandbox and waits until a fault is in force.
    fn broken_by(scenario: &Path, fault: &str) -> Run {
        need_root();
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let operator = Path::new(CHAOS).with_file_name("etcd-operator");
        assert!(
            operator.exists(),
            "run `cargo build -p etcd-operator` first: {} is missing",
            operator.display()
        );
        let place = Place::new();
        let real = etcd::binary();
        for name in ["etcd", "etcdctl", "etcdutl"] {
            let file = place.cache().join(format!("images/etcd/v{ETCD_VERSION}/{name}"));
            fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink(real.with_file_name(name).canonicalize().unwrap(), &file).unwrap();
        }
        let out = place.work().join("out");
        let log = fs::File::create(place.path().join("log")).unwrap();
        let mut command = place.command(&["run", "--out", "out", scenario.to_str().unwrap()]);
        let child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut run = Run { child, out, place, _turn: turn };
        wait_until(&format!("{fault} is in force"), UNTIL_BROKEN, || run.is_in_force(fault));
        run
    }

    /// A scenario of this module's own.
    fn of_long() -> Run {
        let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        fs::write(file.path(), LONG).unwrap();
        Run::broken_by(file.path(), "cut")
    }

    fn is_in_force(&mut self, fault: &str) -> bool {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the run ended early, {status}: {}", self.log());
        }
        let events = fs::read_to_string(self.out.join("events.jsonl")).unwrap_or_default();
        events.lines().any(|line| line.contains("\"fault-injected\"") && line.contains(fault))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the end and returns the exit code and the output.
    fn end(&mut self, limit: Duration) -> (Option<i32>, String) {
        let mut status = None;
        wait_until(&format!("the run ends: {}", self.log()), limit, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        (status.and_then(|status| status.code()), output)
    }

    /// Nothing runs and nothing is mounted any more, and all that was written is the record.
    fn assert_nothing_is_left(&self) {
        let start = Instant::now();
        while start.elapsed() < SUDDEN_END && !self.place.leavings().is_empty() {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.place.assert_quiet();
        let allowed = [self.out.clone(), self.place.cache(), self.place.path().join("log")];
        let stray: Vec<_> = self
            .place
            .files()
            .into_iter()
            .filter(|(path, size)| size.is_some() && !allowed.iter().any(|allowed| path.starts_with(allowed)))
            .collect();
        assert!(stray.is_empty(), "{stray:?}");
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_first_interrupt_heals_writes_the_report_and_leaves_nothing() {
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/quickstart.yaml");
    let mut run = Run::broken_by(&quickstart, "follower-cut-off");
    run.signal(Signal::SIGINT);
    let (code, output) = run.end(ORDERLY_END);
    assert_eq!(code, Some(2), "{output}\n{}", run.log());
    assert!(output.contains("INVALID: quickstart") && output.contains("interrupted"), "{output}");
    assert!(run.log().contains("interrupted: healing and writing the report"), "{}", run.log());

    let record: RunRecord = chaos::record::open(&run.out).unwrap();
    assert_eq!(record.run.state, RunState::Interrupted);
    let healed = |line: &chaos::record::EventLine| matches!(&line.event, Event::FaultHealed { fault } if fault.to_string() == "follower-cut-off");
    assert!(record.events.iter().any(healed), "the fault was ended: {}", run.log());
    assert!(!record.load.operations.is_empty(), "the history until there is kept");
    for name in ["report.html", "report.json", "report.md", "junit.xml"] {
        assert!(run.out.join(name).is_file(), "{name} was written");
    }
    assert!(!run.out.join("sandbox").exists(), "the sandbox's state is gone");
    run.assert_nothing_is_left();
}

#[test]
fn the_second_interrupt_stops_at_once_and_leaves_nothing() {
    let mut run = Run::of_long();
    run.signal(Signal::SIGINT);
    wait_until("the first is answered", SUDDEN_END, || run.log().contains("once more to stop at once"));
    run.signal(Signal::SIGINT);
    let (code, output) = run.end(SUDDEN_END);
    assert_eq!(code, Some(2), "{output}\n{}", run.log());
    assert!(run.log().contains("stopped at once"), "{}", run.log());
    run.assert_nothing_is_left();
}

#[test]
fn a_killed_harness_takes_its_sandbox_with_it() {
    let mut run = Run::of_long();
    assert!(run.place.leavings().len() > 1, "the sandbox runs in this place");
    run.signal(Signal::SIGKILL);
    let (code, _) = run.end(SUDDEN_END);
    assert_eq!(code, None, "it was killed");
    run.assert_nothing_is_left();
    let checked = run.place.chaos(&["check", "out"]);
    assert_eq!(checked.code, Some(2), "what it left is a record that proves nothing: {checked:?}");
    assert!(checked.stdout.contains("INVALID: long"), "{checked:?}");
}

#[test]
fn a_run_whose_sandbox_is_killed_ends_at_once_with_a_report_that_says_so() {
    let mut run = Run::of_long();
    let record = fs::read_to_string(run.out.join("sandbox/sandbox.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let process = i32::try_from(record["process"].as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(process), Signal::SIGKILL).unwrap();
    let (code, output) = run.end(ORDERLY_END);
    assert_eq!(code, Some(2), "{output}\n{}", run.log());
    assert!(run.log().contains("the cluster ended in the middle of the run"), "{}", run.log());
    assert!(output.contains("INVALID: long"), "{output}");
    assert!(run.out.join("report.html").is_file(), "the report was written");
    run.assert_nothing_is_left();
}
