//! The operator is paused, the certificates of a member are damaged in its Secret, and whoever connects is shown the damage; only then may
//! the operator repair it. The pause ends by its own timer; the repair is the operator's work, never the harness's.

mod forged;
mod member;

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event as ClusterEvent;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use tokio::time::Instant;

use self::member::{MemberCertificates, entries};
use super::case::{Case, Owed, Victims};
use super::corrupt::spared_target;
use super::objects::last_writer;
use super::{agents, pause, pod};
use crate::live::samples;
use crate::record::{CertificateEntry, Handshake, ObjectIdentity, Proof};
use crate::scenario::CertificateDamage;
use crate::subject::{etcd, secrets};
use crate::targeting::SeenMember;

/// Earlier faults may still be mending: until so long the target must show good certificates.
const SOUND: Duration = Duration::from_secs(20);
/// A Secret that others write is tried to be damaged for so long.
const OVERTAKEN: Duration = Duration::from_secs(5);

/// A Secret that was damaged.
struct Damaged {
    secret: ObjectIdentity,
    resource_version: String,
    after: Vec<CertificateEntry>,
}

pub(super) async fn carry_out(
    case: &Case<'_>,
    victims: &Victims,
    damage: CertificateDamage,
    lasting: Duration,
) -> Result<()> {
    let target = victims.members.first().context("the fault has no target")?;
    let member = MemberCertificates::of(case, target).await?;
    let before =
        case.wait_for("good certificates of the target", SOUND, async || sound(&member).await).await?;
    let paused = pause::stop_operator(case, lasting).await?;
    let until = Instant::now() + lasting;
    let damaged = damage_secret(case, &member, damage).await?;
    case.injected();
    let remaining = until.saturating_duration_since(Instant::now());
    let felt = async {
        match damage {
            CertificateDamage::Deleted => see_hindered(case, target, &member).await,
            CertificateDamage::Expired
            | CertificateDamage::WrongAuthority
            | CertificateDamage::WrongName
            | CertificateDamage::Truncated
            | CertificateDamage::Swapped => see_shown(case, &member, &damaged, before).await,
        }
    };
    let felt = tokio::time::timeout(remaining, felt).await;
    case.hold(until.saturating_duration_since(Instant::now())).await;
    let finished = agents::finish(case, paused).await;
    case.healed();
    prove_repaired(case, &member, &damaged).await;
    finished?;
    felt.context("the damage was not felt while the operator was paused")?
}

/// What the ports show, if each shows the certificate of the Secret and it is accepted.
async fn sound(member: &MemberCertificates<'_>) -> Result<Option<Vec<Handshake>>> {
    let Some(secret) = member.secret().await? else { return Ok(None) };
    let handshakes = member.handshakes().await?;
    Ok(are_good(&handshakes, &entries(&secret)).then_some(handshakes))
}

/// Whether each port shows the certificate of its entry, and it was accepted.
fn are_good(handshakes: &[Handshake], entries: &[CertificateEntry]) -> bool {
    entries.iter().all(|entry| {
        let mut of_port = handshakes.iter().filter(|handshake| handshake.port == entry.port);
        entry.serial.is_some()
            && of_port.any(|handshake| handshake.serial == entry.serial && handshake.refusal.is_none())
    })
}

async fn damage_secret(
    case: &Case<'_>,
    member: &MemberCertificates<'_>,
    damage: CertificateDamage,
) -> Result<Damaged> {
    let damaging = async || {
        let seen = member.secret().await?.with_context(|| format!("Secret {} is not there", member.name))?;
        match damage {
            CertificateDamage::Deleted => {
                member.delete(&seen).await?;
                Ok(Some((seen.clone(), seen, Vec::new())))
            }
            CertificateDamage::Expired
            | CertificateDamage::WrongAuthority
            | CertificateDamage::WrongName
            | CertificateDamage::Truncated
            | CertificateDamage::Swapped => {
                let now = member.replace(&seen, member.damaged(&seen, damage).await?).await?;
                let after = entries(&now);
                Ok(Some((seen, now, after)))
            }
        }
    };
    let what = format!("Secret {} as it was damaged", member.name);
    let (seen, now, after) = case.wait_for(&what, OVERTAKEN, damaging).await?;
    let secret = identity(&now);
    let resource_version = now.resource_version().unwrap_or_default();
    let proof = Proof::CertificateDamaged {
        secret: secret.clone(),
        resource_version: resource_version.clone(),
        before: entries(&seen),
        after: after.clone(),
    };
    case.prove(Some(&member.pod), proof);
    Ok(Damaged { secret, resource_version, after })
}

