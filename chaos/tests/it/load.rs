//! The load against real etcd: what it was told is acknowledged is in the log, what it does not know it calls unknown, and nothing
//! that etcd does makes it hang.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chaos::history::{
    Acknowledgement, Call, CommittedChange, CommittedEvent, Key, Line, Operation, Outcome, Reply, Revision,
    Value, read_lines,
};
use chaos::in_pod::Digest;
use chaos::load::configuration::Mix;
use chaos::load::{Configuration, Progress, StateReport};
use nix::sys::signal::Signal;

use crate::support::agent::CHAOS;
use crate::support::etcd::{Etcd, free_address};
use crate::support::{Process, http, wait_until};

const CALL_LIMIT_MILLISECONDS: u64 = 500;

/// A running load and where to reach it.
pub(crate) struct Load {
    process: Process,
    address: SocketAddr,
    history: tempfile::TempDir,
}

/// Four clients, two of them with a member of their own.
pub(crate) fn configuration(endpoint: String, endpoints_dns: Option<String>) -> Configuration {
    Configuration {
        endpoint,
        endpoints_dns,
        seed: 7,
        clients: 4,
        pinned_clients: 2,
        calls_per_second_per_client: 50.0,
        keys: 10,
        prefix: "chaos/load/".to_owned(),
        value_bytes: 64,
        mix: Mix::default(),
        call_limit_milliseconds: CALL_LIMIT_MILLISECONDS,
        tls: None,
    }
}

impl Load {
    fn start(endpoint: String, endpoints_dns: Option<String>) -> Load {
        Load::start_with(&configuration(endpoint, endpoints_dns))
    }

    pub(crate) fn start_with(configuration: &Configuration) -> Load {
        let (address, history) = (free_address(), tempfile::tempdir().unwrap());
        let process = Process::start(
            Command::new(CHAOS)
                .args(["load", "--config", &serde_json::to_string(configuration).unwrap()])
                .args(["--listen", &address.to_string(), "--history"])
                .arg(history.path())
                .stdout(Stdio::null()),
        );
        let load = Load { process, address, history };
        wait_until("the load's server listens", Duration::from_secs(20), || {
            std::net::TcpStream::connect(address).is_ok()
        });
        load
    }

    pub(crate) fn progress(&self) -> Progress {
        http::get(self.address, "/progress")
    }

    pub(crate) fn wait_for_writes(&self, more: u64) {
        let start = self.progress().acknowledged_writes;
        wait_until("writes are acknowledged", Duration::from_secs(30), || {
            self.progress().acknowledged_writes >= start + more
        });
    }

    /// Stops the clients and waits for the dump.
    pub(crate) fn stop(&self) -> StateReport {
        http::ask(self.address, "POST", "/stop");
        let mut state = StateReport::Running;
        wait_until("the load is over", Duration::from_secs(90), || {
            state = http::get(self.address, "/state");
            matches!(state, StateReport::Done { .. } | StateReport::Failed { .. })
        });
        state
    }

    fn lines(&self, name: &str) -> Vec<Line> {
        let bytes = http::ask(self.address, "GET", &format!("/history/{name}"));
        assert_eq!(bytes, std::fs::read(self.history.path().join(name)).unwrap(), "{name} over HTTP");
        assert_eq!(http::get::<Digest>(self.address, &format!("/digest/{name}")), Digest::of(&bytes));
        let lines = read_lines::<Line>(name, &bytes).unwrap();
        assert_eq!(lines.cut, None);
        lines.lines
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let lines = self.lines("load.jsonl");
        assert!(matches!(lines.first(), Some(Line::Header(_))) && matches!(lines.last(), Some(Line::End(_))));
        lines
            .into_iter()
            .filter_map(|line| if let Line::Operation(found) = line { Some(found) } else { None })
            .collect()
    }

