//! Where the names of the cluster lead, by the "Kubernetes DNS-Based Service Discovery" specification
//! (<https://github.com/kubernetes/dns/blob/master/docs/specification.md>), and as CoreDNS has it where that leaves a choice.
//! Pure; it knows nothing of messages.

use super::services::cluster_address;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// The domain below which all names of the cluster stand, as kubelets are configured by default.
pub(crate) const CLUSTER_DOMAIN: &str = "cluster.local";

/// What a port that says nothing speaks.
const DEFAULT_PROTOCOL: &str = "TCP";

/// A place to which a name leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) address: Ipv4Addr,
    /// The place's own name, in lower case and with a final dot.
    pub(crate) host: String,
    /// Nothing where no port is declared: then there is an address and no service.
    pub(crate) port: Option<u16>,
}

/// All names, in lower case and with a final dot, and their places in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(BTreeMap<String, BTreeSet<Place>>);

impl Names {
    /// Adds the names of a Service and of what is behind it. One without a place has no name.
    pub(super) fn add(&mut self, service: &Service, slices: &[&EndpointSlice]) {
        let Some(name) = full_name(service) else { return };
        let virtual_address = cluster_address(service);
        if let Some(address) = virtual_address {
            for port in ports_of_service(service) {
                let place = Place { address, host: name.clone(), port: port.number };
                self.lead(&name, &port, place);
            }
        }
        for slice in slices {
            for (endpoint, address) in ready_addresses(slice) {
                for port in ports_of_slice(slice) {
                    let host = format!("{}.{name}", own_name(endpoint, address));
                    let place = Place { address, host: host.clone(), port: port.number };
                    if virtual_address.is_none() {
                        self.lead(&name, &port, place.clone());
                    }
                    self.0.entry(host).or_default().insert(place);
                }
            }
        }
    }

    /// The Service's name leads to a place, and so does the port's, if it has one.
    fn lead(&mut self, service: &str, port: &Port<'_>, place: Place) {
        if !port.name.is_empty() {
            let name = format!("_{}._{}.{service}", port.name, port.protocol).to_lowercase();
            self.0.entry(name).or_default().insert(place.clone());
        }
        self.0.entry(service.to_owned()).or_default().insert(place);
    }

    /// The places to which a name leads, in order; nothing if there is no such name. A name may exist without leading anywhere.
    pub(super) fn find(&self, name: &str) -> Option<Vec<&Place>> {
        match self.0.get(name) {
            Some(places) => Some(places.iter().collect()),
            None => has_names_below(name).then(Vec::new),
        }
    }
}

/// Whether a name is the domain's, that of all Services or pods, or a namespace's. Which namespaces there are is not asked.
fn has_names_below(name: &str) -> bool {
    let Some(above) = name.strip_suffix('.').and_then(|name| name.strip_suffix(CLUSTER_DOMAIN)) else {
        return false;
    };
    let labels: Vec<&str> = above.split('.').collect();
    matches!(labels.as_slice(), [""] | ["svc" | "pod", ""] | [_, "svc" | "pod", ""])
}

struct Port<'a> {
    /// Empty for the only port of a Service that has no name.
    name: &'a str,
    protocol: &'a str,
    number: Option<u16>,
}

impl<'a> Port<'a> {
    fn new(name: Option<&'a String>, protocol: Option<&'a String>, number: Option<i32>) -> Port<'a> {
        Port {
            name: name.map_or("", String::as_str),
            protocol: protocol.map_or(DEFAULT_PROTOCOL, String::as_str),
            number: number.and_then(|number| u16::try_from(number).ok()),
        }
    }
}

fn ports_of_service(service: &Service) -> impl Iterator<Item = Port<'_>> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.map(|port| Port::new(port.name.as_ref(), port.protocol.as_ref(), Some(port.port)))
}

/// The ports of what is behind a Service; one without a number where none is declared.
fn ports_of_slice(slice: &EndpointSlice) -> Vec<Port<'_>> {
    let declared = slice.ports.iter().flatten();
    let ports: Vec<_> =
        declared.map(|port| Port::new(port.name.as_ref(), port.protocol.as_ref(), port.port)).collect();
    if ports.is_empty() { vec![Port::new(None, None, None)] } else { ports }
}

fn full_name(service: &Service) -> Option<String> {
    let name = service.metadata.name.as_ref()?;
    let namespace = service.metadata.namespace.as_ref()?;
    Some(format!("{name}.{namespace}.svc.{CLUSTER_DOMAIN}."))
}

/// An endpoint's host name; one made from its address, if it has none.
fn own_name(endpoint: &Endpoint, address: Ipv4Addr) -> String {
    endpoint.hostname.clone().unwrap_or_else(|| address.to_string().replace('.', "-"))
}

/// The addresses of a slice that are ready, with what they are of.
pub(super) fn ready_addresses(slice: &EndpointSlice) -> impl Iterator<Item = (&Endpoint, Ipv4Addr)> {
    slice.endpoints.iter().filter(|endpoint| is_ready(endpoint)).flat_map(|endpoint| {
        let addresses = endpoint.addresses.iter().filter_map(|address| address.parse().ok());
        addresses.map(move |address| (endpoint, address))
    })
}

/// The absence of the condition means ready. The slice's writer has set it already where the Service publishes addresses that
/// are not ready.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::has_names_below;

    #[test]
    fn a_name_above_others_exists() {
        for name in ["cluster.local.", "svc.cluster.local.", "pod.cluster.local.", "shop.svc.cluster.local."]
        {
            assert!(has_names_below(name), "{name}");
        }
        for name in ["local.", "other.cluster.local.", "a.b.svc.cluster.local.", "notcluster.local.", "."] {
            assert!(!has_names_below(name), "{name}");
        }
    }
}
