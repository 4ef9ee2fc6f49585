//! Checks of pods and of pod templates, in the order of `k8s.io/kubernetes/pkg/apis/core/validation`.
//!
//! Pure. Each part of a pod's spec has a file of its own; this one puts them together.

mod container;
mod handler;
mod mounts;
mod placement;
mod resources;
mod security;
mod variables;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::forms;
use super::names::{annotation_causes, label_causes_at};
use super::report::Report;
use crate::apiserver::error::Cause;
use crate::apiserver::json::{list, text};

pub(super) use container::image_margins;
pub(super) use handler::port;
pub(super) use placement::tolerations;
pub(super) use resources::{
    any_name as any_resource_name, claim_quantity, container_name as container_resource_name,
    may_be_overcommitted,
};

/// Where a spec stands: some things are checked in pods only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Pod,
    Template,
}

/// What the parts of a spec know of its whole.
struct Whole<'a> {
    /// The volumes with which nothing is wrong.
    volumes: BTreeMap<&'a str, &'a Value>,
    grace_seconds: Option<i64>,
    restart_policy: &'a str,
}

/// What is wrong with a pod, new or changed.
pub(super) fn pod(new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    deletion_cost(new, "metadata.annotations", &mut report);
    check(&new["spec"], "spec", Place::Pod, text(new, "/metadata/name"), &mut report);
    for field in ["containers", "initContainers"] {
        for (index, one) in list(new["spec"].get(field)).enumerate() {
            container::image_margins(one, &format!("spec.{field}[{index}]"), &mut report);
        }
    }
    report.into_causes()
}

/// What is wrong with a new pod beyond that.
pub(super) fn new_pod(new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    if list(new.pointer("/spec/ephemeralContainers")).next().is_some() {
        report.forbidden("spec.ephemeralContainers", "cannot be set on create");
    }
    let is_gated = list(new.pointer("/spec/schedulingGates")).next().is_some();
    if is_gated && !text(new, "/spec/nodeName").is_empty() {
        report.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared");
    }
    report.into_causes()
}

/// What is wrong with a template at a path.
pub(super) fn template(template: &Value, at: &str) -> Report {
    let mut report = Report::default();
    report.extend(label_causes_at(template.pointer("/metadata/labels"), &format!("{at}.labels")));
    let annotations = format!("{at}.annotations");
    report.extend(annotation_causes(template.pointer("/metadata/annotations"), &annotations));
    deletion_cost(template, &annotations, &mut report);
    check(&template["spec"], &format!("{at}.spec"), Place::Template, "", &mut report);
    if list(template.pointer("/spec/ephemeralContainers")).next().is_some() {
        let why = "ephemeral containers not allowed in pod template";
        report.forbidden(format!("{at}.spec.ephemeralContainers"), why);
    }
    report
}

fn deletion_cost(object: &Value, at: &str, report: &mut Report) {
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    let cost =
        object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(COST)?.as_str());
    if let Some(cost) = cost.filter(|cost| cost.parse::<i32>().is_err()) {
        report.invalid(format!("{at}[{COST}]"), cost, "must be a 32bit integer");
    }
}

fn check(spec: &Value, at: &str, place: Place, name: &str, report: &mut Report) {
    let grace_seconds = spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    if grace_seconds.is_none() {
        report.required(format!("{at}.terminationGracePeriodSeconds"), "");
    }
    let volumes = volumes::check(spec, &format!("{at}.volumes"), place, name, report);
    let restart_policy = text(spec, "/restartPolicy");
    let whole = Whole { volumes, grace_seconds, restart_policy };
    containers(spec, at, &whole, report);
    resources::of_pod(spec, &format!("{at}.resources"), report);
    host_ports(spec, at, place, report);
    policy(restart_policy, format!("{at}.restartPolicy"), &["Always", "OnFailure", "Never"], report);
    let known = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    policy(text(spec, "/dnsPolicy"), format!("{at}.dnsPolicy"), &known, report);
    report.extend(label_causes_at(spec.get("nodeSelector"), &format!("{at}.nodeSelector")));
    security::of_pod(spec, &format!("{at}.securityContext"), report);
    placement::affinity(spec, &format!("{at}.affinity"), report);
    dns(spec, &format!("{at}.dnsConfig"), report);
    gates(spec, at, report);
    placement::spread(spec, &format!("{at}.topologySpreadConstraints"), report);
    host_name_override(spec, &format!("{at}.hostnameOverride"), report);
    identity(spec, at, report);
    placement::tolerations(spec, &format!("{at}.tolerations"), report);
    rest(spec, at, report);
}

