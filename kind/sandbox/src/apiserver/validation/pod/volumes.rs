//! Checks of volumes and of where their content comes from.
//!
//! Pure. Sources that nobody here uses are counted, and not looked into.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Place, policy, variables};
use crate::apiserver::json::{list, text};
use crate::apiserver::quantity::Quantity;
use crate::apiserver::validation::names::{annotation_causes, label_causes_at};
use crate::apiserver::validation::report::Report;
use crate::apiserver::validation::{claims, forms};

/// Where volumes come from, in the order in which they are looked for.
const SOURCES: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];
/// The fields of a pod that files may show.
const FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const FILE_MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// Checks all volumes, and returns those with which nothing is wrong, by name.
pub(super) fn check<'a>(
    spec: &'a Value,
    at: &str,
    place: Place,
    pod: &str,
    report: &mut Report,
) -> BTreeMap<&'a str, &'a Value> {
    let mut fine = BTreeMap::new();
    let made: BTreeSet<String> = list(spec.get("volumes"))
        .filter(|volume| volume.get("ephemeral").is_some() && !pod.is_empty())
        .map(|volume| format!("{pod}-{}", text(volume, "/name")))
        .collect();
    for (index, volume) in list(spec.get("volumes")).enumerate() {
        let path = format!("{at}[{index}]");
        let mut own = Report::default();
        sources(volume, &path, place, pod, &mut own);
        let name = text(volume, "/name");
        match name {
            "" => own.required(format!("{path}.name"), ""),
            name => own.all(&format!("{path}.name"), name, forms::dns_label(name)),
        }
        if fine.contains_key(name) {
            own.duplicate(format!("{path}.name"), name);
        }
        if own.is_empty() {
            fine.insert(name, volume);
        }
        report.append(own);
        let claim = text(volume, "/persistentVolumeClaim/claimName");
        if made.contains(claim) {
            let why = "must not reference a PVC that gets created for an ephemeral volume";
            report.invalid(format!("{path}.persistentVolumeClaim.claimName"), claim, why);
        }
    }
    fine
}

fn sources(volume: &Value, at: &str, place: Place, pod: &str, report: &mut Report) {
    let mut found = 0;
    for kind in SOURCES {
        let Some(source) = volume.get(kind) else { continue };
        let path = format!("{at}.{kind}");
        found += 1;
        if found > 1 {
            report.forbidden(path, "may not specify more than 1 volume type");
            continue;
        }
        one_source(kind, source, &path, place, report);
        if kind == "ephemeral" && !pod.is_empty() {
            let name = text(volume, "/name");
            let claim = format!("{pod}-{name}");
            for why in forms::subdomain(&claim) {
                report.invalid(format!("{at}.name"), name, &format!("PVC name {claim:?}: {why}"));
            }
        }
    }
    if found == 0 {
        report.required(at, "must specify a volume type");
    }
}

fn one_source(kind: &str, source: &Value, at: &str, place: Place, report: &mut Report) {
    let needs = |field: &str, report: &mut Report| {
        if text(source, &format!("/{field}")).is_empty() {
            report.required(format!("{at}.{field}"), "");
        }
    };
    match kind {
        "emptyDir" => {
            let limit = Quantity::parse(text(source, "/sizeLimit"));
            if limit.is_ok_and(|limit| limit.is_negative()) {
                let why = "SizeLimit field must be a valid resource quantity";
                report.forbidden(format!("{at}.sizeLimit"), why);
            }
        }
        "hostPath" => host_path(source, at, report),
        "secret" => {
            needs("secretName", report);
            files(source, at, report);
        }
        "configMap" => {
            needs("name", report);
            files(source, at, report);
        }
        "persistentVolumeClaim" => needs("claimName", report),
        "downwardAPI" => {
            mode(source.get("defaultMode"), &format!("{at}.defaultMode"), report);
            list(source.get("items")).for_each(|file| downward_file(file, at, report));
        }
        "projected" => projected(source, at, report),
        "nfs" => {
            needs("server", report);
            needs("path", report);
            let path = text(source, "/path");
            if !path.starts_with('/') {
                report.invalid(format!("{at}.path"), path, "must be an absolute path");
            }
        }
        "ephemeral" => ephemeral(source, at, report),
        "image" => {
            if place == Place::Pod {
                needs("reference", report);
            }
            let known = ["Always", "IfNotPresent", "Never"];
            policy(text(source, "/pullPolicy"), format!("{at}.pullPolicy"), &known, report);
        }
        _ => {}
    }
}

fn host_path(source: &Value, at: &str, report: &mut Report) {
    const KINDS: [&str; 8] =
        ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    let path = text(source, "/path");
    if path.is_empty() {
        return report.required(format!("{at}.path"), "");
    }
    no_way_back(path, &format!("{at}.path"), report);
    if let Some(kind) = source.get("type").and_then(Value::as_str) {
        report.one_of(format!("{at}.type"), kind, &KINDS);
    }
}

