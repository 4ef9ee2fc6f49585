//! Reviews: requests that are answered and not stored (`tokenreviews`, `selfsubjectaccessreviews` and their like).
//!
//! Pure. Access is always allowed: roles are stored, not enforced.

use serde_json::{Value, json};

use super::answer::Answer;
use super::auth::authenticate;
use super::cluster::{Cluster, Inputs};
use super::error::ApiError;
use super::json::text;
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
        ("authorization.k8s.io", "selfsubjectrulesreviews") => json!({
            "incomplete": false, "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        }),
        (
            "authorization.k8s.io",
            "selfsubjectaccessreviews" | "subjectaccessreviews" | "localsubjectaccessreviews",
        ) => {
            json!({"allowed": true})
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
    Ok(Answer::Object(201, None, std::sync::Arc::new(review)))
}
