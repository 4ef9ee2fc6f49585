//! Of which minors a member's log may hold entries that a start would read again. etcd 3.7 cannot read those of 3.5
//! (`applyEntryNormal` in `server/etcdserver/server.go`), and ends at once if it meets one: in a cluster that came from 3.5 not long ago, or
//! that writes little, they are still there. A snapshot ends that, and members write one when etcd is told to bring the cluster down.
//! Never tells it so.

use std::collections::BTreeMap;

use super::{Context, Flow, PatchPurpose, Plan, change, versions};
use crate::cluster::desired::{EtcdVersion, Line};
use crate::cluster::world::{Member, Origin};
use crate::names::{ANNOTATION_LOG_LINE, ANNOTATION_OLDEST_LINE};

/// The first minor that cannot read what [`OLDEST_READABLE`] does not write.
pub(super) const CANNOT_READ_ALL: Line = Line { major: 3, minor: 7 };
/// The oldest minor whose entries that one reads.
const OLDEST_READABLE: Line = Line { major: 3, minor: 6 };

/// Whether a member's log is known to hold nothing that [`CANNOT_READ_ALL`] cannot read.
pub(super) fn is_readable(member: &Member<'_>) -> bool {
    let facts = member.facts.as_ref();
    let line = facts.and_then(|facts| facts.oldest_line.max(facts.log_line));
    line.is_some_and(|line| line >= OLDEST_READABLE)
}

/// Whether the cluster is known never to have run what [`CANNOT_READ_ALL`] cannot read.
pub(super) fn was_always_readable(member: &Member<'_>) -> bool {
    let line = member.facts.as_ref().and_then(|facts| facts.oldest_line);
    line.is_some_and(|line| line >= OLDEST_READABLE)
}

/// Keeps both records on each claim true: lower before any member runs an earlier minor; that of its own log higher once it has
/// written a snapshot.
pub(super) fn record(context: &Context<'_>, plan: &mut Plan) -> Flow {
    // Whoever runs an earlier minor writes its entries into everybody's log, snapshot or not.
    let Some(lowest) = context.world.listed().filter_map(lowest_line).min() else { return Flow::Next };
    for member in context.world.listed() {
        let (Some(keeper), Some(facts)) = (member.live_keeper(), &member.facts) else { continue };
        let oldest = facts.oldest_line.or_else(|| inherited(context, member)).map(|line| line.min(lowest));
        let snapshot = has_written_snapshot(member).then_some(lowest);
        let log = facts.log_line.max(snapshot).map(|line| line.min(lowest));
        let wanted =
            [(ANNOTATION_OLDEST_LINE, oldest, facts.oldest_line), (ANNOTATION_LOG_LINE, log, facts.log_line)];
        let differing = wanted.into_iter().filter(|(_, wanted, present)| wanted != present);
        let values: BTreeMap<String, String> =
            differing.filter_map(|(key, line, _)| Some((key.to_owned(), line?.to_string()))).collect();
        if !values.is_empty() {
            let facts = values.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let operations = change::annotate(keeper.metadata(), &values);
            let target = change::target_of_keeper(keeper);
            let purpose = PatchPurpose::RecordFacts { facts };
            plan.act_on_record(&member.name, change::patch(target, operations, purpose));
        }
    }
    Flow::Next
}

/// A member that joined shares the history of the others. Their snapshots say nothing about its log: the leader keeps entries from before
/// its own, and sends them to whoever has none.
fn inherited(context: &Context<'_>, member: &Member<'_>) -> Option<Line> {
    match member.facts.as_ref()?.origin {
        Some(Origin::Added { .. }) => {}
        Some(Origin::First { .. }) | None => return None,
    }
    let others = context.world.listed().filter(|other| other.name != member.name);
    let lines: Option<Vec<Line>> = others.map(|other| other.facts.as_ref()?.oldest_line).collect();
    lines?.into_iter().min()
}

/// The lower of what a member runs and of what it is about to run.
fn lowest_line(member: &Member<'_>) -> Option<Line> {
    let recorded = member.target.as_ref().map(|target| target.version.line());
    versions::running(member).map(EtcdVersion::line).into_iter().chain(recorded).min()
}

/// Whether a member has just written one: it does so when it learns that the cluster is brought down, before it says that its database
/// is written for that.
fn has_written_snapshot(member: &Member<'_>) -> bool {
    member.etcd().is_some_and(|etcd| etcd.downgrade.is_some() && etcd.storage_line == etcd.downgrade)
}