    pub(crate) fn committed(&self) -> Vec<CommittedEvent> {
        let lines = self.lines("final.jsonl");
        assert!(matches!(lines[1], Line::FinalRead(_)));
        lines
            .into_iter()
            .filter_map(|line| if let Line::Committed(found) = line { Some(found) } else { None })
            .collect()
    }
}

/// What an acknowledged operation has written.
fn written(operation: &Operation) -> Option<(Revision, Vec<(Key, Value)>)> {
    let Outcome::Acknowledged(Acknowledgement { revision, reply, .. }) = &operation.outcome else {
        return None;
    };
    match (&operation.call, reply) {
        (Call::Put { key, value }, _) => Some((*revision, vec![(key.clone(), value.clone())])),
        (Call::Transaction(call), Reply::Transaction { succeeded: true, .. }) => {
            Some((*revision, call.puts.clone()))
        }
        _ => None,
    }
}

fn possible_values(operation: &Operation) -> Vec<Value> {
    match &operation.call {
        Call::Put { value, .. } => vec![value.clone()],
        Call::Get { .. } => Vec::new(),
        Call::Transaction(call) => call.puts.iter().map(|(_, value)| value.clone()).collect(),
    }
}

/// Every acknowledged write is in the dump at its revision, and everything in the dump may have been written.
pub(crate) fn check_ledger(operations: &[Operation], committed: &[CommittedEvent]) -> usize {
    let mut log: BTreeMap<(Revision, Key), Value> = BTreeMap::new();
    for event in committed {
        let CommittedChange::Put { value, .. } = &event.change else {
            panic!("the load deletes nothing: {event:?}")
        };
        assert_eq!(
            log.insert((event.revision, event.key.clone()), value.clone()),
            None,
            "{event:?} is there twice"
        );
    }
    let mut acknowledged = 0;
    for (revision, puts) in operations.iter().filter_map(written) {
        acknowledged += 1;
        for (key, value) in puts {
            assert_eq!(log.get(&(revision, key.clone())), Some(&value), "{key} at {revision}");
        }
    }
    for operation in operations.iter().filter(|operation| matches!(operation.outcome, Outcome::Failed { .. }))
    {
        for value in possible_values(operation) {
            assert!(
                !log.values().any(|present| *present == value),
                "a failed write is in the log: {operation:?}"
            );
        }
    }
    let mut allowed: Vec<Value> = operations.iter().flat_map(possible_values).collect();
    allowed.sort();
    assert!(
        log.values().all(|value| allowed.binary_search(value).is_ok()),
        "the log holds what nobody wrote"
    );
    acknowledged
}

fn gaps_in_sequence(operations: &[Operation]) {
    let mut next: BTreeMap<_, u64> = BTreeMap::new();
    for operation in operations {
        let expected = next.entry(operation.client).or_default();
        assert_eq!(operation.sequence, *expected, "{}", operation.client);
        *expected += 1;
    }
    assert_eq!(next.len(), 4);
}

#[test]
fn writes_acknowledged_around_the_death_of_etcd_are_all_in_the_dump() {
    let mut etcd = Etcd::start(1);
    let mut load = Load::start(etcd.url(0), None);
    load.wait_for_writes(100);
    etcd.kill(0);
    wait_until("clients see that etcd is gone", Duration::from_secs(10), || load.progress().failed > 20);
    etcd.restart(0);
    load.wait_for_writes(100);
    let state = load.stop();
    let operations = load.operations();
    let committed = load.committed();
    let StateReport::Done { events, .. } = state else { panic!("{state:?}") };
    assert_eq!(events, committed.len() as u64);
    gaps_in_sequence(&operations);
    assert!(check_ledger(&operations, &committed) >= 200);
    assert!(load.process.0.try_wait().unwrap().is_none(), "the history must stay readable");
}

