//! Registering the resource types, against an API server.

use crate::support::kubernetes::api_server;
use etcd_operator::registration::{SCHEMA_GENERATION, definitions, register};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, PostParams};

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
