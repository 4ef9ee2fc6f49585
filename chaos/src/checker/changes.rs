//! Rules about what was declared or asked for: the operator carried it out, and said so. Pure. What else became of members meanwhile
//! is for the rules about restarts and removals.

use std::collections::BTreeSet;

use super::asked;
use super::context::Context;
use super::evidence::{Lack, first};
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::timeline::Story;
use crate::history::{MemberId, UnixNanoseconds};
use crate::record::Proof;
use crate::scenario::{Ask, ChangeEffect, ClusterSize, EtcdVersion, Fault};

/// What was to be seen, each with what was seen of it.
type Seen = Vec<Result<String, Lack>>;

/// The rule about a change or a request; nothing for faults that are neither.
pub(super) fn carried_out(context: &Context<'_>, story: &Story<'_>) -> Option<Assertion> {
    let seen = match &story.step.fault {
        Fault::Resize { size } => return Some(resized(context, story, *size)),
        Fault::Roll | Fault::Change { effect: ChangeEffect::Restarted | ChangeEffect::CarriedOut, .. } => {
            vec![restarted(context, story)]
        }
        Fault::Upgrade { version } => vec![upgraded(context, story, version)],
        Fault::Change { effect: ChangeEffect::Replaced, .. } => vec![replaced(context, story)],
        Fault::Change { effect: ChangeEffect::None, .. } => vec![observed(story)],
        Fault::Change { effect: ChangeEffect::Refused, .. } => {
            vec![refused(story), as_before(context, story)]
        }
        Fault::Request { ask } => {
            let effect = match ask {
                Ask::Restart | Ask::RotateAuthorities => restarted(context, story),
                Ask::Replace => replaced(context, story),
                Ask::MoveLeader => led(context, story),
            };
            vec![done(story), effect]
        }
        Fault::Backup => vec![stored(story), restored(story)],
        Fault::PodKill { .. }
        | Fault::ProcessKill
        | Fault::ProcessPause { .. }
        | Fault::DiskLost
        | Fault::DirectoryWiped
        | Fault::Partition { .. }
        | Fault::Corrupt { .. }
        | Fault::Certificate { .. }
        | Fault::DeleteObject { .. }
        | Fault::Intrude { .. }
        | Fault::OperatorKill
        | Fault::OperatorPause { .. }
        | Fault::VolumeDeletionStuck { .. } => return None,
    };
    Some(concluded(context, story, seen))
}

fn concluded(context: &Context<'_>, story: &Story<'_>, seen: Seen) -> Assertion {
    let mut check = Check::of_fault(Rule::ChangeCarriedOut, &story.step.name);
    let Some(declared) = story.injected else { return check.not_checked("nothing was declared") };
    let bound = context.record.schedule.expect.repair_within;
    let mut said = Vec::new();
    let mut ended_early = false;
    for one in seen {
        match one {
            Ok(text) => said.push(text),
            Err(Lack::Contrary(text)) => check.wrong(Some(declared), || text),
            Err(Lack::Missing(what)) if context.is_complete() && context.events_whole => {
                check.wrong(Some(declared), || format!("{what} was not seen within {bound}"));
            }
            Err(Lack::Missing(_)) => ended_early = true,
        }
    }
    if ended_early {
        return check.not_checked("the run, or its record, ended before it was carried out");
    }
    check.conclude(if said.is_empty() { "it was declared".to_owned() } else { said.join("; ") })
}

/// How long after the declaration the first measurement of a kind was made.
fn took(story: &Story<'_>, is_it: impl Fn(&Proof) -> bool) -> String {
    let seen = story.proofs.iter().find(|(_, _, proof)| is_it(proof)).map(|(at, ..)| *at);
    let since = story.injected.unwrap_or_default();
    human::duration(seen.unwrap_or(since).since(since))
}

fn proofs<'a>(story: &Story<'a>) -> Vec<&'a Proof> {
    story.proofs.iter().map(|(_, _, proof)| *proof).collect()
}

fn resized(context: &Context<'_>, story: &Story<'_>, size: ClusterSize) -> Assertion {
    let mut check = Check::of_fault(Rule::ChangeCarriedOut, &story.step.name);
    let Some(declared) = story.injected else { return check.not_checked("the size was not changed") };
    // The probes tell by themselves; a measurement of the harness only dates it more exactly.
    let listed = context.timeline.rounds.iter().filter(|round| round.start >= declared).find(|round| {
        let mut lists = round.seen.members.iter().filter_map(|member| member.members.answer());
        lists.any(|list| list.iter().filter(|member| !member.learner).count() == size.members())
    });
    let measured = story.proofs.iter().find_map(|(at, _, proof)| match proof {
        Proof::SizeReached { voters } if *voters == size.members() as u64 => Some(*at),
        _ => None,
    });
    match listed.map(|round| round.end).into_iter().chain(measured).min() {
        Some(reached) => {
            let took = human::duration(reached.since(declared));
            check.conclude(format!("{size} voters were listed {took} after the size was declared"))
        }
        None if context.is_complete() && context.probes_whole => {
            check.wrong(context.timeline.last_seen(), || format!("the member list never had {size} voters"));
            check.conclude(format!("size {size} was declared"))
        }
        None => check.not_checked("the run ended before the size was reached"),
    }
}

