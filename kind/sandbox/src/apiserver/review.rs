//! Reviews: requests that are answered and not stored (`tokenreviews`, `selfsubjectaccessreviews` and their like).
//!
//! Pure. What a caller may do is asked of the same rules that requests are checked by.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::Answer;
use super::auth::{User, authenticate};
use super::authorize::{self, Asked, Attributes, ResourceAsked, Rule};
use super::cluster::{Cluster, Inputs};
use super::error::ApiError;
use super::json::{entries, list, text};
use super::request::{ApiRequest, ResourcePath};

/// Whether a path leads to a review.
pub(crate) fn serves(path: &ResourcePath) -> bool {
    matches!(path.group.as_str(), "authentication.k8s.io" | "authorization.k8s.io") && path.version == "v1"
}

/// Answers a review.
pub(crate) fn answer(
    cluster: &Cluster,
    inputs: &Inputs<'_>,
    path: &ResourcePath,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let mut review: Value = request.body_object()?;
    review["status"] = match (path.group.as_str(), path.resource.as_str()) {
        ("authorization.k8s.io", "selfsubjectrulesreviews") => rules(cluster, &request.user, &review)?,
        ("authorization.k8s.io", "selfsubjectaccessreviews") => access(cluster, &request.user, &review)?,
        ("authorization.k8s.io", "subjectaccessreviews") => access(cluster, &subject(&review), &review)?,
        ("authorization.k8s.io", "localsubjectaccessreviews") => {
            let namespace = path.namespace.as_deref().unwrap_or_default();
            if text(&review, "/spec/resourceAttributes/namespace") != namespace {
                let why = format!("spec.resourceAttributes.namespace must match namespace: {namespace}");
                return Err(ApiError::bad_request(why));
            }
            access(cluster, &subject(&review), &review)?
        }
        ("authentication.k8s.io", "selfsubjectreviews") => json!({"userInfo": request.user.to_json()}),
        ("authentication.k8s.io", "tokenreviews") => {
            match authenticate(cluster, text(&review, "/spec/token"), inputs.now) {
                Some(user) => json!({"authenticated": true, "user": user.to_json()}),
                None => json!({"authenticated": false}),
            }
        }
        _ => return Err(ApiError::no_such_path()),
    };
    Ok(Answer::Object(201, None, Arc::new(review)))
}

/// Whether `user` may do what the review asks about.
fn access(cluster: &Cluster, user: &User, review: &Value) -> Result<Value, ApiError> {
    let decision = authorize::decide(cluster, user, &asked(review)?);
    let mut status = json!({"allowed": decision.allowed});
    if !decision.reason.is_empty() {
        status["reason"] = json!(decision.reason);
    }
    Ok(status)
}

fn asked(review: &Value) -> Result<Attributes, ApiError> {
    let on_resource = review.pointer("/spec/resourceAttributes").filter(|given| !given.is_null());
    let on_path = review.pointer("/spec/nonResourceAttributes").filter(|given| !given.is_null());
    let field = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
    match (on_resource, on_path) {
        (Some(of), None) => Ok(Attributes {
            verb: field(of, "verb"),
            asked: Asked::Resource(ResourceAsked {
                group: field(of, "group"),
                resource: field(of, "resource"),
                subresource: field(of, "subresource"),
                namespace: field(of, "namespace"),
                name: field(of, "name"),
            }),
        }),
        (None, Some(of)) => Ok(Attributes { verb: field(of, "verb"), asked: Asked::Path(field(of, "path")) }),
        _ => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            Err(ApiError::unprocessable(why))
        }
    }
}

/// Whom a review by somebody else is about.
fn subject(review: &Value) -> User {
    let texts = |value: Option<&Value>| -> Vec<String> {
        list(value).filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let extra: BTreeMap<String, Vec<String>> = entries(review.pointer("/spec/extra"))
        .map(|(name, values)| (name.clone(), texts(Some(values))))
        .collect();
    User {
        name: text(review, "/spec/user").to_owned(),
        uid: text(review, "/spec/uid").to_owned(),
        groups: texts(review.pointer("/spec/groups")),
        extra,
    }
}

/// Everything that `user` may do in the namespace that the review names.
fn rules(cluster: &Cluster, user: &User, review: &Value) -> Result<Value, ApiError> {
    let namespace = text(review, "/spec/namespace");
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let all = authorize::rules_for(cluster, user, namespace);
    let on_resources: Vec<&Rule> = all.iter().filter(|rule| !rule.resources.is_empty()).collect();
    let on_paths: Vec<&Rule> = all.iter().filter(|rule| !rule.non_resource_urls.is_empty()).collect();
    Ok(json!({"resourceRules": on_resources, "nonResourceRules": on_paths, "incomplete": false}))
}
