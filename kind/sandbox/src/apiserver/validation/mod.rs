//! What an object must be before it is stored: names, required fields, values, fields that can't change.
//!
//! The essential part of Kubernetes' validation; messages as `kubectl` shows them. Pure.

mod batch;
mod bounds;
mod budget;
mod claims;
mod discovery;
mod forms;
mod names;
mod pod;
mod report;
mod rights;
mod selectors;
mod service;
mod status;
mod update;
mod workloads;

use kube_cel::RootContext;
use serde_json::{Value, json};

use self::names::{finalizer_causes, metadata_causes, name_causes};
use super::cluster::Target;
use super::defects::Defect;
use super::definition::Shape;
use super::error::{ApiError, Cause};
use super::json::{list, text};
use super::structural;

/// Checks a new object.
pub(crate) fn on_create(target: &Target, new: &Value) -> Vec<Cause> {
    let mut causes = name_causes(target, text(new, "/metadata/name"));
    causes.extend(metadata_causes(new));
    if !is_custom(target) {
        causes.extend(finalizer_causes(new));
    }
    match &target.definition.shape {
        Shape::BuiltIn(_) if target.definition.is("batch", "cronjobs") => {
            causes.extend(batch::new_cron_job(new));
        }
        Shape::BuiltIn(_) => {
            causes.extend(built_in(target, None, new));
            if target.definition.is("", "pods") {
                causes.extend(pod::new_pod(new));
            }
        }
        Shape::Custom(_) => causes.extend(custom(target, None, new)),
    }
    causes
}

/// Checks a changed object. `immutable` is what its metadata must keep and does not. What was wrong before, and has not
/// changed, is let through for custom resources (validation ratcheting).
pub(crate) fn on_update(target: &Target, old: &Value, new: &Value, immutable: &[Cause]) -> Vec<Cause> {
    let metadata = metadata_causes(new);
    let finalizers = if is_custom(target) { Vec::new() } else { finalizer_causes(new) };
    // What all kinds have in common looks at metadata twice, and then each kind looks again.
    let mut causes: Vec<Cause> = [&metadata, immutable, &metadata].into_iter().flatten().cloned().collect();
    let checks = own_checks(target);
    for check in checks {
        let kept = if *check == OwnCheck::Update { immutable } else { &[] };
        match check {
            OwnCheck::Content => causes.extend(built_in(target, Some(old), new)),
            OwnCheck::Changes => causes.extend(update::causes(target, old, new)),
            OwnCheck::Update | OwnCheck::Whole => {
                causes.extend([kept, &metadata, &finalizers].into_iter().flatten().cloned());
            }
        }
    }
    match &target.definition.shape {
        Shape::BuiltIn(_) if target.subresource.as_deref() == Some("status") => {
            causes.extend(status::causes(target, new));
        }
        Shape::BuiltIn(_) => {
            if !checks.contains(&OwnCheck::Content) {
                let own = built_in(target, Some(old), new).into_iter();
                // Endpoints that were stored once are good enough until they change.
                let stays = |cause: &Cause| {
                    cause.field.starts_with("endpoints[") && old.get("endpoints") == new.get("endpoints")
                };
                causes.extend(own.filter(|cause| !stays(cause)));
            }
            if !checks.contains(&OwnCheck::Changes) {
                causes.extend(update::causes(target, old, new));
            }
        }
        Shape::Custom(_) => {
            causes.extend(custom(target, Some(old), new));
        }
    }
    causes
}

/// What a kind's own check of an update looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnCheck {
    /// Metadata, as of a changed object.
    Update,
    /// Metadata, as of a new object.
    Whole,
    /// The rest; at the end, unless it is listed.
    Content,
    /// What may not change; after all else, unless it is listed.
    Changes,
}