/// The members that were declared when all of them were seen to have followed: another fault may change their number meanwhile.
fn size(context: &Context<'_>, story: &Story<'_>) -> usize {
    let seen = story.proofs.iter().find_map(|(at, _, proof)| {
        matches!(proof, Proof::RestartsSeen { .. } | Proof::VersionReached { .. }).then_some(*at)
    });
    context.timeline.size_at(seen.or(story.injected).unwrap_or_default()).members()
}

/// Every member that is to restart runs in another pod.
fn restarted(context: &Context<'_>, story: &Story<'_>) -> Result<String, Lack> {
    let size = size(context, story) as u64;
    let took = took(story, |proof| matches!(proof, Proof::RestartsSeen { .. }));
    first(&proofs(story), "another pod of every member", |proof| match proof {
        Proof::RestartsSeen { members } if *members == size => {
            Some(Ok(format!("all {size} members ran in another pod {took} after the declaration")))
        }
        Proof::RestartsSeen { members } => {
            Some(Err(format!("only {members} of {size} members ran in another pod")))
        }
        _ => None,
    })
}

/// Every member runs the declared version; or another version was declared before that, by a later fault.
fn upgraded(context: &Context<'_>, story: &Story<'_>, version: &EtcdVersion) -> Result<String, Lack> {
    let size = size(context, story) as u64;
    let took =
        took(story, |proof| matches!(proof, Proof::VersionReached { .. } | Proof::VersionSuperseded { .. }));
    first(&proofs(story), "every member at the declared version", |proof| match proof {
        Proof::VersionReached { version: reached, .. } if reached != version => {
            Some(Err(format!("the members ran etcd {reached}, {version} was declared")))
        }
        Proof::VersionReached { members, .. } if *members != size => {
            Some(Err(format!("only {members} of {size} members ran etcd {version}")))
        }
        Proof::VersionReached { .. } => {
            Some(Ok(format!("all {size} members ran etcd {version} {took} after the declaration")))
        }
        Proof::VersionSuperseded { by } if !is_declared_later(context, story, by) => {
            Some(Err(format!("etcd {by} came to be declared, and no later fault declared it")))
        }
        Proof::VersionSuperseded { by } => {
            Some(Ok(format!("superseded by the declaration of etcd {by} after {took}")))
        }
        _ => None,
    })
}

fn is_declared_later(context: &Context<'_>, story: &Story<'_>, version: &EtcdVersion) -> bool {
    let declares = |later: &&Story<'_>| later.injecting > story.injecting && later.injected.is_some();
    let mut later = context.timeline.faults.iter().filter(declares);
    later.any(|later| later.step.version() == Some(version))
}

/// Others have taken the place of those that were to go: by the measurement, and by the member lists before and after it.
fn replaced(context: &Context<'_>, story: &Story<'_>) -> Result<String, Lack> {
    let measured = story.proofs.iter().find_map(|(at, _, proof)| match proof {
        Proof::MembersReplaced { before, after } => Some((*at, before, after)),
        _ => None,
    });
    let Some((at, before, after)) = measured else {
        return Err(Lack::Missing("another member in the place"));
    };
    let there = asked::members_before(context, story.injecting.unwrap_or_default());
    let to_go: BTreeSet<MemberId> = match story.step.fault {
        Fault::Request { .. } => {
            story.targets.unwrap_or_default().iter().filter_map(|target| target.member_id).collect()
        }
        _ => there.clone(),
    };
    let went: BTreeSet<MemberId> = before.iter().copied().collect();
    let came: BTreeSet<MemberId> = after.iter().copied().collect();
    let wrong = |text: String| Err(Lack::Contrary(text));
    if !to_go.is_subset(&went) {
        return wrong("not every member that was to be replaced was seen to go".to_owned());
    }
    if came.len() != went.len() || !came.is_disjoint(&there) {
        return wrong(format!("{} went, and {} others came", went.len(), came.difference(&there).count()));
    }
    let mut later = context.timeline.rounds.iter().filter(|round| round.start >= at && round.tells_members());
    if let Some(round) = later.find(|round| round.names().keys().any(|id| went.contains(id))) {
        let since = human::duration(round.end.since(at));
        return wrong(format!("a member that was to go was listed {since} after it was called gone"));
    }
    let took = human::duration(at.since(story.injected.unwrap_or_default()));
    Ok(format!("{} replaced {took} after the declaration", human::plural(went.len(), "member")))
}

