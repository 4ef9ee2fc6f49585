//! The rules of the level `baseline`: nothing that is known to lead out of a container.
//!
//! Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::json::{entries, list, text};
use super::violation::{
    Violation, containers, containers_that, plural, quoted, setters, text_at, these, wrong_values,
};
use super::{Rule, rule};

/// In the order of their names.
pub(super) const RULES: &[Rule] = &[
    rule("appArmorProfile", app_armor),
    rule("capabilities_baseline", capabilities),
    rule("hostNamespaces", host_namespaces),
    rule("hostPathVolumes", host_paths),
    rule("hostPorts", host_ports),
    Rule { since_minor: 34, ..rule("hostProbesAndHostLifecycle", probe_hosts) },
    rule("privileged", privileged),
    rule("procMount", proc_mount),
    rule("seLinuxOptions", se_linux),
    rule("seccompProfile_baseline", seccomp),
    rule("sysctls", sysctls),
    rule("windowsHostProcess", host_process),
];

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Kernel parameters that are a pod's own, each with the minor version since which rules say so.
const SYSCTLS: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

/// Whether a profile of seccomp or AppArmor confines.
pub(super) fn confines(kind: &str) -> bool {
    matches!(kind, "RuntimeDefault" | "Localhost")
}

fn app_armor(pod: &Value, _: u32) -> Option<Violation> {
    const PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
    let mut who: Vec<String> =
        setters(pod, |context| text_at(context, "/appArmorProfile/type").is_some_and(|kind| !confines(kind)))
            .into_iter()
            .collect();
    let mut values: Vec<String> =
        wrong_values(pod, "/appArmorProfile/type", |kind| !confines(kind)).into_iter().collect();
    let allowed =
        |value: &str| value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
    let annotations: BTreeSet<String> = entries(pod.pointer("/metadata/annotations"))
        .filter(|(name, value)| name.starts_with(PREFIX) && !allowed(value.as_str().unwrap_or_default()))
        .map(|(name, value)| format!("{name}={:?}", value.as_str().unwrap_or_default()))
        .collect();
    if !annotations.is_empty() {
        who.push(plural("annotation", "annotations", annotations.len()).to_owned());
        values.extend(annotations);
    }
    let reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
    let detail = format!("{} must not set AppArmor profile type to {}", who.join(" and "), quoted(&values));
    (!who.is_empty()).then(|| Violation::new(reason, detail))
}

fn capabilities(pod: &Value, _: u32) -> Option<Violation> {
    let is_wrong = |name: &str| !CAPABILITIES.contains(&name);
    let (who, names) = added(pod, is_wrong);
    (!who.is_empty()).then(|| Violation::new("non-default capabilities", may_not_add(&who, &names)))
}

/// The containers that add capabilities of a kind, and those capabilities.
pub(super) fn added(pod: &Value, is_wrong: impl Fn(&str) -> bool) -> (Vec<&str>, BTreeSet<&str>) {
    let wrong = |one| {
        list(Value::pointer(one, "/securityContext/capabilities/add"))
            .filter_map(Value::as_str)
            .filter(|name| is_wrong(name))
            .collect::<Vec<&str>>()
    };
    let who = containers(pod).filter(|one| !wrong(one).is_empty()).map(|one| text(one, "/name")).collect();
    (who, containers(pod).flat_map(wrong).collect())
}

/// What is said of capabilities that are added.
pub(super) fn may_not_add(who: &[&str], names: &BTreeSet<&str>) -> String {
    format!("{} must not include {} in securityContext.capabilities.add", these(who), quoted(names))
}

fn host_namespaces(pod: &Value, _: u32) -> Option<Violation> {
    let fields = ["hostNetwork", "hostPID", "hostIPC"].iter().filter(|field| pod["spec"][**field] == true);
    let found: Vec<String> = fields.map(|field| format!("{field}=true")).collect();
    (!found.is_empty()).then(|| Violation::new("host namespaces", found.join(", ")))
}

fn host_paths(pod: &Value, _: u32) -> Option<Violation> {
    let volumes = list(pod.pointer("/spec/volumes")).filter(|volume| volume.get("hostPath").is_some());
    let names: Vec<&str> = volumes.map(|volume| text(volume, "/name")).collect();
    let detail = format!("{} {}", plural("volume", "volumes", names.len()), quoted(&names));
    (!names.is_empty()).then(|| Violation::new("hostPath volumes", detail))
}

fn host_ports(pod: &Value, _: u32) -> Option<Violation> {
    let used = |one: &Value| -> Vec<String> {
        let ports = list(one.pointer("/ports")).filter_map(|port| port["hostPort"].as_u64());
        ports.filter(|port| *port != 0).map(|port| port.to_string()).collect()
    };
    let who = containers_that(pod, |one| !used(one).is_empty());
    let numbers: BTreeSet<String> = containers(pod).flat_map(used).collect();
    let numbers: Vec<String> = numbers.into_iter().collect();
    let detail = format!(
        "{} {} {} {}",
        these(&who),
        plural("uses", "use", who.len()),
        plural("hostPort", "hostPorts", numbers.len()),
        numbers.join(", ")
    );
    (!who.is_empty()).then(|| Violation::new("hostPort", detail))
}

