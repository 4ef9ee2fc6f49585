//! Tests of what is believed about damaged certificates.

use super::*;
use crate::record::ObjectIdentity;

const PORTS: [u16; 2] = [2379, 2382];

fn identity(uid: &str) -> ObjectIdentity {
    ObjectIdentity { name: "c-abcde-tls".into(), uid: uid.into() }
}

fn entries(serial: Option<&str>) -> Vec<CertificateEntry> {
    let entry =
        |port| CertificateEntry { entry: format!("{port}.crt"), port, serial: serial.map(str::to_owned) };
    PORTS.map(entry).to_vec()
}

fn handshakes(serial: Option<&str>, refusal: Option<Refusal>) -> Vec<Handshake> {
    let handshake = |port| Handshake { port, serial: serial.map(str::to_owned), refusal: refusal.clone() };
    PORTS.map(handshake).to_vec()
}

fn damaged(after: Vec<CertificateEntry>) -> Proof {
    let (secret, before) = (identity("a"), entries(Some("01")));
    Proof::CertificateDamaged { secret, resource_version: "5".into(), before, after }
}

fn felt(before: Vec<Handshake>, during: Vec<Handshake>) -> Proof {
    Proof::CertificateFelt { before, during }
}

fn good_before(during: Vec<Handshake>) -> Proof {
    felt(handshakes(Some("01"), None), during)
}

fn other() -> Option<Refusal> {
    Some(Refusal::Other { said: "received fatal alert: InternalError".into() })
}

fn is_believed(damage: CertificateDamage, proofs: &[Proof]) -> bool {
    of_effect(damage, &proofs.iter().collect::<Vec<_>>()).is_ok()
}

#[test]
fn each_damage_is_proved_by_what_it_makes_of_a_handshake() {
    let replaced = || damaged(entries(Some("02")));
    let refused = |refusal| good_before(handshakes(Some("02"), Some(refusal)));
    for (damage, secret, during) in [
        (CertificateDamage::Expired, replaced(), refused(Refusal::Expired)),
        (CertificateDamage::WrongAuthority, replaced(), refused(Refusal::UnknownAuthority)),
        (CertificateDamage::WrongName, replaced(), refused(Refusal::OtherName)),
        (CertificateDamage::Truncated, damaged(entries(None)), good_before(handshakes(None, other()))),
        (CertificateDamage::Swapped, replaced(), good_before(handshakes(Some("02"), None))),
    ] {
        assert!(is_believed(damage, &[secret.clone(), during.clone()]), "{damage} was not believed");
        assert!(!is_believed(damage, std::slice::from_ref(&secret)), "{damage}: nothing was felt");
        assert!(!is_believed(damage, std::slice::from_ref(&during)), "{damage}: no Secret was damaged");
        let untouched = damaged(entries(Some("01")));
        assert!(!is_believed(damage, &[untouched, during]), "{damage}: the Secret holds what it held before");
        let as_before = good_before(handshakes(Some("01"), None));
        assert!(!is_believed(damage, &[secret.clone(), as_before]), "{damage}: all is as before");
        let elsewhere = good_before(handshakes(Some("03"), Some(Refusal::Expired)));
        assert!(!is_believed(damage, &[secret, elsewhere]), "{damage}: another certificate was shown");
    }
}

#[test]
fn a_damage_counts_only_where_both_ports_were_good_before_and_both_show_it() {
    let secret = damaged(entries(Some("02")));
    let during = handshakes(Some("02"), Some(Refusal::Expired));
    let believed = |felt: Proof| is_believed(CertificateDamage::Expired, &[secret.clone(), felt]);
    assert!(believed(good_before(during.clone())));
    assert!(!believed(good_before(during[..1].to_vec())));
    assert!(!believed(felt(handshakes(Some("01"), None)[..1].to_vec(), during.clone())));
    assert!(!believed(felt(handshakes(Some("01"), Some(Refusal::Expired)), during.clone())));
    assert!(!believed(felt(handshakes(Some("00"), None), during)));
    let by_another_reason = handshakes(Some("02"), Some(Refusal::OtherName));
    assert!(!believed(good_before(by_another_reason)));
}

#[test]
fn a_deleted_secret_is_felt_by_the_pod_that_cannot_start() {
    let gone = damaged(Vec::new());
    let pod = |uid: &str| ObjectIdentity { name: "c-abcde-0".into(), uid: uid.into() };
    let replaced = |after: &str| Proof::PodReplaced { before: pod("a"), after: pod(after) };
    let hindered = |uid: &str| Proof::StartHindered { pod: pod(uid), note: "not found".into() };
    let believed = |proofs: &[Proof]| is_believed(CertificateDamage::Deleted, proofs);
    assert!(believed(&[gone.clone(), replaced("b"), hindered("b")]));
    assert!(!believed(&[gone.clone(), replaced("b")]));
    assert!(!believed(&[gone.clone(), hindered("b")]));
    assert!(!believed(&[gone.clone(), replaced("a"), hindered("a")]), "the same pod");
    assert!(!believed(&[gone, replaced("b"), hindered("c")]), "another pod");
    assert!(!believed(&[damaged(entries(None)), replaced("b"), hindered("b")]), "the Secret was there");
}

#[test]
fn a_repair_is_the_operators_and_shows_at_every_port() {
    let wrong = |manager: &str, certificates: &[CertificateEntry], handshakes: &[Handshake]| {
        not_repaired(manager, &entries(Some("02")), certificates, handshakes).is_some()
    };
    let (new, shown) = (entries(Some("03")), handshakes(Some("03"), None));
    assert!(!wrong("etcd-operator", &new, &shown));
    assert!(wrong("chaos", &new, &shown));
    assert!(wrong("etcd-operator", &entries(Some("02")), &handshakes(Some("02"), None)));
    assert!(wrong("etcd-operator", &new, &shown[..1]));
    assert!(wrong("etcd-operator", &new, &handshakes(Some("03"), Some(Refusal::Expired))));
    assert!(wrong("etcd-operator", &new, &handshakes(Some("04"), None)));
    assert!(wrong("etcd-operator", &[], &shown));
}