fn own_checks(target: &Target) -> &'static [OwnCheck] {
    use OwnCheck::{Changes, Content, Update, Whole};
    let id = &target.definition.id;
    let is_status = target.subresource.as_deref() == Some("status");
    match (id.group.as_str(), id.resource.as_str()) {
        ("policy", "poddisruptionbudgets") => &[],
        _ if is_status => &[Update],
        ("discovery.k8s.io", _) | ("", "limitranges" | "persistentvolumes") => &[Whole],
        ("", "configmaps" | "secrets" | "services") => &[Update, Changes, Whole],
        ("", "serviceaccounts" | "endpoints") => &[Update, Whole],
        ("", "persistentvolumeclaims") => &[Whole, Content, Update, Whole, Content],
        ("rbac.authorization.k8s.io", _) => &[Whole, Update],
        _ => &[Update],
    }
}

/// Custom resources and their definitions are checked by the more lenient part of the server.
fn is_custom(target: &Target) -> bool {
    target.definition.is_custom() || target.definition.id.group == "apiextensions.k8s.io"
}

fn custom(target: &Target, old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let Shape::Custom(schema) = &target.definition.shape else { return Vec::new() };
    let Some(version) = schema.versions.get(&target.version) else { return Vec::new() };
    let by_schema = |object: &Value| {
        let mut causes = structural::check::check(&version.schema, object);
        let paths = ["/specReplicasPath", "/statusReplicasPath"].into_iter();
        let paths = paths.filter_map(|field| version.scale.as_ref().map(|scale| text(scale, field)));
        causes.extend(paths.filter_map(|path| replicas(path, object)));
        causes
    };
    let mut causes = by_schema(new);
    if let Some(old) = old {
        let before = by_schema(old);
        causes.retain(|cause| !before.contains(cause));
    }
    let blocking = |cause: &Cause| {
        matches!(
            cause.reason,
            "FieldValueNotSupported"
                | "FieldValueRequired"
                | "FieldValueTooLong"
                | "FieldValueTooMany"
                | "FieldValueTypeInvalid"
        )
    };
    if structural::rules::has_any(&version.schema) && causes.iter().any(blocking) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        causes.push(Cause::invalid("<nil>", &Value::Null, why));
        return causes;
    }
    let context = RootContext {
        api_version: target.api_version(),
        api_group: target.definition.id.group.clone(),
        kind: target.definition.kind.clone(),
    };
    let by_rules = |old: Option<&Value>, object: &Value| {
        let old = old.filter(|_| !Defect::TransitionRulesSkipped.is_planted());
        structural::rules::check(&version.rules, &version.schema, object, old, &context)
    };
    let before = old.map_or_else(Vec::new, |old| by_rules(None, old));
    causes.extend(by_rules(old, new).into_iter().filter(|cause| !before.contains(cause)));
    causes
}

/// What is wrong with the number of replicas where a definition says it is.
fn replicas(path: &str, object: &Value) -> Option<Cause> {
    let refuse = |value: &Value, why: &str| Some(Cause::invalid(path, value, why));
    let mut at = object;
    for segment in path.split('.').filter(|segment| !segment.is_empty()) {
        match at {
            Value::Object(members) => at = members.get(segment)?,
            other => return refuse(&json!(0), &misread(path, other, "map[string]interface{}")),
        }
    }
    match at.as_i64() {
        Some(..0) => refuse(at, "should be a non-negative integer"),
        Some(_) => None,
        None => refuse(&json!(0), &misread(path, at, "int64")),
    }
}

/// A value that is not what its reader expects, by the names of Go's types.
fn misread(path: &str, value: &Value, expected: &str) -> String {
    let (shown, kind) = match value {
        Value::Null => ("<nil>".to_owned(), "<nil>"),
        Value::Bool(_) => (value.to_string(), "bool"),
        Value::Number(_) => (value.to_string(), "float64"),
        Value::String(text) => (text.clone(), "string"),
        Value::Array(items) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect();
            (format!("[{}]", items.join(" ")), "[]interface {}")
        }
        Value::Object(_) => (value.to_string(), "map[string]interface {}"),
    };
    format!("{path} accessor error: {shown} is of the type {kind}, expected {expected}")
}