fn identity(secret: &Secret) -> ObjectIdentity {
    ObjectIdentity { name: secret.name_any(), uid: secret.uid().unwrap_or_default() }
}

/// Waits until no port shows what it showed before, and records what each shows instead.
async fn see_shown(
    case: &Case<'_>,
    member: &MemberCertificates<'_>,
    damaged: &Damaged,
    before: Vec<Handshake>,
) -> Result<()> {
    secrets::show(&member.pods, &member.pod, &damaged.resource_version).await?;
    let others = async || {
        let during = member.handshakes().await?;
        let same = during.iter().zip(&before).any(|(now, before)| now.serial == before.serial);
        Ok((!same).then_some(during))
    };
    let what = format!("the damage at the ports of {}", member.pod);
    let during = case.wait_for(&what, case.context.repair_within, others).await?;
    case.prove(Some(&member.pod), Proof::CertificateFelt { before, during });
    Ok(())
}

/// A kubelet takes no file away from a pod that runs: the pod is deleted, and its successor seen to be kept from starting.
async fn see_hindered(case: &Case<'_>, target: &SeenMember, member: &MemberCertificates<'_>) -> Result<()> {
    let spared = spared_target(case, target).await?;
    let victims = Victims { members: vec![spared], ..Victims::default() };
    let entered = case.entered(&victims).pop().context("the member has no pod")?;
    pod::delete(case, &entered, Duration::ZERO).await?;
    let successor = pod::prove_replaced(case, &entered).await?;
    let events: Api<ClusterEvent> = Api::namespaced(case.context.client.clone(), &case.context.namespace);
    let hindered = async || {
        let pod = member.pods.get_opt(&successor.name).await.context("failed to read the pod")?;
        let runs = pod.is_some_and(|pod| samples::process(&pod, etcd::CONTAINER).is_some());
        let events = events.list(&ListParams::default()).await.context("failed to list Events")?;
        let mut notes = events.items.into_iter().filter(|event| {
            let regarding = event.regarding.as_ref().and_then(|regarding| regarding.uid.as_deref());
            regarding == Some(successor.uid.as_str()) && event.reason.as_deref() == Some("FailedMount")
        });
        let note = notes.find_map(|event| event.note.filter(|note| note.contains(&member.name)));
        Ok(note.filter(|_| !runs))
    };
    let what = format!("pod {} waiting for its Secret", successor.name);
    let note = case.wait_for(&what, case.context.repair_within, hindered).await?;
    case.prove(Some(&member.pod), Proof::StartHindered { pod: successor, note });
    Ok(())
}

/// Waits until the Secret holds other certificates, none of the damaged ones, and then until the ports show them.
async fn prove_repaired(case: &Case<'_>, member: &MemberCertificates<'_>, damaged: &Damaged) {
    let written = async || Ok(member.secret().await?.filter(|now| is_written_anew(now, damaged)));
    let what = format!("the repair of Secret {}", member.name);
    let repaired = match case.wait_for_operator(&what, written).await {
        Owed::Paid(now) => {
            let resource_version = now.resource_version().unwrap_or_default();
            if let Err(error) = secrets::show(&member.pods, &member.pod, &resource_version).await {
                case.context.recorder.note(format!("{}: {error:#}", case.step.name));
            }
            let shown = async || {
                let Some(now) = member.secret().await? else { return Ok(None) };
                let handshakes = member.handshakes().await?;
                let is_good = is_written_anew(&now, damaged) && are_good(&handshakes, &entries(&now));
                Ok(is_good.then_some((now, handshakes)))
            };
            case.wait_for_operator(&format!("good certificates at the ports of {}", member.pod), shown).await
        }
        Owed::Missing => Owed::Missing,
        Owed::Untold => Owed::Untold,
    };
    let proof = match repaired {
        Owed::Paid((now, handshakes)) => Proof::CertificateRepaired {
            secret: identity(&now),
            resource_version: now.resource_version().unwrap_or_default(),
            manager: last_writer(&now.metadata, None),
            certificates: entries(&now),
            handshakes,
        },
        Owed::Missing => Proof::certificate_still_broken(damaged.secret.clone(), case.context.repair_within),
        Owed::Untold => return,
    };
    case.prove(Some(&member.pod), proof);
}

fn is_written_anew(now: &Secret, damaged: &Damaged) -> bool {
    let is_new = |entry: &CertificateEntry| entry.serial.is_some() && !damaged.after.contains(entry);
    now.resource_version().as_ref() != Some(&damaged.resource_version) && entries(now).iter().all(is_new)
}
