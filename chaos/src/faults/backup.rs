//! A backup is asked for under load, and another cluster begins with it, so that the judge can hold what is there against what was
//! committed. In force from the request; over at once; what else is broken meanwhile is for other faults.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use super::case::{Case, Owed};
use crate::history::Revision;
use crate::load::Contents;
use crate::record::{ObjectIdentity, Proof};
use crate::subject::{backups, etcd, pods};

/// How long a cluster that is there may take to be read.
const READING: Duration = Duration::from_secs(30);

pub(super) async fn carry_out(case: &Case<'_>) -> Result<()> {
    let context = case.context;
    let asked = backups::create(&context.client, &context.namespace, &context.cluster).await?;
    let identity = ObjectIdentity { name: asked.name_any(), uid: asked.uid().unwrap_or_default() };
    case.prove(None, Proof::BackupAsked { identity });
    case.injected();
    case.healed();
    let Some(stored) = see_stored(case, &asked.name_any()).await else { return Ok(()) };
    let spec = restored_spec(&case.cluster().await?, &stored, &asked.name_any())?;
    let restored = backups::restore(&context.client, &context.namespace, &spec).await?.name_any();
    if let Some(Contents { revision, entries }) = see_restored(case, &restored).await? {
        case.prove(None, Proof::BackupRestored { revision, entries });
    }
    // It has told all that it can tell, and takes places that the rest of the run may need.
    let api = etcd::api(&context.client, &context.namespace);
    api.delete(&restored, &DeleteParams::background())
        .await
        .context("failed to delete the restored cluster")?;
    Ok(())
}

/// Waits until the backup is proved; the object then.
async fn see_stored(case: &Case<'_>, name: &str) -> Option<DynamicObject> {
    let context = case.context;
    let stored = async || {
        let backup = backups::read(&context.client, &context.namespace, name).await?;
        Ok(etcd::condition_is_true(&backup, "Proved").then_some(backup))
    };
    let Owed::Paid(backup) = case.wait_for_operator("a proved backup", stored).await else { return None };
    let name = backup.data.pointer("/status/backup").and_then(Value::as_str).unwrap_or_default().to_owned();
    let revision = backup.data.pointer("/status/revision").and_then(Value::as_u64)?;
    case.prove(None, Proof::BackupStored { backup: name, revision: Revision(revision) });
    Some(backup)
}

/// One member is enough to read from, at the version that the backup was taken from, and in plain text, whatever the subject speaks: the
/// load's pod has no certificate for another cluster.
fn restored_spec(subject: &DynamicObject, stored: &DynamicObject, backup: &str) -> Result<Value> {
    let version = stored.data.pointer("/status/etcdVersion").context("the EtcdBackup names no version")?;
    let size = subject.data.pointer("/spec/storage/size").cloned().unwrap_or_default();
    Ok(json!({
        "size": 1,
        "version": version,
        "storage": { "size": size },
        "bootstrap": { "restore": { "backup": backup } },
    }))
}

/// Waits until the cluster that begins with the backup is there, and reads it by way of the load's pod.
async fn see_restored(case: &Case<'_>, name: &str) -> Result<Option<Contents>> {
    let context = case.context;
    let ready = async || {
        let cluster = etcd::read(&context.client, &context.namespace, name).await?;
        Ok(etcd::condition_is_true(&cluster, "Ready").then_some(()))
    };
    match case.wait_for_operator("a cluster that began with the backup", ready).await {
        Owed::Paid(()) => {}
        Owed::Missing | Owed::Untold => return Ok(None),
    }
    let (load, path) = (pods::load_port(&context.namespace), format!("contents/{name}"));
    let read = async || load.get_json(&context.client, &path).await.map(Some);
    case.wait_for("what a cluster has that began with the backup", READING, read).await.map(Some)
}
