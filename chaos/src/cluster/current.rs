//! A cluster that somebody else runs, named by a kubeconfig context. Never changes it: installing is refused here.

use anyhow::{Context as _, Result, bail};
use kube::config::Kubeconfig;

use super::{Cluster, ClusterChoice, ClusterKind};

/// The kubeconfig and the context that was asked for, if both are there.
pub(super) fn check(choice: &ClusterChoice) -> Result<(Kubeconfig, &str)> {
    let Some(context) = choice.context.as_deref() else {
        bail!("--cluster current needs --context NAME: a chaos run never guesses which cluster it may break");
    };
    let kubeconfig = Kubeconfig::read()
        .context("failed to read the kubeconfig that $KUBECONFIG or ~/.kube/config names")?;
    if !kubeconfig.contexts.iter().any(|named| named.name == context) {
        let known: Vec<&str> = kubeconfig.contexts.iter().map(|named| named.name.as_str()).collect();
        bail!("the kubeconfig has no context {context:?}; it has: {}", known.join(", "));
    }
    Ok((kubeconfig, context))
}

pub(super) async fn open(choice: &ClusterChoice) -> Result<Cluster> {
    let (kubeconfig, context) = check(choice)?;
    let mut cluster = Cluster::from_kubeconfig(kubeconfig, Some(context), ClusterKind::Current).await?;
    let version = cluster.client.apiserver_version().await;
    version.with_context(|| format!("failed to ask {} for its version", cluster.server))?;
    cluster.operator_is_ours = false;
    Ok(cluster)
}
