//! Which version a member should run: the spec's, where one step leads there and etcd admits it, else the one that it has. Before
//! members run an earlier minor, etcd is told to bring the cluster down to it; and told no longer once that is not wanted. Never
//! changes a member: that is the rollout's to do.

use super::{
    Action, Concern, Context, DowngradeRequest, Flow, Hold, Plan, SpecHold, Wait, backup_first, logs,
    restart, safety,
};
use crate::cluster::desired::{Course, Desired, EtcdVersion, Line, course};
use crate::cluster::world::{Member, World};

/// etcd decides what a cluster counts as some seconds after its members have come to it.
const UNDECIDED: &str = "etcd has not decided yet that the cluster is of its members' minor";

/// The version that a member runs, by its own answer; by its record while it does not answer.
pub(super) fn running(member: &Member<'_>) -> Option<EtcdVersion> {
    let answered = member.etcd().and_then(|etcd| EtcdVersion::parse(&etcd.version));
    answered.or_else(|| member.target.as_ref().map(|target| target.version))
}

/// From what the members run to what the spec asks for.
pub(super) fn course_of(world: &World<'_>, desired: &Desired) -> Course {
    // While the list is not known, whoever has a volume of the cluster may be a member.
    let may_be_member = |member: &&Member<'_>| match world.list {
        Some(_) => member.listed.is_some(),
        None => {
            let facts = member.facts.as_ref();
            member.has_storage() && facts.is_some_and(|facts| facts.is_of(&world.cluster) && !facts.set_aside)
        }
    };
    let members = world.members.values().filter(may_be_member);
    let versions: Vec<EtcdVersion> = members.filter_map(running).collect();
    course(&versions, desired.version)
}

/// The version that a member should run next.
pub(super) fn wanted(context: &Context<'_>, member: &Member<'_>, present: EtcdVersion) -> EtcdVersion {
    if !context.follows_spec || backup_first::is_awaited(context) {
        return present;
    }
    if let Some(version) = way_back(context) {
        return version;
    }
    match &context.course {
        Course::Direct if present.line() < context.desired.version.line() && !may_rise(context, member) => {
            present
        }
        Course::Direct => context.desired.version,
        Course::Down(line) if is_lowered(context, *line) => context.desired.version,
        Course::Down(_) | Course::Refused(_) => present,
    }
}

/// The version of a member that is added as a repair or to grow: what the others are to run, or what they still run where that is of an
/// earlier minor, because they have not been restarted yet.
pub(super) fn of_addition(world: &World<'_>, common: EtcdVersion) -> EtcdVersion {
    let lowest = world.listed().filter_map(running).min();
    lowest.filter(|lowest| lowest.line() < common.line()).unwrap_or(common)
}

/// The version of a member that is added for one whose settings differ. Its log comes from the others, so what one of them ever wrote
/// must be readable by it.
pub(super) fn of_successor(context: &Context<'_>, common: EtcdVersion) -> EtcdVersion {
    let wanted = context.desired.version;
    let is_reached = match context.course {
        Course::Direct if wanted.line() > common.line() => {
            !is_undecided(context)
                && (wanted.line() < logs::CANNOT_READ_ALL
                    || context.world.voters().all(logs::was_always_readable))
        }
        Course::Direct => true,
        Course::Down(line) => is_lowered(context, line),
        Course::Refused(_) => false,
    };
    if is_reached && context.follows_spec && !backup_first::is_awaited(context) { wanted } else { common }
}

/// Whether a member may run the next minor: its log holds nothing that this cannot read, and the cluster counts as the minor below,
/// which etcd decides some seconds after the last member has come to it. etcd 3.5 does not say what its cluster counts as.
fn may_rise(context: &Context<'_>, member: &Member<'_>) -> bool {
    let is_readable = context.desired.version.line() < logs::CANNOT_READ_ALL || logs::is_readable(member);
    // Without a quorum a stuck member may go back to what the others run, and no further.
    context.world.list.is_some() && is_readable && !needs_snapshots(context) && !is_undecided(context)
}

