//! The `scale` subresource: an object's replicas as an `autoscaling/v1` `Scale`.
//!
//! Pure. A write changes the scale first, owners included, and then the object by it.

use std::sync::{Arc, LazyLock};

use http::Method;
use serde_json::{Value, json};

use crate::apiserver::answer::{Answer, write_options};
use crate::apiserver::cluster::{Cluster, Inputs, Target};
use crate::apiserver::decode::decode;
use crate::apiserver::definition::{self, Definition, Shape};
use crate::apiserver::error::{ApiError, Cause};
use crate::apiserver::fields::{self, scale as owners};
use crate::apiserver::json::{drop_member, entries, list, text};
use crate::apiserver::patch::PatchKind;
use crate::apiserver::request::{ApiRequest, yaml};
use crate::apiserver::write::WriteOptions;
use crate::apiserver::{apply, patch, read, write};

pub(super) fn answer(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let paths = Paths::of(target).ok_or_else(|| super::not_served(target))?;
    let current = read::get(cluster, target)?;
    if request.method == Method::GET {
        return Ok(Answer::Object(200, None, Arc::new(paths.scale(&current))));
    }
    let known = paths.of_versions(target);
    let mut scale = paths.scale(&current);
    owners::show(&current, &known, &mut scale);
    let wanted = changed(inputs, target, &scale, request)?;
    let replicas = wanted.pointer("/spec/replicas").cloned().unwrap_or_else(|| json!(0));
    // A custom resource is checked as a whole, when it is written.
    let is_checked_here = !target.definition.is_custom();
    if is_checked_here && replicas.as_i64().is_none_or(|count| count < 0) {
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
    owners::carry_back(&wanted, &known, &target.api_version(), &mut new);
    let options = WriteOptions { applied: true, ..write_options(request) };
    let updated = write::update(cluster, inputs, target, new, &options)?;
    Ok(Answer::Object(200, None, Arc::new(paths.scale(&updated))))
}

/// The scale that a request makes of another, with its owners.
fn changed(
    inputs: &Inputs<'_>,
    target: &Target,
    scale: &Value,
    request: &ApiRequest,
) -> Result<Value, ApiError> {
    let is_custom = target.definition.is_custom();
    static SCALE: LazyLock<Arc<Definition>> = LazyLock::new(|| Arc::new(definition::scale()));
    let target = Target { definition: SCALE.clone(), version: "v1".to_owned(), ..target.clone() };
    let options = write_options(request);
    let kind = match request.method {
        Method::PUT => None,
        Method::PATCH => Some(PatchKind::of(&request.content_type)?),
        _ => return Err(ApiError::method_not_allowed()),
    };
    let mut new = match kind {
        None => decode(&target, request.body_object()?, options.field_validation)?,
        Some(PatchKind::Apply) => {
            let (sent, force) = (yaml(&request.body)?, request.query.flag("force"));
            let about = format!("{}/{}", text(&sent, "/metadata/namespace"), text(&sent, "/metadata/name"));
            if is_custom && scale["metadata"].get("managedFields").is_none() {
                return Err(unconvertible("failed to create manager for existing fields: ", "live", "/"));
            }
            let new = apply::merged(&target, Some(scale), sent, &options, force, inputs.now)?;
            let unowned = |scale: &Value| {
                let mut scale = scale.clone();
                drop_member(&mut scale["metadata"], "managedFields");
                scale
            };
            return match is_custom && unowned(scale) != unowned(&new) {
                true => Err(unconvertible("", "new", &about)),
                false => Ok(new),
            };
        }
        Some(kind @ (PatchKind::Json | PatchKind::Merge | PatchKind::Strategic)) => {
            patch::readable(&target, patch::patched(&target, kind, scale, &request.body)?, &options)?
        }
    };
    write::check_place(&target, &new)?;
    write::complete(&target, &mut new);
    fields::track(&target, Some(scale), &mut new, &options.manager, inputs.now);
    Ok(new)
}

/// A real server can't apply to the scale of a custom resource, unless the replicas are somebody's and nothing changes.
fn unconvertible(doing: &str, which: &str, about: &str) -> ApiError {
    ApiError::storage(format!(
        "{doing}failed to convert {which} object ({about}; autoscaling/v1, Kind=Scale) to proper version: \
         request to convert CR to an invalid group/version: autoscaling/v1"
    ))
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

    /// The places of replicas in all versions in which somebody may own them.
    fn of_versions(&self, target: &Target) -> owners::ReplicasPaths {
        let dotted = |pointer: &str| pointer.trim_start_matches('/').replace('/', ".");
        match &target.definition.shape {
            Shape::BuiltIn(_) => [(target.api_version(), Some(dotted(&self.spec)))].into(),
            Shape::Custom(schema) => {
                let path =
                    |scale: &Value| text(scale, "/specReplicasPath").trim_start_matches('.').to_owned();
                let versions = schema.versions.iter();
                versions
                    .map(|(name, version)| {
                        (target.definition.api_version(name), version.scale.as_ref().map(path))
                    })
                    .collect()
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
