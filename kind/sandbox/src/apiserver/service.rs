//! Addresses and node ports of Services: allocation, and what an update keeps and what it drops.
//!
//! Pure; what is taken is read from the stored Services. Nobody listens on node ports here.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::error::{ApiError, Cause};
use super::json::{list, object, set_default, text};
use crate::store::GroupResource;

/// 10.96.0.0/16. The first address is the API server's, .10 is the DNS server's.
const NETWORK: [u8; 2] = [10, 96];
const RESERVED: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 96, 0, 1), Ipv4Addr::new(10, 96, 0, 10)];

/// The ports that nodes open for Services.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// Gives a Service its address.
pub(crate) fn allocate(cluster: &Cluster, service: &mut Value) -> Result<(), ApiError> {
    if text(service, "/spec/type") == "ExternalName" {
        return Ok(());
    }
    let wanted = text(service, "/spec/clusterIP").to_owned();
    // Without a selector somebody else decides which addresses stand behind the name.
    let selects =
        service.pointer("/spec/selector").and_then(Value::as_object).is_some_and(|one| !one.is_empty());
    let (families, policy) = match wanted == "None" && !selects {
        true => (json!(["IPv4", "IPv6"]), "RequireDualStack"),
        false => (json!(["IPv4"]), "SingleStack"),
    };
    set_default(object(service, "spec"), "ipFamilies", families);
    set_default(object(service, "spec"), "ipFamilyPolicy", policy);
    if wanted == "None" {
        object(service, "spec").insert("clusterIPs".to_owned(), json!(["None"]));
        return Ok(());
    }
    let services = cluster.store.list(&GroupResource::new("", "services"), None);
    let taken: BTreeSet<String> =
        services.iter().map(|(_, service)| text(service, "/spec/clusterIP").to_owned()).collect();
    let address = if wanted.is_empty() {
        let free = (1..=u16::MAX - 1)
            .map(|host| Ipv4Addr::new(NETWORK[0], NETWORK[1], (host >> 8) as u8, host as u8));
        let mut free =
            free.filter(|address| !RESERVED.contains(address) && !taken.contains(&address.to_string()));
        let found =
            free.next().ok_or_else(|| ApiError::internal("failed to allocate a serviceIP: range is full"))?;
        found.to_string()
    } else {
        check_wanted(service, &wanted, &taken)?;
        wanted
    };
    let spec = object(service, "spec");
    spec.insert("clusterIP".to_owned(), json!(address));
    spec.insert("clusterIPs".to_owned(), json!([address]));
    Ok(())
}

fn check_wanted(service: &Value, wanted: &str, taken: &BTreeSet<String>) -> Result<(), ApiError> {
    let why = match wanted.parse::<Ipv4Addr>() {
        Ok(address) if address.octets()[..2] != NETWORK => Some("provided IP is not in the valid range"),
        Ok(_) if taken.contains(wanted) => Some("provided IP is already allocated"),
        Ok(_) => None,
        Err(_) => {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            let cause = Cause::invalid("spec.clusterIPs[0]", &json!(wanted), why);
            return Err(ApiError::invalid("", "Service", text(service, "/metadata/name"), &[cause]));
        }
    };
    match why {
        None => Ok(()),
        Some(why) => {
            let why = format!("failed to allocate IP {wanted}: {why}");
            let cause = Cause::invalid("spec.clusterIPs", &json!([wanted]), &why);
            Err(ApiError::invalid("", "Service", text(service, "/metadata/name"), &[cause]))
        }
    }
}

/// An update that leaves the addresses out keeps them.
pub(crate) fn keep_addresses(old: &Value, new: &mut Value) {
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let missing = match new.pointer(&format!("/spec/{field}")) {
            None => true,
            Some(Value::String(text)) => text.is_empty(),
            some => list(some).next().is_none(),
        };
        if let (true, Some(kept)) = (missing, old.pointer(&format!("/spec/{field}"))) {
            object(new, "spec").insert(field.to_owned(), kept.clone());
        }
    }
}

/// Whether traffic from outside the cluster comes to it.
pub(crate) fn is_reached_from_outside(spec: &Value) -> bool {
    match text(spec, "/type") {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => list(spec.get("externalIPs")).next().is_some(),
        _ => false,
    }
}

