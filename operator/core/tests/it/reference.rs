//! The reference of fields and of etcd's options, `operator/API.md`: made from the definition's schema and from the tables, so that
//! nothing is left out and nothing is said twice.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use etcd_operator_core::api::{EtcdBackup, EtcdBackupSchedule, EtcdCluster};
use etcd_operator_core::etcd_options::{DANGEROUS, FEATURE_GATES, FeatureGate, OPTIONS, RESERVED};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::check_golden;
use super::documents::{folder, with_block};

/// Where Kubernetes describes its own types, in the version whose types the operator is built with.
const KUBERNETES: &str = "https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34";
const QUANTITY: &str =
    "[quantity](https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/)";

/// Fields of Kubernetes' own types, whose fields are not ours to describe.
const KUBERNETES_TYPES: [(&str, &str, &str); 8] = [
    ("spec.pod.affinity", "Affinity", "core"),
    ("spec.pod.containers[]", "Container", "core"),
    ("spec.pod.env[]", "EnvVar", "core"),
    ("spec.pod.securityContext", "PodSecurityContext", "core"),
    ("spec.pod.tolerations[]", "Toleration", "core"),
    ("spec.pod.topologySpreadConstraints[]", "TopologySpreadConstraint", "core"),
    ("spec.pod.volumes[]", "Volume", "core"),
    ("status.conditions[]", "Condition", "meta"),
];

#[test]
fn the_reference_has_every_field_and_every_option() {
    let path = folder("API.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let page = with_block(&page, "fields", &fields());
    let page = with_block(&page, "options", &options());
    let (text, _) = page.split_once("<!-- of: ").expect("the page ends with what it was made of");
    check_golden(&path, &format!("{text}<!-- of: {} -->\n", digest_of_sources()));
}

/// What the page is made of, as `ci/tidy` computes it too: SHA-256 of all files of these folders, by name.
fn digest_of_sources() -> String {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<PathBuf> = ["api", "etcd_options"]
        .iter()
        .flat_map(|name| fs::read_dir(sources.join(name)).expect("the folder is there"))
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(fs::read(file).expect("readable"));
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A section for each object of each kind. Fields of the cluster have their plain path; those of other kinds begin with the kind.
fn fields() -> String {
    let mut text = String::new();
    kind(
        EtcdCluster::crd(),
        "",
        "The name of the cluster. Names of its members and Services are formed from it.",
        &mut text,
    );
    kind(EtcdBackup::crd(), "EtcdBackup.", "The name of the backup, and of its Job.", &mut text);
    let of_schedule =
        "The name of the schedule, and of its CronJob. Names of its backups are formed from it.";
    kind(EtcdBackupSchedule::crd(), "EtcdBackupSchedule.", of_schedule, &mut text);
    for (path, kind, _) in KUBERNETES_TYPES {
        assert!(text.contains(&format!("[{kind}]")), "{path} is no field any more");
    }
    text
}

/// The sections of one kind.
fn kind(definition: CustomResourceDefinition, prefix: &str, name: &str, text: &mut String) {
    let title = definition.spec.names.kind.clone();
    let definition = serde_json::to_value(definition).expect("plain data");
    let mut root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    // The rules of the whole object are about its name, which the schema does not describe.
    root["properties"]["metadata.name"] = json!({
        "type": "string",
        "description": name,
        "x-kubernetes-validations": root["x-kubernetes-validations"],
    });
    root["required"] = json!(["metadata.name", "spec"]);
    section(&title, prefix, &root, text);
}

/// Where an object is described that several kinds have.
fn described_at(path: &str) -> &str {
    match path {
        "EtcdBackup.spec.store" | "EtcdBackupSchedule.spec.store" => "spec.backup.store",
        "EtcdBackup.spec.resources" | "EtcdBackupSchedule.spec.resources" => "spec.resources",
        path => path,
    }
}

/// The object's own section, and then those of the objects in it.
fn section(title: &str, prefix: &str, schema: &Value, text: &mut String) {
    let is_status = title.split('.').any(|part| part == "status");
    let description = description(schema);
    let header = if is_status {
        "| Field | Type | Meaning |\n|---|---|---|"
    } else {
        "| Field | Type | Default | Meaning |\n|---|---|---|---|"
    };
    writeln!(text, "### {title}\n{description}\n\n{header}").expect("a text can be written to");
    let properties = schema["properties"].as_object().expect("an object has fields");
    for (name, field) in properties {
        let path = format!("{prefix}{name}");
        let default =
            if is_status { String::new() } else { format!(" {} |", default_of(schema, name, field)) };
        let (type_of, meaning) = (type_of(&path, field), meaning(schema, name, field));
        writeln!(text, "| `{path}` | {type_of} |{default} {meaning} |").expect("a text can be written to");
    }
    text.push('\n');
    for (name, field) in properties {
        let (path, object) = match field.get("items") {
            Some(items) => (format!("{prefix}{name}[]"), items),
            None => (format!("{prefix}{name}"), field),
        };
        let is_described_here = kubernetes_type(&path).is_none() && described_at(&path) == path;
        if is_described_here && object.get("properties").is_some() {
            section(&path, &format!("{path}."), object, text);
        }
    }
}

fn kubernetes_type(path: &str) -> Option<String> {
    let (_, kind, group) = KUBERNETES_TYPES.iter().find(|(of, _, _)| path.ends_with(of))?;
    Some(format!("[{kind}]({KUBERNETES}/#{}-v1-{group})", kind.to_lowercase()))
}

fn text_of<'s>(schema: &'s Value, key: &str) -> Option<&'s str> {
    schema.get(key).and_then(Value::as_str)
}

