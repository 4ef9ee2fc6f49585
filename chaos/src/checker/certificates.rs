//! Rules about damaged certificates: whoever connected was shown the damage, and the operator put others in their place. Pure; one arm for
//! each damage.

use super::evidence::{Lack, first, pod_replaced};
use super::faults::{OPERATOR, in_order};
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::timeline::Story;
use crate::record::{CertificateEntry, Handshake, Proof, Refusal};
use crate::scenario::{CertificateDamage, Fault};

/// What proves that certificates were damaged, and that it was felt.
pub(super) fn of_effect(damage: CertificateDamage, proofs: &[&Proof]) -> Result<String, Lack> {
    let damaged = first(proofs, "the damaged Secret", |proof| match proof {
        Proof::CertificateDamaged { secret, resource_version, before, after } => {
            let told = || format!("Secret {} ({damage}, resource version {resource_version})", secret.name);
            Some(is_damaged(damage, before, after).map(|()| told()))
        }
        _ => None,
    })?;
    let felt = match damage {
        CertificateDamage::Deleted => hindered(proofs)?,
        CertificateDamage::Expired
        | CertificateDamage::WrongAuthority
        | CertificateDamage::WrongName
        | CertificateDamage::Truncated
        | CertificateDamage::Swapped => shown(damage, proofs)?,
    };
    Ok(format!("{damaged}; effect: {felt}"))
}

/// Whether all that was good before is now as the damage makes it.
fn is_damaged(
    damage: CertificateDamage,
    before: &[CertificateEntry],
    after: &[CertificateEntry],
) -> Result<(), String> {
    if before.is_empty() {
        return Err("the Secret held no certificate".to_owned());
    }
    for entry in before {
        let name = &entry.entry;
        if entry.serial.is_none() {
            return Err(format!("{name} could not be read before"));
        }
        let now = after.iter().find(|now| now.entry == *name);
        let serial = now.and_then(|now| now.serial.as_ref());
        let fits = match damage {
            CertificateDamage::Deleted => now.is_none(),
            CertificateDamage::Truncated => now.is_some() && serial.is_none(),
            CertificateDamage::Expired
            | CertificateDamage::WrongAuthority
            | CertificateDamage::WrongName
            | CertificateDamage::Swapped => serial.is_some() && serial != entry.serial.as_ref(),
        };
        if !fits {
            return Err(format!("{name} was not {damage}"));
        }
    }
    Ok(())
}

/// The Secret before and after the damage.
fn entries<'a>(proofs: &[&'a Proof]) -> Option<(&'a [CertificateEntry], &'a [CertificateEntry])> {
    proofs.iter().find_map(|proof| match proof {
        Proof::CertificateDamaged { before, after, .. } => Some((before.as_slice(), after.as_slice())),
        _ => None,
    })
}

fn shown(damage: CertificateDamage, proofs: &[&Proof]) -> Result<String, Lack> {
    let (before_it, after_it) = entries(proofs).unwrap_or_default();
    first(proofs, "the damage being felt", |proof| match proof {
        Proof::CertificateFelt { before, .. } if !are_good(before, before_it) => {
            Some(Err("its ports showed no good certificates before".to_owned()))
        }
        Proof::CertificateFelt { during, .. } => {
            let unfelt =
                after_it.iter().find(|entry| !of_port(during, entry).any(|one| shows(damage, entry, one)));
            Some(match unfelt {
                None => Ok(format!("{} showed it", human::plural(after_it.len(), "port"))),
                Some(entry) => Err(format!("port {} did not show it", entry.port)),
            })
        }
        _ => None,
    })
}

fn of_port<'a>(handshakes: &'a [Handshake], entry: &CertificateEntry) -> impl Iterator<Item = &'a Handshake> {
    let port = entry.port;
    handshakes.iter().filter(move |handshake| handshake.port == port)
}

