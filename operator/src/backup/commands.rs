//! The five commands: each opens the store, does one thing, and says what came of it. What they print to standard output is their result;
//! all else goes to standard error.

use super::Context;
use super::args::{
    BackupArguments, DeleteArguments, KeepArguments, ListArguments, Output, ProofArguments, RestoreArguments,
    StoreArguments, VerifyArguments, WhichArguments,
};
use super::list::{Listed, json, list, table};
use super::prove::{Proved, prove};
use super::restore::{Place, restore};
use super::store::{DocumentError, open};
use super::take::{Order, TakeError, end_left_of_run, remove, take};
use crate::clock::{RandomIdentifiers, SystemClock};
use crate::distortion::Distortion;
use crate::etcd::{Connector, User};
use crate::process::{install_tls_provider, told_to_end};
use anyhow::{Context as _, bail, ensure};
use etcd_operator_core::backup::encryption::{Recipient, check_opens};
use etcd_operator_core::backup::inventory::{Backup, CLOCK_DIFFERENCE, Wanted, find};
use etcd_operator_core::backup::layout::{BackupId, Part};
use etcd_operator_core::backup::manifest::{Manifest, Proof};
use etcd_operator_core::backup::name::BackupName;
use etcd_operator_core::backup::outcome::{Outcome, Taken};
use etcd_operator_core::backup::retention::to_delete;
use futures::FutureExt;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// A snapshot that cannot be compared is taken again so often.
const ATTEMPTS: u32 = 3;

/// Backs a cluster up, proves the backup, and deletes those that the schedule keeps no more.
pub fn backup(arguments: &BackupArguments) -> anyhow::Result<()> {
    let done = run(&arguments.store, async |context| {
        let (manifest, proof) = take_and_prove(context, arguments).await?;
        println!("{}", manifest.name);
        let mut taken = Taken { manifest, proof, deleted: Vec::new(), retention_failed: None };
        // The backup is there, whatever becomes of earlier ones.
        let tidied = tidy(context, &arguments.keep, &taken.manifest, &mut taken.deleted).await;
        taken.retention_failed = tidied.err().map(|error| format!("{error:#}"));
        if let Some(failed) = &taken.retention_failed {
            (context.say)(&format!("earlier backups could not be deleted: {failed}"));
        }
        Ok(taken)
    });
    leave(arguments.result.as_deref(), done, Outcome::taken)
}

/// Takes snapshots until one can be compared with the cluster.
async fn take_and_prove(
    context: &Context,
    arguments: &BackupArguments,
) -> anyhow::Result<(Manifest, Option<Proof>)> {
    let access = arguments.etcd.access()?;
    if !arguments.no_proof {
        // Known before anything is stored, and not after it.
        arguments.proof.tools.version().await?;
    }
    let user = access.user.clone();
    let order = Order {
        endpoints: arguments.etcd.endpoints.clone(),
        access,
        schedule: arguments.schedule.clone(),
        run: arguments.run.clone(),
        within: arguments.within,
    };
    for attempt in 1..=ATTEMPTS {
        let manifest = match take(context, &order).await {
            Err(TakeError::Compacted(error)) if attempt < ATTEMPTS => {
                (context.say)(&format!("taking another one: {error}"));
                continue;
            }
            taken => taken?,
        };
        let proof = if arguments.no_proof { None } else { Some(&arguments.proof) };
        match keep_if_good(context, &manifest, proof, user.as_ref()).await? {
            Kept::Yes(proof) => return Ok((manifest, proof)),
            Kept::TakeAgain(why) => (context.say)(&format!("taking another one: {why}")),
        }
    }
    bail!("no snapshot could be compared with the cluster in {ATTEMPTS} attempts");
}

