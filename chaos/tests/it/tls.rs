//! Load and probe against real etcd that speaks TLS: by certificates that are renewed meanwhile, and while TLS is switched on and off.

use std::path::PathBuf;
use std::time::Duration;

use chaos::history::Outcome;
use chaos::in_pod::{Tls, TlsMode};
use chaos::load::{Configuration, StateReport};
use sandbox::certificates::{authority, sign_client, sign_server};

use crate::load::{Load, check_ledger, configuration};
use crate::probe::{Probe, has_quorum};
use crate::support::etcd::{Etcd, Spoken};
use crate::support::wait_until;

/// In certificates of servers instead of an address.
const SERVER_NAME: &str = "demo.namespace.svc";

/// The files of a server, and those of clients as a Secret shows them to a pod.
struct Credentials(tempfile::TempDir);

impl Credentials {
    fn make() -> Credentials {
        let credentials = Credentials(tempfile::tempdir().unwrap());
        std::fs::create_dir(credentials.server()).unwrap();
        std::fs::create_dir(credentials.client()).unwrap();
        credentials
    }

    fn server(&self) -> PathBuf {
        self.0.path().join("server")
    }

    fn client(&self) -> PathBuf {
        self.0.path().join("client")
    }

    /// Certificates of an authority that nobody has trusted before, in place of those that were there.
    fn sign(&self) {
        let authority = authority("etcd").unwrap();
        let server = sign_server(&authority, "etcd", &[], &[SERVER_NAME]).unwrap();
        let client = sign_client(&authority, "chaos", None).unwrap();
        for (directory, (certificate, key)) in [(self.server(), server), (self.client(), client)] {
            let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
            write("ca.crt", authority.pem());
            write("tls.crt", certificate.pem());
            write("tls.key", key.serialize_pem());
        }
    }

    /// One member that asks clients for a certificate of the authority.
    fn etcd(&self, spoken: Spoken) -> Etcd {
        let file = |option: &str, name: &str| format!("--{option}={}", self.server().join(name).display());
        let files =
            [file("cert-file", "tls.crt"), file("key-file", "tls.key"), file("trusted-ca-file", "ca.crt")];
        let mut arguments: Vec<&str> = files.iter().map(String::as_str).collect();
        arguments.push("--client-cert-auth");
        Etcd::start_speaking(spoken, 1, &arguments)
    }

    fn tls(&self, mode: TlsMode) -> Tls {
        Tls { directory: self.client(), server_name: SERVER_NAME.to_owned(), mode }
    }
}

fn load(etcd: &Etcd, tls: Tls) -> Load {
    let address = etcd.client(0).to_string();
    let plain = configuration(format!("https://{address}"), Some(address));
    Load::start_with(&Configuration { tls: Some(tls), ..plain })
}

fn probe(etcd: &Etcd, tls: &Tls) -> Probe {
    Probe::start_with(etcd, 1, &["--tls", &serde_json::to_string(tls).unwrap()])
}

fn answers(probe: &Probe) {
    probe.wait_until("the member answers", |members| members.len() == 1 && members.iter().all(has_quorum));
}

/// Stops the load; what it was told is acknowledged is in the log.
fn ends_well(load: &Load) {
    let state = load.stop();
    assert!(matches!(state, StateReport::Done { .. }), "{state:?}");
    check_ledger(&load.operations(), &load.committed());
}

#[test]
fn a_cluster_that_asks_for_certificates_is_written_dumped_and_probed() {
    let credentials = Credentials::make();
    credentials.sign();
    let etcd = credentials.etcd(Spoken::Tls);
    let tls = credentials.tls(TlsMode::Always);
    let (load, probe) = (load(&etcd, tls.clone()), probe(&etcd, &tls));
    load.wait_for_writes(100);
    answers(&probe);
    assert!(probe.hashes().members[0].hash.answer().is_some());
    assert_eq!(load.progress().failed, 0, "{:?}", load.progress());
    ends_well(&load);
}

#[test]
fn another_authority_and_other_certificates_are_followed_without_a_restart() {
    let credentials = Credentials::make();
    credentials.sign();
    let mut etcd = credentials.etcd(Spoken::Tls);
    let tls = credentials.tls(TlsMode::Always);
    let (load, probe) = (load(&etcd, tls.clone()), probe(&etcd, &tls));
    load.wait_for_writes(50);
    answers(&probe);
    etcd.kill(0);
    credentials.sign();
    etcd.restart(0);
    load.wait_for_writes(100);
    answers(&probe);
    ends_well(&load);
}

#[test]
fn a_missing_file_makes_calls_fail_by_its_path_until_it_is_back() {
    let credentials = Credentials::make();
    credentials.sign();
    let etcd = credentials.etcd(Spoken::Tls);
    let load = load(&etcd, credentials.tls(TlsMode::Always));
    load.wait_for_writes(50);
    let (there, away) = (credentials.client().join("tls.key"), credentials.client().join("away"));
    std::fs::rename(&there, &away).unwrap();
    let said = format!("failed to read {}", there.display());
    let is_said = |error: &str| error.contains(&said);
    wait_until("clients of the Service fail", Duration::from_secs(10), || {
        load.progress().last_error.as_deref().is_some_and(is_said)
    });
    std::fs::rename(&away, &there).unwrap();
    load.wait_for_writes(50);
    ends_well(&load);
    let is_unknown = |outcome: &Outcome| matches!(outcome, Outcome::Unknown { error } if is_said(error));
    assert!(!load.operations().iter().any(|operation| is_unknown(&operation.outcome)), "nothing was sent");
}

#[test]
fn who_follows_goes_on_while_tls_is_switched_on_and_off_again() {
    let credentials = Credentials::make();
    let take_from_clients = || std::fs::remove_file(credentials.client().join("tls.crt")).unwrap();
    credentials.sign();
    take_from_clients();
    let mut etcd = credentials.etcd(Spoken::PlainText);
    let tls = credentials.tls(TlsMode::Follow);
    let (load, probe) = (load(&etcd, tls.clone()), probe(&etcd, &tls));
    let goes_on = |phase: &str| {
        eprintln!("{phase}");
        load.wait_for_writes(100);
        answers(&probe);
    };
    goes_on("plain text, and no certificate");
    for (phase, spoken) in [
        ("plain text beside TLS", Spoken::Both),
        ("TLS alone", Spoken::Tls),
        ("TLS beside plain text", Spoken::Both),
        ("plain text alone", Spoken::PlainText),
    ] {
        etcd.kill(0);
        if matches!(spoken, Spoken::Both) {
            credentials.sign();
        }
        etcd.will_speak(spoken);
        etcd.restart(0);
        goes_on(phase);
    }
    take_from_clients();
    goes_on("plain text, and the certificate is gone");
    ends_well(&load);
}

#[test]
fn who_always_speaks_tls_never_falls_back_to_plain_text() {
    let credentials = Credentials::make();
    credentials.sign();
    let mut etcd = credentials.etcd(Spoken::Tls);
    let tls = credentials.tls(TlsMode::Always);
    let (load, probe) = (load(&etcd, tls.clone()), probe(&etcd, &tls));
    load.wait_for_writes(50);
    answers(&probe);
    etcd.kill(0);
    etcd.will_speak(Spoken::PlainText);
    etcd.restart(0);
    let written = load.progress().acknowledged_writes;
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(load.progress().acknowledged_writes, written, "{:?}", load.progress());
    assert!(!probe.latest().unwrap().iter().any(has_quorum));
}
