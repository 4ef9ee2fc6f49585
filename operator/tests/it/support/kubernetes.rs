//! The sandbox's API server in this process, and a line to it that can be cut.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::client::Body;
use kube::{Client, Error};
use sandbox::apiserver::{ApiServer, ApiServerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A fresh API server.
pub(crate) fn api_server() -> ApiServer {
    ApiServer::new(ApiServerConfig::default())
}

/// Creates a namespace.
pub(crate) async fn create_namespace(client: &Client, name: &str) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}

/// A line to an API server. While it is cut, requests are never answered.
#[derive(Clone, Default)]
pub(crate) struct Line {
    cut: Arc<AtomicBool>,
}

impl Line {
    /// A client whose requests go over this line.
    pub(crate) fn client(&self, server: &ApiServer) -> Client {
        let (cut, client) = (self.cut.clone(), server.client());
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (cut, client) = (cut.clone(), client.clone());
            async move {
                if cut.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                client.send(request).await.map_err(|error: Error| error)
            }
        });
        Client::new(service, "default")
    }

    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }
}
