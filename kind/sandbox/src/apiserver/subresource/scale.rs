//! The `scale` subresource: an object's replicas as an `autoscaling/v1` `Scale`.
//!
//! Pure.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::apiserver::answer::{Answer, write_options};
use crate::apiserver::cluster::{Cluster, Inputs, Target};
use crate::apiserver::definition::Shape;
use crate::apiserver::error::{ApiError, Cause};
use crate::apiserver::json::{entries, list, text};
use crate::apiserver::request::ApiRequest;
use crate::apiserver::{patch, read, write};

pub(super) fn answer(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let paths = Paths::of(target).ok_or_else(ApiError::no_such_path)?;
    let current = read::get(cluster, target)?;
    let scale = paths.scale(&current);
    let wanted = match request.method {
        Method::GET => return Ok(Answer::Object(200, None, Arc::new(scale))),
        Method::PUT => request.body_object()?,
        Method::PATCH => patch::patched_by_request(target, &scale, request)?,
        _ => return Err(ApiError::method_not_allowed()),
    };
    let replicas = wanted.pointer("/spec/replicas").cloned().unwrap_or_else(|| json!(0));
    if replicas.as_i64().is_none_or(|count| count < 0) {
        let cause = Cause::invalid("spec.replicas", &replicas, "must be greater than or equal to 0");
        return Err(ApiError::invalid("autoscaling", "Scale", text(&current, "/metadata/name"), &[cause]));
    }
    let mut new = Value::clone(&current);
    for precondition in ["uid", "resourceVersion"] {
        if let Some(value) = wanted["metadata"].get(precondition) {
            new["metadata"][precondition] = value.clone();
        }
    }
    set(&mut new, &paths.spec, replicas);
    let updated = write::update(cluster, inputs, target, new, &write_options(request))?;
    Ok(Answer::Object(200, None, Arc::new(paths.scale(&updated))))
}

/// Where a resource keeps its replicas, as JSON pointers.
struct Paths {
    spec: String,
    status: String,
    selector: Option<String>,
}

impl Paths {
    fn of(target: &Target) -> Option<Self> {
        match &target.definition.shape {
            Shape::BuiltIn(_) => {
                let (spec, status) = ("/spec/replicas".to_owned(), "/status/replicas".to_owned());
                Some(Self { spec, status, selector: None })
            }
            Shape::Custom(schema) => {
                let scale = schema.versions.get(&target.version)?.scale.as_ref()?;
                let pointer = |field: &str| text(scale, &format!("/{field}")).replace('.', "/");
                let selector = pointer("labelSelectorPath");
                Some(Self {
                    spec: pointer("specReplicasPath"),
                    status: pointer("statusReplicasPath"),
                    selector: (!selector.is_empty()).then_some(selector),
                })
            }
        }
    }

    fn scale(&self, object: &Value) -> Value {
        let metadata = &object["metadata"];
        let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        let selector = match &self.selector {
            Some(pointer) => text(object, pointer).to_owned(),
            None => selector_text(object.pointer("/spec/selector")),
        };
        let mut scale = json!({
            "kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": {
                "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
            },
            "spec": {"replicas": number(&self.spec)},
            "status": {"replicas": number(&self.status)},
        });
        if !selector.is_empty() {
            scale["status"]["selector"] = json!(selector);
        }
        // A zero is left out of the spec, not of the status.
        if number(&self.spec) == 0 {
            scale["spec"] = json!({});
        }
        scale
    }
}

/// A label selector in its query form.
fn selector_text(selector: Option<&Value>) -> String {
    let equal = entries(selector.and_then(|selector| selector.get("matchLabels")));
    let mut terms: Vec<String> =
        equal.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    for term in list(selector.and_then(|selector| selector.get("matchExpressions"))) {
        let values: Vec<&str> = list(term.get("values")).filter_map(Value::as_str).collect();
        let (key, values) = (text(term, "/key"), values.join(","));
        match text(term, "/operator") {
            "In" => terms.push(format!("{key} in ({values})")),
            "NotIn" => terms.push(format!("{key} notin ({values})")),
            "Exists" => terms.push(key.to_owned()),
            _ => terms.push(format!("!{key}")),
        }
    }
    terms.join(",")
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for segment in pointer.split('/').filter(|segment| !segment.is_empty()) {
        at = &mut at[segment];
    }
    *at = value;
}
