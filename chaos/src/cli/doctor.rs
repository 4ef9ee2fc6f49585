//! `chaos doctor` and `chaos rbac`: whether a cluster is fit for chaos, and the rights to give.

use anyhow::{Result, bail};
use chaos::cluster::{Cluster, ClusterKind, SandboxImages, images};
use chaos::{doctor, rights};
use clap::Args;

use super::ClusterArguments;

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    cluster: ClusterArguments,
    /// The image of load, probe and agent
    #[arg(long, value_name = "IMAGE", default_value = images::CHAOS_IMAGE)]
    chaos_image: String,
}

#[derive(Debug, Args)]
pub(super) struct RbacArguments {
    /// The namespace of the ServiceAccount that gets the rights
    #[arg(long, value_name = "NAME", default_value = "default")]
    namespace: String,
}

pub(super) async fn doctor(arguments: &DoctorArguments) -> Result<u8> {
    arguments.cluster.check()?;
    let choice = arguments.cluster.choice();
    if choice.kind != ClusterKind::Current && choice.lasting.is_none() {
        bail!(
            "a sandbox without a name is made for each run and is fit for it; name a lasting one with --name"
        );
    }
    let none = SandboxImages { sources: Default::default() };
    let cluster =
        Cluster::open(&choice, &none, std::env::temp_dir(), std::future::pending(), &|_| {}).await?;
    let findings = doctor::examine(&cluster.client, &arguments.chaos_image).await?;
    for finding in &findings {
        let only = if finding.operator_faults_only { " (faults in the operator only)" } else { "" };
        anstream::println!("- {}{only}\n  {}", finding.what, finding.remedy);
    }
    let hindered = findings.iter().any(|finding| !finding.operator_faults_only);
    let said = if hindered { "is not fit for chaos yet" } else { "is fit for chaos" };
    anstream::println!("{} {said}", cluster.server);
    Ok(if hindered { super::EXIT_ERROR } else { 0 })
}

pub(super) fn rbac(arguments: &RbacArguments) -> u8 {
    anstream::print!("{}", rights::manifest(&arguments.namespace));
    0
}