fn ephemeral(source: &Value, at: &str, report: &mut Report) {
    let at = format!("{at}.volumeClaimTemplate");
    let Some(template) = source.get("volumeClaimTemplate") else { return report.required(at, "") };
    let metadata = format!("{at}.metadata");
    let annotations = template.pointer("/metadata/annotations");
    report.extend(annotation_causes(annotations, &format!("{metadata}.annotations")));
    let labels = template.pointer("/metadata/labels");
    report.extend(label_causes_at(labels, &format!("{metadata}.labels")));
    claims::spec(&template["spec"], &format!("{at}.spec"), report);
}

/// Files that are keys of an object.
fn files(source: &Value, at: &str, report: &mut Report) {
    mode(source.get("defaultMode"), &format!("{at}.defaultMode"), report);
    for (index, item) in list(source.get("items")).enumerate() {
        key_to_path(item, &format!("{at}.items[{index}]"), report);
    }
}

fn key_to_path(item: &Value, at: &str, report: &mut Report) {
    for field in ["key", "path"] {
        if text(item, &format!("/{field}")).is_empty() {
            report.required(format!("{at}.{field}"), "");
        }
    }
    file_path(text(item, "/path"), &format!("{at}.path"), report);
    mode(item.get("mode"), &format!("{at}.mode"), report);
}

fn mode(value: Option<&Value>, at: &str, report: &mut Report) {
    if let Some(bits) = value.and_then(Value::as_i64).filter(|bits| !(0..=0o777).contains(bits)) {
        report.invalid(at, bits, FILE_MODE);
    }
}

/// A real server does not say which of the files is meant.
fn downward_file(file: &Value, at: &str, report: &mut Report) {
    let path = text(file, "/path");
    if path.is_empty() {
        report.required(format!("{at}.path"), "");
    }
    file_path(path, &format!("{at}.path"), report);
    match (file.get("fieldRef"), file.get("resourceFieldRef")) {
        (Some(field), resource) => {
            variables::field(field, &FIELDS, &format!("{at}.fieldRef"), report);
            if resource.is_some() {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                report.invalid(at, "resource", why);
            }
        }
        (None, Some(resource)) => {
            variables::resource(resource, true, &format!("{at}.resourceFieldRef"), report);
        }
        (None, None) => report.required(at, "one of fieldRef and resourceFieldRef is required"),
    }
    mode(file.get("mode"), &format!("{at}.mode"), report);
}

fn projected(source: &Value, at: &str, report: &mut Report) {
    mode(source.get("defaultMode"), &format!("{at}.defaultMode"), report);
    let mut taken = BTreeSet::new();
    for (index, one) in list(source.get("sources")).enumerate() {
        let path = format!("{at}.sources[{index}]");
        let mut kinds = 0;
        for kind in ["secret", "configMap", "downwardAPI", "serviceAccountToken"] {
            if let Some(part) = one.get(kind) {
                kinds += 1;
                projected_part(kind, part, at, &format!("{path}.{kind}"), &mut taken, report);
            }
        }
        if kinds > 1 {
            report.forbidden(path, "may not specify more than 1 volume type per source");
        }
    }
}

fn projected_part<'a>(
    kind: &str,
    part: &'a Value,
    at: &str,
    path: &str,
    taken: &mut BTreeSet<&'a str>,
    report: &mut Report,
) {
    const SHORTEST_SECONDS: i64 = 600;
    if kind == "serviceAccountToken" {
        let seconds = part.get("expirationSeconds").and_then(Value::as_i64).unwrap_or(0);
        if seconds < SHORTEST_SECONDS {
            let why = "may not specify a duration less than 10 minutes";
            report.invalid(format!("{path}.expirationSeconds"), seconds, why);
        }
        match text(part, "/path") {
            "" => report.required(format!("{at}.path"), ""),
            file => file_path(file, &format!("{at}.path"), report),
        }
        return;
    }
    let name = text(part, "/name");
    if name.is_empty() && kind != "downwardAPI" {
        report.required(format!("{path}.name"), "");
    }
    for (index, item) in list(part.get("items")).enumerate() {
        match kind {
            "downwardAPI" => downward_file(item, path, report),
            _ => key_to_path(item, &format!("{path}.items[{index}]"), report),
        }
        let file = text(item, "/path");
        if !file.is_empty() && !taken.insert(file) {
            let shown = if kind == "downwardAPI" { file } else { name };
            report.invalid(at, shown, "conflicting duplicate paths");
        }
    }
}

/// Whether a path leads upwards somewhere.
pub(super) fn goes_back(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

fn no_way_back(path: &str, at: &str, report: &mut Report) {
    if goes_back(path) {
        report.invalid(at, path, "must not contain '..'");
    }
}

/// A path that leads down from where it begins.
pub(super) fn descending_path(path: &str, at: &str, report: &mut Report) {
    if path.starts_with('/') {
        report.invalid(at, path, "must be a relative path");
    }
    no_way_back(path, at, report);
}

/// A path of a file that is no name of the node's own.
fn file_path(path: &str, at: &str, report: &mut Report) {
    descending_path(path, at, report);
    if path.starts_with("..") && !path.starts_with("../") {
        report.invalid(at, path, "must not start with '..'");
    }
}
