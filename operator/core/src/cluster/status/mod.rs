//! The status: what was just seen, in conditions with reasons. Nothing is called healthy, available or ready that did not
//! answer in this very observation; what could not be asked is unknown. Never repeats an old answer as a present one.

mod acknowledged;
mod backups;
mod conditions;
mod members;
mod tls;

pub use backups::time_left;
pub(crate) use members::rounded_size;

use jiff::Timestamp;

use crate::api::{BackupSummary, EtcdCluster, EtcdClusterStatus, HoldStatus, MemberHealth, MemberStatus};
use crate::cluster::desired::{self, Desired};
use crate::cluster::observed::{Backups, Observed};
use crate::cluster::plan::{self, Plan};
use crate::cluster::render::quantity;
use crate::cluster::world::{Member, World};

/// The status that follows from what was seen and what is planned. It equals the observed one if nothing changed, and
/// then nothing need be written.
///
/// Write it on the condition that the cluster object is the one observed (its resourceVersion), and not after a plan with
/// [`crate::cluster::plan::Action::RecordBootstrap`], whose record it does not know yet.
pub fn status(observed: &Observed, plan: &Plan) -> EtcdClusterStatus {
    let before = observed.cluster.status.clone().unwrap_or_default();
    let Ok(identity) = desired::identity(&observed.cluster) else {
        return before;
    };
    let world = World::read(observed, identity);
    let desired = Desired::parse(&observed.cluster).ok();
    let members = members::members(&world, desired.as_ref(), &before);
    let cluster_id = world.cluster_id.filter(|_| world.formed).map(|id| id.to_string());
    let mut status = EtcdClusterStatus {
        observed_generation: observed.cluster.metadata.generation,
        formed: world.formed,
        cluster_id: cluster_id.clone(),
        version: world.version.map(|version| version.to_string()),
        upgrade: desired.as_ref().and_then(|desired| upgrade(&world, desired)),
        leader: leader(&world),
        size: count(members.len()),
        selector: Some(
            world
                .cluster
                .selector()
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect::<Vec<_>>()
                .join(","),
        ),
        ready_members: healthy_voters(&members),
        updated_members: desired.as_ref().map_or(0, |desired| count(plan::updated(&world, desired).len())),
        database_quota: database_quota(&world),
        members,
        bootstrap: world.bootstrap.as_ref().filter(|_| !world.formed).map(|bootstrap| bootstrap.to_record()),
        backup: backups::newest_proved(observed, cluster_id.as_deref()).or(kept_backup(observed, &before)),
        tls: tls::status(&world),
        holds: holds(plan),
        acknowledged: acknowledged::acknowledged(&world, desired.as_ref(), &before),
        conditions: Vec::new(),
    };
    status.conditions = conditions::conditions(&world, plan, &status, &before);
    status
}

/// The status of a cluster whose objects could not be read: what was known is not called present any more. Equals the observed one
/// if that says so already.
pub fn unobserved(cluster: &EtcdCluster, as_of: Timestamp, why: &str) -> EtcdClusterStatus {
    let mut status = cluster.status.clone().unwrap_or_default();
    for member in &mut status.members {
        member.health = MemberHealth::Unknown;
        member.message = Some("the cluster's objects could not be read".to_owned());
        member.well_since = None;
    }
    status.ready_members = 0;
    status.leader = None;
    status.conditions = conditions::unobserved(cluster, as_of, why, &status);
    status
}

/// Whether two statuses tell the same facts and differ only in the words for them: how far something is, or for how long it lasts.
pub fn differ_in_words_only(before: &EtcdClusterStatus, now: &EtcdClusterStatus) -> bool {
    without_words(before) == without_words(now)
}

fn without_words(status: &EtcdClusterStatus) -> EtcdClusterStatus {
    let mut status = status.clone();
    status.members.iter_mut().for_each(|member| member.message = None);
    status.holds.iter_mut().for_each(|hold| hold.message = String::new());
    status.conditions.iter_mut().for_each(|condition| condition.message = String::new());
    status
}

/// Voters that are healthy.
fn healthy_voters(members: &[MemberStatus]) -> i32 {
    let is_healthy = |member: &&MemberStatus| !member.learner && member.health == MemberHealth::Healthy;
    count(members.iter().filter(is_healthy).count())
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn database_quota(world: &World<'_>) -> Option<String> {
    let quotas = world.listed().filter_map(|member| member.target.as_ref()?.quota_backend_bytes);
    quotas.min().map(quantity::binary)
}

/// What was known of backups stands for as long as they cannot be read.
fn kept_backup(observed: &Observed, before: &EtcdClusterStatus) -> Option<BackupSummary> {
    match &observed.backups {
        Backups::NotAsked | Backups::Known(_) => None,
        Backups::Unknown(_) => before.backup.clone(),
    }
}

fn holds(plan: &Plan) -> Vec<HoldStatus> {
    let shown = |hold: &plan::Hold| HoldStatus {
        reason: hold.reason().as_str().to_owned(),
        about: hold.about(),
        message: hold.to_string(),
    };
    plan.holds.iter().map(shown).collect()
}

/// How many members answer with the wanted version, while others do not.
fn upgrade(world: &World<'_>, desired: &Desired) -> Option<String> {
    let wanted = desired.version.to_string();
    let total = world.listed().count();
    let runs = |member: &&Member<'_>| match member.etcd() {
        Some(etcd) => etcd.version == wanted,
        None => member.target.as_ref().is_some_and(|target| target.version == desired.version),
    };
    let on = world.listed().filter(runs).count();
    (world.formed && on < total).then(|| format!("{on} of {total} on {wanted}"))
}

/// The member that leads, if it said so itself just now or another's fresh answer names it.
fn leader(world: &World<'_>) -> Option<String> {
    world.listed().find(|member| world.leads(member)).map(|member| member.name.to_string())
}
