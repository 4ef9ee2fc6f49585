//! The life of pods.

use crate::harness::{Fixture, Test, eventually};
use crate::tests;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

pub fn tests() -> Vec<Test> {
    tests![a_pod_runs_and_its_output_is_its_log]
}

async fn a_pod_runs_and_its_output_is_its_log() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let pods: Api<Pod> = Api::namespaced(fixture.client.clone(), "default");
    let pod = serde_json::from_value(json!({
        "metadata": {"name": "hello"},
        "spec": {"nodeName": "sandbox", "restartPolicy": "Never", "automountServiceAccountToken": false, "containers": [
            {"name": "main", "image": "tool:v1", "args": ["print", "hello", "3"]}
        ]},
    }))?;
    pods.create(&PostParams::default(), &pod).await?;
    let ended = eventually("the pod to end", async || {
        let pod = pods.get("hello").await?;
        Ok((pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Failed")).then_some(pod))
    })
    .await?;
    println!("{}", serde_json::to_string_pretty(&ended.status)?);
    fixture.sandbox.stop().await?;
    Ok(())
}
