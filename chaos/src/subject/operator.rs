//! The operator: installed from its own manifest, found again, waited for. Never changed beyond image and mutant, and the
//! PodSecurity level of its namespace: a fault in its pods runs with capabilities that `restricted` refuses.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::{ALLOWED_LABEL, manifest};

/// The namespace of the operator.
pub const NAMESPACE: &str = "etcd-operator-system";
/// The name of its Deployment, ServiceAccount, Lease and container.
pub const NAME: &str = "etcd-operator";
/// The variable that chooses one of the deliberately wrong operators, in builds that know any.
pub const MUTANT_VARIABLE: &str = "ETCD_OPERATOR_MUTANT";

/// The variable that names the image which members' gates come from.
const IMAGE_VARIABLE: &str = "OPERATOR_IMAGE";
/// The label by which a namespace says what its pods may be allowed.
/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>
pub const POD_SECURITY_LABEL: &str = "pod-security.kubernetes.io/enforce";
/// The level that an agent's container needs: it adds capabilities.
pub const AGENT_LEVEL: &str = "privileged";

const MANIFEST: &str = include_str!("../../../operator/deploy/install.yaml");

/// How the operator is to be installed.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    /// The manifest of another operator, which has its own rights and arguments; ours unless set.
    pub manifest: Option<String>,
    /// Replaces the image that the manifest names.
    pub image: Option<String>,
    /// Chooses a deliberately wrong operator.
    pub mutant: Option<String>,
}

/// Applies the operator's manifest.
pub async fn install(client: &Client, installation: &Installation) -> Result<()> {
    let (name, text) = match &installation.manifest {
        Some(text) => ("the other operator's manifest", text.as_str()),
        None => ("operator/deploy/install.yaml", MANIFEST),
    };
    for mut object in manifest::documents(name, text)? {
        match manifest::kind(&object) {
            "Deployment" => adapt(&mut object, installation)?,
            "Namespace" => let_agents_in(&mut object),
            _ => {}
        }
        manifest::apply(client, &object).await?;
    }
    Ok(())
}

fn adapt(deployment: &mut DynamicObject, installation: &Installation) -> Result<()> {
    let containers = deployment.data.pointer_mut("/spec/template/spec/containers");
    let containers =
        containers.and_then(Value::as_array_mut).context("the operator's Deployment has no containers")?;
    let container = containers.iter_mut().find(|container| container["name"] == NAME);
    let container = container.context("the operator's Deployment has no container of its name")?;
    if let Some(image) = &installation.image {
        container["image"] = json!(image);
        let variables = container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten();
        // The members' gate is a copy of the operator, so it comes from the same image.
        for variable in variables.filter(|variable| variable["name"] == IMAGE_VARIABLE) {
            variable["value"] = json!(image);
        }
    }
    if let Some(mutant) = &installation.mutant {
        let variable = json!({ "name": MUTANT_VARIABLE, "value": mutant });
        match container.get_mut("env").and_then(Value::as_array_mut) {
            Some(variables) => variables.push(variable),
            None => container["env"] = json!([variable]),
        }
    }
    Ok(())
}

fn let_agents_in(namespace: &mut DynamicObject) {
    namespace.labels_mut().insert(POD_SECURITY_LABEL.to_owned(), AGENT_LEVEL.to_owned());
}

/// Waits until the operator's Deployment is available and its resource type is served.
pub async fn wait_ready(client: &Client, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let waiting_for = match missing(client).await {
            Ok(None) => return Ok(()),
            Ok(Some(missing)) => missing,
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() > deadline {
            let pods = describe_pods(client).await;
            bail!("the operator is not ready after {} s: {waiting_for}{pods}", patience.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn missing(client: &Client) -> Result<Option<String>> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let Some(deployment) =
        deployments.get_opt(NAME).await.context("failed to read the operator's Deployment")?
    else {
        return Ok(Some(format!(
            "there is no Deployment {NAMESPACE}/{NAME}; install it with `kubectl apply -f operator/deploy/install.yaml`"
        )));
    };
    // A fault aimed at the operator hits all its pods, so all of them have to be there.
    let wanted = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.unwrap_or_default();
    let available = status.available_replicas.unwrap_or(0);
    let is_rolled_out = status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted;
    if wanted < 1 || available < wanted || !is_rolled_out {
        return Ok(Some(format!("{available} of {wanted} replicas of its Deployment are available")));
    }
    let served = client.list_api_group_resources(super::etcd::API_VERSION).await;
    let served =
        served.is_ok_and(|list| list.resources.iter().any(|resource| resource.kind == super::etcd::KIND));
    Ok((!served).then(|| format!("{} {} is not served yet", super::etcd::API_VERSION, super::etcd::KIND)))
}

async fn describe_pods(client: &Client) -> String {
    let Ok(pods) = pods(client).await else {
        return String::new();
    };
    let mut text = String::new();
    for pod in pods {
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        for status in statuses.into_iter().flatten() {
            let state = serde_json::to_string(&status.state).unwrap_or_default();
            text.push_str(&format!(
                "; pod {} restarted {} times, now {state}",
                pod.name_any(),
                status.restart_count
            ));
        }
    }
    text
}

/// The operator's pods that are not on their way out.
pub async fn pods(client: &Client) -> Result<Vec<Pod>> {
    let parameters = ListParams::default().labels(&format!("app.kubernetes.io/name={NAME}"));
    let pods = Api::<Pod>::namespaced(client.clone(), NAMESPACE).list(&parameters).await;
    let pods = pods.context("failed to list the operator's pods")?.items;
    Ok(pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
}

/// Whether the harness may harm an operator that it did not install.
pub async fn is_allowed(client: &Client) -> Result<bool> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let deployment = deployments.get_opt(NAME).await.context("failed to read the operator's Deployment")?;
    let labels = deployment.map(|deployment| deployment.labels().clone()).unwrap_or_default();
    Ok(labels.get(ALLOWED_LABEL).is_some_and(|value| value == "allowed"))
}
