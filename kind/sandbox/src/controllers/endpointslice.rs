//! The EndpointSlice controller: for each Service with a selector, the addresses of its pods and whether they serve.
//! Pure. Rules: <https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/>.
//! It writes no legacy Endpoints, which are deprecated since Kubernetes 1.33.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::pods::{has_ended, is_controlled_by, is_ready, is_terminating};
use super::snapshot::Snapshot;
use super::write::{Outcome, Write, controlled_by};

const SERVICE_LABEL: &str = "kubernetes.io/service-name";
const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGED_BY: &str = "endpointslice-controller.k8s.io";
const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";
/// The default of the real controller's `--max-endpoints-per-slice`.
const ENDPOINTS_IN_A_SLICE: usize = 100;

/// Brings the slices of every Service up to date.
pub(crate) fn reconcile(snapshot: &Snapshot, _now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for service in snapshot.services.iter().filter(|service| service.metadata.deletion_timestamp.is_none()) {
        let Some(spec) = service.spec.as_ref().filter(|spec| has_endpoints(spec)) else { continue };
        let desired = desired_slices(snapshot, service, spec);
        outcome.writes.extend(converge(service, held_slices(snapshot, service), desired));
    }
    outcome
}

fn has_endpoints(spec: &ServiceSpec) -> bool {
    let selects = spec.selector.as_ref().is_some_and(|selector| !selector.is_empty());
    selects && spec.type_.as_deref() != Some("ExternalName")
}

fn held_slices<'a>(snapshot: &'a Snapshot, service: &'a Service) -> Vec<&'a Arc<EndpointSlice>> {
    let slices = snapshot
        .endpoint_slices
        .in_namespace(service.metadata.namespace.as_deref().unwrap_or_default())
        .filter(|slice| {
            let labels = slice.labels();
            labels.get(SERVICE_LABEL) == service.metadata.name.as_ref()
                && labels.get(MANAGED_BY_LABEL).is_some_and(|manager| manager == MANAGED_BY)
                && slice.metadata.deletion_timestamp.is_none()
        });
    slices.collect()
}

/// The slices as they should be, without names: pods with the same ports share slices.
fn desired_slices(snapshot: &Snapshot, service: &Service, spec: &ServiceSpec) -> Vec<EndpointSlice> {
    let mut groups: BTreeMap<String, (Vec<EndpointPort>, Vec<Endpoint>)> = BTreeMap::new();
    for pod in snapshot.pods.in_namespace(service.metadata.namespace.as_deref().unwrap_or_default()) {
        let Some(address) = address_of(pod).filter(|_| is_selected(spec, pod) && !has_ended(pod)) else {
            continue;
        };
        let ports: Vec<EndpointPort> =
            spec.ports.iter().flatten().filter_map(|port| resolve(port, pod)).collect();
        let key = ports.iter().map(|port| format!("{port:?}")).collect();
        groups
            .entry(key)
            .or_insert_with(|| (ports, Vec::new()))
            .1
            .push(endpoint(service, spec, pod, address));
    }
    if groups.is_empty() {
        return vec![slice(service, spec, None, Vec::new())];
    }
    let mut slices = Vec::new();
    for (ports, endpoints) in groups.into_values() {
        let chunks = endpoints.chunks(ENDPOINTS_IN_A_SLICE);
        slices.extend(chunks.map(|chunk| slice(service, spec, Some(ports.clone()), chunk.to_vec())));
    }
    slices
}

fn is_selected(spec: &ServiceSpec, pod: &Pod) -> bool {
    spec.selector.iter().flatten().all(|(name, value)| pod.labels().get(name) == Some(value))
}

fn address_of(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref().filter(|address| !address.is_empty())
}

fn resolve(port: &ServicePort, pod: &Pod) -> Option<EndpointPort> {
    let number = match &port.target_port {
        None | Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => named_port(pod, name, port.protocol.as_deref().unwrap_or("TCP")),
    };
    number.map(|number| EndpointPort {
        app_protocol: port.app_protocol.clone(),
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(number),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".into())),
    })
}

