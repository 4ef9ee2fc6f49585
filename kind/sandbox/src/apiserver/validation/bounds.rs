//! Checks of what bounds a namespace: LimitRanges and ResourceQuotas.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::forms;
use super::pod::{any_resource_name, claim_quantity, container_resource_name, may_be_overcommitted};
use super::report::Report;
use crate::apiserver::error::Cause;
use crate::apiserver::json::{entries, list, text};
use crate::apiserver::quantity::Quantity;
use crate::apiserver::quota::usage::amounts;

/// What a quota may be on by its plain name.
const IN_QUOTA: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];
const POD_NAMES: [&str; 7] =
    ["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];

/// What is wrong with a quota.
pub(super) fn quota(old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    let spec = &new["spec"];
    for (name, written) in entries(spec.get("hard")) {
        let path = format!("spec.hard[{name}]");
        any_resource_name(name, &path, &mut report);
        let is_huge = ["hugepages-", "requests.hugepages-"].iter().any(|prefix| name.starts_with(prefix));
        if !name.contains('/') && !IN_QUOTA.contains(&name.as_str()) && !is_huge {
            report.invalid(path.clone(), name.as_str(), "must be a standard resource for quota");
        }
        claim_quantity(name, written, &path, &mut report);
    }
    scopes(spec, &mut report);
    if old.is_some_and(|old| old["spec"].get("scopes") != spec.get("scopes")) {
        report.invalid("spec.scopes", spec["scopes"].clone(), "field is immutable");
    }
    report.into_causes()
}

fn scopes(spec: &Value, report: &mut Report) {
    const KNOWN: [&str; 7] = [
        "Terminating",
        "NotTerminating",
        "BestEffort",
        "NotBestEffort",
        "PriorityClass",
        "VolumeAttributesClass",
        "CrossNamespacePodAffinity",
    ];
    let scopes: Vec<&str> = list(spec.get("scopes")).filter_map(Value::as_str).collect();
    let all = || spec["scopes"].clone();
    for scope in &scopes {
        if !KNOWN.contains(scope) {
            report.invalid("spec.scopes", all(), "unsupported scope");
        }
        for (name, _) in entries(spec.get("hard")).filter(|(name, _)| IN_QUOTA.contains(&name.as_str())) {
            let fits = match *scope {
                "BestEffort" => name == "pods",
                "VolumeAttributesClass" => name == "persistentvolumeclaims" || name == "requests.storage",
                known if KNOWN.contains(&known) => POD_NAMES.contains(&name.as_str()),
                _ => true,
            };
            if !fits {
                report.invalid("spec.scopes", all(), "unsupported scope applied to resource");
            }
        }
    }
    for pair in [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]] {
        if pair.iter().all(|scope| scopes.contains(scope)) {
            report.invalid("spec.scopes", all(), "conflicting scopes");
        }
    }
}

/// What is wrong with a range.
pub(super) fn range(new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    let mut kinds = BTreeSet::new();
    for (index, limit) in list(new.pointer("/spec/limits")).enumerate() {
        let path = format!("spec.limits[{index}]");
        let kind = text(limit, "/type");
        kind_of_range(kind, &format!("{path}.type"), &mut report);
        if !kinds.insert(kind) {
            report.duplicate(format!("{path}.type"), kind);
        }
        names(limit, kind, &path, &mut report);
        let fields = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
        let of: BTreeMap<&str, _> = fields.iter().map(|field| (*field, amounts(limit.get(*field)))).collect();
        let all: BTreeSet<&String> = of.values().flat_map(BTreeMap::keys).collect();
        for name in all {
            one_resource(name, |field| of.get(field).and_then(|of| of.get(name)), &path, &mut report);
        }
    }
    report.into_causes()
}

fn kind_of_range(kind: &str, at: &str, report: &mut Report) {
    let wrong = forms::qualified_name(kind);
    let is_known = matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim");
    if wrong.is_empty() && !kind.contains('/') && !is_known {
        report.invalid(at, kind, "must be a standard limit type or fully qualified");
    }
    report.all(at, kind, wrong);
}

fn names(limit: &Value, kind: &str, at: &str, report: &mut Report) {
    let check = |field: &str, report: &mut Report| {
        for (name, _) in entries(limit.get(field)) {
            let path = format!("{at}.{field}[{name}]");
            match kind {
                "Pod" | "Container" => container_resource_name(name, &path, report),
                _ => drop(any_resource_name(name, &path, report)),
            }
        }
    };
    check("max", report);
    check("min", report);
    for field in ["default", "defaultRequest"] {
        if kind != "Pod" {
            check(field, report);
        } else if entries(limit.get(field)).next().is_some() {
            report.forbidden(format!("{at}.{field}"), "may not be specified when `type` is 'Pod'");
        }
    }
    let has_size = ["min", "max"].iter().any(|field| limit.pointer(&format!("/{field}/storage")).is_some());
    if kind == "PersistentVolumeClaim" && !has_size {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        report.required(format!("{at}.limits"), why);
    }
    check("maxLimitRequestRatio", report);
}

fn one_resource<'a>(name: &str, of: impl Fn(&str) -> Option<&'a Quantity>, at: &str, report: &mut Report) {
    // Which must not be larger than which, where that is said, and which of the two is shown.
    const ORDER: [(&str, &str, &str, &str, &str); 6] = [
        ("min", "max", "min", "min value", "max value"),
        ("min", "defaultRequest", "defaultRequest", "min value", "default request value"),
        ("defaultRequest", "max", "defaultRequest", "default request value", "max value"),
        ("defaultRequest", "default", "defaultRequest", "default request value", "default limit value"),
        ("min", "default", "default", "min value", "default value"),
        ("default", "max", "default", "default value", "max value"),
    ];
    for (less, more, place, less_named, more_named) in ORDER {
        if let (Some(small), Some(large)) = (of(less), of(more))
            && small > large
        {
            let shown = match (less, more) {
                ("min", "defaultRequest") | ("default", "max") => large,
                _ => small,
            };
            let why = format!("{less_named} {} is greater than {more_named} {}", small.text(), large.text());
            report.invalid(format!("{at}.{place}[{name}]"), shown.text(), &why);
        }
    }
    let path = format!("{at}.maxLimitRequestRatio[{name}]");
    if let Some(ratio) = of("maxLimitRequestRatio") {
        if *ratio < Quantity::count(1) {
            report.invalid(path.clone(), ratio.text(), &format!("ratio {} is less than 1", ratio.text()));
        }
        if let (Some(least), Some(most)) = (of("min"), of("max")) {
            let widest = most.ratio(least);
            if ratio.ratio(&Quantity::count(1)) > widest {
                let why = format!("ratio {} is greater than max/min = {widest:.6}", ratio.text());
                report.invalid(path, ratio.text(), &why);
            }
        }
    }
    if let (Some(limit), Some(request)) = (of("default"), of("defaultRequest"))
        && limit != request
        && !may_be_overcommitted(name)
    {
        let why = format!(
            "default value {} must equal to defaultRequest value {} in {name}",
            limit.text(),
            request.text()
        );
        report.invalid(format!("{at}.defaultRequest[{name}]"), request.text(), &why);
    }
}
