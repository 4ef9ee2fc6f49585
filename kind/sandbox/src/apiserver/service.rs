//! Addresses of Services: allocation from the service network, and what an update keeps.
//!
//! Pure; which addresses are taken is read from the stored Services.

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

/// Gives a Service its address, node ports excluded: there are none here.
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
