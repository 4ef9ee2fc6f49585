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
use super::error::{ApiError, Cause};
use super::json::{entries, list, object, text};
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
    if path.group == "authorization.k8s.io" && path.resource.ends_with("accessreviews") {
        check(path, &review)?;
        let owned = ownership(&review, request, "authorization.k8s.io/v1", "", inputs);
        object(&mut review, "metadata").insert("managedFields".to_owned(), json!([owned]));
    }
    review["status"] = match (path.group.as_str(), path.resource.as_str()) {
        ("authorization.k8s.io", "selfsubjectrulesreviews") => {
            let status = rules(cluster, &request.user, &review)?;
            // What was asked is not repeated here.
            (review["metadata"], review["spec"]) = (json!({}), json!({}));
            status
        }
        ("authorization.k8s.io", "selfsubjectaccessreviews") => access(cluster, &request.user, &review)?,
        ("authorization.k8s.io", "subjectaccessreviews") => access(cluster, &subject(&review), &review)?,
        ("authorization.k8s.io", "localsubjectaccessreviews") => access(cluster, &subject(&review), &review)?,
        ("authentication.k8s.io", "selfsubjectreviews") => {
            review["metadata"] = json!({"creationTimestamp": inputs.now_text()});
            json!({"userInfo": request.user.to_json()})
        }
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

/// Refuses a review that asks nothing, two things at once, or about nobody.
fn check(path: &ResourcePath, review: &Value) -> Result<(), ApiError> {
    let given = |field: &str| review["spec"].get(field).filter(|given| !given.is_null());
    let mut causes = Vec::new();
    match (given("resourceAttributes"), given("nonResourceAttributes")) {
        (Some(_), Some(both)) => {
            let shown = json!({"Path": both["path"], "Verb": both["verb"]});
            let why = "cannot be specified in combination with resourceAttributes";
            causes.push(Cause::invalid("spec.nonResourceAttributes", &shown, why));
        }
        (None, None) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            causes.push(Cause::invalid("spec.resourceAttributes", &Value::Null, why));
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    let nobody =
        text(review, "/spec/user").is_empty() && list(review.pointer("/spec/groups")).next().is_none();
    if nobody && !path.resource.starts_with("self") {
        let why = "at least one of user or group must be specified";
        causes.push(Cause::invalid("spec.user", &json!(""), why));
    }
    if let (Some(attributes), "localsubjectaccessreviews") =
        (given("resourceAttributes"), path.resource.as_str())
        && text(attributes, "/namespace") != path.namespace.as_deref().unwrap_or_default()
    {
        let asked = json!(text(attributes, "/namespace"));
        let why = "must match metadata.namespace";
        causes.push(Cause::invalid("spec.resourceAttributes.namespace", &asked, why));
    }
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid("authorization.k8s.io", "", "", &causes)) }
}

/// Whose fields a review's are: its sender's, one level deep, as nothing in it is deeper.
pub(crate) fn ownership(
    review: &Value,
    request: &ApiRequest,
    api_version: &str,
    subresource: &str,
    inputs: &Inputs<'_>,
) -> Value {
    let mut spec = serde_json::Map::new();
    for (field, value) in entries(review.get("spec")).filter(|(_, value)| !value.is_null()) {
        let mut inner = serde_json::Map::new();
        if value.is_object() {
            inner.insert(".".to_owned(), json!({}));
            inner.extend(entries(Some(value)).map(|(name, _)| (format!("f:{name}"), json!({}))));
        }
        spec.insert(format!("f:{field}"), Value::Object(inner));
    }
    let mut entry = json!({
        "manager": request.field_manager(), "operation": "Update", "apiVersion": api_version, "time": inputs.now_text(),
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": spec},
    });
    if !subresource.is_empty() {
        entry["subresource"] = json!(subresource);
    }
    entry
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
