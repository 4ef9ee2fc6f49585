//! What Services and EndpointSlices say about names (in [`names`]) and addresses, and keeping it current. The tables are pure;
//! `run` watches the API and feeds the name server and the service proxy. It never writes to the API.

use super::names::{Names, ready_addresses};
use super::{dns, proxy};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use tokio::sync::watch;

/// The label by which a slice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The names and listening addresses that follow from all Services and EndpointSlices at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) names: Names,
    /// Service address and port, and the ready endpoints behind it. Only entries with an endpoint: where there is
    /// none, nobody listens and a connection is refused, as kube-proxy has it.
    pub(crate) forwards: BTreeMap<SocketAddrV4, Vec<SocketAddrV4>>,
}

impl Tables {
    /// Builds both tables by the rules of "DNS for Services and Pods" and "Virtual IPs and Service Proxies" in the
    /// Kubernetes documentation. Only TCP ports are forwarded and only IPv4 is known.
    pub(crate) fn build<'a>(
        services: impl IntoIterator<Item = &'a Service>,
        slices: impl IntoIterator<Item = &'a EndpointSlice> + Clone,
    ) -> Tables {
        let mut tables = Tables::default();
        for service in services {
            let own: Vec<_> = slices.clone().into_iter().filter(|slice| belongs_to(slice, service)).collect();
            tables.add(service, &own);
        }
        tables
    }

    fn add(&mut self, service: &Service, slices: &[&EndpointSlice]) {
        self.names.add(service, slices);
        if let Some(address) = cluster_address(service) {
            self.forwards.extend(forwards(service, address, slices));
        }
    }
}

fn belongs_to(slice: &EndpointSlice, service: &Service) -> bool {
    slice.metadata.namespace == service.metadata.namespace
        && slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME))
            == service.metadata.name.as_ref()
        && slice.address_type == "IPv4"
}

/// The virtual address, unless the Service is headless or has none yet.
pub(super) fn cluster_address(service: &Service) -> Option<Ipv4Addr> {
    service.spec.as_ref()?.cluster_ip.as_ref()?.parse().ok()
}

fn forwards(
    service: &Service,
    address: Ipv4Addr,
    slices: &[&EndpointSlice],
) -> BTreeMap<SocketAddrV4, Vec<SocketAddrV4>> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let tcp = ports.iter().filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
    tcp.filter_map(|port| {
        let mut behind: Vec<SocketAddrV4> = slices
            .iter()
            .flat_map(|slice| endpoints_of_port(slice, port.name.as_deref().unwrap_or_default()))
            .collect();
        behind.sort_unstable();
        behind.dedup();
        let listen = SocketAddrV4::new(address, u16::try_from(port.port).ok()?);
        (!behind.is_empty()).then_some((listen, behind))
    })
    .collect()
}

fn endpoints_of_port<'a>(slice: &'a EndpointSlice, name: &str) -> impl Iterator<Item = SocketAddrV4> + 'a {
    let port = slice
        .ports
        .iter()
        .flatten()
        .find(|port| port.name.as_deref().unwrap_or_default() == name)
        .and_then(|port| u16::try_from(port.port?).ok());
    ready_addresses(slice).filter_map(move |(_, address)| Some(SocketAddrV4::new(address, port?)))
}

/// Watches Services and EndpointSlices and serves names on `name_server` and every Service on its own address, until
/// dropped. Must be called in the network namespace that owns the service addresses.
///
/// # Errors
/// When the name server's address can't be bound. Failing watches are retried for ever.
pub(crate) async fn run(client: Client, name_server: SocketAddrV4) -> std::io::Result<()> {
    let (sender, receiver) = watch::channel(Arc::new(Tables::default()));
    let names = dns::NameServer::bind(name_server).await?;
    tokio::select! {
        biased;
        () = keep_current(client, sender) => Ok(()),
        result = names.run(receiver.clone()) => result,
        () = proxy::run(receiver) => Ok(()),
    }
}

enum Change {
    Service(Box<watcher::Event<Service>>),
    Slice(Box<watcher::Event<EndpointSlice>>),
}