#[test]
fn a_stopped_etcd_makes_outcomes_unknown_and_does_not_hang_the_load() {
    let etcd = Etcd::start(1);
    let load = Load::start(etcd.url(0), None);
    load.wait_for_writes(50);
    etcd.signal(0, Signal::SIGSTOP);
    // Some of these are first calls on cold connections, which etcd's kernel accepts and etcd never answers.
    wait_until("several calls of each client are given up", Duration::from_secs(20), || {
        load.progress().unknown >= 12
    });
    etcd.signal(0, Signal::SIGCONT);
    load.wait_for_writes(100);
    let start = Instant::now();
    let state = load.stop();
    assert!(matches!(state, StateReport::Done { .. }), "{state:?} after {:?}", start.elapsed());
    let operations = load.operations();
    assert!(check_ledger(&operations, &load.committed()) >= 150);
    let longest = operations.iter().map(|operation| operation.end.0 - operation.start.0).max().unwrap();
    assert!(longest < (CALL_LIMIT_MILLISECONDS + 400) * 1_000_000, "a call took {longest} ns");
}

#[test]
fn a_cluster_is_written_through_other_members_while_one_is_dead() {
    let mut etcd = Etcd::start(3);
    let members: Vec<String> = (0..3).map(|number| etcd.client(number).to_string()).collect();
    let load = Load::start(etcd.url(0), Some(members.join(",")));
    load.wait_for_writes(50);
    let asked = load.progress().asked_members;
    assert_eq!(asked, BTreeSet::from([etcd.client(0).ip()]), "members on one address are asked as one");
    etcd.kill(0);
    load.wait_for_writes(100);
    let state = load.stop();
    assert!(matches!(state, StateReport::Done { .. }), "{state:?}");
    let operations = load.operations();
    check_ledger(&operations, &load.committed());
    let unknown = operations.iter().filter(|found| matches!(found.outcome, Outcome::Unknown { .. })).count();
    assert!(unknown < operations.len() / 2, "{unknown} of {} calls are unknown", operations.len());
}

#[test]
fn a_compacted_history_is_said_to_be_incomplete() {
    let etcd = Etcd::start(1);
    let load = Load::start(etcd.url(0), None);
    load.wait_for_writes(50);
    let url = etcd.url(0);
    let compact = async {
        let mut client = etcd_client::Client::connect([url], None).await.unwrap();
        client.compact(20, None).await.unwrap();
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(compact);
    let state = load.stop();
    let StateReport::Failed { error } = state else { panic!("{state:?}") };
    assert!(error.contains("compacted"), "{error}");
    assert!(!load.operations().is_empty());
}

#[test]
fn a_refused_connection_is_a_failure_and_nothing_else() {
    let etcd = Etcd::start(1);
    let load = Load::start(etcd.url(0), None);
    wait_until("calls are answered", Duration::from_secs(20), || load.progress().acknowledged_writes > 20);
    drop(etcd);
    // What was open when etcd ended is unknown; what is called later is refused.
    wait_until("calls fail", Duration::from_secs(10), || load.progress().failed > 20);
    let unknown = load.progress().unknown;
    let failed = load.progress().failed;
    wait_until("more calls fail", Duration::from_secs(10), || load.progress().failed > failed + 20);
    assert_eq!(load.progress().unknown, unknown, "{:?}", load.progress());
}

#[test]
fn a_write_that_found_no_space_is_unknown_because_etcd_may_have_applied_it() {
    let etcd = Etcd::start_with(1, &["--quota-backend-bytes=4096"]);
    let load = Load::start(etcd.url(0), None);
    wait_until("writes find no space", Duration::from_secs(20), || load.progress().unknown > 20);
    let progress = load.progress();
    assert!(
        progress.last_error.as_ref().is_some_and(|error| error.contains("space exceeded")),
        "{progress:?}"
    );
    assert_eq!((progress.failed, progress.acknowledged_writes), (0, 0));
}

#[test]
fn a_configuration_that_cannot_be_used_ends_the_load_with_the_field_s_name() {
    let output =
        Command::new(CHAOS).args(["load", "--config", r#"{"endpoint":"x","surprise":1}"#]).output().unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("surprise"), "{message}");
}
