//! The API server as its clients see it.

// Helpers of tests stand outside of test functions, and may fail as these do.
#![allow(clippy::unwrap_used)]

mod apply;
mod custom;
mod defaults;
mod deletion;
mod https;
mod objects;
mod rights;
mod subresources;
mod tables;

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::Api;
use kube::{Client, Resource};
use sandbox::apiserver::inputs::RandomIdentifiers;
use sandbox::apiserver::{ApiServer, ApiServerConfig};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A server with reproducible identifiers.
pub(crate) fn server() -> ApiServer {
    ApiServer::new(ApiServerConfig {
        identifiers: Box::new(RandomIdentifiers::from_seed(1)),
        ..ApiServerConfig::default()
    })
}

/// The API of a kind in namespace `default`.
pub(crate) fn api<K>(client: &Client) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    Api::namespaced(client.clone(), "default")
}

/// Reads an object from JSON.
pub(crate) fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("the test's object is well-formed")
}

/// The `Status` that a call was refused with.
pub(crate) fn refusal<T: Debug>(result: Result<T, kube::Error>) -> kube::core::Status {
    match result {
        Err(kube::Error::Api(status)) => *status,
        other => panic!("expected a refusal by the API, got {other:?}"),
    }
}
