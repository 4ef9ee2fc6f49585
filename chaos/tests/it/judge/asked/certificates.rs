//! Damaged certificates: whoever connected was shown the damage, and the operator put others in their place.

use chaos::checker::{Rule, Verdict};
use chaos::record::{CertificateEntry, Handshake, ObjectIdentity, Proof, Refusal};

use super::super::model::MEMBERS;
use super::tale::{BEGIN, Member, Tale};
use super::{Case, SEEN, case};

const EXPIRED: &str = "kind: certificate, damage: expired, target: follower, for: 1s";
/// A follower while the model's run comes to its end.
const TARGET: Member = MEMBERS[2];
const OPERATOR: Member = ("etcd-operator", 0, "");
const PORTS: [u16; 2] = [2379, 2382];

pub(super) const CASES: &[Case] = &[
    case("The damage was shown and repaired.", EXPIRED, Verdict::Pass, &[], |tale| {
        damaged(tale, TARGET);
        felt(tale, Some(Refusal::Expired));
        repaired(tale, "etcd-operator", "180", None);
    }),
    case("Nobody was shown the damage.", EXPIRED, Verdict::Invalid, &[Rule::FaultProved], |tale| {
        damaged(tale, TARGET);
        repaired(tale, "etcd-operator", "180", None);
    }),
    case("The damage was accepted.", EXPIRED, Verdict::Invalid, &[Rule::FaultProved], |tale| {
        damaged(tale, TARGET);
        felt(tale, None);
        repaired(tale, "etcd-operator", "180", None);
    }),
    case("Another damage was shown.", EXPIRED, Verdict::Invalid, &[Rule::FaultProved], |tale| {
        damaged(tale, TARGET);
        felt(tale, Some(Refusal::OtherName));
        repaired(tale, "etcd-operator", "180", None);
    }),
    case(
        "Another member's Secret was damaged.",
        EXPIRED,
        Verdict::Invalid,
        &[Rule::FaultAsPlanned],
        |tale| {
            damaged(tale, MEMBERS[0]);
            felt(tale, Some(Refusal::Expired));
            repaired(tale, "etcd-operator", "180", None);
        },
    ),
    case("Somebody else repaired it.", EXPIRED, Verdict::Fail, &[Rule::DriftRepaired], |tale| {
        damaged(tale, TARGET);
        felt(tale, Some(Refusal::Expired));
        repaired(tale, "kubectl", "180", None);
    }),
    case(
        "The repair is no later than the damage.",
        EXPIRED,
        Verdict::Invalid,
        &[Rule::DriftRepaired],
        |tale| {
            damaged(tale, TARGET);
            felt(tale, Some(Refusal::Expired));
            repaired(tale, "etcd-operator", "169", None);
        },
    ),
    case("What was put in its place is refused.", EXPIRED, Verdict::Fail, &[Rule::DriftRepaired], |tale| {
        damaged(tale, TARGET);
        felt(tale, Some(Refusal::Expired));
        repaired(tale, "etcd-operator", "180", Some(Refusal::UnknownAuthority));
    }),
    case("It was never repaired.", EXPIRED, Verdict::Fail, &[Rule::DriftRepaired], |tale| {
        damaged(tale, TARGET);
        felt(tale, Some(Refusal::Expired));
        let proof = Proof::CertificateStillBroken { secret: secret(TARGET), watched_milliseconds: 60_000 };
        tale.proof(SEEN, Some(TARGET), proof);
    }),
    case("Nobody looked for a repair.", EXPIRED, Verdict::Invalid, &[Rule::DriftRepaired], |tale| {
        damaged(tale, TARGET);
        felt(tale, Some(Refusal::Expired));
    }),
];

fn secret(member: Member) -> ObjectIdentity {
    ObjectIdentity { name: format!("{}-tls", member.0), uid: "uid-secret".to_owned() }
}

fn entries(serial: &str) -> Vec<CertificateEntry> {
    let entry =
        |port| CertificateEntry { entry: format!("{port}.crt"), port, serial: Some(serial.to_owned()) };
    PORTS.map(entry).to_vec()
}

fn handshakes(serial: &str, refusal: Option<&Refusal>) -> Vec<Handshake> {
    let handshake = |port| Handshake { port, serial: Some(serial.to_owned()), refusal: refusal.cloned() };
    PORTS.map(handshake).to_vec()
}

/// The operator stands still, and a member's Secret holds other certificates.
fn damaged(tale: &mut Tale, member: Member) {
    tale.injected(Some(TARGET), 1_000);
    let damaged = Proof::CertificateDamaged {
        secret: secret(member),
        resource_version: "170".to_owned(),
        before: entries("01"),
        after: entries("02"),
    };
    tale.proof(BEGIN + 40, Some(TARGET), damaged);
    tale.proof(BEGIN + 1_040, Some(OPERATOR), Proof::Stopped { stopped: 9, threads: 9 });
    tale.proof(BEGIN + 1_045, Some(OPERATOR), Proof::Resumed { stopped: 0 });
}

fn felt(tale: &mut Tale, refusal: Option<Refusal>) {
    // One that is accepted is the one from before.
    let serial = if refusal.is_some() { "02" } else { "01" };
    let (before, during) = (handshakes("01", None), handshakes(serial, refusal.as_ref()));
    tale.proof(BEGIN + 300, Some(TARGET), Proof::CertificateFelt { before, during });
}

fn repaired(tale: &mut Tale, manager: &str, resource_version: &str, refusal: Option<Refusal>) {
    let repaired = Proof::CertificateRepaired {
        secret: secret(TARGET),
        resource_version: resource_version.to_owned(),
        manager: manager.to_owned(),
        certificates: entries("03"),
        handshakes: handshakes("03", refusal.as_ref()),
    };
    tale.proof(SEEN, Some(TARGET), repaired);
}
