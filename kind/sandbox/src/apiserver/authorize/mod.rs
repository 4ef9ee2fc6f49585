//! Who may do what: Kubernetes' RBAC authorizer on the stored roles and bindings.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>. Pure: it decides from the cluster's state and the
//! request; roles are additive, so there is no denial, only the absence of a right.

mod attributes;
pub(crate) mod defaults;
pub(crate) mod escalation;
mod grants;
mod rule;
#[cfg(test)]
mod tests;

pub(crate) use attributes::{Asked, Attributes, ResourceAsked};
pub(crate) use grants::rules_for;
pub(crate) use rule::Rule;

use super::auth::User;
use super::cluster::Cluster;
use super::error::ApiError;
use super::request::ApiRequest;
use crate::store::GroupResource;
use grants::{Grant, grants};

/// Members of this group may do everything; no role can take it from them.
pub(crate) const MASTERS: &str = "system:masters";

/// What was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Whether the right is there.
    pub(crate) allowed: bool,
    /// The binding that gives it, or what was wrong with bindings that might have; often empty.
    pub(crate) reason: String,
}

/// Refuses a request that its caller has no right to.
pub(crate) fn check(cluster: &Cluster, request: &ApiRequest) -> Result<(), ApiError> {
    require(cluster, &request.user, &Attributes::of(request))
}

/// Refuses what `user` has no right to, in the words of the API server.
pub(crate) fn require(cluster: &Cluster, user: &User, attributes: &Attributes) -> Result<(), ApiError> {
    let decision = decide(cluster, user, attributes);
    if decision.allowed {
        return Ok(());
    }
    let mut why =
        attributes.refusal(&user.name).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if !decision.reason.is_empty() {
        why = format!("{why}: {}", decision.reason);
    }
    Err(match &attributes.asked {
        Asked::Path(_) => ApiError::forbidden(&GroupResource::new("", ""), "", &why),
        Asked::Resource(asked) => {
            let resource = GroupResource::new(asked.group.as_str(), asked.resource.as_str());
            ApiError::forbidden(&resource, &asked.name, &why)
        }
    })
}

/// Refuses a PUT or an apply that would create, unless its caller may create too.
pub(crate) fn require_creation(cluster: &Cluster, request: &ApiRequest) -> Result<(), ApiError> {
    match Attributes::creation_by(request) {
        Some(creation) => require(cluster, &request.user, &creation),
        None => Ok(()),
    }
}

/// Whether `user` may do what `attributes` say.
pub(crate) fn decide(cluster: &Cluster, user: &User, attributes: &Attributes) -> Decision {
    if user.is_master() {
        return Decision { allowed: true, reason: String::new() };
    }
    let (found, errors) = grants(cluster, user, attributes.namespace());
    let allowing = found.iter().find(|grant| grant.rules.iter().any(|rule| rule.allows(attributes)));
    match allowing {
        Some(Grant { source, .. }) => {
            Decision { allowed: true, reason: format!("RBAC: allowed by {source}") }
        }
        None => {
            let reason = match errors.as_slice() {
                [] => String::new(),
                [one] => format!("RBAC: {one}"),
                many => format!("RBAC: [{}]", many.join(", ")),
            };
            Decision { allowed: false, reason }
        }
    }
}
