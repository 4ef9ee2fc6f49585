//! Whether a cluster is fit for chaos: rights, the operator, PodSecurity, the image. Every finding says what to do. Asks
//! and tries; leaves nothing behind.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use crate::rights::{Place, RIGHTS, Right};
use crate::subject::operator::{self, AGENT_LEVEL, POD_SECURITY_LABEL};
use crate::subject::{ALLOWED_LABEL, namespace};

/// How long the image may take to be there and to run.
const IMAGE_PATIENCE: Duration = Duration::from_secs(60);
/// How long the operator may take to be there: it was not installed a moment ago.
const OPERATOR_PATIENCE: Duration = Duration::from_secs(30);
/// How long the doctor's namespace may take to go.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(60);

/// One thing that is not as it has to be, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// Only faults in the operator's own pods are hindered by it.
    pub operator_faults_only: bool,
}

/// Everything that can be found out without making anything.
///
/// # Errors
/// If the cluster cannot be asked.
pub async fn look(client: &Client) -> Result<Vec<Finding>> {
    let mut findings = missing_rights(client).await?;
    if !findings.is_empty() {
        // Without rights the other questions have no answers.
        return Ok(findings);
    }
    if let Err(error) = operator::wait_ready(client, OPERATOR_PATIENCE).await {
        let remedy =
            "kubectl apply -f operator/deploy/install.yaml, and see why its pods do not run".to_owned();
        findings.push(Finding { what: format!("{error:#}"), remedy, operator_faults_only: false });
    }
    findings.extend(closed_operator(client).await?);
    Ok(findings)
}

/// Everything, the image included: a pod runs from it in a namespace that is made for that and removed.
///
/// # Errors
/// If the cluster cannot be asked.
pub async fn examine(client: &Client, image: &str) -> Result<Vec<Finding>> {
    let mut findings = look(client).await?;
    if findings.iter().any(|finding| !finding.operator_faults_only) {
        return Ok(findings);
    }
    let name = format!("chaos-doctor-{}", &uuid::Uuid::new_v4().simple().to_string()[..5]);
    let made = namespace::create(client, &name, "doctor").await?;
    let ran = run_image(client, &name, image).await;
    namespace::delete(client, &made, REMOVAL_PATIENCE).await?;
    findings.extend(ran?);
    Ok(findings)
}

/// A right that is missing, in the words of `kubectl auth can-i`.
async fn missing_rights(client: &Client) -> Result<Vec<Finding>> {
    let asked = RIGHTS.iter().flat_map(|right| right.verbs.iter().map(move |verb| (right, *verb)));
    let answers = asked
        .map(async |(right, verb)| Ok::<_, anyhow::Error>((right, verb, may(client, right, verb).await?)));
    let answers = try_join_all(answers).await?;
    let missing = answers.into_iter().filter(|(_, _, allowed)| !allowed).map(|(right, verb, _)| Finding {
        what: format!("the right to {verb} {} is missing ({})", qualified(right), place(right)),
        remedy: "an administrator gives it: chaos rbac | kubectl apply -f -".to_owned(),
        operator_faults_only: false,
    });
    Ok(missing.collect())
}

fn qualified(right: &Right) -> String {
    let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
    let group = if right.group.is_empty() { String::new() } else { format!(".{}", right.group) };
    let subresource = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
    format!("{resource}{group}{subresource}")
}

fn place(right: &Right) -> String {
    match right.place {
        Place::Everywhere => "in all namespaces".to_owned(),
        Place::Operator => format!("{} in {}", operator::NAME, operator::NAMESPACE),
    }
}

async fn may(client: &Client, right: &Right, verb: &str) -> Result<bool> {
    let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
    let (namespace, name) = match right.place {
        Place::Everywhere => ("", ""),
        Place::Operator => (operator::NAMESPACE, operator::NAME),
    };
    let review: SelfSubjectAccessReview = serde_json::from_value(json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
        "spec": { "resourceAttributes": {
            "group": right.group, "resource": resource, "subresource": subresource, "verb": verb,
            "namespace": namespace, "name": name,
        } },
    }))
    .context("failed to build an access review")?;
    let reviews = Api::<SelfSubjectAccessReview>::all(client.clone());
    let answer = reviews
        .create(&PostParams::default(), &review)
        .await
        .context("failed to ask for the rights of this user")?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// What keeps agents out of the operator's pods.
async fn closed_operator(client: &Client) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let own = Api::<Namespace>::all(client.clone()).get_opt(operator::NAMESPACE).await;
    let own = own.context("failed to read the operator's namespace")?;
    let level = own.as_ref().and_then(|own| own.labels().get(POD_SECURITY_LABEL)).map(String::as_str);
    if let Some(level) = level.filter(|level| *level != AGENT_LEVEL) {
        findings.push(Finding {
            what: format!("the PodSecurity level of {} is {level}, which refuses agents in its pods", operator::NAMESPACE),
            remedy: format!(
                "kubectl label namespace {} {POD_SECURITY_LABEL}={AGENT_LEVEL} --overwrite, for as long as faults hit the operator",
                operator::NAMESPACE
            ),
            operator_faults_only: true,
        });
    }
    if !operator::is_allowed(client).await? {
        findings.push(Finding {
            what: "the operator's owner has not allowed faults that act on it".to_owned(),
            remedy: format!(
                "kubectl -n {} label deployment {} {ALLOWED_LABEL}=allowed",
                operator::NAMESPACE,
                operator::NAME
            ),
            operator_faults_only: true,
        });
    }
    Ok(findings)
}

/// Runs the image once, with what an agent is given.
async fn run_image(client: &Client, namespace: &str, image: &str) -> Result<Option<Finding>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod: Pod = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "image" },
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "image", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["/chaos", "--version"],
                "securityContext": { "runAsUser": 0, "capabilities": { "add": ["NET_ADMIN", "SYS_PTRACE"] } },
            }],
        },
    }))
    .context("failed to build the pod that tries the image")?;
    let refused =
        |what: String, remedy: &str| Finding { what, remedy: remedy.to_owned(), operator_faults_only: false };
    match pods.create(&PostParams::default(), &pod).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 403 => {
            let what = format!("a pod with an agent's capabilities is refused: {}", status.message);
            return Ok(Some(refused(
                what,
                "exempt namespaces with the label etcd.operators.rs/chaos-run from that policy",
            )));
        }
        Err(error) => return Err(error).context("failed to make the pod that tries the image"),
    }
    let deadline = tokio::time::Instant::now() + IMAGE_PATIENCE;
    loop {
        let seen = pods.get("image").await.context("failed to read the pod that tries the image")?;
        let status = seen.status.unwrap_or_default();
        let container = status.container_statuses.unwrap_or_default().into_iter().next();
        let waiting =
            container.and_then(|one| one.state?.waiting?.reason).unwrap_or_else(|| "nothing".to_owned());
        let why = match status.phase.as_deref() {
            Some("Succeeded") => return Ok(None),
            Some("Failed") => "its program fails".to_owned(),
            _ if waiting.contains("ImagePull") || waiting.contains("InvalidImage") => waiting,
            _ if tokio::time::Instant::now() > deadline => {
                format!("it does not run within {} s (waiting for {waiting})", IMAGE_PATIENCE.as_secs())
            }
            _ => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let remedy = "load or push it where the nodes find it, or name another with --chaos-image";
        return Ok(Some(refused(format!("the image {image} cannot be used: {why}"), remedy)));
    }
}
