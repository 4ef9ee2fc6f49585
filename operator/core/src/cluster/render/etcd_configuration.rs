//! etcd's configuration file. It is the whole of etcd's settings: the gate starts etcd with `--config-file` alone and
//! without any `ETCD_` variable. Never writes it.

use serde_json::{Map, Value, json};

use crate::api::ClientCertificates;
use crate::cluster::desired::EtcdVersion;
use crate::etcd_options::{EtcdOptions, has_gates};
use crate::gate::{ClusterState, GateConfiguration, InitialCluster, ListenFamily};
use crate::names::secrets::{PEER_CLIENT, PEER_SERVER, SERVER};
use crate::names::{
    CERTIFICATES_DIRECTORY, CLIENT_AUTHORITIES_PATH, CLIENT_PORT, DATA_DIRECTORY, Endpoint, METRICS_PORT,
    PEER_AUTHORITIES_PATH, PEER_COMMON_NAME, Scheme,
};
use crate::tls::MemberTls;

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
    let tls = gate.tls.as_ref();
    let plain: &[Scheme] = &[Scheme::Http];
    let schemes = tls.map_or(plain, |tls| tls.serves.schemes());
    // The first, so that clients that were told of plain text find it for as long as it is served.
    let mut advertised = schemes
        .iter()
        .take(1)
        .map(|scheme| gate.cluster.client_url(*scheme, &gate.member))
        .collect::<Vec<_>>();
    let own = initial.members.iter().find(|member| member.name == gate.member);
    let own_peer_url = own.map_or_else(|| gate.own_peer_url(), |own| own.peer_url.clone());
    let further = gate.options.advertised_client_urls.iter();
    advertised.extend(further.map(|url| url.replace("{member}", gate.member.as_str())));
    let mut configuration = json!({
        "name": gate.member,
        "data-dir": DATA_DIRECTORY,
        "listen-client-urls": listen_urls(listen, schemes, |_| CLIENT_PORT),
        "advertise-client-urls": advertised.join(","),
        "listen-peer-urls": listen_urls(listen, schemes, Scheme::peer_port),
        "initial-advertise-peer-urls": own_peer_url,
        "listen-metrics-urls": listen_urls(listen, plain, |_| METRICS_PORT),
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
        all.extend(tls.map(transport_security).unwrap_or_default());
    }
    configuration
}

/// Every address of the pod, in the families that it has, by each scheme.
fn listen_urls(listen: &ListenFamily, schemes: &[Scheme], port: impl Fn(Scheme) -> u16) -> String {
    let addresses: Vec<String> = match listen {
        ListenFamily::DualStack => vec!["::".to_owned()],
        ListenFamily::Ipv4 => vec!["0.0.0.0".to_owned()],
        ListenFamily::Ipv6(addresses) => addresses.iter().map(ToString::to_string).collect(),
    };
    let url = |scheme: Scheme, address: &String| {
        Endpoint { scheme, address: address.clone(), port: port(scheme) }.to_string()
    };
    let urls = schemes.iter().flat_map(|scheme| addresses.iter().map(move |address| (*scheme, address)));
    urls.map(|(scheme, address)| url(scheme, address)).collect::<Vec<_>>().join(",")
}

/// Where etcd finds certificates, keys and authorities (`securityConfig` in `server/embed/config.go`). Peers know each other by their common
/// name: what they show bears no names, which etcd would look up in the DNS.
fn transport_security(tls: &MemberTls) -> Map<String, Value> {
    let at = |entry: &str| format!("{CERTIFICATES_DIRECTORY}/{entry}");
    let mut clients = json!({ "cert-file": at(SERVER.certificate), "key-file": at(SERVER.key) });
    match tls.client_certificates {
        ClientCertificates::Required => {
            clients["client-cert-auth"] = true.into();
            clients["trusted-ca-file"] = CLIENT_AUTHORITIES_PATH.into();
        }
        ClientCertificates::Optional => {}
    }
    let peers = json!({
        "cert-file": at(PEER_SERVER.certificate),
        "key-file": at(PEER_SERVER.key),
        "client-cert-file": at(PEER_CLIENT.certificate),
        "client-key-file": at(PEER_CLIENT.key),
        "client-cert-auth": true,
        "trusted-ca-file": PEER_AUTHORITIES_PATH,
        "allowed-cn": [PEER_COMMON_NAME],
    });
    [("client-transport-security", clients), ("peer-transport-security", peers)]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
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
