//! Checks of environment variables and of where their values come from.
//!
//! Pure.

use serde_json::Value;

use crate::apiserver::json::{list, text};
use crate::apiserver::quantity::Quantity;
use crate::apiserver::validation::forms;
use crate::apiserver::validation::report::Report;

/// The fields of a pod that variables may show.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// The fields of a pod that can be asked for at all.
const KNOWN_FIELDS: [&str; 15] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    "spec.host",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const SIZES: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// Checks the variables of a container.
pub(super) fn named(container: &Value, at: &str, report: &mut Report) {
    for (index, variable) in list(container.get("env")).enumerate() {
        let path = format!("{at}[{index}]");
        match text(variable, "/name") {
            "" => report.required(format!("{path}.name"), ""),
            name => report.all(&format!("{path}.name"), name, forms::variable_name(name)),
        }
        if let Some(source) = variable.get("valueFrom") {
            let has_value = !text(variable, "/value").is_empty();
            value_from(source, has_value, &format!("{path}.valueFrom"), report);
        }
    }
}

fn value_from(source: &Value, has_value: bool, at: &str, report: &mut Report) {
    let mut sources = 0;
    for kind in ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"] {
        let Some(reference) = source.get(kind) else { continue };
        sources += 1;
        let path = format!("{at}.{kind}");
        match kind {
            "fieldRef" => field(reference, &FIELDS, &path, report),
            "resourceFieldRef" => resource(reference, false, &path, report),
            _ => key(reference, &path, report),
        }
    }
    if sources == 0 {
        let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        report.invalid(at, "", why);
    } else if has_value {
        report.invalid(at, "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        report.invalid(at, "", "may not have more than one field specified at a time");
    }
}

/// Checks the objects whose keys are all variables of a container.
pub(super) fn from_objects(container: &Value, at: &str, report: &mut Report) {
    for (index, source) in list(container.get("envFrom")).enumerate() {
        let path = format!("{at}[{index}]");
        let prefix = text(source, "/prefix");
        if !prefix.is_empty() {
            report.all(&format!("{path}.prefix"), prefix, forms::variable_name(prefix));
        }
        let mut sources = 0;
        for kind in ["configMapRef", "secretRef"] {
            let Some(reference) = source.get(kind) else { continue };
            sources += 1;
            let path = format!("{path}.{kind}.name");
            match text(reference, "/name") {
                "" => report.required(path, ""),
                name => report.all(&path, name, forms::subdomain(name)),
            }
        }
        match sources {
            0 => report.invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => report.invalid(at, "", "may not have more than one field specified at a time"),
        }
    }
}

/// Checks a reference to a field of the pod itself, of which `shown` can be shown.
pub(super) fn field(reference: &Value, shown: &[&str], at: &str, report: &mut Report) {
    for member in ["apiVersion", "fieldPath"] {
        if text(reference, &format!("/{member}")).is_empty() {
            return report.required(format!("{at}.{member}"), "");
        }
    }
    let (version, path) = (text(reference, "/apiVersion"), text(reference, "/fieldPath"));
    let subscript = path.strip_suffix("']").and_then(|path| path.split_once("['"));
    let refuse = |report: &mut Report, why: &str| {
        report.invalid(format!("{at}.fieldPath"), path, &format!("error converting fieldPath: {why}"));
    };
    match subscript {
        _ if version != "v1" => refuse(report, &format!("unsupported pod version: {version}")),
        Some(("metadata.annotations", key)) => {
            let key = key.to_lowercase();
            report.all(at, &key, forms::qualified_name(&key));
        }
        Some(("metadata.labels", key)) => report.all(at, key, forms::qualified_name(key)),
        Some(_) => refuse(report, &format!("field label does not support subscript: {path}")),
        None if !KNOWN_FIELDS.contains(&path) => {
            refuse(report, &format!("field label not supported: {path}"));
        }
        None => {
            let path = if path == "spec.host" { "spec.nodeName" } else { path };
            report.one_of(format!("{at}.fieldPath"), path, shown);
        }
    }
}

/// Checks a reference to a resource of a container; in a volume the container must be named.
pub(super) fn resource(reference: &Value, in_volume: bool, at: &str, report: &mut Report) {
    let name = text(reference, "/resource");
    let is_huge = ["requests.hugepages-", "limits.hugepages-"].iter().any(|prefix| name.starts_with(prefix));
    if in_volume && text(reference, "/containerName").is_empty() {
        report.required(format!("{at}.containerName"), "");
    } else if name.is_empty() {
        report.required(format!("{at}.resource"), "");
    } else if !is_huge {
        report.one_of(format!("{at}.resource"), name, &RESOURCES);
    }
    let divisor = text(reference, "/divisor");
    if Quantity::parse(divisor).is_ok_and(|divisor| divisor.is_zero()) {
        return;
    }
    let resource = name.split_once('.').map_or("", |(_, resource)| resource);
    let (fits, which) = match resource {
        "cpu" => (["1m", "1"].contains(&divisor), "1m and 1 are supported with the cpu resource"),
        "memory" => (SIZES.contains(&divisor), "the memory resource"),
        "ephemeral-storage" => (SIZES.contains(&divisor), "the local ephemeral storage resource"),
        _ if is_huge => (SIZES.contains(&divisor), "the hugepages resource"),
        _ => (true, ""),
    };
    if !fits {
        let why = match resource {
            "cpu" => format!("only divisor's values {which}"),
            _ => format!("only divisor's values {} are supported with {which}", SIZES.join(", ")),
        };
        report.invalid(format!("{at}.divisor"), name, &why);
    }
}

fn key(reference: &Value, at: &str, report: &mut Report) {
    let name = text(reference, "/name");
    report.all(&format!("{at}.name"), name, forms::subdomain(name));
    match text(reference, "/key") {
        "" => report.required(format!("{at}.key"), ""),
        key => report.all(&format!("{at}.key"), key, forms::config_key(key)),
    }
}
