//! The choices of clients, and how errors are sorted.

use super::choice::Chooser;
use super::configuration::{Configuration, ConfigurationError, Mix};
use crate::history::{
    Acknowledgement, Call, ClientId, ClusterId, Expected, MemberId, Outcome, Reply, Revision, Value,
};

fn configuration(seed: u64) -> Configuration {
    Configuration {
        endpoint: "http://127.0.0.1:2379".to_owned(),
        endpoints_dns: None,
        seed,
        clients: 3,
        pinned_clients: 0,
        calls_per_second_per_client: 10.0,
        keys: 8,
        prefix: "chaos/load/".to_owned(),
        value_bytes: 40,
        mix: Mix::default(),
        call_limit_milliseconds: 1000,
        tls: None,
    }
}

fn with_tls() -> Configuration {
    let tls = r#"{"directory":"/tls","serverName":"demo.namespace.svc"}"#.parse().unwrap();
    let endpoint = "https://demo.namespace.svc:2379".to_owned();
    Configuration { endpoint, tls: Some(tls), ..configuration(1) }
}

fn calls(seed: u64, client: u32) -> Vec<Call> {
    let mut chooser = Chooser::new(&configuration(seed), ClientId(client));
    (0..200).map(|_| chooser.next_call().1).collect()
}

fn values(calls: &[Call]) -> Vec<Value> {
    let of = |call: &Call| match call {
        Call::Put { value, .. } => vec![value.clone()],
        Call::Get { .. } => Vec::new(),
        Call::Transaction(call) => call.puts.iter().map(|(_, value)| value.clone()).collect(),
    };
    calls.iter().flat_map(of).collect()
}

#[test]
fn one_seed_gives_each_client_its_own_calls_and_gives_them_again() {
    assert_eq!(calls(1, 0), calls(1, 0));
    assert_ne!(calls(1, 0), calls(1, 1));
    assert_ne!(calls(1, 0), calls(2, 0));
}

#[test]
fn no_value_is_written_twice_in_a_run() {
    let all: Vec<Value> = (0..3).flat_map(|client| values(&calls(1, client))).collect();
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert!(all.len() > 300);
}

#[test]
fn every_kind_of_call_is_made_and_a_transaction_writes_each_key_once() {
    let calls = calls(7, 0);
    assert!(calls.iter().any(|call| matches!(call, Call::Put { .. })));
    assert!(calls.iter().any(|call| matches!(call, Call::Get { .. })));
    let mut sizes = std::collections::BTreeSet::new();
    for call in &calls {
        let Call::Transaction(call) = call else { continue };
        let keys: std::collections::BTreeSet<_> = call.puts.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), call.puts.len());
        sizes.insert(keys.len());
    }
    assert_eq!(Vec::from_iter(sizes), [1, 2, 3]);
}

#[test]
fn a_comparison_builds_on_the_last_answer_about_its_key() {
    let only_swaps = Mix { put: 0, get: 0, compare_and_swap: 1, multiple_keys: 0 };
    let configuration = Configuration { mix: only_swaps, ..configuration(1) };
    let mut chooser = Chooser::new(&configuration, ClientId(0));
    let (_, first) = chooser.next_call();
    let Call::Transaction(written) = &first else { panic!("{first:?}") };
    assert_eq!(written.comparisons[0].expected, Expected::Absent);
    let acknowledged = Outcome::Acknowledged(Acknowledgement {
        revision: Revision(9),
        cluster_id: ClusterId(1),
        member_id: MemberId(1),
        reply: Reply::Transaction { succeeded: true, found: Vec::new() },
    });
    chooser.learn(&first, &acknowledged);
    let again = std::iter::repeat_with(|| chooser.next_call().1).take(500).find_map(|call| match call {
        Call::Transaction(call) if call.puts[0].0 == written.puts[0].0 => Some(call),
        _ => None,
    });
    let expected = again.expect("the key is drawn again").comparisons[0].expected.clone();
    assert_eq!(expected, Expected::ModifiedAt { revision: Revision(9) });
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_by_its_field() {
    assert_eq!(configuration(1).check(), Ok(()));
    let refused = |change: fn(&mut Configuration)| {
        let mut configuration = configuration(1);
        change(&mut configuration);
        configuration.check().unwrap_err()
    };
    assert_eq!(refused(|found| found.prefix = "no-dash/".to_owned()), ConfigurationError::Prefix);
    assert_eq!(refused(|found| found.endpoint = "host:1".to_owned()), ConfigurationError::Endpoint);
    let field = |error| match error {
        ConfigurationError::Number { field, .. } => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(refused(|found| found.clients = 0)), "clients");
    assert_eq!(field(refused(|found| found.calls_per_second_per_client = 0.0)), "callsPerSecondPerClient");
    assert_eq!(
        field(refused(|found| found.mix = Mix { put: 0, get: 0, compare_and_swap: 0, multiple_keys: 0 })),
        "mix"
    );
}

#[test]
fn an_endpoint_says_whether_tls_is_spoken() {
    assert_eq!(with_tls().check(), Ok(()));
    assert_eq!(with_tls().service(), Some("demo.namespace.svc:2379"));
    assert_eq!(configuration(1).service(), Some("127.0.0.1:2379"));
    for mismatch in
        [Configuration { tls: None, ..with_tls() }, Configuration { tls: with_tls().tls, ..configuration(1) }]
    {
        assert_eq!(mismatch.check(), Err(ConfigurationError::Endpoint), "{mismatch:?}");
    }
}

#[test]
fn a_configuration_reads_back_and_says_nothing_of_tls_where_there_is_none() {
    let plain = serde_json::to_value(configuration(1)).unwrap();
    assert_eq!(plain.get("tls"), None);
    for written in [configuration(1), with_tls()] {
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(serde_json::from_str::<Configuration>(&text).unwrap(), written);
    }
}
