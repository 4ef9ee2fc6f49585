//! Which of the things that users asked for once have been carried out. Never carries any out.

use crate::api::{Acknowledged, EtcdClusterStatus};
use crate::cluster::desired::Desired;
use crate::cluster::plan;
use crate::cluster::requests::{ClientsReady, annotation};
use crate::cluster::world::{Health, Member, World};
use crate::names::{
    ANNOTATION_CLIENTS_READY, ANNOTATION_MOVE_LEADER, ANNOTATION_REPLACE, ANNOTATION_RESTART,
    ANNOTATION_ROTATE,
};

/// What is acknowledged now: what was and is still asked for, and what this observation shows to be done. While the members are not
/// known, nothing is done anew.
pub(super) fn acknowledged(
    world: &World<'_>,
    desired: Option<&Desired>,
    before: &EtcdClusterStatus,
) -> Acknowledged {
    let asked = |key: &str| annotation(world.observed.cluster.metadata.annotations.as_ref(), key);
    let before = &before.acknowledged;
    let done = |asked: Option<String>, before: &Option<String>, is_done: &dyn Fn(&str) -> bool| {
        asked.filter(|asked| Some(asked) == before.as_ref() || (world.list.is_some() && is_done(asked)))
    };
    let runs_well = |member: &Member<'_>| {
        desired.is_some_and(|desired| plan::runs_its_target(world, desired, member))
            && member.health() == Health::Healthy
    };
    let is_restarted = |token: &str| {
        let bears = |target: &crate::cluster::target::Target| target.restart.as_deref() == Some(token);
        world.listed().all(|member| member.target.as_ref().is_some_and(bears) && runs_well(member))
    };
    // Who is no member needs no replacement, and cannot lead.
    let is_gone = |name: &str| world.listed().all(|member| member.name.as_str() != name);
    let leads = |name: &str| {
        let mut voters = world.voters();
        voters.find(|member| member.name.as_str() == name).is_none_or(|member| world.leads(member))
    };
    let is_rotated = |word: &str| plan::is_rotated(world, word) && world.listed().all(runs_well);
    let rotate_authorities = done(asked(ANNOTATION_ROTATE), &before.rotate_authorities, &is_rotated);
    // One that has just been carried out is asked for no more.
    let is_rotation_asked = asked(ANNOTATION_ROTATE).is_some() && rotate_authorities.is_none();
    let waits_for_nothing = |text: &str| {
        let waits = |desired| {
            ClientsReady::parse(text)
                .is_some_and(|word| plan::may_wait_for(world, desired, word, is_rotation_asked))
        };
        desired.is_some_and(|desired| !waits(desired))
    };
    Acknowledged {
        restart: done(asked(ANNOTATION_RESTART), &before.restart, &is_restarted),
        replace: done(asked(ANNOTATION_REPLACE), &before.replace, &is_gone),
        move_leader: done(asked(ANNOTATION_MOVE_LEADER), &before.move_leader, &leads),
        rotate_authorities,
        clients_ready: done(asked(ANNOTATION_CLIENTS_READY), &before.clients_ready, &waits_for_nothing),
    }
}
