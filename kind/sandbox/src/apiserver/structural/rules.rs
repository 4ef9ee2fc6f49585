//! The CEL rules of a CRD (`x-kubernetes-validations`), evaluated by `kube_cel`.
//!
//! Pure. A rule that does not compile refuses the CRD, so none is skipped here.

use kube_cel::{CompiledSchema, RootContext, ValidationError, Validator, compile_schema};
use serde_json::{Value, json};

use crate::apiserver::error::Cause;
use crate::apiserver::json::{entries, list};

/// Evaluates every rule; transition rules only where there is an old object.
pub(crate) fn check(
    compiled: &CompiledSchema,
    schema: &Value,
    value: &Value,
    old: Option<&Value>,
    context: &RootContext,
) -> Vec<Cause> {
    let (value, old) = (rule_view(value), old.map(rule_view));
    let found =
        Validator::new().validate_compiled_with_context(compiled, &value, old.as_ref(), Some(context));
    let mut causes: Vec<Cause> = match found {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().iter().map(|error| cause(schema, error)).collect(),
    };
    causes.sort_by(|a, b| (&a.field, &a.message).cmp(&(&b.field, &b.message)));
    causes
}

/// Whether a schema has any rule.
pub(crate) fn has_any(schema: &Value) -> bool {
    let here = list(schema.get("x-kubernetes-validations")).next().is_some();
    here || entries(schema.get("properties")).any(|(_, child)| has_any(child))
        || ["items", "additionalProperties"].iter().any(|branch| schema.get(*branch).is_some_and(has_any))
}

/// Rules see only the name in an object's metadata.
fn rule_view(value: &Value) -> Value {
    let mut view = value.clone();
    let metadata = &value["metadata"];
    let mut shown = json!({"name": metadata["name"]});
    if let Some(prefix) = metadata.get("generateName") {
        shown["generateName"] = prefix.clone();
    }
    view["metadata"] = shown;
    view
}

fn cause(schema: &Value, error: &ValidationError) -> Cause {
    let field = error.field_path.trim_start_matches('.').to_owned();
    let field = if field.is_empty() { "<nil>".to_owned() } else { field };
    let message = &error.message;
    match error.reason.as_deref() {
        Some("FieldValueForbidden") => Cause::forbidden(field, message),
        Some("FieldValueRequired") => Cause::required(field, message),
        Some("FieldValueDuplicate") => Cause::duplicate(field.clone(), &Value::from(type_at(schema, &field))),
        Some(_) | None => Cause::invalid(field.clone(), &Value::from(type_at(schema, &field)), message),
    }
}

/// Kubernetes shows the type of the rule's place in stead of the value.
fn type_at(schema: &Value, path: &str) -> String {
    let mut at = schema;
    for segment in path.split(['.', '[']).filter(|segment| !segment.is_empty() && *segment != "<nil>") {
        let next = match segment.strip_suffix(']') {
            Some(_) => at.get("items").or_else(|| at.get("additionalProperties")),
            None => at.pointer(&format!("/properties/{segment}")).or_else(|| at.get("additionalProperties")),
        };
        let Some(next) = next else { break };
        at = next;
    }
    at.get("type").and_then(Value::as_str).unwrap_or("object").to_owned()
}

/// The rules of a schema that do not compile, with their places, as a CRD is refused for.
pub(crate) fn uncompilable(schema: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let own = json!({"x-kubernetes-validations": schema.get("x-kubernetes-validations").cloned().unwrap_or(json!([]))});
    let rules = list(own.get("x-kubernetes-validations"));
    for (index, (rule, compiled)) in rules.zip(compile_schema(&own).validations).enumerate() {
        if let Err(error) = compiled {
            let field = format!("{path}.x-kubernetes-validations[{index}].rule");
            causes.push(Cause::invalid(field, &rule["rule"], &format!("compilation failed: {error}")));
        }
    }
    for (name, child) in entries(schema.get("properties")) {
        causes.extend(uncompilable(child, &format!("{path}.properties[{name}]")));
    }
    for branch in ["items", "additionalProperties"] {
        if let Some(child) = schema.get(branch).filter(|child| child.is_object()) {
            causes.extend(uncompilable(child, &format!("{path}.{branch}")));
        }
    }
    causes
}
