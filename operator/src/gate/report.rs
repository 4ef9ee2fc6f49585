//! What a holding gate tells: to the operator by `GET /gate`, to the kubelet by failing readiness, to people by its
//! log. It decides nothing.

use crate::http::{Reply, serve};
use anyhow::Context as _;
use etcd_operator_core::gate::{
    BootCounterState, FORMAT, GateHoldReason, GateInputs, GateReport, GateState, PermitReading, StampState,
};
use http::StatusCode;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The report on a decision to hold.
pub(super) fn of(inputs: &GateInputs, reason: GateHoldReason) -> GateReport {
    let stamp = match &inputs.disk.stamp {
        StampState::Present(stamp) => Some(stamp.clone()),
        StampState::Absent => None,
        StampState::Unreadable(error) => {
            tracing::debug!(error, "the stamp can't be read");
            None
        }
    };
    if let BootCounterState::Unreadable(error) = &inputs.disk.boot_counter {
        tracing::debug!(error, "the boot counter can't be read");
    }
    if let PermitReading::Malformed(error) = &inputs.permit {
        tracing::debug!(error, "the permit can't be read");
    }
    GateReport {
        format: FORMAT,
        state: GateState::Holding,
        reason,
        pod_uid: inputs.pod_uid.clone(),
        boot_counter: inputs.disk.boot_counter(),
        stamp,
        spent_permits: inputs.spent.iter().cloned().collect(),
    }
}

/// A gate that holds: its server ends when this is dropped.
pub(super) struct Holding {
    report: Arc<RwLock<GateReport>>,
    /// Where it is served.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests listen on any free port and have to find it"))]
    pub(super) address: SocketAddr,
    _server: JoinSet<()>,
}

impl Holding {
    /// Serves the report.
    pub(super) fn serve(listener: TcpListener, report: GateReport) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("failed to find the address listened on")?;
        tell(&report);
        let report = Arc::new(RwLock::new(report));
        let served = report.clone();
        let mut server = JoinSet::new();
        server.spawn(serve(listener, move |path: &str| answer(path, &served)));
        Ok(Self { report, address, _server: server })
    }

    /// Replaces the report, and logs it if it is another one.
    pub(super) fn update(&mut self, report: GateReport) {
        let mut shared = self.report.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *shared != report {
            tell(&report);
            *shared = report;
        }
    }
}

fn tell(report: &GateReport) {
    let text = serde_json::to_string(report).unwrap_or_default();
    tracing::warn!(reason = report.reason.as_str(), report = text, "etcd is not started");
}

fn answer(path: &str, report: &RwLock<GateReport>) -> Reply {
    let report = report.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    match path {
        "/gate" => match serde_json::to_string(&*report) {
            Ok(body) => Reply::new(StatusCode::OK, "application/json", body),
            Err(error) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        },
        "/readyz" | "/health" => {
            let reason = report.reason.as_str();
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, &format!("the gate holds etcd back: {reason}\n"))
        }
        _ => Reply::text(StatusCode::NOT_FOUND, "there are /gate, /readyz and /health\n"),
    }
}
