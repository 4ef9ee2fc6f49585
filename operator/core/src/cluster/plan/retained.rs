//! Volumes of an earlier cluster of the same name. They are never used, changed or deleted; and while they are there no empty
//! cluster is formed beside them unless the spec says so, because whoever applied the name again may have wanted the data.

use kube::ResourceExt;

use super::{Context, Flow, Hold, Notice, ObjectHold, Plan};
use crate::cluster::world::{ClaimFacts, Keeper};

/// Before anything is chosen: holds, or says what is passed over.
pub(super) fn hold_or_notice(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let claims = with_data(context);
    let has_begun = context.world.bootstrap.is_some();
    if claims.is_empty() || has_begun || context.desired.may_form_beside_retained_volumes {
        return notice(context, plan);
    }
    plan.hold(Hold::Object(ObjectHold::RetainedVolumes { claims }));
    Flow::Stop
}

/// Says what is passed over.
pub(super) fn notice(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let with_data = with_data(context);
    for claim in &context.world.claims_of_others {
        let claim = claim.name_any();
        if !with_data.contains(&claim) {
            plan.hold(Hold::Notice(Notice::OthersClaim { claim }));
        }
    }
    if !with_data.is_empty() {
        plan.hold(Hold::Notice(Notice::BesideRetainedVolumes { claims: with_data }));
    }
    Flow::Next
}

/// Claims that may hold an earlier cluster's data: all but those on which it is recorded that they were never used.
fn with_data(context: &Context<'_>) -> Vec<String> {
    let claims = context.world.claims_of_others.iter();
    let may_hold_data = |claim: &&&k8s_openapi::api::core::v1::PersistentVolumeClaim| {
        let facts = ClaimFacts::read(Keeper::Claim(claim));
        facts.cluster_uid.is_none() || facts.may_hold_data()
    };
    claims.filter(may_hold_data).map(|claim| claim.name_any()).collect()
}
