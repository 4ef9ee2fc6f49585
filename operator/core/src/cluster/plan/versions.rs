//! Which version a member should run: the spec's, where one step leads there and etcd admits it, else the one that it has. Before
//! members run an earlier minor, etcd is told to bring the cluster down to it; and told no longer once that is not wanted. Never
//! changes a member: that is the rollout's to do.

use super::{Action, Concern, Context, DowngradeRequest, Flow, Hold, Plan, SpecHold, Wait, restart, safety};
use crate::cluster::desired::{Course, EtcdVersion, Line, course};
use crate::cluster::world::Member;

/// The version that a member runs, by its own answer; by its record while it does not answer.
fn running(member: &Member<'_>) -> Option<EtcdVersion> {
    let answered = member.etcd().and_then(|etcd| EtcdVersion::parse(&etcd.version));
    answered.or_else(|| member.target.as_ref().map(|target| target.version))
}

fn course_of(context: &Context<'_>) -> Course {
    let versions: Vec<EtcdVersion> = context.world.listed().filter_map(running).collect();
    course(&versions, context.desired.version)
}

/// The version that a member should run next.
pub(super) fn wanted(context: &Context<'_>, present: EtcdVersion) -> EtcdVersion {
    if !context.follows_spec {
        return present;
    }
    match course_of(context) {
        Course::Direct => context.desired.version,
        Course::Down(line) if is_lowered(context, line) => context.desired.version,
        Course::Down(_) | Course::Refused(_) => present,
    }
}

/// Whether every member says that the cluster is being brought down to this minor, and writes what it can read.
fn is_lowered(context: &Context<'_>, line: Line) -> bool {
    let says_so = |member: &Member<'_>| {
        member.etcd().is_some_and(|etcd| etcd.downgrade == Some(line) && etcd.storage_line == Some(line))
    };
    context.world.voters().all(says_so)
}

/// Says why a version is not carried out.
pub(super) fn guard(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if context.follows_spec
        && let Course::Refused(detour) = course_of(context)
    {
        plan.hold(Hold::Spec(SpecHold::UpgradeRefused { message: detour.to_string() }));
    }
    Flow::Next
}

/// Why the version of this member may not be changed now, if it is to be changed: what must hold before each step of an upgrade.
pub(super) fn reason_to_wait(context: &Context<'_>, next: &Member<'_>) -> Option<String> {
    let present = next.target.as_ref()?.version;
    if wanted(context, present) == present {
        return None;
    }
    disagreement(context)
}

/// Who of the members knows other members than the list has. Members that were removed came back at upgrades
/// (<https://etcd.io/blog/2025/zombie_members_upgrade/>), so the lists of all are compared before each step.
fn disagreement(context: &Context<'_>) -> Option<String> {
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
    if !context.follows_spec {
        return Flow::Next;
    }
    let under_way = context.world.voters().filter_map(|member| member.etcd()?.downgrade).next();
    let wanted = context.desired.version.line();
    match (course_of(context), under_way) {
        (Course::Down(line), None) => enable(context, plan, line),
        (Course::Down(line), Some(other)) if other != line => cancel(plan),
        (Course::Down(line), Some(_)) if !is_lowered(context, line) => {
            let message = format!("members still write what only etcd above {line} can read");
            plan.wait(Wait::Downgrade { message });
            Flow::Stop
        }
        (Course::Direct | Course::Refused(_), Some(line)) if line != wanted => cancel(plan),
        (Course::Direct | Course::Refused(_) | Course::Down(_), _) => Flow::Next,
    }
}

fn enable(context: &Context<'_>, plan: &mut Plan, line: Line) -> Flow {
    let unhealthy = safety::unhealthy_voters(context);
    let names: Vec<&str> = unhealthy.iter().map(crate::names::MemberName::as_str).collect();
    let reason = if !names.is_empty() {
        Some(format!("not healthy: {}", names.join(", ")))
    } else if context.world.listed().count() != context.desired.size {
        Some("members are being added or removed".to_owned())
    } else {
        restart::reason_for_all_to_wait(context).or_else(|| disagreement(context))
    };
    match reason {
        Some(message) => plan.wait(Wait::Downgrade { message }),
        None => plan.act(Concern::Version, Action::Downgrade(DowngradeRequest::Enable(line))),
    }
    Flow::Stop
}

fn cancel(plan: &mut Plan) -> Flow {
    plan.act(Concern::Version, Action::Downgrade(DowngradeRequest::Cancel));
    Flow::Stop
}
