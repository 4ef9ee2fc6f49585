//! What is read out of answers, and which rounds are kept.

use super::questions::alarms;
use super::samples::Window;
use crate::history::{AlarmKind, Elapsed, Header, ProbeRound, UnixNanoseconds, Writer};

fn round(start: u64) -> ProbeRound {
    ProbeRound {
        number: None,
        start: Elapsed(start),
        end: Elapsed(start + 1),
        members: Vec::new(),
        resolve_error: None,
    }
}

#[test]
fn alarms_are_told_from_other_errors() {
    let errors = ["memberID:8211 alarm:NOSPACE ", "etcdserver: no leader", "memberID:1 alarm:CORRUPT"];
    let found = alarms(&errors.map(str::to_owned));
    assert_eq!(Vec::from_iter(found), [AlarmKind::NoSpace, AlarmKind::Corrupt]);
}

#[test]
fn rounds_are_told_once_to_those_who_ask_with_the_last_number() {
    let header = Header::new(Writer::Probe, UnixNanoseconds(5), "");
    let mut window = Window::default();
    assert_eq!(window.latest(&header).samples, []);
    (0..5).for_each(|start| window.add(round(start)));
    let first = window.since(&header, 0);
    assert_eq!((first.samples.len(), first.newest), (5, 5));
    window.add(round(9));
    let second = window.since(&header, first.newest);
    assert_eq!(second.samples.iter().map(|sample| sample.number).collect::<Vec<_>>(), [6]);
    assert_eq!(window.latest(&header), second);
}