fn observed(story: &Story<'_>) -> Result<String, Lack> {
    let declared = declared(story);
    let took = took(story, |proof| matches!(proof, Proof::ChangeObserved { .. }));
    first(&proofs(story), "the operator's look at the change", |proof| match proof {
        Proof::ChangeObserved { generation } if Some(*generation) >= declared => {
            Some(Ok(format!("the operator had looked at generation {generation} after {took}")))
        }
        Proof::ChangeObserved { generation } => {
            Some(Err(format!("the operator looked at generation {generation} only")))
        }
        _ => None,
    })
}

/// The generation of the changed spec.
fn declared(story: &Story<'_>) -> Option<i64> {
    story.proofs.iter().find_map(|(_, _, proof)| match proof {
        Proof::ChangeDeclared { generation, .. } => Some(*generation),
        _ => None,
    })
}

/// The operator said in the status why it does not carry the change out.
fn refused(story: &Story<'_>) -> Result<String, Lack> {
    let declared = declared(story);
    first(&proofs(story), "a word in the status on why it is not carried out", |proof| match proof {
        Proof::ChangeRefused { generation, condition } => {
            let told = condition.is_complaint() && Some(*generation) >= declared;
            let said = format!("{} ({}: {})", condition.kind, condition.reason, condition.message);
            Some(if told {
                Ok(format!("the status said {said}"))
            } else {
                Err(format!("the status said only {said}"))
            })
        }
        _ => None,
    })
}

/// After it was taken back the members are those that were there before.
fn as_before(context: &Context<'_>, story: &Story<'_>) -> Result<String, Lack> {
    let there = asked::members_before(context, story.injecting.unwrap_or_default());
    first(&proofs(story), "every member as before", |proof| match proof {
        Proof::MembersAsBefore { members } => {
            let same = members.iter().copied().collect::<BTreeSet<_>>() == there;
            let count = human::plural(members.len(), "member");
            Some(if same {
                Ok(format!("{count} as before"))
            } else {
                Err(format!("{count}, and not those that were there before"))
            })
        }
        _ => None,
    })
}

/// The backup that was asked for is in its store, and was proved.
fn stored(story: &Story<'_>) -> Result<String, Lack> {
    let took = took(story, |proof| matches!(proof, Proof::BackupStored { .. }));
    first(&proofs(story), "a proved backup", |proof| match proof {
        Proof::BackupStored { backup, revision } => {
            Some(Ok(format!("{backup} was proved after {took}; it ends at revision {revision}")))
        }
        _ => None,
    })
}

/// Another cluster began with it.
fn restored(story: &Story<'_>) -> Result<String, Lack> {
    let took = took(story, |proof| matches!(proof, Proof::BackupRestored { .. }));
    first(&proofs(story), "a cluster that began with the backup", |proof| match proof {
        Proof::BackupRestored { entries, .. } => {
            let keys = human::plural(entries.len(), "key");
            Some(Ok(format!("another cluster had begun with it after {took}, and has {keys}")))
        }
        _ => None,
    })
}

/// The operator acknowledged the request.
fn done(story: &Story<'_>) -> Result<String, Lack> {
    let took = took(story, |proof| matches!(proof, Proof::RequestDone { .. }));
    first(&proofs(story), "the acknowledgement", |proof| match proof {
        Proof::RequestDone { .. } => Some(Ok(format!("the operator acknowledged it after {took}"))),
        _ => None,
    })
}

/// The target came to lead: by the measurement, and by what members said to the probe.
fn led(context: &Context<'_>, story: &Story<'_>) -> Result<String, Lack> {
    let targets = story.targets.unwrap_or_default();
    let took = took(story, |proof| matches!(proof, Proof::LeadershipMoved { .. }));
    first(&proofs(story), "the target leading", |proof| match proof {
        Proof::LeadershipMoved { to } if targets.iter().all(|target| target.member_id != Some(*to)) => {
            Some(Err(format!("{to} came to lead, and is not the target")))
        }
        Proof::LeadershipMoved { to } if !was_named_leader(context, *to, story.injecting) => {
            Some(Err(format!("no member named {to} as its leader")))
        }
        Proof::LeadershipMoved { to } => Some(Ok(format!("{to} led after {took}"))),
        _ => None,
    })
}

fn was_named_leader(context: &Context<'_>, id: MemberId, since: Option<UnixNanoseconds>) -> bool {
    let rounds = context.timeline.rounds.iter().filter(|round| Some(round.end) >= since);
    let mut statuses =
        rounds.flat_map(|round| round.seen.members.iter().filter_map(|member| member.status.answer()));
    statuses.any(|status| status.leader == Some(id))
}