fn built_in(target: &Target, old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let id = &target.definition.id;
    match (id.group.as_str(), id.resource.as_str()) {
        ("", "pods") => pod::pod(new),
        ("apps", "statefulsets") => workloads::stateful_set(old, new),
        ("apps", "deployments") => workloads::deployment(new),
        ("apps", "replicasets") => workloads::replica_set(new),
        ("apps", "daemonsets") => workloads::daemon_set(new),
        ("", "limitranges") => bounds::range(new),
        ("", "resourcequotas") => bounds::quota(old, new),
        ("batch", "jobs") => batch::job(new),
        ("batch", "cronjobs") => batch::cron_job(new),
        ("events.k8s.io", "events") if new.get("eventTime").is_none_or(Value::is_null) => {
            vec![Cause::required("eventTime", "")]
        }
        ("", "services") => service::service(new),
        ("", "persistentvolumeclaims") => claims::claim(new),
        ("policy", "poddisruptionbudgets") => budget::budget(new),
        ("discovery.k8s.io", "endpointslices") => discovery::slice(new),
        ("rbac.authorization.k8s.io", "roles") => rights::role(new, true),
        ("rbac.authorization.k8s.io", "clusterroles") => rights::role(new, false),
        ("rbac.authorization.k8s.io", "rolebindings") => rights::binding(new, true),
        ("rbac.authorization.k8s.io", "clusterrolebindings") => rights::binding(new, false),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition(new),
        ("coordination.k8s.io", "leases") => lease(new),
        _ => Vec::new(),
    }
}

/// A value that is there must be one of these.
fn enumeration(object: &Value, path: &str, supported: &[&str]) -> Option<Cause> {
    let value = object.pointer(&format!("/{}", path.replace('.', "/")))?;
    let known = value.as_str().is_some_and(|text| supported.contains(&text));
    let names: Vec<String> = supported.iter().map(|one| (*one).to_owned()).collect();
    (!known).then(|| Cause::unsupported(path, value, &names))
}

fn lease(new: &Value) -> Vec<Cause> {
    let limits = [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ];
    let wrong = |(field, least, why): (&str, i64, &str)| {
        let value = new.pointer(&format!("/spec/{field}"))?;
        (value.as_i64()? < least).then(|| Cause::invalid(format!("spec.{field}"), value, why))
    };
    limits.into_iter().filter_map(wrong).collect()
}

fn definition(new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let expected = format!("{}.{}", text(new, "/spec/names/plural"), text(new, "/spec/group"));
    if text(new, "/metadata/name") != expected {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &new["metadata"]["name"], why));
    }
    let versions: Vec<&Value> = list(new.pointer("/spec/versions")).collect();
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &new["spec"]["versions"], why));
    }
    for (index, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        match version.pointer("/schema/openAPIV3Schema") {
            Some(schema) => causes.extend(structural::rules::uncompilable(schema, &path)),
            None => causes.push(Cause::required(path, "schemas are required")),
        }
    }
    causes
}

/// Custom resources may not be replaced blindly: a PUT must name the version it replaces.
pub(crate) fn require_version(target: &Target, sent: &Value) -> Result<(), ApiError> {
    if !target.definition.needs_version() || !text(sent, "/metadata/resourceVersion").is_empty() {
        return Ok(());
    }
    let zero = Value::from(0);
    let cause = Cause::invalid("metadata.resourceVersion", &zero, "must be specified for an update");
    let name = target.name.as_deref().unwrap_or_default();
    Err(ApiError::invalid(&target.definition.id.group, &target.definition.id.resource, name, &[cause]))
}

/// Some objects can't be deleted.
pub(crate) fn on_delete(target: &Target, name: &str) -> Result<(), ApiError> {
    let protected =
        target.definition.is("", "namespaces") && matches!(name, "default" | "kube-system" | "kube-public");
    if protected {
        return Err(ApiError::forbidden(&target.definition.id, name, "this namespace may not be deleted"));
    }
    Ok(())
}
