//! EndpointSlices: their type of address, and addresses that are of it. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use crate::apiserver::error::Cause;
use crate::apiserver::json::{list, text};

const MOST_ADDRESSES: usize = 100;
const NO_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/// What is wrong with a slice.
pub(super) fn slice(new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let kind = text(new, "/addressType");
    match kind {
        "" => causes.push(Cause::required("addressType", "")),
        "IPv4" | "IPv6" | "FQDN" => {}
        _ => {
            let supported = ["FQDN", "IPv4", "IPv6"].map(str::to_owned);
            causes.push(Cause::unsupported("addressType", &new["addressType"], &supported));
        }
    }
    for (index, port) in list(new.get("ports")).enumerate() {
        let supported = ["SCTP", "TCP", "UDP"].map(str::to_owned);
        if let Some(other) =
            port["protocol"].as_str().filter(|one| !supported.iter().any(|known| known == one))
        {
            causes.push(Cause::unsupported(format!("ports[{index}].protocol"), &other.into(), &supported));
        }
    }
    let endpoints = list(new.get("endpoints")).enumerate();
    causes.extend(
        endpoints.flat_map(|(index, one)| endpoint(one, kind, &format!("endpoints[{index}].addresses"))),
    );
    causes
}

fn endpoint(endpoint: &Value, kind: &str, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let count = list(endpoint.get("addresses")).count();
    if count == 0 {
        causes.push(Cause::required(at, "must contain at least 1 address"));
    } else if count > MOST_ADDRESSES {
        let message = format!("Too many: {count}: must have at most {MOST_ADDRESSES} items");
        causes.push(Cause { reason: "FieldValueTooMany", field: at.to_owned(), message });
    }
    for (index, value) in list(endpoint.get("addresses")).enumerate() {
        let address = value.as_str().unwrap_or_default();
        let (four, six) = (address.parse::<Ipv4Addr>().is_ok(), address.parse::<Ipv6Addr>().is_ok());
        match kind {
            "IPv4" | "IPv6" if !four && !six => {
                causes.push(Cause::invalid(format!("{at}[{index}]"), value, NO_ADDRESS));
            }
            "IPv4" if !four => causes.push(Cause::invalid(at, value, "must be an IPv4 address")),
            "IPv6" if !six => causes.push(Cause::invalid(at, value, "must be an IPv6 address")),
            _ => {}
        }
    }
    causes
}