/// Whether some member says that the cluster counts as a minor that the next one cannot follow.
fn is_undecided(context: &Context<'_>) -> bool {
    let wanted = context.desired.version.line();
    let is_below = |member: &Member<'_>| {
        let line = member.etcd().and_then(|etcd| etcd.storage_line);
        line.is_some_and(|line| line.minor + 1 < wanted.minor)
    };
    context.world.voters().any(is_below)
}

/// Whether members have to write snapshots before the first of them runs the next minor.
fn needs_snapshots(context: &Context<'_>) -> bool {
    context.follows_spec
        && context.desired.version.line() >= logs::CANNOT_READ_ALL
        && context.course == Course::Direct
        && context.world.listed().all(|member| is_below(context, member))
        && !context.world.listed().all(logs::is_readable)
}

/// The version that all members go back to, so that they can write snapshots: one of them joined while others ran the next minor
/// already, and its log is not known to be readable by that. The cluster has not left their minor.
fn way_back(context: &Context<'_>) -> Option<EtcdVersion> {
    left_behind(context)?.target.as_ref().map(|target| target.version)
}

fn left_behind<'c, 'a>(context: &'c Context<'a>) -> Option<&'c Member<'a>> {
    let is_concerned = context.follows_spec
        && context.desired.version.line() >= logs::CANNOT_READ_ALL
        && context.course == Course::Direct
        && !needs_snapshots(context);
    let mut below = context.world.voters().filter(|member| is_concerned && is_below(context, member));
    below.find(|member| !logs::is_readable(member))
}

/// Whether a member runs an earlier minor than the spec asks for.
fn is_below(context: &Context<'_>, member: &Member<'_>) -> bool {
    running(member).is_some_and(|version| version.line() < context.desired.version.line())
}

/// Whether every member says that the cluster is being brought down to this minor, and writes what it can read. Without a quorum nobody
/// knows who every member is.
fn is_lowered(context: &Context<'_>, line: Line) -> bool {
    let says_so = |member: &Member<'_>| {
        member.etcd().is_some_and(|etcd| etcd.downgrade == Some(line) && etcd.storage_line == Some(line))
    };
    context.world.list.is_some() && context.world.voters().all(says_so)
}

/// Says why a version is not carried out.
pub(super) fn guard(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if !context.follows_spec {
        return Flow::Next;
    }
    match (&context.course, left_behind(context)) {
        (Course::Refused(detour), _) => {
            plan.hold(Hold::Spec(SpecHold::UpgradeRefused { message: detour.to_string() }));
        }
        (Course::Direct | Course::Down(_), Some(member)) => {
            let message = format!(
                "{} joined meanwhile, and may have entries of etcd 3.5 in its log; members go back to its version, to write snapshots",
                member.name
            );
            plan.wait(Wait::Upgrade { message });
        }
        (Course::Direct, None)
            if context.world.listed().any(|one| is_below(context, one)) && is_undecided(context) =>
        {
            plan.wait(Wait::Upgrade { message: UNDECIDED.to_owned() });
        }
        (Course::Direct | Course::Down(_), None) => {}
    }
    Flow::Next
}

/// Why the version of this member may not be changed now, if it is to be changed: what must hold before each step of an upgrade.
pub(super) fn reason_to_wait(context: &Context<'_>, next: &Member<'_>) -> Option<String> {
    let present = next.target.as_ref()?.version;
    if wanted(context, next, present) == present {
        return None;
    }
    disagreement(context)
}

/// Who of the members knows other members than the list has. Members that were removed came back at upgrades
/// (<https://etcd.io/blog/2025/zombie_members_upgrade/>), so the lists of all are compared before each step.
pub(super) fn disagreement(context: &Context<'_>) -> Option<String> {
    let mut listed: Vec<_> = context.world.list?.members.iter().map(|member| member.id).collect();
    listed.sort();
    let others = |member: &&Member<'_>| {
        let known = member.etcd().and_then(|etcd| etcd.members.as_ref());
        known.is_some_and(|known| *known != listed)
    };
    let other = context.world.listed().find(others)?;
    Some(format!("{} knows other members than the cluster has", other.name))
}

