//! Cases about what runs in pods, between two running clusters that have nodes: `CONFORMANCE_REAL` and `CONFORMANCE_SANDBOX` are
//! their kubeconfigs. Starts no cluster; `ci/nodes` does.

use std::path::PathBuf;

use anyhow::Context;

use crate::arm::Arm;
use crate::cases::{Afterwards, load, run_between};

/// The folder of these cases.
const CASES: &str = "nodes";

/// Runs the cases whose file or sentence contains a text. True when all are as they must be.
///
/// # Errors
/// When a kubeconfig is not named or can't be used, or a connection breaks.
pub(crate) async fn run(filter: &str) -> anyhow::Result<bool> {
    let (real, sandbox) = (kubeconfig("CONFORMANCE_REAL")?, kubeconfig("CONFORMANCE_SANDBOX")?);
    let arms =
        async || Ok((Arm::of_cluster("real", &real).await?, Arm::of_cluster("sandbox", &sandbox).await?));
    // The clusters outlive this process: a second run must not meet the namespaces of the first.
    let prefix = format!("nodes-{}", std::process::id());
    run_between(arms, load(CASES)?, filter, &prefix, Afterwards::Delete).await
}

fn kubeconfig(variable: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    path.with_context(|| format!("{variable} must name a running cluster's kubeconfig; `ci/nodes` makes two"))
}
