//! The catalogue of faults and how each is carried out: one file for one way of breaking things, with its injection, its
//! end and its proof side by side. Never judges; a proof that is missing is missing in the record.

mod agents;
mod backup;
mod case;
mod certificate;
mod change;
mod corrupt;
mod delete_object;
mod disk;
mod intrude;
mod kill;
pub mod objects;
mod partition;
mod pause;
mod pod;
mod request;
mod resize;
mod roll;
mod upgrade;
pub mod volume;
mod wipe;

use anyhow::Result;

pub use case::{Case, FaultContext, Victims};

use crate::scenario::{Aim, Fault, Target};

/// Carries one fault out, from injection to the last proof. Returns once the fault is over and its end was seen, or
/// early, with the fault ended, when [`FaultContext::ending`] is cancelled.
///
/// # Errors
/// If the fault did not take effect, did not end, or could not be measured; the run then proves nothing.
pub async fn carry_out(case: &Case<'_>, victims: &Victims) -> Result<()> {
    let victims = &with_claims(case, victims).await?;
    case.injecting(victims);
    match &case.step.fault {
        Fault::PodKill { grace } => pod::carry_out(case, victims, grace.as_duration()).await,
        Fault::ProcessKill | Fault::OperatorKill => kill::carry_out(case, victims).await,
        Fault::ProcessPause { lasting } | Fault::OperatorPause { lasting } => {
            pause::carry_out(case, victims, lasting.as_duration()).await
        }
        Fault::DiskLost => disk::carry_out(case, victims).await,
        Fault::DirectoryWiped => wipe::carry_out(case, victims).await,
        Fault::Partition { direction, peers, lasting } => {
            partition::carry_out(case, victims, *direction, *peers, lasting.as_duration()).await
        }
        Fault::Corrupt { object, lasting } => {
            corrupt::carry_out(case, victims, *object, lasting.as_duration()).await
        }
        Fault::Certificate { damage, lasting } => {
            certificate::carry_out(case, victims, *damage, lasting.as_duration()).await
        }
        Fault::DeleteObject { object } => delete_object::carry_out(case, victims, *object).await,
        Fault::Intrude { object } => intrude::carry_out(case, victims, *object).await,
        Fault::Resize { size } => resize::carry_out(case, *size).await,
        Fault::Roll => roll::carry_out(case).await,
        Fault::Upgrade { version } => upgrade::carry_out(case, version).await,
        Fault::Change { spec, effect, lasting } => {
            change::carry_out(case, spec, *effect, lasting.unwrap_or_default().as_duration()).await
        }
        Fault::Request { ask } => request::carry_out(case, victims, *ask).await,
        Fault::Backup => backup::carry_out(case).await,
        Fault::VolumeDeletionStuck { lasting } => {
            volume::carry_out(case, victims, lasting.as_duration()).await
        }
    }
}

/// The victims with the claims that the fault takes away: only their uids tell a lost volume from the one that follows.
async fn with_claims(case: &Case<'_>, victims: &Victims) -> Result<Victims> {
    let mut victims = victims.clone();
    if case.step.fault.traits().takes_claims {
        victims.claims = volume::claims(case, &victims).await?;
    }
    Ok(victims)
}

/// Whether the fault is aimed at the operator's pod: some kinds say so by themselves.
#[must_use]
pub fn aims_at_operator(fault: &Fault, target: &Target) -> bool {
    fault.traits().aim == Aim::Operator || *target == Target::Operator
}