/// Tells etcd to bring the cluster down, or that it need not. What is asked of it, it checks itself once more.
pub(super) fn lower(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if !context.follows_spec || backup_first::is_awaited(context) {
        return Flow::Next;
    }
    let under_way = under_way(context);
    let wanted = context.desired.version.line();
    if needs_snapshots(context)
        && let Some(below) = context.world.voters().filter_map(running).map(EtcdVersion::line).min()
    {
        let line = Line { minor: below.minor.saturating_sub(1), ..below };
        return write_snapshots(context, plan, line, under_way);
    }
    match (&context.course, under_way) {
        (Course::Down(line), None) => enable(context, plan, *line),
        (Course::Down(line), Some(other)) if other != *line => cancel(plan),
        (Course::Down(line), Some(_)) if !is_lowered(context, *line) => {
            let message = format!("members still write what only etcd above {line} can read");
            plan.wait(Wait::Downgrade { message });
            Flow::Stop
        }
        (Course::Direct | Course::Refused(_), Some(line)) if line != wanted => cancel(plan),
        (Course::Direct | Course::Refused(_) | Course::Down(_), _) => Flow::Next,
    }
}

/// The minor that the cluster is being brought down to.
fn under_way(context: &Context<'_>) -> Option<Line> {
    context.world.voters().find_map(|member| member.etcd()?.downgrade)
}

/// Has etcd let somebody join: as long as a cluster is brought down it lets nobody (`isCompatibleWithCluster` in
/// `server/etcdserver/cluster_util.go` asks for a cluster one minor above whoever joins, and it counts as the lower one by then). Where
/// a member runs the lower minor already the cluster stays that, and the others follow without being told once more; where none does
/// it is brought down again later.
pub(super) fn let_join(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if under_way(context).is_some() { cancel(plan) } else { Flow::Next }
}

/// Members write a snapshot when they learn that the cluster is brought down; it is not, since that is taken back as soon as they have.
fn write_snapshots(context: &Context<'_>, plan: &mut Plan, line: Line, under_way: Option<Line>) -> Flow {
    match under_way {
        None => enable(context, plan, line),
        Some(_) => {
            let message = format!(
                "members write snapshots before they run {}: their logs may hold entries of etcd 3.5, which it cannot read",
                context.desired.version
            );
            plan.wait(Wait::Upgrade { message });
            Flow::Stop
        }
    }
}

fn enable(context: &Context<'_>, plan: &mut Plan, line: Line) -> Flow {
    let counts_as_next = |member: &Member<'_>| {
        let present = member.etcd().and_then(|etcd| etcd.storage_line);
        present.is_none_or(|present| present.minor == line.minor + 1)
    };
    let undecided = || (!context.world.voters().all(counts_as_next)).then(|| UNDECIDED.to_owned());
    match ill_health(context).or_else(undecided).or_else(|| unrest(context)) {
        Some(message) => plan.wait(Wait::Downgrade { message }),
        None => plan.act(Concern::Version, Action::Downgrade(DowngradeRequest::Enable(line))),
    }
    Flow::Stop
}

/// Which voters are not healthy, if any: nothing that is about all versions begins then.
pub(super) fn ill_health(context: &Context<'_>) -> Option<String> {
    let unhealthy = safety::unhealthy_voters(context);
    let names: Vec<&str> = unhealthy.iter().map(crate::names::MemberName::as_str).collect();
    (!names.is_empty()).then(|| format!("not healthy: {}", names.join(", ")))
}

/// What else is still going on among healthy members that the first change of a version has to wait for.
pub(super) fn unrest(context: &Context<'_>) -> Option<String> {
    if context.world.listed().count() != context.desired.size {
        return Some("members are being added or removed".to_owned());
    }
    restart::reason_for_all_to_wait(context).or_else(|| disagreement(context))
}

fn cancel(plan: &mut Plan) -> Flow {
    plan.act(Concern::Version, Action::Downgrade(DowngradeRequest::Cancel));
    Flow::Stop
}