/// Deletes the backups of the same schedule and cluster that are kept no more. One that cannot be read, or that no key opens, is not touched
/// and takes no place.
async fn tidy(
    context: &Context,
    keep: &KeepArguments,
    newest: &Manifest,
    deleted: &mut Vec<BackupName>,
) -> anyhow::Result<()> {
    let retention = keep.retention();
    if retention.is_without_rules() {
        return Ok(());
    }
    let now = context.clock.wall();
    check_clock(context, newest, now).await?;
    let listed = list(&context.store).await?;
    tell_unreadable(context, &listed);
    let unreadable: BTreeSet<BackupId> = listed.unreadable.iter().filter_map(DocumentError::backup).collect();
    let is_of_schedule = |backup: &Backup| {
        let Manifest { cluster_id, schedule, .. } = &backup.manifest;
        let is_readable = !unreadable.contains(&backup.manifest.id());
        is_readable && *cluster_id == newest.cluster_id && schedule.is_some() && *schedule == newest.schedule
    };
    let of_schedule: Vec<Backup> = listed.backups.into_iter().filter(is_of_schedule).collect();
    let held = context.keys.recipients();
    let (of_schedule, locked): (Vec<Backup>, Vec<Backup>) = of_schedule
        .into_iter()
        .partition(|backup| check_opens(backup.manifest.encrypted_for.as_ref(), &held).is_ok());
    let of_schedule = whole(context, of_schedule).await?;
    let gone = to_delete(&of_schedule, &newest.id(), &retention, &keep.time_zone, now);
    for id in context.distortion.deleted(&of_schedule, gone) {
        (context.say)(&format!("deleting {}, which is kept no more", id.name));
        remove(context, &id, None).await?;
        deleted.push(id.name);
    }
    ensure!(locked.is_empty(), "{}", left_locked(&locked));
    Ok(())
}

/// That whoever has lost a key learns it while the backups are still there.
fn left_locked(locked: &[Backup]) -> String {
    let keys: BTreeSet<&Recipient> =
        locked.iter().filter_map(|backup| backup.manifest.encrypted_for.as_ref()).collect();
    let keys: Vec<String> = keys.into_iter().map(ToString::to_string).collect();
    format!(
        "{} of them are encrypted for {}, whose key is not given, and stay until it is",
        locked.len(),
        keys.join(", ")
    )
}

