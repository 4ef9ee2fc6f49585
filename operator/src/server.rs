//! What the operator's own HTTP shows: /metrics for Prometheus, /healthz and /readyz for the kubelet. It changes nothing.

use crate::http::Reply;
use http::StatusCode;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Content type of the OpenMetrics text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the server shows. Clones share it.
#[derive(Clone)]
pub struct Shown {
    registry: Arc<Registry>,
    ready: Arc<AtomicBool>,
}

impl Shown {
    /// Not ready yet.
    pub fn new(registry: Registry) -> Self {
        Self { registry: Arc::new(registry), ready: Arc::new(AtomicBool::new(false)) }
    }

    /// Ready means: able to take over, so a standby that waits for the Lease is ready too.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// What a GET of this path is answered with.
    pub fn answer(&self, path: &str) -> Reply {
        match path {
            "/metrics" => self.metrics(),
            "/healthz" => Reply::text(StatusCode::OK, "ok\n"),
            "/readyz" if self.ready.load(Ordering::Relaxed) => Reply::text(StatusCode::OK, "ok\n"),
            "/readyz" => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "not connected to Kubernetes yet\n"),
            _ => Reply::text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
        }
    }

    fn metrics(&self) -> Reply {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => Reply::new(StatusCode::OK, OPEN_METRICS, text),
            Err(error) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_follows_what_was_set_and_health_does_not() {
        let shown = Shown::new(Registry::default());
        assert_eq!(shown.answer("/readyz").status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(shown.answer("/healthz").status, StatusCode::OK);
        shown.set_ready(true);
        assert_eq!(shown.answer("/readyz").status, StatusCode::OK);
        assert_eq!(shown.answer("/secrets").status, StatusCode::NOT_FOUND);
    }
}
