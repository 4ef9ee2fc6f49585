//! What the user must be told and what ends a plan before anything is changed. Never acts.

use super::{Context, Flow, Hold, Plan};
use crate::observed::{ListedMember, MemberList};
use crate::render::quantity;

/// Parts of the spec that this build does not carry out: said, never silently ignored.
pub(super) fn spec(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let (desired, running) = (context.desired, context.common.version);
    if desired.version != running {
        plan.hold(Hold::UpgradeNotSupported { from: running.to_string(), to: desired.version.to_string() });
    }
    if desired.suspend {
        plan.hold(Hold::SuspendNotSupported);
    }
    let sizes = context.world.members.values().filter_map(|member| {
        let requests = member.claim?.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
        let is_ours = member.facts.as_ref()?.is_of(&context.world.cluster);
        requests.get("storage").filter(|_| is_ours)
    });
    let wanted = &desired.storage_size.0;
    if let Some(differs) = sizes.map(|size| &size.0).find(|size| !quantity::same(size, wanted)) {
        plan.hold(Hold::StorageChangeNotSupported { from: differs.clone(), to: wanted.clone() });
    }
    Flow::Next
}

/// The member list is of one cluster and holds our members only; otherwise nothing is touched.
pub(super) fn identity(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let world = &context.world;
    let Some(list) = world.list else { return Flow::Stop };
    for stranger in &world.strangers {
        plan.hold(Hold::UnknownMember { description: describe(stranger) });
    }
    let others: Vec<String> = world
        .members
        .values()
        .filter_map(|member| member.etcd().map(|etcd| (member, etcd)))
        .filter(|(_, etcd)| etcd.cluster_id != list.cluster_id)
        .map(|(member, etcd)| format!("{} answers as of cluster {}", member.name, etcd.cluster_id))
        .collect();
    if !others.is_empty() {
        plan.hold(Hold::ClusterIdMismatch { listed: list.cluster_id, others });
    }
    if plan
        .holds
        .iter()
        .any(|hold| matches!(hold, Hold::UnknownMember { .. } | Hold::ClusterIdMismatch { .. }))
    {
        return Flow::Stop;
    }
    Flow::Next
}

fn describe(stranger: &ListedMember) -> String {
    format!("{} {:?} at {}", stranger.id, stranger.name, stranger.peer_urls.join(", "))
}

/// Says why only harmless things are done.
pub(super) fn quorum_unknown(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let message = match &context.world.observed.member_list {
        MemberList::Known(_) => "the member list is too old".to_owned(),
        MemberList::Unknown(message) => message.clone(),
    };
    plan.hold(Hold::QuorumUnknown { message });
    Flow::Next
}
