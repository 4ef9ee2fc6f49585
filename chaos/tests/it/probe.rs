//! The probe against real etcd: each member is asked by itself, a silent one delays nobody, and hashes agree.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use chaos::history::{HashRound, Line, Observation, ProbedMember, read_lines};
use chaos::probe::Samples;
use nix::sys::signal::Signal;

use crate::support::agent::CHAOS;
use crate::support::etcd::{Etcd, free_address};
use crate::support::{Process, http, wait_until};

pub(crate) struct Probe {
    _process: Process,
    address: SocketAddr,
    _history: tempfile::TempDir,
}

impl Probe {
    fn start(etcd: &Etcd, size: usize) -> Probe {
        Probe::start_with(etcd, size, &[])
    }

    /// Starts a probe that gets more arguments.
    pub(crate) fn start_with(etcd: &Etcd, size: usize, arguments: &[&str]) -> Probe {
        let members: Vec<String> = (0..size).map(|number| etcd.client(number).to_string()).collect();
        let (address, history) = (free_address(), tempfile::tempdir().unwrap());
        let process = Process::start(
            Command::new(CHAOS)
                .args(["probe", "--peers-dns", &members.join(","), "--interval-milliseconds", "100"])
                .args(arguments)
                .args(["--listen", &address.to_string(), "--history"])
                .arg(history.path())
                .stdout(Stdio::null()),
        );
        wait_until("the probe's server listens", Duration::from_secs(20), || {
            std::net::TcpStream::connect(address).is_ok()
        });
        Probe { _process: process, address, _history: history }
    }

    pub(crate) fn latest(&self) -> Option<Vec<ProbedMember>> {
        let samples: Samples = http::get(self.address, "/latest");
        samples.samples.into_iter().next().map(|sample| sample.round.members)
    }

    /// All members' hashes at one revision.
    pub(crate) fn hashes(&self) -> HashRound {
        serde_json::from_slice(&http::ask(self.address, "POST", "/hash")).unwrap()
    }

    pub(crate) fn wait_until(&self, fact: &str, holds: impl Fn(&[ProbedMember]) -> bool) {
        let mut last = None;
        wait_until(&format!("{fact}: {last:?}"), Duration::from_secs(30), || {
            last = self.latest();
            last.as_deref().is_some_and(&holds)
        });
    }
}

pub(crate) fn has_quorum(member: &ProbedMember) -> bool {
    member.read.answer().is_some()
}

#[test]
fn each_member_of_a_cluster_is_asked_by_itself_and_their_data_agree() {
    let etcd = Etcd::start(3);
    let probe = Probe::start(&etcd, 3);
    probe.wait_until("all members answer", |members| members.len() == 3 && members.iter().all(has_quorum));
    let members = probe.latest().unwrap();
    let statuses: Vec<_> = members.iter().map(|member| member.status.answer().unwrap()).collect();
    let mut ids: Vec<_> = statuses.iter().map(|status| status.member_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert!(statuses.iter().all(|status| status.leader.is_some_and(|leader| ids.contains(&leader))));
    assert!(statuses.iter().all(|status| status.version == "3.6.16" && !status.learner));
    let listed = members[0].members.answer().unwrap();
    assert_eq!(listed.iter().map(|member| member.member_id).collect::<Vec<_>>(), ids);

    let hashes = probe.hashes();
    let answers: Vec<_> = hashes.members.iter().map(|member| member.hash.answer().expect("a hash")).collect();
    assert_eq!(answers.len(), 3);
    assert!(
        answers.iter().all(|answer| answer.hash == answers[0].hash && answer.revision == hashes.revision)
    );

    http::ask(probe.address, "POST", "/stop");
    let bytes = http::ask(probe.address, "GET", "/history/probe.jsonl");
    let lines = read_lines::<Line>("probe.jsonl", &bytes).unwrap().lines;
    assert!(matches!(lines.first(), Some(Line::Header(_))) && matches!(lines.last(), Some(Line::End(_))));
    assert!(lines.contains(&Line::Hash(hashes)));
}

#[test]
fn a_silent_member_delays_neither_the_rounds_nor_the_others() {
    let etcd = Etcd::start(3);
    let probe = Probe::start(&etcd, 3);
    probe.wait_until("all members answer", |members| members.len() == 3 && members.iter().all(has_quorum));
    let leader = probe.latest().unwrap()[0].status.answer().unwrap().leader.unwrap();
    let members = probe.latest().unwrap();
    let silent =
        members.iter().position(|member| member.status.answer().unwrap().member_id != leader).unwrap();
    let number = by_position(&etcd)[silent];
    etcd.signal(number, Signal::SIGSTOP);
    probe.wait_until("one member is silent and two have quorum", |members| {
        members.iter().filter(|member| has_quorum(member)).count() == 2
            && members.iter().filter(|member| matches!(member.status, Observation::Failed(_))).count() == 1
    });
    let first: Samples = http::get(probe.address, "/latest");
    wait_until("ten more rounds are over", Duration::from_secs(10), || {
        let now: Samples = http::get(probe.address, "/latest");
        now.newest >= first.newest + 10
    });
    let rounds: Samples = http::get(probe.address, &format!("/samples?since={}", first.newest));
    let starts: Vec<_> = rounds.samples.iter().map(|sample| sample.round.start).collect();
    assert!(starts.is_sorted());
    for sample in &rounds.samples {
        let answered = sample.round.members.iter().filter_map(|member| member.read.answer());
        let latest = answered.map(|read| read.at.0 - sample.round.start.0).max().unwrap_or_default();
        assert!(latest < 900_000_000, "an answer came {latest} ns after the start of its round");
    }
    etcd.signal(number, Signal::SIGCONT);
    probe.wait_until("all members answer again", |members| members.iter().all(has_quorum));
}

/// Rounds list members in the order of their addresses, which differ by port here.
fn by_position(etcd: &Etcd) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..3).collect();
    numbers.sort_by_key(|number| etcd.client(*number));
    numbers
}

#[test]
fn a_minority_answers_from_memory_but_shows_no_quorum() {
    let mut etcd = Etcd::start(3);
    let probe = Probe::start(&etcd, 3);
    probe.wait_until("all members answer", |members| members.len() == 3 && members.iter().all(has_quorum));
    etcd.kill(0);
    etcd.kill(1);
    probe.wait_until("one member answers without a quorum", |members| {
        members.iter().filter(|member| member.status.answer().is_some()).count() == 1
            && !members.iter().any(has_quorum)
            && members.iter().all(|member| member.members == Observation::NotAsked)
    });
    etcd.restart(0);
    probe.wait_until("two members have quorum", |members| {
        members.iter().filter(|member| has_quorum(member)).count() == 2
    });
}

#[test]
fn a_name_that_does_not_resolve_is_recorded() {
    let (address, history) = (free_address(), tempfile::tempdir().unwrap());
    let _process = Process::start(
        Command::new(CHAOS)
            .args(["probe", "--peers-dns", "no-such-name.invalid:2379", "--interval-milliseconds", "100"])
            .args(["--listen", &address.to_string(), "--history"])
            .arg(history.path())
            .stdout(Stdio::null()),
    );
    wait_until("the failure is recorded", Duration::from_secs(20), || {
        std::net::TcpStream::connect(address).is_ok()
            && http::get::<Samples>(address, "/latest")
                .samples
                .first()
                .is_some_and(|sample| sample.round.resolve_error.is_some())
    });
}
