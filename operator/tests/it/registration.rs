//! Registering the resource types, against an API server.

use crate::support::kubernetes::{api_server, create_namespace};
use etcd_operator::registration::{SCHEMA_GENERATION, definitions, register};
use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::cluster::desired::Desired;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, PostParams};
use kube::client::Body;
use kube::{Client, ResourceExt};
use sandbox::apiserver::ApiServer;
use serde_json::{Value, json};
use tower::BoxError;

const NAME: &str = "etcdclusters.etcd.operators.rs";

#[tokio::test]
async fn a_fresh_cluster_serves_the_resource_type_after_registration_and_a_second_one_writes_nothing() {
    let client = api_server().client();
    register(client.clone()).await.unwrap();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let first = api.get(NAME).await.unwrap();
    register(client).await.unwrap();
    assert_eq!(api.get(NAME).await.unwrap().resource_version(), first.resource_version());
}

#[tokio::test]
async fn a_definition_of_a_newer_operator_stays_as_it_is() {
    let client = api_server().client();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut newer = definitions().remove(0);
    newer.annotations_mut().insert(SCHEMA_GENERATION.to_owned(), "99".to_owned());
    newer.spec.names.short_names = Some(vec!["newer".to_owned()]);
    api.create(&PostParams::default(), &newer).await.unwrap();
    register(client).await.unwrap();
    let live = api.get(NAME).await.unwrap();
    assert_eq!(live.annotations()[SCHEMA_GENERATION], "99");
    assert_eq!(live.spec.names.short_names, Some(vec!["newer".to_owned()]));
}

/// A client of an operator that was installed by the manifest of an earlier one: it may register no kinds but that.
fn with_the_rights_of(allowed: &'static str, server: &ApiServer) -> Client {
    let client = server.client();
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let client = client.clone();
        async move {
            let is_allowed = request.uri().path().contains(allowed);
            if is_allowed {
                return client.send(request).await.map_err(BoxError::from);
            }
            let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden",
                "message": "forbidden", "code": 403 });
            let answer = http::Response::builder().status(403).header("content-type", "application/json");
            Ok(answer.body(Body::from(status.to_string().into_bytes()))?)
        }
    });
    Client::new(service, "default")
}

#[tokio::test]
async fn clusters_do_not_wait_for_kinds_that_an_earlier_manifest_gives_no_right_to() {
    let server = api_server();
    register(with_the_rights_of("etcdclusters", &server)).await.unwrap();
    let api: Api<CustomResourceDefinition> = Api::all(server.client());
    let names: Vec<String> =
        api.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, [NAME]);
    let error = register(with_the_rights_of("etcdbackups", &server)).await.unwrap_err();
    assert!(error.to_string().contains(NAME), "clusters are what it is there for: {error}");
}

#[tokio::test]
async fn an_older_definition_is_brought_up_to_date() {
    let client = api_server().client();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut older = definitions().remove(0);
    older.annotations_mut().insert(SCHEMA_GENERATION.to_owned(), "0".to_owned());
    older.spec.names.short_names = None;
    api.create(&PostParams::default(), &older).await.unwrap();
    register(client).await.unwrap();
    let live = api.get(NAME).await.unwrap();
    assert_eq!(live.annotations()[SCHEMA_GENERATION], definitions()[0].annotations()[SCHEMA_GENERATION]);
    assert_eq!(live.spec.names.short_names, definitions()[0].spec.names.short_names);
}

/// A cluster as its user wrote it.
fn written(spec: &Value) -> EtcdCluster {
    let object = json!({
        "apiVersion": "etcd.operators.rs/v1beta1",
        "kind": "EtcdCluster",
        "metadata": { "generateName": "c-", "namespace": "ns", "name": "c", "uid": "u" },
        "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

/// What the API server says to a cluster with this spec; none if it takes it.
async fn refusal(client: &Client, spec: &Value) -> Option<String> {
    let mut cluster = written(spec);
    (cluster.metadata.name, cluster.metadata.uid) = (None, None);
    match Api::namespaced(client.clone(), "ns").create(&PostParams::default(), &cluster).await {
        Ok(EtcdCluster { .. }) => None,
        Err(kube::Error::Api(status)) => Some(status.message),
        Err(other) => panic!("no answer to a cluster with {spec}: {other}"),
    }
}

#[tokio::test]
async fn the_api_server_refuses_every_spec_that_the_operator_could_not_carry_out() {
    let client = api_server().client();
    register(client.clone()).await.unwrap();
    create_namespace(&client, "ns").await;
    let refused = [
        (json!({ "version": "3.6.16", "size": 2 }), "size must be 1, 3, 5 or 7"),
        (json!({ "version": "v3.6.16" }), "version must be three numbers, for example 3.6.16"),
        (json!({ "version": "3.5.31" }), "this version is not supported"),
        (json!({ "version": "3.6.10" }), "or set allowUnsupportedVersion"),
        (json!({ "version": "3.4.34" }), "this version is not supported"),
        (json!({ "version": "4.7.1" }), "this version is not supported"),
        (json!({ "version": "3.6.16", "storage": { "size": "0Gi" } }), "spec.storage.size"),
        (json!({ "version": "3.6.16", "storage": { "size": "-1Gi" } }), "spec.storage.size"),
        (json!({ "version": "3.6.16", "storage": { "size": "0.000" } }), "spec.storage.size"),
        (
            json!({ "version": "3.6.16", "resources": { "limits": { "cpu": 0 } } }),
            "spec.resources.limits.cpu",
        ),
        (
            json!({ "version": "3.6.16", "resources": { "requests": { "memory": "lots" } } }),
            "requests.memory",
        ),
        (json!({ "version": "3.6.16", "image": { "repository": "etcd:latest" } }), "neither tag nor digest"),
        (json!({ "version": "3.6.16", "image": { "repository": "" } }), "neither tag nor digest"),
    ];
    for (spec, reason) in refused {
        let said = refusal(&client, &spec).await;
        assert!(said.as_ref().is_some_and(|said| said.contains(reason)), "{spec}: {said:?}");
        assert!(Desired::parse(&written(&spec)).is_err(), "{spec}");
    }
    let taken = [
        json!({ "version": "3.5.32", "size": 1 }),
        json!({ "version": "3.5.100" }),
        json!({ "version": "3.6.11" }),
        json!({ "version": "3.7.0" }),
        json!({ "version": "3.4.34", "allowUnsupportedVersion": true }),
        json!({ "version": "3.6.16", "storage": { "size": 10_000_000_000_i64 } }),
        json!({ "version": "3.6.16", "storage": { "size": "0.5Gi" } }),
        json!({ "version": "3.6.16", "resources": { "limits": { "cpu": 1, "memory": "1e9" } } }),
        json!({ "version": "3.6.16", "image": { "repository": "registry.example:5000/quay/etcd" } }),
    ];
    for spec in taken {
        assert_eq!(refusal(&client, &spec).await, None, "{spec}");
        assert!(Desired::parse(&written(&spec)).is_ok(), "{spec}");
    }
}