fn probe_hosts(pod: &Value, _: u32) -> Option<Violation> {
    const PLACES: [&str; 5] =
        ["/livenessProbe", "/readinessProbe", "/startupProbe", "/lifecycle/postStart", "/lifecycle/preStop"];
    let hosts = |one: &Value| -> Vec<String> {
        let handlers = PLACES.iter().filter_map(|place| one.pointer(place));
        let hosts =
            handlers.flat_map(|handler| [text(handler, "/httpGet/host"), text(handler, "/tcpSocket/host")]);
        hosts.filter(|host| !host.is_empty()).map(str::to_owned).collect()
    };
    let who: BTreeSet<&str> = containers_that(pod, |one| !hosts(one).is_empty()).into_iter().collect();
    let who: Vec<&str> = who.into_iter().collect();
    let found: BTreeSet<String> = containers(pod).flat_map(hosts).collect();
    let detail = format!(
        "{} {} {} {}",
        these(&who),
        plural("uses", "use", who.len()),
        plural("probe or lifecycle host", "probe or lifecycle hosts", found.len()),
        quoted(&found)
    );
    (!who.is_empty()).then(|| Violation::new("probe or lifecycle host", detail))
}

fn privileged(pod: &Value, _: u32) -> Option<Violation> {
    let who =
        containers_that(pod, |one| one.pointer("/securityContext/privileged") == Some(&Value::Bool(true)));
    let detail = || format!("{} must not set securityContext.privileged=true", these(&who));
    (!who.is_empty()).then(|| Violation::new("privileged", detail()))
}

fn proc_mount(pod: &Value, _: u32) -> Option<Violation> {
    let wrong = |one: &Value| {
        let kind = text_at(one, "/securityContext/procMount");
        kind.filter(|kind| *kind != "Default").map(str::to_owned)
    };
    let who = containers_that(pod, |one| wrong(one).is_some());
    let kinds: BTreeSet<String> = containers(pod).filter_map(wrong).collect();
    let detail = format!("{} must not set securityContext.procMount to {}", these(&who), quoted(&kinds));
    (!who.is_empty()).then(|| Violation::new("procMount", detail))
}

fn se_linux(pod: &Value, minor: u32) -> Option<Violation> {
    let allowed = |kind: &str| match kind {
        "" | "container_t" | "container_init_t" | "container_kvm_t" => true,
        "container_engine_t" => minor >= 31,
        _ => false,
    };
    let options = |context: &Value| context.get("seLinuxOptions").cloned();
    let is_set = |options: &Value, field: &str| !text(options, field).is_empty();
    let is_wrong = |options: &Value| {
        !allowed(text(options, "/type")) || is_set(options, "/user") || is_set(options, "/role")
    };
    let who = setters(pod, |context| options(context).is_some_and(|options| is_wrong(&options)))?;
    let kinds = wrong_values(pod, "/seLinuxOptions/type", |kind| !allowed(kind));
    let mut said = Vec::new();
    if !kinds.is_empty() {
        said.push(format!("{} {}", plural("type", "types", kinds.len()), quoted(&kinds)));
    }
    for field in ["user", "role"] {
        if !wrong_values(pod, &format!("/seLinuxOptions/{field}"), |value| !value.is_empty()).is_empty() {
            said.push(format!("{field} may not be set"));
        }
    }
    let detail = format!("{who} set forbidden securityContext.seLinuxOptions: {}", said.join("; "));
    Some(Violation::new("seLinuxOptions", detail))
}

fn seccomp(pod: &Value, _: u32) -> Option<Violation> {
    wrong_seccomp(pod)
}

/// Profiles that are named and do not confine.
pub(super) fn wrong_seccomp(pod: &Value) -> Option<Violation> {
    let is_wrong =
        |context: &Value| text_at(context, "/seccompProfile/type").is_some_and(|kind| !confines(kind));
    let who = setters(pod, is_wrong)?;
    let kinds = wrong_values(pod, "/seccompProfile/type", |kind| !confines(kind));
    let detail = format!("{who} must not set securityContext.seccompProfile.type to {}", quoted(&kinds));
    Some(Violation::new("seccompProfile", detail))
}

fn sysctls(pod: &Value, minor: u32) -> Option<Violation> {
    let allowed = |name: &str| SYSCTLS.iter().any(|(known, since)| *known == name && *since <= minor);
    let names = list(pod.pointer("/spec/securityContext/sysctls")).map(|one| text(one, "/name"));
    let wrong: Vec<&str> = names.filter(|name| !allowed(name)).collect();
    (!wrong.is_empty()).then(|| Violation::new("forbidden sysctls", wrong.join(", ")))
}

fn host_process(pod: &Value, _: u32) -> Option<Violation> {
    let is_so = |context: &Value| context.pointer("/windowsOptions/hostProcess") == Some(&Value::Bool(true));
    let who = setters(pod, is_so)?;
    let detail = format!("{who} must not set securityContext.windowsOptions.hostProcess=true");
    Some(Violation::new("hostProcess", detail))
}
