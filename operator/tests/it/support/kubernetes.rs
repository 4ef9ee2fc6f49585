//! The sandbox's API server in this process, and a line to it that can be cut, at once or after some writes.

use http::Method;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::client::Body;
use sandbox::apiserver::{ApiServer, ApiServerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tower::BoxError;

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
    writes_left: Option<Arc<AtomicUsize>>,
}

impl Line {
    /// A line that breaks for good after so many writes: the process behind it has crashed, as far as the server sees.
    pub(crate) fn breaking_after(writes: usize) -> Self {
        Self { writes_left: Some(Arc::new(AtomicUsize::new(writes))), ..Self::default() }
    }

    /// A client whose requests go over this line.
    pub(crate) fn client(&self, server: &ApiServer) -> Client {
        let (line, client) = (self.clone(), server.client());
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (line, client) = (line.clone(), client.clone());
            async move {
                line.pass(request.method()).await?;
                client.send(request).await.map_err(BoxError::from)
            }
        });
        Client::new(service, "default")
    }

    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Whether it broke.
    pub(crate) fn is_broken(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    async fn pass(&self, method: &Method) -> Result<(), BoxError> {
        if let Some(writes_left) = &self.writes_left {
            if method != Method::GET && writes_left.load(Ordering::Relaxed) == 0 {
                self.cut();
            }
            if self.is_broken() {
                return Err("the line is broken".into());
            }
            if method != Method::GET {
                writes_left.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if self.is_broken() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
