//! Which requests are refused, and what goes over the wire.

use super::*;

fn partition() -> PartitionFault {
    PartitionFault {
        peers: vec!["10.244.0.5:2380".parse().unwrap()],
        direction: Direction::Inbound,
        ports: vec![],
        uncut: vec!["10.96.0.1:443".parse().unwrap()],
        duration_milliseconds: 3000,
    }
}

fn refusal(fault: AgentFault) -> RequestError {
    AgentRequest::new(fault).check().unwrap_err()
}

#[test]
fn a_request_goes_over_the_wire_in_words_and_comes_back_as_it_was() {
    let request = AgentRequest::new(AgentFault::Partition(partition()));
    let text = serde_json::to_string(&request).unwrap();
    assert_eq!(
        text,
        r#"{"format":1,"fault":{"kind":"partition","peers":["10.244.0.5:2380"],"direction":"inbound","uncut":["10.96.0.1:443"],"durationMilliseconds":3000}}"#
    );
    assert_eq!(serde_json::from_str::<AgentRequest>(&text).unwrap(), request);
    assert_eq!(request.check(), Ok(()));
}

#[test]
fn an_unknown_field_is_refused() {
    let text = r#"{"format":1,"fault":{"kind":"pause","durationMilliseconds":900,"surprise":1}}"#;
    let error = serde_json::from_str::<AgentRequest>(text).unwrap_err();
    assert!(error.to_string().contains("surprise"), "{error}");
}

#[test]
fn a_request_of_another_format_is_refused() {
    let request = AgentRequest { format: 2, fault: AgentFault::Kill };
    assert_eq!(request.check(), Err(RequestError::Format { found: 2 }));
}

#[test]
fn a_partition_that_could_not_be_proved_is_refused() {
    let peer = partition().peers[0];
    let refused = |change: fn(&mut PartitionFault)| {
        let mut fault = partition();
        change(&mut fault);
        refusal(AgentFault::Partition(fault))
    };
    assert_eq!(refused(|fault| fault.peers.clear()), RequestError::NoPeers);
    assert_eq!(
        refused(|fault| fault.uncut = fault.peers.clone()),
        RequestError::CutAndUncut { address: *peer.ip() }
    );
    assert_eq!(refused(|fault| fault.ports = vec![2379]), RequestError::ProofPortOpen { peer });
    assert_eq!(refused(|fault| fault.duration_milliseconds = 10), RequestError::Duration { found: 10 });
}

#[test]
fn only_a_plain_absolute_path_is_wiped() {
    for path in ["/", "data", "/var/../etc", ""] {
        let fault = WipeFault { path: path.into(), then_kill: false };
        assert_eq!(refusal(AgentFault::Wipe(fault)), RequestError::Path { path: path.into() });
    }
}

#[test]
fn a_text_is_written_over_with_another_of_its_length() {
    let refused = |old: &str, new: &str| {
        let fault = SpoilFault { path: "/data/db".into(), old: old.to_owned(), new: new.to_owned() };
        refusal(AgentFault::Spoil(fault))
    };
    for (old, new) in [("right", "wrongly"), ("right", ""), ("", ""), ("same", "same")] {
        assert_eq!(refused(old, new), RequestError::Texts { old: old.to_owned(), new: new.to_owned() });
    }
    let fault = SpoilFault { path: "data/db".into(), old: "a".to_owned(), new: "b".to_owned() };
    assert_eq!(refusal(AgentFault::Spoil(fault)), RequestError::Path { path: "data/db".into() });
}