fn needs_node_ports(spec: &Value) -> bool {
    match text(spec, "/type") {
        "NodePort" => true,
        "LoadBalancer" => spec["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    }
}

fn needs_health_check_port(spec: &Value) -> bool {
    text(spec, "/type") == "LoadBalancer" && text(spec, "/externalTrafficPolicy") == "Local"
}

fn number(value: &Value, field: &str) -> Option<i64> {
    value.get(field).and_then(Value::as_i64).filter(|port| *port != 0)
}

/// The node ports of a Service, the one for health checks included.
fn node_ports(service: &Value) -> impl Iterator<Item = i64> {
    let ports = list(service.pointer("/spec/ports")).filter_map(|port| number(port, "nodePort"));
    ports.chain(number(&service["spec"], "healthCheckNodePort"))
}

/// Gives a Service the ports on nodes that its type needs and it has not.
pub(crate) fn allocate_ports(cluster: &Cluster, service: &mut Value) -> Result<(), ApiError> {
    let name = text(service, "/metadata/name").to_owned();
    let namespace = text(service, "/metadata/namespace").to_owned();
    let services = cluster.store.list(&GroupResource::new("", "services"), None);
    let others = services
        .iter()
        .filter(|(key, _)| key.name != name || key.namespace.as_deref() != Some(namespace.as_str()));
    let mut taken: BTreeSet<i64> = others.flat_map(|(_, other)| node_ports(other)).collect();
    let (needs_ports, needs_check) =
        (needs_node_ports(&service["spec"]), needs_health_check_port(&service["spec"]));
    let ports = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    let mut ports: Vec<&mut Value> = ports.into_iter().flatten().filter(|_| needs_ports).collect();
    for (index, port) in ports.iter().enumerate() {
        let Some(wanted) = number(port, "nodePort") else { continue };
        if let Err(why) = check_port(wanted, &taken) {
            let cause = Cause::invalid(format!("spec.ports[{index}].nodePort"), &json!(wanted), &why);
            return Err(ApiError::invalid("", "Service", &name, &[cause]));
        }
    }
    taken.extend(ports.iter().filter_map(|port| number(port, "nodePort")));
    for port in ports.iter_mut().filter(|port| number(port, "nodePort").is_none()) {
        port["nodePort"] = json!(free_port(&mut taken)?);
    }
    if needs_check && number(&service["spec"], "healthCheckNodePort").is_none() {
        service["spec"]["healthCheckNodePort"] = json!(free_port(&mut taken)?);
    }
    Ok(())
}

fn check_port(wanted: i64, taken: &BTreeSet<i64>) -> Result<(), String> {
    let (first, last) = (NODE_PORTS.start(), NODE_PORTS.end());
    if !NODE_PORTS.contains(&wanted) {
        return Err(format!(
            "provided port is not in the valid range. The range of valid ports is {first}-{last}"
        ));
    }
    if taken.contains(&wanted) { Err("provided port is already allocated".to_owned()) } else { Ok(()) }
}

fn free_port(taken: &mut BTreeSet<i64>) -> Result<i64, ApiError> {
    let found = NODE_PORTS.into_iter().find(|port| !taken.contains(port));
    let found = found.ok_or_else(|| ApiError::internal("failed to allocate a nodePort: range is full"))?;
    taken.insert(found);
    Ok(found)
}

/// An update that leaves node ports out keeps those of the ports with the same names, as long as the type has any.
pub(crate) fn keep_ports(old: &Value, new: &mut Value) {
    if needs_node_ports(&old["spec"]) && needs_node_ports(&new["spec"]) {
        let known: Vec<(String, i64)> = list(old.pointer("/spec/ports"))
            .filter_map(|port| Some((text(port, "/name").to_owned(), number(port, "nodePort")?)))
            .collect();
        let ports = new.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
        let mut ports: Vec<&mut Value> = ports.into_iter().flatten().collect();
        let mut used: BTreeSet<i64> = ports.iter().filter_map(|port| number(port, "nodePort")).collect();
        for port in ports.iter_mut().filter(|port| number(port, "nodePort").is_none()) {
            let kept = known.iter().find(|(name, _)| name == text(port, "/name")).map(|(_, kept)| *kept);
            if let Some(kept) = kept.filter(|kept| used.insert(*kept)) {
                port["nodePort"] = json!(kept);
            }
        }
    }
    if needs_health_check_port(&old["spec"])
        && needs_health_check_port(&new["spec"])
        && number(&new["spec"], "healthCheckNodePort").is_none()
        && let Some(kept) = number(&old["spec"], "healthCheckNodePort")
    {
        new["spec"]["healthCheckNodePort"] = json!(kept);
    }
}

/// Whether the spec of a Service is of a type that has something.
type Has = fn(&Value) -> bool;

/// Who changes the type and nothing else means the fields of the old type no more (`dropTypeDependentFields` in
/// `pkg/registry/core/service/strategy.go`).
pub(crate) fn drop_what_the_type_has_not(old: &Value, new: &mut Value) {
    let is_balanced = |spec: &Value| text(spec, "/type") == "LoadBalancer";
    let loses = |has: Has, new: &Value| has(&old["spec"]) && !has(&new["spec"]);
    let ports = |service: &Value| -> Vec<Option<i64>> {
        list(service.pointer("/spec/ports")).map(|port| number(port, "nodePort")).collect()
    };
    if loses(needs_node_ports, new) && ports(old) == ports(new) {
        let ports = new.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
        ports.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|port| {
            port.remove("nodePort");
        });
    }
    let fields: [(Has, &str); 4] = [
        (needs_health_check_port, "healthCheckNodePort"),
        (is_balanced, "allocateLoadBalancerNodePorts"),
        (is_balanced, "loadBalancerClass"),
        (is_reached_from_outside, "externalTrafficPolicy"),
    ];
    // Each is judged by the types alone, not by what was dropped before it.
    let dropped: Vec<&str> = fields
        .into_iter()
        .filter(|(has, field)| loses(*has, new) && old["spec"].get(field) == new["spec"].get(field))
        .map(|(_, field)| field)
        .collect();
    for field in dropped {
        object(new, "spec").remove(field);
    }
}