fn policy(value: &str, at: String, known: &[&str], report: &mut Report) {
    match value {
        "" => report.required(at, ""),
        value => report.one_of(at, value, known),
    }
}

fn containers(spec: &Value, at: &str, whole: &Whole<'_>, report: &mut Report) {
    let mut names = BTreeSet::new();
    let path = format!("{at}.containers");
    if list(spec.get("containers")).next().is_none() {
        report.required(path.clone(), "");
    }
    for (index, one) in list(spec.get("containers")).enumerate() {
        container::main(one, &format!("{path}[{index}]"), whole, &mut names, report);
    }
    container::host_ports(list(spec.get("containers")), &path, report);
    let path = format!("{at}.initContainers");
    for (index, one) in list(spec.get("initContainers")).enumerate() {
        container::init(one, &format!("{path}[{index}]"), whole, &mut names, report);
        container::host_ports(std::iter::once(one), &path, report);
    }
    let lasting = names.clone();
    for (index, one) in list(spec.get("ephemeralContainers")).enumerate() {
        let path = format!("{at}.ephemeralContainers[{index}]");
        container::ephemeral(one, &path, whole, &lasting, &mut names, report);
    }
}

/// In the node's network a port of the node is the port of the container.
fn host_ports(spec: &Value, at: &str, place: Place, report: &mut Report) {
    if spec.get("hostNetwork") != Some(&Value::Bool(true)) {
        return;
    }
    for (index, container) in list(spec.get("containers")).enumerate() {
        for (number, port) in list(container.get("ports")).enumerate() {
            let of = |field: &str| port.get(field).and_then(Value::as_i64).unwrap_or(0);
            let host = of("hostPort");
            if (place == Place::Pod || host != 0) && host != of("containerPort") {
                let why = "must match `containerPort` when `hostNetwork` is true";
                report.invalid(format!("{at}.containers[{index}].ports[{number}].hostPort"), host, why);
            }
        }
    }
}

fn dns(spec: &Value, at: &str, report: &mut Report) {
    const MOST_SERVERS: usize = 3;
    const MOST_PATHS: usize = 32;
    let config = spec.get("dnsConfig");
    let servers: Vec<&Value> = list(config.and_then(|config| config.get("nameservers"))).collect();
    if text(spec, "/dnsPolicy") == "None" {
        match config {
            None => {
                return report.required(at, "must provide `dnsConfig` when `dnsPolicy` is None");
            }
            Some(_) if servers.is_empty() => {
                let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
                return report.required(format!("{at}.nameservers"), why);
            }
            Some(_) => {}
        }
    }
    let Some(config) = config else { return };
    if servers.len() > MOST_SERVERS {
        let why = format!("must not have more than {MOST_SERVERS} nameservers");
        report.invalid(format!("{at}.nameservers"), config["nameservers"].clone(), &why);
    }
    for (index, server) in servers.iter().enumerate() {
        report.address(&format!("{at}.nameservers[{index}]"), server.as_str().unwrap_or_default());
    }
    if list(config.get("searches")).count() > MOST_PATHS {
        let why = format!("must not have more than {MOST_PATHS} search paths");
        report.invalid(format!("{at}.searches"), config["searches"].clone(), &why);
    }
    for (index, option) in list(config.get("options")).enumerate() {
        if text(option, "/name").is_empty() {
            report.required(format!("{at}.options[{index}]"), "must not be empty");
        }
    }
}

