//! By what URL members are reached by their peers: of those that are listed as the list says, of those that are added as all others can
//! follow, and changed one at a time once every member serves the other scheme, too. Never while a learner is there: etcd would count it as a
//! voter afterwards (etcd#21694).

use super::super::{Action, Concern, Context, Flow, Plan, Wait, safety};
use super::{all_serve_plain_text, all_speak_tls, is_concerned};
use crate::cluster::target::Target;
use crate::cluster::world::Member;
use crate::names::{AuthorityKind, CLIENT_PORT, MemberName, Scheme, TLS_PEER_PORT};

/// The peer URL of a member that is to be added. By TLS only where every other member can ask by TLS.
pub(in super::super) fn of_addition(context: &Context<'_>, member: &MemberName, target: &Target) -> String {
    let uses = |target: Option<&Target>| target.is_some_and(|target| target.tls.is_some());
    let can_all_ask = context.world.listed().all(|other| {
        // Who is on record with TLS and has not been restarted yet cannot.
        let runs = super::runs(other).is_none_or(|tls| tls.is_some());
        uses(other.target.as_ref()) && runs
    });
    let scheme = if uses(Some(target)) && can_all_ask { Scheme::Https } else { Scheme::Http };
    context.world.cluster.peer_url(scheme, member)
}

/// The peer URL of a member that is in the list, as the list says it; as its own configuration does, of one that is not.
pub(in super::super) fn of_listed(context: &Context<'_>, member: &MemberName, first: Scheme) -> String {
    let listed = context.world.member(member).and_then(|member| member.listed);
    let url = listed.and_then(|listed| listed.peer_urls.first());
    url.cloned().unwrap_or_else(|| context.world.cluster.peer_url(first, member))
}

/// Whether a member's peers reach it by this scheme alone.
pub(super) fn is_reached_by(context: &Context<'_>, member: &Member<'_>, scheme: Scheme) -> bool {
    let url = context.world.cluster.peer_url(scheme, &member.name);
    member.listed.is_some_and(|listed| listed.peer_urls == [url])
}

/// Changes the peer URL of the next member, if it is time.
pub(in super::super) fn update(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(list) = context.world.list else { return Flow::Next };
    if !context.follows_spec || !is_concerned(context) {
        return Flow::Next;
    }
    let (scheme, can_all_follow) = match context.desired.tls {
        Some(_) => (Scheme::Https, all_speak_tls(context)),
        None => (Scheme::Http, all_serve_plain_text(context)),
    };
    let next = context.world.voters().find(|member| !is_reached_by(context, member, scheme));
    let Some(next) = next else { return Flow::Next };
    if !can_all_follow {
        say_who_is_waited_for(context, plan);
        return Flow::Next;
    }
    if context.world.learner().is_some() {
        let message = "its peer URL changes once no learner is there any more".to_owned();
        plan.wait(Wait::Turn { member: next.name.clone(), message });
        return Flow::Next;
    }
    // Who is reached by nobody may be so because of its URL: the way back is open to it.
    let is_way_back = context.desired.tls.is_none();
    let others = safety::unhealthy_voters(context).into_iter();
    let members: Vec<MemberName> = others.filter(|name| !(is_way_back && *name == next.name)).collect();
    if !members.is_empty() {
        plan.wait(Wait::Health { members, what: "changing a peer URL" });
        return Flow::Next;
    }
    let Some(id) = next.id() else { return Flow::Next };
    let action = Action::UpdatePeerUrl {
        member: next.name.clone(),
        id,
        peer_url: context.world.cluster.peer_url(scheme, &next.name),
        planned_on: Context::planned_on(list),
    };
    plan.act(Concern::Membership, action);
    Flow::Stop
}

/// All members run with certificates, and the operator has not seen all of them show theirs on both ports.
fn say_who_is_waited_for(context: &Context<'_>, plan: &mut Plan) {
    let runs_tls = |member: &Member<'_>| super::runs(member).is_some_and(|tls| tls.is_some());
    if !context.world.listed().all(runs_tls) {
        return;
    }
    let is_unseen = |member: &&Member<'_>| {
        AuthorityKind::ALL.into_iter().any(|kind| super::handshake(context, member, kind).is_none())
    };
    if let Some(member) = context.world.listed().find(is_unseen) {
        let message = format!(
            "the operator completed no TLS handshake on its ports {CLIENT_PORT} and {TLS_PEER_PORT}; if it lasts, see whether a NetworkPolicy keeps it, or \
             members, from {TLS_PEER_PORT}"
        );
        plan.wait(Wait::Turn { member: member.name.clone(), message });
    }
}