fn named_port(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    let mut ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
    let named = ports.find(|port| {
        port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
    });
    named.map(|port| port.container_port)
}

fn endpoint(service: &Service, spec: &ServiceSpec, pod: &Pod, address: &str) -> Endpoint {
    let pod_spec = pod.spec.as_ref();
    let is_of_service = pod_spec.and_then(|spec| spec.subdomain.as_ref()) == service.metadata.name.as_ref();
    let (serving, terminating) = (is_ready(pod), is_terminating(pod));
    let publishes_unready = spec.publish_not_ready_addresses == Some(true);
    Endpoint {
        addresses: vec![address.to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(publishes_unready || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: pod_spec
            .and_then(|spec| spec.hostname.clone())
            .filter(|name| is_of_service && !name.is_empty()),
        node_name: pod_spec.and_then(|spec| spec.node_name.clone()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".into()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        ..Endpoint::default()
    }
}

fn slice(
    service: &Service,
    spec: &ServiceSpec,
    ports: Option<Vec<EndpointPort>>,
    endpoints: Vec<Endpoint>,
) -> EndpointSlice {
    let mut labels = service.labels().clone();
    labels.remove(HEADLESS_LABEL);
    labels.insert(SERVICE_LABEL.into(), service.name_any());
    labels.insert(MANAGED_BY_LABEL.into(), MANAGED_BY.into());
    if spec.cluster_ip.as_deref() == Some("None") {
        labels.insert(HEADLESS_LABEL.into(), String::new());
    }
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.name_any())),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![controlled_by(service)]),
            ..ObjectMeta::default()
        },
        address_type: "IPv4".into(),
        endpoints,
        ports,
    }
}

