//! Another version of etcd is declared, later or earlier: no damage by itself, but the operator has to bring every member to it. In
//! force from the declaration; over at once; seen through when the cluster is Ready with it and every member answers with that version,
//! those that ran another one in another pod, or when another version is declared before that.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::case::{Case, Owed};
use super::change;
use crate::record::Proof;
use crate::scenario::EtcdVersion;
use crate::subject::etcd;
use crate::targeting::SeenMember;

/// How it was seen through.
enum Seen {
    /// So many members run the version.
    Reached(usize),
    /// Another one is declared by now.
    Superseded(EtcdVersion),
}

pub(super) async fn carry_out(case: &Case<'_>, version: &EtcdVersion) -> Result<()> {
    let context = case.context;
    let from = declared(case).await?;
    let outdated = outdated(case, version);
    let patch: Map<String, Value> = [("version".to_owned(), json!(version))].into_iter().collect();
    let changed = etcd::change(&context.client, &context.namespace, &context.cluster, &patch).await?;
    let generation = etcd::generation(&changed)?;
    let resource_version = changed.resource_version().unwrap_or_default();
    case.prove(None, Proof::VersionDeclared { from, to: version.clone(), generation, resource_version });
    case.injected();
    case.healed();
    let seen = async || {
        let now = declared(case).await?;
        if now != *version {
            return Ok(Some(Seen::Superseded(now)));
        }
        let status = change::status(case).await?;
        let is_ready = status.observed_generation >= Some(generation) && status.is_true("Ready");
        Ok(all_run(case, version, &outdated).filter(|_| is_ready).map(Seen::Reached))
    };
    match case.wait_for_operator("every member at the declared version", seen).await {
        Owed::Paid(Seen::Reached(members)) => {
            let proof = Proof::VersionReached { version: version.clone(), members: members as u64 };
            case.prove(None, proof);
        }
        Owed::Paid(Seen::Superseded(by)) => case.prove(None, Proof::VersionSuperseded { by }),
        Owed::Missing | Owed::Untold => {}
    }
    Ok(())
}

/// The pods of members that answer with another version.
fn outdated(case: &Case<'_>, version: &EtcdVersion) -> BTreeSet<String> {
    let board = case.context.board.borrow();
    let versions = board.versions();
    let others = board
        .view
        .members
        .iter()
        .filter(|member| versions.get(&member.id).is_some_and(|answered| answered != version.as_str()));
    others.filter_map(|member| member.pod.as_ref().map(|pod| pod.uid.clone())).collect()
}

/// How many members there are, once the cluster is whole and each answers with a version, none of them from an outdated pod.
fn all_run(case: &Case<'_>, version: &EtcdVersion, outdated: &BTreeSet<String>) -> Option<usize> {
    let board = case.context.board.borrow();
    let versions = board.versions();
    let members = &board.view.members;
    let runs = |member: &SeenMember| {
        let answers = versions.get(&member.id).is_some_and(|answered| answered == version.as_str());
        answers && member.pod.as_ref().is_some_and(|pod| !outdated.contains(&pod.uid))
    };
    (board.is_whole(Instant::now()) && members.iter().all(runs)).then_some(members.len())
}

/// The version that the spec asks for now.
async fn declared(case: &Case<'_>) -> Result<EtcdVersion> {
    let cluster = case.cluster().await?;
    let version = cluster.data.pointer("/spec/version").and_then(Value::as_str).context("spec.version")?;
    version.parse().context("spec.version")
}
