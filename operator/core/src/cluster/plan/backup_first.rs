//! A backup before another version: where the spec says where backups are kept, no member runs another version before one of the present
//! state was proved. What has begun goes on, and what is taken back waits for nothing: a backup is worth nothing to a cluster that is stuck
//! half-way. Never takes one: an `EtcdBackup` does.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::{Action, Concern, Context, Flow, Hold, Object, Plan, SpecHold, Wait, rollout, versions};
use crate::api::{BackupPhase, DeletionPolicy, EtcdBackup, EtcdBackupSpec};
use crate::cluster::desired::Course;
use crate::cluster::observed::Backups;
use crate::cluster::world::Member;
use crate::names::{LABEL_BACKED_UP, LABEL_BEFORE_VERSION};

/// A backup that ended this long ago at most is one of the present state.
const FRESH: SignedDuration = SignedDuration::from_mins(15);
/// It is given up after this time, in seconds, as one that somebody asked for.
const DEADLINE_SECONDS: i64 = 6 * 3600;

/// Whether a change of the version has to wait for a backup.
pub(super) fn is_awaited(context: &Context<'_>) -> bool {
    is_needed(context) && !backups(context).iter().any(|backup| is_fresh(context, backup))
}

/// Whether the version is about to be changed, where that needs a backup: before the first member has been told. Without a quorum none can be
/// taken, and so nothing begins; but what was changed lately and has not proved itself may be what took the quorum, and its remedy waits
/// for nothing.
fn is_needed(context: &Context<'_>) -> bool {
    let world = context.world;
    let has_store = world.observed.cluster.spec.backup.is_some();
    let wanted = context.desired.version;
    let is_told = |member: &Member<'_>| {
        member.target.as_ref().is_some_and(|target| target.version == wanted)
            || versions::running(member) == Some(wanted)
    };
    let is_brought_down =
        world.voters().any(|member| member.etcd().is_some_and(|etcd| etcd.downgrade.is_some()));
    let is_listed = |member: &&Member<'_>| world.list.is_none() || member.listed.is_some();
    let mut members =
        world.members.values().filter(is_listed).filter(|member| member.target.is_some()).peekable();
    has_store
        && context.follows_spec
        && !matches!(context.course, Course::Refused(_))
        && world.formed
        && (world.list.is_some() || !rollout::is_unproven(context))
        && !is_brought_down
        && members.peek().is_some()
        && !members.any(is_told)
}

fn backups<'a>(context: &Context<'a>) -> &'a [EtcdBackup] {
    match &context.world.observed.backups {
        Backups::Known(backups) => backups,
        Backups::NotAsked | Backups::Unknown(_) => &[],
    }
}

/// Whether it was proved lately, and is of this very cluster. When it ended is what an operator wrote, by a clock like ours: Kubernetes'
/// and the Job's may be others.
fn is_fresh(context: &Context<'_>, backup: &EtcdBackup) -> bool {
    let Some(status) = &backup.status else { return false };
    let is_own = context.world.cluster_id.is_some_and(|id| status.cluster_id == Some(id.to_string()));
    let complete = status.conditions.iter().find(|one| one.type_ == "Complete" && one.status == "True");
    let ended = complete.map(|complete| complete.last_transition_time.0);
    let since = ended.map(|ended| context.world.observed.as_of.duration_since(ended).abs());
    let is_there = status.phase == BackupPhase::Succeeded && backup.metadata.deletion_timestamp.is_none();
    is_own && is_there && status.proved_at.is_some() && since.is_some_and(|since| since <= FRESH)
}

/// Has a backup taken before the version is changed, and says what it waits for.
pub(super) fn take(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if !is_awaited(context) {
        return Flow::Next;
    }
    if let Backups::Unknown(why) = &context.world.observed.backups {
        let message = format!("the EtcdBackups of the cluster could not be read: {why}");
        plan.wait(Wait::Upgrade { message });
        return Flow::Next;
    }
    let wanted = context.desired.version.to_string();
    let is_for_it = |backup: &&EtcdBackup| backup.labels().get(LABEL_BEFORE_VERSION) == Some(&wanted);
    let own = backups(context).iter().filter(is_for_it);
    let newest = own.max_by_key(|backup| backup.creation_timestamp().map(|created| created.0));
    let phase =
        newest.and_then(|backup| backup.status.as_ref()).map(|status| status.phase).unwrap_or_default();
    match (newest, phase) {
        (Some(running), BackupPhase::Pending | BackupPhase::Running) => {
            let message = format!(
                "the EtcdBackup {} is taken before any member runs {wanted}{}",
                running.name_any(),
                why(running)
            );
            plan.wait(Wait::Upgrade { message });
        }
        (Some(failed), BackupPhase::Failed) => {
            let message = format!("{} failed{}", failed.name_any(), why(failed));
            plan.hold(Hold::Spec(SpecHold::NoBackup { message }));
        }
        (None, _) | (Some(_), BackupPhase::Succeeded | BackupPhase::Deleting) => {
            match reason_to_wait(context) {
                // A backup that is taken long before the version can be changed is none of the state at that moment.
                Some(reason) => {
                    let message =
                        format!("a backup is taken before any member runs {wanted}, and not yet: {reason}");
                    plan.wait(Wait::Upgrade { message });
                }
                None => {
                    plan.act(
                        Concern::Backup,
                        Action::Create(Box::new(Object::Backup(backup(context, &wanted)))),
                    );
                    plan.wait(Wait::Upgrade {
                        message: format!("a backup is taken before any member runs {wanted}"),
                    });
                }
            }
        }
    }
    Flow::Next
}

/// Why no member could be changed even if there was a backup.
fn reason_to_wait(context: &Context<'_>) -> Option<String> {
    if context.world.list.is_none() {
        return Some("no quorum answers".to_owned());
    }
    versions::ill_health(context).or_else(|| versions::unrest(context))
}

/// What the backup itself says, unless it goes well.
fn why(backup: &EtcdBackup) -> String {
    let conditions = backup.status.iter().flat_map(|status| &status.conditions);
    let mut complete = conditions.filter(|condition| condition.type_ == "Complete");
    complete.next().map(|condition| format!(": {}", condition.message)).unwrap_or_default()
}

/// It stays when the cluster goes, as every backup does.
fn backup(context: &Context<'_>, wanted: &str) -> EtcdBackup {
    let observed = context.world.observed;
    let cluster = &context.world.cluster;
    let letters = observed.entropy.letters("backup", wanted, 5);
    let labels = [(LABEL_BEFORE_VERSION, wanted), (LABEL_BACKED_UP, cluster.name.as_str())];
    EtcdBackup {
        metadata: ObjectMeta {
            name: Some(format!("{}-upgrade-{letters}", cluster.name)),
            namespace: Some(cluster.namespace.clone()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            ..ObjectMeta::default()
        },
        spec: EtcdBackupSpec {
            cluster: cluster.name.clone(),
            store: None,
            prove: true,
            user_secret: None,
            deletion_policy: DeletionPolicy::Retain,
            deadline_seconds: DEADLINE_SECONDS,
            resources: None,
        },
        status: None,
    }
}
