//! Looks at the clocks of load and probe from time to time, so that the judge can lay their files beside the harness's own. Only
//! reads and records; what the readings mean is the judge's to say.

use std::time::Duration;

use kube::Client;

use crate::history::Writer;
use crate::in_pod::ClockFace;
use crate::live::event_log::EventLog;
use crate::record::{ClockReading, Event};
use crate::subject::pods;
use crate::subject::proxy::PodPort;

/// How often the clocks are read.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);

/// Reads each clock once. One that does not answer is left out: the judge sees what is missing.
pub(super) async fn read(client: &Client, namespace: &str, recorder: &EventLog) {
    for (writer, port) in
        [(Writer::Load, pods::load_port(namespace)), (Writer::Probe, pods::probe_port(namespace))]
    {
        if let Some(reading) = read_one(client, &port, writer, recorder).await {
            recorder.record(Event::Clock(reading));
        }
    }
}

async fn read_one(
    client: &Client,
    port: &PodPort,
    writer: Writer,
    recorder: &EventLog,
) -> Option<ClockReading> {
    let asked = recorder.now();
    let face = port.get_json::<ClockFace>(client, "clock").await;
    let answered = recorder.now();
    match face {
        Ok(ClockFace { elapsed, wall }) => Some(ClockReading { writer, asked, answered, elapsed, wall }),
        Err(error) => {
            tracing::debug!("reading the clock of {} again: {error:#}", port.pod);
            None
        }
    }
}
