//! Errors of the API as Kubernetes' `Status` objects: code, reason, message and details.
//!
//! Reasons and their codes follow `k8s.io/apimachinery/pkg/apis/meta/v1` (`StatusReason`), because clients decide by them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::store::GroupResource;

/// One field that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// For example `FieldValueInvalid`.
    pub(crate) reason: &'static str,
    /// The path from the object's root, for example `spec.size`.
    pub(crate) field: String,
    /// Without the field's name in front.
    pub(crate) message: String,
}

impl Cause {
    /// `Required value`.
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = join_detail("Required value", detail);
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }

    /// `Invalid value`, showing it.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let message = join_detail(&format!("Invalid value: {}", shown(value)), detail);
        Self { reason: "FieldValueInvalid", field: field.into(), message }
    }

    /// `Forbidden`, most often a field that can't change.
    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {detail}") }
    }

    /// `Unsupported value`, listing those that are.
    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, supported: &[String]) -> Self {
        let list = supported.iter().map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(", ");
        let message = format!("Unsupported value: {}: supported values: {list}", shown(value));
        Self { reason: "FieldValueNotSupported", field: field.into(), message }
    }

    /// `Duplicate value`, in a list that is a set or a map.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        let message = format!("Duplicate value: {}", shown(value));
        Self { reason: "FieldValueDuplicate", field: field.into(), message }
    }

    fn sentence(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }

    fn to_json(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

fn join_detail(text: &str, detail: &str) -> String {
    if detail.is_empty() { text.to_owned() } else { format!("{text}: {detail}") }
}

/// Objects and lists are shown as JSON, as Go would show a map is of no use to anybody.
fn shown(value: &Value) -> String {
    value.to_string()
}

/// A refusal, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    /// HTTP status code.
    pub(crate) code: u16,
    /// Machine-readable reason.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) message: String,
    /// Nothing where a real server sends no details at all, which is not the same as empty ones.
    details: Option<Value>,
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, resource: &GroupResource, name: &str) -> Self {
        let mut details = json!({});
        for (member, text) in [("name", name), ("group", &resource.group), ("kind", &resource.resource)] {
            if !text.is_empty() {
                details[member] = json!(text);
            }
        }
        self.details = Some(details);
        self
    }

    /// 404 for an object.
    pub(crate) fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} \"{name}\" not found")).about(resource, name)
    }

    /// 404 for a path that is not served.
    pub(crate) fn no_such_path() -> Self {
        let mut error = Self::new(404, "NotFound", "the server could not find the requested resource");
        error.details = Some(json!({}));
        error
    }

    /// 404 for a path below a group or version that is not served: a text, no `Status`.
    pub(crate) fn no_such_group() -> Self {
        Self::new(404, Self::PLAIN_TEXT, "404 page not found\n")
    }

    /// The reason of an error that is sent as a text.
    pub(crate) const PLAIN_TEXT: &str = "plain text";

    /// 409 on create.
    pub(crate) fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{resource} \"{name}\" already exists")).about(resource, name)
    }

    /// 409 on create, of what is on its way out.
    pub(crate) fn still_exists(resource: &GroupResource, name: &str) -> Self {
        let error = Self::already_exists(resource, name);
        Self { message: format!("object is being deleted: {}", error.message), ..error }
    }

    /// 409 for a failed precondition.
    pub(crate) fn conflict(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// 409 because the caller's resourceVersion is old.
    pub(crate) fn modified(resource: &GroupResource, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 409 of server-side apply; `causes` are the fields and the managers that own them.
    pub(crate) fn apply_conflict(causes: &[(String, String)]) -> Self {
        let shown = |(field, with): &(String, String)| format!("conflict with {with}: {field}");
        let message = match causes {
            [one] => format!("Apply failed with 1 conflict: {}", shown(one)),
            many => {
                let mut fields: BTreeMap<&String, Vec<&str>> = BTreeMap::new();
                many.iter().for_each(|(field, with)| fields.entry(with).or_default().push(field));
                let of = |(with, fields): (&&String, &Vec<&str>)| {
                    let lines = fields.iter().map(|field| format!("\n- {field}")).collect::<String>();
                    format!("conflicts with {with}:{lines}")
                };
                let managers: Vec<String> = fields.iter().map(of).collect();
                format!("Apply failed with {} conflicts: {}", many.len(), managers.join("\n"))
            }
        };
        let mut error = Self::new(409, "Conflict", message);
        let causes = causes.iter().map(|(field, with)| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {with}"), "field": field})
        });
        error.details = Some(json!({"causes": causes.collect::<Vec<_>>()}));
        error
    }

    /// 422 with every cause.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let mut sentences: Vec<_> = Vec::new();
        for sentence in causes.iter().map(Cause::sentence) {
            // A message says each thing once, even where two checks found it.
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        let all = match sentences.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let error = Self::new(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {all}"));
        let error = error.about(&GroupResource::new(group, kind), name);
        error.with_causes(causes.iter().map(Cause::to_json).collect())
    }

    /// 422 for a request that makes no sense.
    pub(crate) fn unprocessable(why: &str) -> Self {
        Self::new(422, "Invalid", why)
    }

    /// 422 for a JSON patch that can't be applied; a real server does not say why.
    pub(crate) fn rejected() -> Self {
        let mut error =
            Self::new(422, "Invalid", "the server rejected our request due to an error in our request");
        error.details = Some(json!({}));
        error
    }

    /// 403.
    pub(crate) fn forbidden(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = match (resource.resource.as_str(), name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{resource} is forbidden: {why}"),
            (_, name) => format!("{resource} \"{name}\" is forbidden: {why}"),
        };
        let mut error = Self::new(403, "Forbidden", message);
        error.details = Some(json!({}));
        for (field, value) in [("group", &resource.group), ("kind", &resource.resource)] {
            if !value.is_empty() {
                error.details.get_or_insert_with(|| json!({}))[field] = json!(value);
            }
        }
        if !name.is_empty() {
            error.details.get_or_insert_with(|| json!({}))["name"] = json!(name);
        }
        error
    }

    /// 403 because the namespace is being deleted; clients look for the cause.
    pub(crate) fn namespace_terminating(resource: &GroupResource, name: &str, namespace: &str) -> Self {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let error = Self::forbidden(resource, name, &why);
        let message = format!("namespace {namespace} is being terminated");
        error.with_causes(
            json!([{"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}]),
        )
    }

    /// 400.
    pub(crate) fn bad_request(why: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", why)
    }

    /// 401.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Self {
        let why = "the server does not allow this method on the requested resource";
        let mut error = Self::new(405, "MethodNotAllowed", why);
        error.details = Some(json!({}));
        error
    }

    /// 410: the history asked for is gone.
    pub(crate) fn expired(why: impl Into<String>) -> Self {
        Self::new(410, "Expired", why)
    }

    /// 415.
    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        let why = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", why)
    }

    /// 415 for a patch in no format of patches.
    pub(crate) fn no_patch() -> Self {
        let mut error = Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
        error.details = Some(json!({}));
        error
    }

    /// 429: an eviction that a PodDisruptionBudget does not allow now; perhaps it will after so many seconds.
    pub(crate) fn disruption_budget(message: &str, retry_after_seconds: Option<u32>) -> Self {
        let mut error = Self::new(
            429,
            "TooManyRequests",
            "Cannot evict pod as it would violate the pod's disruption budget.",
        );
        let mut details = json!({"causes": [{"reason": "DisruptionBudget", "message": message}]});
        if let Some(seconds) = retry_after_seconds {
            details["retryAfterSeconds"] = json!(seconds);
        }
        error.details = Some(details);
        error
    }

    /// 500, without a reason: an eviction that does not know which PodDisruptionBudget to ask.
    pub(crate) fn several_budgets() -> Self {
        let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        Self::new(500, "", why)
    }

    /// After how many seconds another try makes sense, where the refusal says so.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.details.as_ref()?["retryAfterSeconds"].as_u64()
    }

    /// 500.
    pub(crate) fn internal(why: impl Into<String>) -> Self {
        let why = why.into();
        let mut error = Self::new(500, "InternalError", format!("Internal error occurred: {why}"));
        error.details = Some(json!({"causes": [{"message": why}]}));
        error
    }

    /// 500 for what the storage refused, which a real server does not wrap.
    pub(crate) fn storage(why: impl Into<String>) -> Self {
        Self::new(500, "", why)
    }

    /// 503: nothing answers behind a proxied request.
    pub(crate) fn unavailable(why: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", why)
    }

    /// The body to send.
    pub(crate) fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }

    fn with_causes(mut self, causes: Value) -> Self {
        self.details.get_or_insert_with(|| json!({}))["causes"] = causes;
        self
    }
}
