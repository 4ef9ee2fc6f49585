//! The namespace of one run: made by it, labelled, removed by it. Never touches another.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::RUN_LABEL;
use super::operator::{AGENT_LEVEL, POD_SECURITY_LABEL};

/// Makes the namespace, open for agents whatever the cluster's default is. The uid tells it from a later one of the same
/// name.
pub async fn create(client: &Client, name: &str, run: &str) -> Result<Namespace> {
    let namespace: Namespace = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": { RUN_LABEL: run, POD_SECURITY_LABEL: AGENT_LEVEL } },
    }))
    .context("failed to build the run's namespace")?;
    let created = Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await;
    created.with_context(|| {
        format!("failed to make the run's namespace {name}: does this context have the right to do that?")
    })
}

/// Deletes a namespace that a run made and waits until it is gone.
pub async fn delete(client: &Client, namespace: &Namespace, patience: Duration) -> Result<()> {
    let api = Api::<Namespace>::all(client.clone());
    let name = namespace.name_any();
    let preconditions =
        kube::api::Preconditions { uid: namespace.metadata.uid.clone(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match api.delete(&name, &parameters).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("failed to delete the namespace {name}")),
    }
    let gone = async {
        loop {
            if let Ok(None) = api.get_opt(&name).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    if tokio::time::timeout(patience, gone).await.is_err() {
        bail!("the namespace {name} is still there {} s after it was deleted", patience.as_secs());
    }
    Ok(())
}

/// Every namespace that some run made and that is still there.
pub async fn of_runs(client: &Client) -> Result<Vec<Namespace>> {
    let parameters = kube::api::ListParams::default().labels(RUN_LABEL);
    let list = Api::<Namespace>::all(client.clone()).list(&parameters).await;
    Ok(list.context("failed to list the namespaces of chaos runs")?.items)
}