fn in_a_table(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn description(schema: &Value) -> String {
    in_a_table(text_of(schema, "description").unwrap_or_default())
}

/// The field's type in words.
fn type_of(path: &str, schema: &Value) -> String {
    if let Some(kind) = kubernetes_type(path) {
        return kind;
    }
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return QUANTITY.to_owned();
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> =
            words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    match text_of(schema, "type").expect("a field has a type") {
        "string" if text_of(schema, "format") == Some("date-time") => "time".to_owned(),
        "string" => format!("string{}", bound(" characters", number("maxLength"))),
        "boolean" => "boolean".to_owned(),
        "integer" => match (number("minimum"), number("maximum")) {
            (Some(from), Some(to)) => format!("integer ({from} to {to})"),
            (None, None) => "integer".to_owned(),
            (from, to) => panic!("{path} is bounded on one side: {from:?}, {to:?}"),
        },
        "array" => {
            let item = type_of(&format!("{path}[]"), &schema["items"]);
            format!("list{} of {item}", bound("", number("maxItems")))
        }
        "object" => match schema.get("additionalProperties") {
            Some(value) => {
                let value = type_of(&format!("{path}.*"), value);
                format!("map{} of string to {value}", bound("", number("maxProperties")))
            }
            None => format!("[object](#{})", anchor(described_at(path))),
        },
        other => panic!("{path} has the type {other}, for which there is no word"),
    }
}

fn bound(of: &str, at_most: Option<f64>) -> String {
    at_most.map(|number| format!(" (at most {number}{of})")).unwrap_or_default()
}

/// The fragment by which a heading is linked.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(['.', '[', ']'], "")
}

fn default_of(object: &Value, name: &str, field: &Value) -> String {
    let required = object.get("required").and_then(Value::as_array);
    if required.is_some_and(|fields| fields.iter().any(|field| field == name)) {
        return "required".to_owned();
    }
    match field.get("default") {
        Some(Value::String(text)) => format!("`{text}`"),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => format!("`{value}`"),
        // The defaults within are those of its fields.
        Some(Value::Object(_) | Value::Array(_) | Value::Null) | None => String::new(),
    }
}

/// The description, and the rules that the API server enforces: the field's own, and those of the object that point to it.
fn meaning(object: &Value, name: &str, field: &Value) -> String {
    let of = |schema: &Value| schema["x-kubernetes-validations"].as_array().cloned().unwrap_or_default();
    let points_here = |rule: &Value| text_of(rule, "fieldPath") == Some(&format!(".{name}"));
    let own = of(field).into_iter().filter(|rule| rule.get("fieldPath").is_none());
    // What is said by an expression depends on what was written; the tables of options have it all.
    let mut rules: Vec<String> = own
        .chain(of(object).into_iter().filter(points_here))
        .filter_map(|rule| Some(without_subject(name, text_of(&rule, "message")?)))
        .collect();
    rules.dedup();
    let title = if rules.len() == 1 { "Rule" } else { "Rules" };
    let rules = (!rules.is_empty()).then(|| format!("<br>{title}: {}.", in_a_table(&rules.join("; "))));
    format!("{}{}", description(field), rules.unwrap_or_default())
}

/// A message without the name of the field that it stands beside.
fn without_subject(name: &str, message: &str) -> String {
    let name = name.rsplit('.').next().unwrap_or(name);
    let rest = message.strip_prefix("the ").unwrap_or(message).strip_prefix(name);
    let rest = rest.and_then(|rest| rest.strip_prefix(' '));
    rest.filter(|rest| rest.starts_with("must ")).unwrap_or(message).to_owned()
}

/// Tables of etcd's options.
fn options() -> String {
    let (mut with_field, mut others) = (String::new(), String::new());
    for option in OPTIONS {
        let old = match option.in_3_5 {
            Some(old) if old == option.name => "the same".to_owned(),
            Some(old) => format!("`{old}`"),
            None => String::new(),
        };
        let (name, takes) = (option.name, option.takes.wanted());
        let versions = versions(option.in_3_5.is_some(), true);
        match option.field {
            Some(field) => with_field += &format!("| `spec.etcd.{field}` | `{name}` | {old} |\n"),
            None => others += &format!("| `{name}` | {takes} | {versions} | {old} |\n"),
        }
    }
    let gates: String = FEATURE_GATES.iter().map(gate).collect();
    let dangerous: String = DANGEROUS.iter().map(|(name, why)| format!("| `{name}` | {why} |\n")).collect();
    let reserved: Vec<String> = RESERVED.iter().map(|name| format!("`{name}`")).collect();
    format!(
        "### Options in `spec.etcd.options`\n\
         | Option | Takes | Versions of etcd | Name in etcd 3.5 |\n|---|---|---|---|\n{others}\n\
         ### Options with a field of their own\n\
         | Field | Option | Name in etcd 3.5 |\n|---|---|---|\n{with_field}\n\
         ### Feature gates in `spec.etcd.featureGates`\n\
         | Feature gate | Versions of etcd | Option in etcd 3.5 |\n|---|---|---|\n{gates}\n\
         ### Options that endanger data\n\
         | Refused | Why |\n|---|---|\n{dangerous}\n\
         ### Options that the operator sets\n{}.\n",
        reserved.join(", ")
    )
}

fn gate(gate: &FeatureGate) -> String {
    let old = gate.in_3_5.map(|old| format!("`{old}`")).unwrap_or_default();
    format!("| `{}` | {} | {old} |\n", gate.name, versions(gate.in_3_5.is_some(), gate.in_3_6))
}

fn versions(in_3_5: bool, in_3_6: bool) -> String {
    let all = [(in_3_5, "3.5"), (in_3_6, "3.6"), (true, "3.7")];
    let known: Vec<&str> =
        all.into_iter().filter(|(is_known, _)| *is_known).map(|(_, minor)| minor).collect();
    known.join(", ")
}
