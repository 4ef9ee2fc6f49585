//! `chaos heal`: ends what a killed run left broken in a cluster, from any machine that reaches it. Faults inside pods end by
//! their own timers; what needs a hand is found by looking at the cluster, not by trusting a file.

use anyhow::{Context as _, Result, bail};
use chaos::cluster::{Cluster, ClusterKind, SandboxImages};
use chaos::faults::volume;
use chaos::subject::namespace;
use clap::Args;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::ClusterArguments;

#[derive(Debug, Args)]
pub(super) struct HealArguments {
    #[command(flatten)]
    cluster: ClusterArguments,
}

pub(super) async fn heal(arguments: &HealArguments) -> Result<u8> {
    arguments.cluster.check()?;
    let choice = arguments.cluster.choice();
    if choice.kind != ClusterKind::Current && choice.lasting.is_none() {
        bail!(
            "a cluster without a name ends with its run and leaves nothing to heal; name a lasting one with --name"
        );
    }
    let images = SandboxImages { sources: Default::default() };
    let cluster =
        Cluster::open(&choice, &images, std::env::temp_dir(), std::future::pending(), &|_| {}).await?;
    anstream::eprintln!("healing at {}", cluster.server);
    let mut healed = 0;
    for namespace in namespace::of_runs(&cluster.client).await? {
        healed += release_claims(&cluster, &namespace.name_any()).await?;
    }
    anstream::println!("{healed} faults ended by hand; faults inside pods end by their own timers");
    Ok(0)
}

async fn release_claims(cluster: &Cluster, namespace: &str) -> Result<u32> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(cluster.client.clone(), namespace);
    let claims = api.list(&ListParams::default()).await.context("failed to list the volume claims")?;
    let mut healed = 0;
    for claim in claims {
        let name = claim.name_any();
        if volume::release(&api, &name).await? {
            anstream::println!("took our finalizer off the volume claim {namespace}/{name}");
            healed += 1;
        }
    }
    Ok(healed)
}
