//! Checks of Services.
//!
//! Pure. Addresses are given out, and checked, by `apiserver::service`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::forms;
use super::names::label_causes_at;
use super::pod::port;
use super::report::Report;
use crate::apiserver::error::Cause;
use crate::apiserver::json::{list, text};
use crate::apiserver::service::is_reached_from_outside;

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// What is wrong with a Service.
pub(super) fn service(new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    let spec = &new["spec"];
    let kind = text(spec, "/type");
    let is_headless = text(spec, "/clusterIP") == "None";
    let ports: Vec<&Value> = list(spec.get("ports")).collect();
    if ports.is_empty() && !is_headless && kind != "ExternalName" {
        report.required("spec.ports", "");
    }
    by_kind(spec, kind, is_headless, &mut report);
    let mut names = BTreeSet::new();
    for (index, one) in ports.iter().enumerate() {
        one_port(one, ports.len() > 1, &mut names, &format!("spec.ports[{index}]"), &mut report);
    }
    report.extend(label_causes_at(spec.get("selector"), "spec.selector"));
    affinity(spec, &mut report);
    for (index, address) in list(spec.get("externalIPs")).enumerate() {
        report.address(&format!("spec.externalIPs[{index}]"), address.as_str().unwrap_or_default());
    }
    report.one_of("spec.type", kind, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    repeated(&ports, kind, &mut report);
    traffic(spec, &mut report);
    report.into_causes()
}

fn by_kind(spec: &Value, kind: &str, is_headless: bool, report: &mut Report) {
    match kind {
        "LoadBalancer" | "NodePort" if is_headless => {
            let why = format!("may not be set to 'None' for {kind} services");
            report.invalid("spec.clusterIPs[0]", "None", &why);
        }
        "ExternalName" => {
            for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if spec.get(field).is_some_and(|value| !value.as_array().is_some_and(Vec::is_empty)) {
                    report.forbidden(format!("spec.{field}"), "may not be set for ExternalName services");
                }
            }
            match text(spec, "/externalName").trim_end_matches('.') {
                "" => report.required("spec.externalName", ""),
                name => report.all("spec.externalName", name, forms::subdomain(name)),
            }
        }
        _ => {}
    }
}

fn one_port<'a>(
    one: &'a Value,
    needs_name: bool,
    names: &mut BTreeSet<&'a str>,
    at: &str,
    report: &mut Report,
) {
    let name = text(one, "/name");
    if name.is_empty() {
        if needs_name {
            report.required(format!("{at}.name"), "");
        }
    } else {
        report.all(&format!("{at}.name"), name, forms::dns_label(name));
        if !names.insert(name) {
            report.duplicate(format!("{at}.name"), name);
        }
    }
    let number = one.get("port").and_then(Value::as_i64).unwrap_or(0);
    if !(1..=65535).contains(&number) {
        report.invalid(format!("{at}.port"), number, forms::PORT_RANGE);
    }
    match text(one, "/protocol") {
        "" => report.required(format!("{at}.protocol"), ""),
        protocol => report.one_of(format!("{at}.protocol"), protocol, &PROTOCOLS),
    }
    port(&one["targetPort"], &format!("{at}.targetPort"), report);
    if let Some(protocol) = one.get("appProtocol").and_then(Value::as_str) {
        report.all(&format!("{at}.appProtocol"), protocol, forms::qualified_name(protocol));
    }
}

fn affinity(spec: &Value, report: &mut Report) {
    const LONGEST_SECONDS: i64 = 86_400;
    let affinity = text(spec, "/sessionAffinity");
    report.one_of("spec.sessionAffinity", affinity, &["ClientIP", "None"]);
    let path = "spec.sessionAffinityConfig";
    let config = spec.get("sessionAffinityConfig");
    match (affinity, config) {
        ("None", Some(_)) => report.forbidden(path, "must not be set when session affinity is None"),
        ("ClientIP", config) => {
            let seconds = config.and_then(|config| config.pointer("/clientIP/timeoutSeconds")?.as_i64());
            if let Some(seconds) = seconds.filter(|seconds| !(1..=LONGEST_SECONDS).contains(seconds)) {
                let why = format!("must be greater than 0 and less than {LONGEST_SECONDS}");
                report.invalid(format!("{path}.clientIP.timeoutSeconds"), seconds, &why);
            }
        }
        _ => {}
    }
}

fn repeated(ports: &[&Value], kind: &str, report: &mut Report) {
    let node_port = |one: &Value| one.get("nodePort").and_then(Value::as_i64).filter(|port| *port != 0);
    if kind == "ClusterIP" {
        for (index, _) in ports.iter().enumerate().filter(|(_, one)| node_port(one).is_some()) {
            let path = format!("spec.ports[{index}].nodePort");
            report.forbidden(path, "may not be used when `type` is 'ClusterIP'");
        }
    }
    let (mut on_nodes, mut own) = (BTreeSet::new(), BTreeSet::new());
    for (index, one) in ports.iter().enumerate() {
        if let Some(number) = node_port(one)
            && !on_nodes.insert((text(one, "/protocol"), number))
        {
            report.duplicate(format!("spec.ports[{index}].nodePort"), number);
        }
    }
    for (index, one) in ports.iter().enumerate() {
        if !own.insert((text(one, "/protocol"), one["port"].as_i64())) {
            report.duplicate(format!("spec.ports[{index}]"), (*one).clone());
        }
    }
}

fn traffic(spec: &Value, report: &mut Report) {
    let policy = text(spec, "/externalTrafficPolicy");
    if !is_reached_from_outside(spec) && !policy.is_empty() {
        let why = "may only be set for externally-accessible services";
        report.invalid("spec.externalTrafficPolicy", policy, why);
    }
    if let Some(policy) = spec.get("internalTrafficPolicy").and_then(Value::as_str) {
        report.one_of("spec.internalTrafficPolicy", policy, &["Cluster", "Local"]);
    }
    if let Some(distribution) = spec.get("trafficDistribution").and_then(Value::as_str) {
        let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        report.one_of("spec.trafficDistribution", distribution, &known);
    }
}
