//! etcd's configuration file. It is the whole of etcd's settings: the gate starts etcd with `--config-file` alone and
//! without any `ETCD_` variable. Never writes it.

use serde_json::{Map, Value, json};

use crate::cluster::desired::EtcdVersion;
use crate::etcd_options::{EtcdOptions, has_gates};
use crate::gate::{ClusterState, GateConfiguration, InitialCluster, ListenFamily};
use crate::names::{CLIENT_PORT, DATA_DIRECTORY, METRICS_PORT, PEER_PORT};

/// The configuration, to be written as JSON, which is YAML too.
pub fn etcd_configuration(
    gate: &GateConfiguration,
    initial: &InitialCluster,
    listen: &ListenFamily,
) -> Value {
    let members = initial.members.iter().map(|member| format!("{}={}", member.name, member.peer_url));
    let state = match initial.state {
        ClusterState::New => "new",
        ClusterState::Existing => "existing",
    };
    let mut advertised = vec![gate.cluster.client_url(&gate.member)];
    let further = gate.options.advertised_client_urls.iter();
    advertised.extend(further.map(|url| url.replace("{member}", gate.member.as_str())));
    let mut configuration = json!({
        "name": gate.member,
        "data-dir": DATA_DIRECTORY,
        "listen-client-urls": listen_urls(listen, CLIENT_PORT),
        "advertise-client-urls": advertised.join(","),
        "listen-peer-urls": listen_urls(listen, PEER_PORT),
        "initial-advertise-peer-urls": gate.cluster.peer_url(&gate.member),
        "listen-metrics-urls": listen_urls(listen, METRICS_PORT),
        "initial-cluster": members.collect::<Vec<_>>().join(","),
        "initial-cluster-state": state,
        "initial-cluster-token": initial.token,
        // The operator asks before each change whether the others can bear it; etcd asks once more.
        "strict-reconfig-check": true,
        "logger": "zap",
        "log-outputs": ["stderr"],
    });
    if let Some(bytes) = gate.quota_backend_bytes {
        configuration["quota-backend-bytes"] = bytes.into();
    }
    // A version that cannot be read is as later ones are.
    let version = EtcdVersion::parse(&gate.etcd_version).unwrap_or(LATEST);
    if let Value::Object(all) = &mut configuration {
        for (key, value) in gate.options.configuration(version) {
            // What is the operator's own stays so.
            all.entry(key).or_insert(value);
        }
        all.extend(gates(&gate.options, version));
    }
    configuration
}

/// Every address of the pod, in the families that it has.
fn listen_urls(listen: &ListenFamily, port: u16) -> String {
    match listen {
        ListenFamily::DualStack => format!("http://[::]:{port}"),
        ListenFamily::Ipv4 => format!("http://0.0.0.0:{port}"),
        ListenFamily::Ipv6(addresses) => {
            let urls = addresses.iter().map(|address| format!("http://[{address}]:{port}"));
            urls.collect::<Vec<_>>().join(",")
        }
    }
}

/// The newest minor that is known.
const LATEST: EtcdVersion = EtcdVersion { major: 3, minor: 7, patch: 0 };

/// etcd compares hashes with its peers when it starts and when it compacts
/// (<https://etcd.io/docs/v3.6/op-guide/data_corruption/>). The keys moved to feature gates in 3.6, beside those that the spec sets.
fn gates(options: &EtcdOptions, version: EtcdVersion) -> Map<String, Value> {
    let checks = if has_gates(version) {
        let checks = ["InitialCorruptCheck=true", "CompactHashCheck=true"].map(str::to_owned);
        let gates = [checks.to_vec(), options.gates(version)].concat().join(",");
        json!({ "feature-gates": gates })
    } else {
        json!({
            "experimental-initial-corrupt-check": true,
            "experimental-compact-hash-check-enabled": true,
        })
    };
    match checks {
        Value::Object(checks) => checks,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
