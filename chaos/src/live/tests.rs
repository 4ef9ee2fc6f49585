//! What the board concludes from what watchers have put on it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::board::Board;
use crate::history::MemberId;
use crate::load::Progress;
use crate::targeting::{MemberPod, SeenMember};

fn voter(number: u8) -> SeenMember {
    let name = format!("etcd-{number}");
    let pod = MemberPod {
        member: name.clone(),
        pod: format!("{name}-0"),
        uid: format!("uid-{number}"),
        address: Some(Ipv4Addr::new(10, 0, 0, number)),
        ready: true,
        terminating: false,
    };
    SeenMember { id: MemberId(u64::from(number)), name, learner: false, answers: true, pod: Some(pod) }
}

fn asked(numbers: &[u8]) -> Progress {
    let addresses = numbers.iter().map(|number| IpAddr::V4(Ipv4Addr::new(10, 0, 0, *number)));
    Progress { asked_members: addresses.collect::<BTreeSet<_>>(), ..Progress::default() }
}

#[test]
fn a_voter_is_asked_once_a_client_has_its_address() {
    let mut board = Board::new(2);
    board.view.members = vec![voter(1), voter(2)];
    assert!(!board.is_asked(&voter(1)), "nothing is known of the load");
    board.progress = Some(asked(&[2]));
    assert!(board.is_asked(&voter(2)) && !board.is_asked(&voter(1)));
    assert!(!board.every_voter_is_asked());
    board.progress = Some(asked(&[1, 2]));
    assert!(board.every_voter_is_asked());
}

#[test]
fn nobody_asks_a_voter_whose_pod_is_gone() {
    let mut board = Board::new(1);
    board.progress = Some(asked(&[1]));
    board.view.members = vec![SeenMember { pod: None, ..voter(1) }];
    assert!(!board.every_voter_is_asked());
}
