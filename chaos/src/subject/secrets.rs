//! Makes a kubelet show a pod a changed Secret at once: left alone it takes a minute or longer to look at the pod's volumes again. It
//! changes no Secret, and nobody's pod but for one annotation.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

/// On a pod whose kubelet shall look at its Secret now; its value is the Secret's resource version. Any change of a pod makes it look.
const ANNOTATION: &str = "etcd.operators.rs/chaos-secret";
/// How often a Secret is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Makes the kubelet of a pod show it a Secret as it is at a resource version.
pub async fn show(pods: &Api<Pod>, pod: &str, resource_version: &str) -> Result<()> {
    let patch = json!({ "metadata": { "annotations": { ANNOTATION: resource_version } } });
    let patched = pods.patch_metadata(pod, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched.map(drop).with_context(|| format!("failed to annotate the pod {pod}"))
}

/// Shows pods a Secret whenever it has changed, its first appearance included, until it is dropped. What goes wrong is told once, and tried
/// again: a pod that learns of a certificate late is no error of the run.
pub async fn keep_shown(client: Client, namespace: &str, secret: &str, pods: &[&str], tell: impl Fn(String)) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let api: Api<Pod> = Api::namespaced(client, namespace);
    let mut shown = BTreeMap::new();
    let mut told = false;
    loop {
        if let Err(error) = show_changed(&secrets, &api, secret, pods, &mut shown).await
            && !std::mem::replace(&mut told, true)
        {
            tell(format!(
                "pods learn of the Secret {secret} only when their kubelet looks by itself: {error:#}"
            ));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Shows the Secret as it is now to the pods that were shown it otherwise, or never.
async fn show_changed(
    secrets: &Api<Secret>,
    api: &Api<Pod>,
    secret: &str,
    pods: &[&str],
    shown: &mut BTreeMap<String, String>,
) -> Result<()> {
    let found = secrets.get_metadata_opt(secret).await;
    let found = found.with_context(|| format!("failed to read the Secret {secret}"))?;
    let Some(now) = found.and_then(|found| found.resource_version()) else { return Ok(()) };
    for pod in pods {
        if shown.get(*pod) != Some(&now) {
            show(api, pod, &now).await?;
            shown.insert((*pod).to_owned(), now.clone());
        }
    }
    Ok(())
}