/// Those whose snapshot is there, as long as it was. Others take no place from good ones, and are left to people.
async fn whole(context: &Context, backups: Vec<Backup>) -> anyhow::Result<Vec<Backup>> {
    let mut whole = Vec::new();
    for backup in backups {
        let Manifest { name, snapshot, .. } = &backup.manifest;
        match context.store.length(&backup.manifest.id(), Part::Snapshot).await {
            Ok(length) if length == snapshot.stored_bytes => whole.push(backup),
            Ok(length) => {
                (context.say)(&format!(
                    "{name} has {length} bytes, and had {}: it is not counted",
                    snapshot.stored_bytes
                ));
            }
            Err(error) if error.is_missing => {
                (context.say)(&format!("{name} has no snapshot: it is not counted"))
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(whole)
}

/// What is old follows from this machine's clock, and the store has one of its own: where they do not agree nothing is deleted.
async fn check_clock(context: &Context, newest: &Manifest, now: Timestamp) -> anyhow::Result<()> {
    let stored = context.store.modified(&newest.id(), Part::Manifest).await?;
    let apart = now.duration_since(stored).abs();
    ensure!(apart <= CLOCK_DIFFERENCE, "the clock of this machine and that of the store are {apart:#} apart");
    Ok(())
}

/// Whoever was interrupted may take back what it has begun for so long.
const TAKING_BACK: Duration = Duration::from_secs(20);

/// What became of a backup that was just taken.
enum Kept {
    Yes(Option<Proof>),
    TakeAgain(String),
}

/// Proves a backup that was just taken. One that is not good does not stay.
async fn keep_if_good(
    context: &Context,
    manifest: &Manifest,
    proof: Option<&ProofArguments>,
    user: Option<&User>,
) -> anyhow::Result<Kept> {
    let Some(arguments) = proof else {
        (context.say)("not proved");
        return Ok(Kept::Yes(None));
    };
    match prove_in(context, manifest, arguments, user).await? {
        Proved::Good(proof) => {
            context.store.write(&manifest.id(), &proof).await?;
            // Another attempt, which knew nothing of this one, may have removed what could not be proved then.
            if context.store.manifest(&manifest.id()).await?.is_none() {
                context.store.delete(&manifest.id(), Part::Proof).await?;
                bail!("the backup was removed while it was being proved");
            }
            (context.say)(&describe(&proof));
            Ok(Kept::Yes(Some(proof)))
        }
        Proved::Incomparable(why) => {
            remove(context, &manifest.id(), manifest.run.as_deref()).await?;
            Ok(Kept::TakeAgain(why))
        }
        Proved::Bad(why) => {
            remove(context, &manifest.id(), manifest.run.as_deref()).await?;
            bail!("the backup was not what the cluster had, and is removed: {why}");
        }
    }
}

/// Lists backups.
pub fn list_backups(arguments: &ListArguments) -> anyhow::Result<()> {
    run(&arguments.store, async |context| {
        let listed = list(&context.store).await?;
        tell_unreadable(context, &listed);
        match arguments.output {
            Output::Table if listed.backups.is_empty() => (context.say)("no backups"),
            Output::Table => print!("{}", table(&listed.backups)),
            Output::Json => print!("{}", json(&listed.backups)),
        }
        Ok(())
    })
}

/// Proves a backup that is there.
pub fn verify(arguments: &VerifyArguments) -> anyhow::Result<()> {
    run(&arguments.store, async |context| {
        let backup = chosen(context, &arguments.which).await?;
        let manifest = &backup.manifest;
        match prove_in(context, manifest, &arguments.proof, None).await? {
            Proved::Good(proof) => {
                // One that knows the number of keys stays, unless this one knows it too.
                let knows_more =
                    backup.proof.as_ref().is_some_and(|old| old.keys.is_some() && proof.keys.is_none());
                if !knows_more {
                    context.store.write(&manifest.id(), &proof).await?;
                }
                println!("{}: {}", manifest.name, describe(&proof));
                Ok(())
            }
            Proved::Incomparable(why) => {
                bail!("{} cannot be compared with what the cluster had: {why}", manifest.name)
            }
            Proved::Bad(why) => bail!("{} is not what the cluster had: {why}", manifest.name),
        }
    })
}

/// Deletes a backup, or all that some attempts have stored.
pub fn delete(arguments: &DeleteArguments) -> anyhow::Result<()> {
    let done = run(&arguments.store, async |context| {
        let listed = list(&context.store).await?;
        tell_unreadable(context, &listed);
        let mut deleted = Vec::new();
        for id in meant(arguments, &listed)? {
            (context.say)(&format!("deleting {id}"));
            remove(context, &id, arguments.run.as_deref()).await?;
            println!("{}", id.name);
            deleted.push(id.name);
        }
        if let Some(run) = &arguments.run {
            let ended = end_left_of_run(context, &listed.places, run).await?;
            ended.iter().for_each(|name| println!("{name}"));
            deleted.extend(ended);
        }
        if deleted.is_empty() {
            (context.say)("there is nothing to delete");
        }
        Ok(deleted)
    });
    leave(arguments.result.as_deref(), done, Outcome::deleted)
}

/// The backups that are to be deleted. One that is named by its cluster and itself need not be readable.
fn meant(arguments: &DeleteArguments, listed: &Listed) -> anyhow::Result<BTreeSet<BackupId>> {
    let is_of_run = |backup: &&Backup| arguments.run.is_some() && backup.manifest.run == arguments.run;
    let mut meant: BTreeSet<BackupId> =
        listed.backups.iter().filter(is_of_run).map(|backup| backup.manifest.id()).collect();
    let Some(name) = &arguments.backup else { return Ok(meant) };
    let named = arguments.cluster.map(|cluster| BackupId { cluster, name: name.clone() });
    // What an earlier deletion has left is found by its place alone.
    match named.filter(|named| listed.places.folders.contains_key(named)) {
        Some(named) => drop(meant.insert(named)),
        None if arguments.run.is_some() => {}
        None => {
            let found = find(&listed.backups, arguments.cluster, &Wanted::Named(name.clone()))?;
            meant.insert(found.manifest.id());
        }
    }
    Ok(meant)
}

/// Restores a backup.
pub fn restore_backup(arguments: &RestoreArguments) -> anyhow::Result<()> {
    let done = run(&arguments.store, async |context| {
        let backup = chosen(context, &arguments.which).await?;
        let manifest = &backup.manifest;
        if backup.proof.is_none() {
            (context.say)(&format!("{} was never proved by restoring it", manifest.name));
        }
        (context.say)(&format!("restoring {} of cluster {}", manifest.name, manifest.cluster_id));
        let restored = restore(context, manifest, &arguments.tools, &Place::of(arguments)?).await?;
        if restored.authentication {
            (context.say)("users and roles are in force in it, with the passwords of that time");
        }
        println!("{}", arguments.data_dir.display());
        Ok(restored)
    });
    leave(arguments.result.as_deref(), done, Outcome::Restored)
}

/// Ends a command: what came of it is left for whoever started it.
fn leave<T>(
    file: Option<&Path>,
    done: anyhow::Result<T>,
    outcome: impl FnOnce(T) -> Outcome,
) -> anyhow::Result<()> {
    let (outcome, ended) = match done {
        Ok(done) => (outcome(done), Ok(())),
        Err(error) => (Outcome::failed(&format!("{error:#}")), Err(error)),
    };
    if let Some(file) = file {
        let written = std::fs::write(file, outcome.to_text());
        written.with_context(|| format!("failed to write {}", file.display()))?;
    }
    ended
}

/// The backup that is meant, of all that can be read.
async fn chosen(context: &Context, which: &WhichArguments) -> anyhow::Result<Backup> {
    let listed = list(&context.store).await?;
    tell_unreadable(context, &listed);
    Ok(find(&listed.backups, which.cluster, &which.wanted())?.clone())
}

fn tell_unreadable(context: &Context, listed: &Listed) {
    for error in &listed.unreadable {
        (context.say)(&crate::telemetry::chain(error));
    }
}

async fn prove_in(
    context: &Context,
    manifest: &Manifest,
    arguments: &ProofArguments,
    user: Option<&User>,
) -> anyhow::Result<Proved> {
    (context.say)(&format!("proving {} by restoring it", manifest.name));
    let scratch = arguments.scratch();
    let proving = prove(context, manifest, &arguments.tools, &scratch, user);
    let proved = tokio::select! {
        biased;
        () = context.interrupted.clone() => bail!("interrupted; {} is stored, and not proved", manifest.name),
        proved = proving => proved,
    };
    proved.with_context(|| format!("failed to prove {}", manifest.name))
}

fn describe(proof: &Proof) -> String {
    let keys = proof.keys.map_or("keys not counted".to_owned(), |keys| format!("{keys} keys"));
    format!("proved: it ends at revision {}, {keys}, and has the cluster's hash", proof.revision)
}

/// Opens the store, and does what a command does.
fn run<T>(
    store: &StoreArguments,
    command: impl AsyncFnOnce(&Context) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    install_tls_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("failed to start a runtime")?.block_on(async {
        let interrupted = interrupted()?.boxed().shared();
        let context = Context {
            store: open(store.store.clone(), &store.options()?)?,
            keys: store.keys()?,
            connector: Connector::default(),
            clock: Arc::new(SystemClock::new()),
            identifiers: Arc::new(RandomIdentifiers),
            distortion: Distortion::from_environment()?,
            say: Box::new(|text| eprintln!("{text}")),
            interrupted: interrupted.clone(),
        };
        // What has something to take back listens itself; what stands still does not.
        let overdue = async {
            interrupted.await;
            tokio::time::sleep(TAKING_BACK).await;
        };
        tokio::select! {
            biased;
            done = command(&context) => done,
            () = overdue => bail!("interrupted"),
        }
    })
}

/// Waits until Ctrl-C is pressed, the terminal is gone, or somebody asks the process to end.
fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    let told_to_end = told_to_end()?;
    let mut hang_up = signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = told_to_end => {}
            _ = hang_up.recv() => {}
        }
    })
}