/// Whether a handshake came to what the damage makes of it.
fn shows(damage: CertificateDamage, entry: &CertificateEntry, handshake: &Handshake) -> bool {
    let refusal = handshake.refusal.as_ref();
    let is_it = entry.serial.is_some() && handshake.serial == entry.serial;
    match damage {
        CertificateDamage::Expired => is_it && refusal == Some(&Refusal::Expired),
        CertificateDamage::WrongAuthority => is_it && refusal == Some(&Refusal::UnknownAuthority),
        CertificateDamage::WrongName => is_it && refusal == Some(&Refusal::OtherName),
        CertificateDamage::Truncated => handshake.serial.is_none() && refusal.is_some(),
        // Certificates of members hold a wildcard for all of them: only its number tells that it is another one's.
        CertificateDamage::Swapped => is_it,
        CertificateDamage::Deleted => false,
    }
}

/// Whether each port showed the certificate of its entry, and it was accepted.
fn are_good(handshakes: &[Handshake], entries: &[CertificateEntry]) -> bool {
    entries.iter().all(|entry| {
        let good = |one: &Handshake| one.serial == entry.serial && one.refusal.is_none();
        entry.serial.is_some() && of_port(handshakes, entry).any(good)
    })
}

/// A pod that runs keeps the files that it has: only its successor feels that the Secret is gone.
fn hindered(proofs: &[&Proof]) -> Result<String, Lack> {
    let replaced = pod_replaced(proofs)?;
    let successor = proofs.iter().find_map(|proof| match proof {
        Proof::PodReplaced { after, .. } => Some(&after.uid),
        _ => None,
    });
    let hindered = first(proofs, "the successor's start being hindered", |proof| match proof {
        Proof::StartHindered { pod, .. } if Some(&pod.uid) != successor => {
            Some(Err(format!("another pod (uid {}) was kept from starting", pod.uid)))
        }
        Proof::StartHindered { note, .. } => Some(Ok(format!("it did not start: {note}"))),
        _ => None,
    })?;
    Ok(format!("{replaced}; {hindered}"))
}

/// The rule about the repair; nothing for faults that damage no certificate.
pub(super) fn repaired(story: &Story<'_>) -> Option<Assertion> {
    let Fault::Certificate { damage, .. } = story.step.fault else { return None };
    let mut check = Check::of_fault(Rule::DriftRepaired, &story.step.name);
    let damaged = story.proofs.iter().find_map(|(_, _, proof)| match proof {
        Proof::CertificateDamaged { resource_version, after, .. } => Some((resource_version, after)),
        _ => None,
    });
    let Some((broken_at, after)) = damaged else {
        return Some(check.not_checked("no Secret was seen damaged"));
    };
    let mut told = Vec::new();
    let mut is_told = false;
    for (_, _, proof) in &story.proofs {
        match proof {
            Proof::CertificateRepaired { resource_version, manager, certificates, handshakes, .. } => {
                is_told = true;
                match (not_repaired(manager, after, certificates, handshakes), in_order(broken_at, resource_version)) {
                    (Some(wrong), _) => check.wrong(story.healed, || wrong),
                    (None, Err(untold)) => check.undecided(&untold),
                    (None, Ok(())) => told.push(format!(
                        "{damage} at resource version {broken_at}, repaired by {manager} at {resource_version}; {} good again",
                        human::plural(handshakes.len(), "port")
                    )),
                }
            }
            Proof::CertificateStillBroken { secret, watched_milliseconds } => {
                is_told = true;
                let watched = human::duration(std::time::Duration::from_millis(*watched_milliseconds));
                check.wrong(story.healed, || {
                    format!("Secret {} and the ports were not repaired within {watched}", secret.name)
                });
            }
            _ => {}
        }
    }
    if !is_told {
        check.undecided("nobody looked until a repair was due");
    }
    Some(check.conclude(if told.is_empty() {
        "the certificates were damaged".to_owned()
    } else {
        told.join("; ")
    }))
}

/// Why what is called a repair is none.
fn not_repaired(
    manager: &str,
    damaged: &[CertificateEntry],
    certificates: &[CertificateEntry],
    handshakes: &[Handshake],
) -> Option<String> {
    if !manager.contains(OPERATOR) {
        return Some(format!("the certificates were put back by {manager}, not by the operator"));
    }
    if let Some(same) = certificates.iter().find(|entry| damaged.contains(entry)) {
        return Some(format!("{} is still the damaged one", same.entry));
    }
    (certificates.is_empty() || !are_good(handshakes, certificates))
        .then(|| "not every port showed a good certificate afterwards".to_owned())
}

#[cfg(test)]
mod tests;
