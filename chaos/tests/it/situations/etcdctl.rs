//! etcdctl, run in members' pods by `exec`: what etcd itself says, past every Service and past the operator.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use chaos::subject::etcd;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The member's own client port, seen from inside its pod.
pub(super) const OWN: &str = "http://127.0.0.1:2379";

/// The same by TLS, by a name that stands in its certificate.
pub(super) const OWN_BY_TLS: &str = "https://localhost:2379";

/// What a member shows to clients is good for asking one, too.
const CERTIFICATES: [&str; 3] =
    ["--cacert=/gate/client-ca.crt", "--cert=/etc/etcd-tls/server.crt", "--key=/etc/etcd-tls/server.key"];

/// Runs etcdctl in the etcd container of a pod and returns what it said; an error with its words if it failed.
pub(super) async fn run(pods: &Api<Pod>, pod: &str, endpoint: &str, arguments: &[&str]) -> Result<String> {
    let certificates = if endpoint.starts_with("https://") { &CERTIFICATES[..] } else { &[] };
    let endpoint = format!("--endpoints={endpoint}");
    let own = ["/usr/local/bin/etcdctl", "--command-timeout=10s", "--dial-timeout=5s", &endpoint];
    let command: Vec<&str> = own.iter().chain(certificates).chain(arguments).copied().collect();
    let parameters = AttachParams::default().container(etcd::CONTAINER).stdout(true).stderr(true);
    let mut process = pods.exec(pod, command, &parameters).await.with_context(|| format!("exec in {pod}"))?;
    let status = process.take_status().context("no status")?;
    let (output, error) = (process.stdout(), process.stderr());
    let (output, error) = tokio::join!(all_of(output), all_of(error));
    let status = status.await.context("etcdctl ended without a status")?;
    if status.status.as_deref() != Some("Success") {
        bail!("etcdctl {arguments:?} in {pod}: {} {}", error?, status.message.unwrap_or_default());
    }
    output
}

async fn all_of(stream: Option<impl AsyncRead + Unpin>) -> Result<String> {
    let mut text = String::new();
    stream.context("no stream")?.read_to_string(&mut text).await?;
    Ok(text)
}

/// The members that vote and those that do not, by name, as a member answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MemberList {
    pub(super) voters: BTreeSet<String>,
    pub(super) learners: BTreeSet<String>,
}

/// The member list, read linearizably through one pod.
pub(super) async fn member_list(pods: &Api<Pod>, pod: &str, endpoint: &str) -> Result<MemberList> {
    let said = run(pods, pod, endpoint, &["member", "list", "--write-out=json"]).await?;
    let said: Value = serde_json::from_str(&said).context("parsing the member list")?;
    let mut list = MemberList::default();
    for member in said["members"].as_array().context("no members")? {
        let learns = member["isLearner"].as_bool().unwrap_or_default();
        let kind = if learns { &mut list.learners } else { &mut list.voters };
        // A member that has not started yet has no name; its address tells it.
        let name = member["name"].as_str().filter(|name| !name.is_empty());
        kind.insert(name.map_or_else(|| member["peerURLs"].to_string(), str::to_owned));
    }
    Ok(list)
}
