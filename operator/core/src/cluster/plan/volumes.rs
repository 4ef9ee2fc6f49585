//! Volumes grow to the size that the spec asks for, one at a time, where their class lets them. Never makes one smaller, and never
//! replaces one.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::json;

use super::{
    Concern, Context, Flow, Kind, PatchOperation, PatchPurpose, Plan, Wait, change, guards, leaving,
};
use crate::cluster::render::quantity;
use crate::cluster::world::{Member, VolumeRequest};
use crate::names::ANNOTATION_STORAGE;

/// Asks for more of the next volume that is too small, once the one before it has grown. What waits here keeps nothing else waiting.
pub(super) fn grow(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if !context.follows_spec {
        return Flow::Next;
    }
    let growing = context.world.listed().filter_map(|member| Some((member, growth(member)?))).next();
    if let Some((member, message)) = growing {
        plan.wait(Wait::Resize { member: member.name.clone(), message });
        return Flow::Next;
    }
    let next = context.world.listed().find_map(|member| Some((member, larger(context, member)?)));
    if let Some((member, wanted)) = next
        && let Some(claim) = member.live_claim()
    {
        let from =
            member.facts.as_ref().and_then(|facts| facts.volume.as_ref()).map(|volume| volume.size.clone());
        let purpose = PatchPurpose::Grow { from: from.unwrap_or_default(), to: wanted.size.clone() };
        let record = [(ANNOTATION_STORAGE.to_owned(), wanted.to_annotation())].into();
        let mut operations = vec![PatchOperation::Add {
            path: "/spec/resources/requests/storage".to_owned(),
            value: json!(wanted.size),
        }];
        operations.extend(change::annotate(&claim.metadata, &record));
        let target = change::target(Kind::PersistentVolumeClaim, claim);
        plan.act(Concern::Volume(member.name.clone()), change::patch(target, operations, purpose));
    }
    Flow::Next
}

/// The larger volume that the spec asks for, if it does. One of another kind is replaced instead.
fn larger(context: &Context<'_>, member: &Member<'_>) -> Option<VolumeRequest> {
    let facts =
        member.facts.as_ref().filter(|facts| facts.is_of(&context.world.cluster) && !facts.set_aside)?;
    let present = facts.volume.as_ref()?;
    let wanted = guards::wanted_volume(context);
    let is_larger =
        quantity::is_above(&wanted.size, &present.size) && !leaving::has_other_volume(context, member);
    (member.live_claim().is_some() && is_larger)
        .then(|| VolumeRequest { size: wanted.size, ..present.clone() })
}

/// How far a volume is that was asked to grow; `None` if it is as large as it was asked to be. One that no node has mounted yet has
/// no size of its own.
fn growth(member: &Member<'_>) -> Option<String> {
    let claim = member.live_claim()?;
    let asked = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")?;
    let present = claim.status.as_ref()?.capacity.as_ref()?.get("storage")?;
    quantity::is_above(&asked.0, &present.0).then(|| {
        let condition = condition(claim).map(|said| format!(" ({said})")).unwrap_or_default();
        format!("it holds {} of {}{condition}", present.0, asked.0)
    })
}

/// What Kubernetes says of the growth.
fn condition(claim: &PersistentVolumeClaim) -> Option<String> {
    let conditions = claim.status.as_ref()?.conditions.as_ref()?;
    let true_ones = conditions.iter().filter(|condition| condition.status == "True");
    let said =
        true_ones.map(|condition| match condition.message.as_deref().filter(|text| !text.is_empty()) {
            Some(message) => format!("{}: {message}", condition.type_),
            None => condition.type_.clone(),
        });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| said.join("; "))
}
