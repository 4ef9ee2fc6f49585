//! Checks of where containers see volumes, as directories and as devices.
//!
//! Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Whole;
use super::volumes::{descending_path, goes_back};
use crate::apiserver::json::{list, text};
use crate::apiserver::validation::report::Report;

/// Checks the mounts and the devices of a container.
pub(super) fn check(container: &Value, at: &str, whole: &Whole<'_>, report: &mut Report) {
    directories(container, &format!("{at}.volumeMounts"), whole, report);
    devices(container, &format!("{at}.volumeDevices"), whole, report);
}

fn has(container: &Value, list_field: &str, field: &str, wanted: &str) -> bool {
    list(container.get(list_field)).any(|one| text(one, &format!("/{field}")) == wanted)
}

fn directories(container: &Value, at: &str, whole: &Whole<'_>, report: &mut Report) {
    let mut taken = BTreeSet::new();
    for (index, mount) in list(container.get("volumeMounts")).enumerate() {
        let (name, directory) = (text(mount, "/name"), text(mount, "/mountPath"));
        let path = format!("{at}[{index}]");
        if name.is_empty() {
            report.required(format!("{path}.name"), "");
        }
        if !whole.volumes.contains_key(name) {
            report.not_found(format!("{path}.name"), name);
        }
        if directory.is_empty() {
            report.required(format!("{path}.mountPath"), "");
        }
        if !taken.insert(directory) {
            report.invalid(format!("{path}.mountPath"), directory, "must be unique");
        }
        if has(container, "volumeDevices", "name", name) {
            report.invalid(format!("{path}.name"), name, "must not already exist in volumeDevices");
        }
        if has(container, "volumeDevices", "devicePath", directory) {
            let why = "must not already exist as a path in volumeDevices";
            report.invalid(format!("{path}.mountPath"), directory, why);
        }
        // A real server leaves the index out from here on.
        below(mount, &path, at, report);
        sharing(mount, container, at, report);
    }
}

fn below(mount: &Value, path: &str, at: &str, report: &mut Report) {
    let (fixed, expression) = (text(mount, "/subPath"), text(mount, "/subPathExpr"));
    if !fixed.is_empty() {
        descending_path(fixed, &format!("{at}.subPath"), report);
    }
    if !expression.is_empty() {
        if !fixed.is_empty() {
            let why = "subPathExpr and subPath are mutually exclusive";
            report.invalid(format!("{path}.subPathExpr"), expression, why);
        }
        descending_path(expression, &format!("{at}.subPathExpr"), report);
    }
}

fn sharing(mount: &Value, container: &Value, at: &str, report: &mut Report) {
    let propagation = mount.get("mountPropagation").and_then(Value::as_str);
    if let Some(propagation) = propagation {
        let path = format!("{at}.mountPropagation");
        report.one_of(path.clone(), propagation, &["Bidirectional", "HostToContainer", "None"]);
        let is_privileged = container.pointer("/securityContext/privileged") == Some(&Value::Bool(true));
        if propagation == "Bidirectional" && !is_privileged {
            let why = "Bidirectional mount propagation is available only to privileged containers";
            report.forbidden(path, why);
        }
    }
    let path = format!("{at}.recursiveReadOnly");
    match mount.get("recursiveReadOnly").and_then(Value::as_str) {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.get("readOnly") != Some(&Value::Bool(true)) {
                report.forbidden(path.clone(), "may only be specified when readOnly is true");
            }
            if propagation.is_some_and(|propagation| propagation != "None") {
                report
                    .forbidden(path, "may only be specified when mountPropagation is None or not specified");
            }
        }
        Some(other) => report.unsupported(path, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

fn devices(container: &Value, at: &str, whole: &Whole<'_>, report: &mut Report) {
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in list(container.get("volumeDevices")).enumerate() {
        let (name, place) = (text(device, "/name"), text(device, "/devicePath"));
        let (name_at, place_at) = (format!("{at}[{index}].name"), format!("{at}[{index}].devicePath"));
        if name.is_empty() {
            report.required(name_at.clone(), "");
        }
        if names.contains(name) {
            report.invalid(name_at.clone(), name, "must be unique");
        }
        let is_claim = |volume: &&Value| {
            ["persistentVolumeClaim", "ephemeral"].iter().any(|source| volume.get(*source).is_some())
        };
        match whole.volumes.get(name) {
            None => report.not_found(name_at.clone(), name),
            Some(volume) if !is_claim(volume) => {
                let why =
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                report.invalid(name_at.clone(), name, why);
            }
            Some(_) => {}
        }
        if place.is_empty() {
            report.required(place_at.clone(), "");
        }
        if paths.contains(place) {
            report.invalid(place_at.clone(), place, "must be unique");
        }
        if goes_back(place) {
            report.invalid(place_at.clone(), place, "can not contain backsteps ('..')");
        } else {
            paths.insert(place);
        }
        if has(container, "volumeMounts", "name", name) {
            report.invalid(name_at, name, "must not already exist in volumeMounts");
        }
        if has(container, "volumeMounts", "mountPath", place) {
            report.invalid(place_at, place, "must not already exist as a path in volumeMounts");
        }
        names.insert(name);
    }
}