async fn keep_current(client: Client, tables: watch::Sender<Arc<Tables>>) {
    let services = events::<Service>(client.clone()).map(|event| Change::Service(Box::new(event)));
    let slices = events::<EndpointSlice>(client).map(|event| Change::Slice(Box::new(event)));
    let mut changes = std::pin::pin!(futures::stream::select(services, slices));
    let mut known_services = Known::default();
    let mut known_slices = Known::default();
    while let Some(change) = changes.next().await {
        match change {
            Change::Service(event) => known_services.apply(*event),
            Change::Slice(event) => known_slices.apply(*event),
        }
        let next = Tables::build(known_services.objects.values(), known_slices.objects.values());
        tables.send_if_modified(|current| {
            let differs = **current != next;
            if differs {
                *current = Arc::new(next);
            }
            differs
        });
    }
}

fn events<K>(client: Client) -> impl Stream<Item = watcher::Event<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let watched = watcher(Api::<K>::all(client), watcher::Config::default()).default_backoff();
    watched.filter_map(|event| {
        let event = event.inspect_err(
            |error| tracing::debug!(%error, kind = %K::kind(&()), "watch failed, will be retried"),
        );
        std::future::ready(event.ok())
    })
}

/// All objects of one kind as last seen; while a new list is being read, the old one stays in force.
struct Known<K> {
    objects: BTreeMap<(Option<String>, Option<String>), K>,
    listing: BTreeMap<(Option<String>, Option<String>), K>,
}

impl<K> Default for Known<K> {
    fn default() -> Self {
        Known { objects: BTreeMap::new(), listing: BTreeMap::new() }
    }
}

impl<K: Resource> Known<K> {
    fn apply(&mut self, event: watcher::Event<K>) {
        let key = |object: &K| (object.meta().namespace.clone(), object.meta().name.clone());
        match event {
            watcher::Event::Init => self.listing.clear(),
            watcher::Event::InitApply(object) => {
                self.listing.insert(key(&object), object);
            }
            watcher::Event::InitDone => self.objects = std::mem::take(&mut self.listing),
            watcher::Event::Apply(object) => {
                self.objects.insert(key(&object), object);
            }
            watcher::Event::Delete(object) => {
                self.objects.remove(&key(&object));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(specification: serde_json::Value) -> Service {
        serde_json::from_value(
            json!({"metadata": {"name": "db", "namespace": "shop"}, "spec": specification}),
        )
        .unwrap()
    }

    fn slice(endpoints: serde_json::Value) -> EndpointSlice {
        serde_json::from_value(json!({
            "metadata": {"name": "db-1", "namespace": "shop", "labels": {SERVICE_NAME: "db"}},
            "addressType": "IPv4",
            "ports": [{"name": "client", "port": 2379}],
            "endpoints": endpoints,
        }))
        .unwrap()
    }

    #[test]
    fn a_service_forwards_its_port_to_the_ready_endpoints_port_of_the_same_name() {
        let ports = json!([{"name": "client", "port": 80, "targetPort": 2379}]);
        let tables = Tables::build(
            &[service(json!({"clusterIP": "10.96.0.7", "ports": ports}))],
            &[slice(json!([
                {"addresses": ["10.244.0.11"], "conditions": {"ready": true}},
                {"addresses": ["10.244.0.12"], "conditions": {"ready": false}},
            ]))],
        );
        assert_eq!(
            tables.forwards,
            BTreeMap::from([(
                SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 7), 80),
                vec![SocketAddrV4::new(Ipv4Addr::new(10, 244, 0, 11), 2379)]
            )])
        );
        assert!(tables.names.find("db.shop.svc.cluster.local.").is_some());
    }

    #[test]
    fn a_service_without_ready_endpoints_has_a_name_and_no_listener() {
        let ports = json!([{"name": "client", "port": 80}]);
        let tables = Tables::build(
            &[service(json!({"clusterIP": "10.96.0.7", "ports": ports}))],
            &[slice(json!([{"addresses": ["10.244.0.12"], "conditions": {"ready": false}}]))],
        );
        assert!(tables.forwards.is_empty());
        assert!(tables.names.find("db.shop.svc.cluster.local.").is_some());
    }
}