/// Puts the desired contents into the slices that are there, creates what is missing and deletes what is left.
fn converge(service: &Service, held: Vec<&Arc<EndpointSlice>>, desired: Vec<EndpointSlice>) -> Vec<Write> {
    let mut writes = Vec::new();
    // A slice that an earlier Service of the same name left is collected with that Service, not reused.
    let mut held = held.into_iter().filter(|slice| is_controlled_by(&slice.metadata, &service.metadata));
    for wanted in desired {
        match held.next() {
            None => writes.push(Write::create(&wanted)),
            Some(slice) => {
                let mut updated = EndpointSlice::clone(slice);
                updated.metadata.labels = wanted.metadata.labels;
                updated.endpoints = wanted.endpoints;
                updated.ports = wanted.ports;
                writes.extend(Write::update(&**slice, &updated));
            }
        }
    }
    writes.extend(held.map(|slice| Write::delete(&**slice)));
    writes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{
        World, at, from_json, json_of, pod_owned_by, ready, stateful_set, terminating,
    };
    use serde_json::{Value, json};

    fn service(extra: Value) -> Service {
        let mut service = json!({
            "metadata": {"name": "web-peers", "namespace": "default", "uid": "service", "resourceVersion": "1"},
            "spec": {"selector": {"app": "web"}, "ports": [{"name": "peer", "port": 80, "targetPort": 2380}]},
        });
        json_patch::merge(&mut service, &json!({ "spec": extra }));
        from_json(service)
    }

    fn the_slice(world: &World) -> Value {
        let slices: Vec<_> = world.snapshot.endpoint_slices.iter().collect();
        assert_eq!(slices.len(), 1);
        json_of(&**slices[0])
    }

    fn peer(name: &str) -> Pod {
        let mut pod = pod_owned_by(&stateful_set("web", 1), name);
        let spec = pod.spec.as_mut().unwrap();
        spec.hostname = Some(name.into());
        spec.subdomain = Some("web-peers".into());
        pod
    }

    #[test]
    fn a_ready_pod_is_listed_with_address_host_name_and_reference() {
        let mut world = World::default();
        world.add(service(json!({"clusterIP": "None"}))).add(ready(peer("web-0"), at(1)));
        world.settle(at(5), reconcile);
        let slice = the_slice(&world);
        let endpoint = &slice["endpoints"][0];
        assert_eq!(endpoint["addresses"], json!(["10.244.0.9"]));
        assert_eq!(endpoint["conditions"], json!({"ready": true, "serving": true, "terminating": false}));
        assert_eq!((&endpoint["hostname"], &endpoint["nodeName"]), (&json!("web-0"), &json!("node")));
        assert_eq!(endpoint["targetRef"]["uid"], json!("uid-of-web-0"));
        assert_eq!(slice["ports"], json!([{"name": "peer", "port": 2380, "protocol": "TCP"}]));
        assert_eq!(slice["metadata"]["labels"][HEADLESS_LABEL], json!(""));
        assert_eq!(slice["metadata"]["ownerReferences"][0]["uid"], json!("service"));
    }

    #[test]
    fn a_leaving_pod_still_serves_but_is_not_ready() {
        let mut world = World::default();
        world.add(service(json!({}))).add(terminating(ready(peer("web-0"), at(1))));
        world.settle(at(5), reconcile);
        let conditions = the_slice(&world)["endpoints"][0]["conditions"].clone();
        assert_eq!(conditions, json!({"ready": false, "serving": true, "terminating": true}));
    }

    #[test]
    fn an_unready_pod_is_published_as_ready_only_where_the_service_asks_for_it() {
        for (publish, expected) in [(true, true), (false, false)] {
            let mut unready = ready(peer("web-0"), at(1));
            unready.status.as_mut().unwrap().conditions = None;
            let mut world = World::default();
            world.add(service(json!({ "publishNotReadyAddresses": publish }))).add(unready);
            world.settle(at(5), reconcile);
            let conditions = the_slice(&world)["endpoints"][0]["conditions"].clone();
            assert_eq!(conditions, json!({"ready": expected, "serving": false, "terminating": false}));
        }
    }

    #[test]
    fn pods_without_address_and_ended_pods_are_left_out_and_an_empty_slice_remains() {
        let mut ended = ready(peer("web-0"), at(1));
        ended.status.as_mut().unwrap().phase = Some("Failed".into());
        let mut world = World::default();
        world.add(service(json!({}))).add(peer("web-1")).add(ended);
        world.settle(at(5), reconcile);
        assert_eq!(the_slice(&world)["endpoints"], json!([]));
    }

    #[test]
    fn a_named_target_port_is_looked_up_in_the_pod() {
        let mut pod = ready(peer("web-0"), at(1));
        pod.spec.as_mut().unwrap().containers[0].ports =
            Some(from_json(json!([{"name": "p", "containerPort": 7000}])));
        let mut world = World::default();
        world.add(service(json!({"ports": [{"name": "peer", "port": 80, "targetPort": "p"}]}))).add(pod);
        world.settle(at(5), reconcile);
        assert_eq!(the_slice(&world)["ports"][0]["port"], json!(7000));
    }

    #[test]
    fn services_without_selector_are_left_alone() {
        let mut world = World::default();
        world.add(service(json!({ "selector": null })));
        assert!(reconcile(&world.snapshot, at(5)).writes.is_empty());
    }

    #[test]
    fn the_slice_of_a_service_of_the_same_name_that_is_gone_is_not_reused() {
        let mut world = World::default();
        world.add(service(json!({}))).add(ready(peer("web-0"), at(1)));
        world.settle(at(5), reconcile);
        let mut successor = service(json!({}));
        successor.metadata.uid = Some("successor".into());
        world.add(successor);
        world.settle(at(6), reconcile);
        assert_eq!(world.snapshot.endpoint_slices.iter().count(), 2);
    }
}