fn gates(spec: &Value, at: &str, report: &mut Report) {
    for (index, gate) in list(spec.get("readinessGates")).enumerate() {
        let condition = text(gate, "/conditionType");
        let path = format!("{at}.readinessGates[{index}].conditionType");
        report.all(&path, condition, forms::qualified_name(condition));
    }
    let mut seen = BTreeSet::new();
    for (index, gate) in list(spec.get("schedulingGates")).enumerate() {
        let (name, path) = (text(gate, "/name"), format!("{at}.schedulingGates[{index}]"));
        report.all(&path, name, forms::qualified_name(name));
        if !seen.insert(name) {
            report.duplicate(path, name);
        }
    }
}

fn host_name_override(spec: &Value, at: &str, report: &mut Report) {
    const LONGEST: usize = 64;
    let Some(name) = spec.get("hostnameOverride").and_then(Value::as_str) else { return };
    for (field, why) in [
        ("setHostnameAsFQDN", "may not be specified when setHostnameAsFQDN is true"),
        ("hostNetwork", "may not be specified when hostNetwork is true"),
    ] {
        if spec.get(field) == Some(&Value::Bool(true)) {
            report.forbidden(at, why);
        }
    }
    if name.len() > LONGEST {
        let message = format!("Too long: may not be more than {LONGEST} bytes");
        report.push(Cause { reason: "FieldValueTooLong", field: at.to_owned(), message });
    }
    report.all(at, name, forms::subdomain(name));
}

/// Names by which a pod belongs to others, or by which it is called.
fn identity(spec: &Value, at: &str, report: &mut Report) {
    const MOST_SECONDS: i64 = i32::MAX as i64;
    for field in ["serviceAccountName", "nodeName"] {
        let name = text(spec, &format!("/{field}"));
        if !name.is_empty() {
            report.all(&format!("{at}.{field}"), name, forms::subdomain(name));
        }
    }
    if let Some(seconds) = spec.get("activeDeadlineSeconds").and_then(Value::as_i64)
        && !(1..=MOST_SECONDS).contains(&seconds)
    {
        let why = format!("must be between 1 and {MOST_SECONDS}, inclusive");
        report.invalid(format!("{at}.activeDeadlineSeconds"), seconds, &why);
    }
    for field in ["hostname", "subdomain"] {
        let name = text(spec, &format!("/{field}"));
        if !name.is_empty() {
            report.all(&format!("{at}.{field}"), name, forms::dns_label(name));
        }
    }
}

fn rest(spec: &Value, at: &str, report: &mut Report) {
    for (index, alias) in list(spec.get("hostAliases")).enumerate() {
        let path = format!("{at}.hostAliases[{index}]");
        report.address(&format!("{path}.ip"), text(alias, "/ip"));
        for (number, name) in list(alias.get("hostnames")).enumerate() {
            let name = name.as_str().unwrap_or_default();
            report.all(&format!("{path}.hostnames[{number}]"), name, forms::subdomain(name));
        }
    }
    for field in ["priorityClassName", "runtimeClassName"] {
        let name = spec.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
        if let Some(name) = name {
            report.all(&format!("{at}.{field}"), name, forms::subdomain(name));
        }
    }
    if let Some(preemption) = spec.get("preemptionPolicy").and_then(Value::as_str) {
        let known = ["PreemptLowerPriority", "Never"];
        policy(preemption, format!("{at}.preemptionPolicy"), &known, report);
    }
    if let Some(overhead) = spec.get("overhead") {
        let asked = serde_json::json!({"limits": overhead});
        resources::of_container(&asked, &format!("{at}.overhead"), report);
    }
    if let Some(system) = spec.get("os") {
        match text(system, "/name") {
            "" => report.required(format!("{at}.os.name"), ""),
            name => report.one_of(format!("{at}.os.name"), name, &["linux", "windows"]),
        }
    }
}
