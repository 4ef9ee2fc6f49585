//! What a member should run: a function of the spec and of the member's own record. It is recorded on the member's claim before
//! anything else of the member changes, so that each member's objects are rendered from its own facts. Never looks at the world.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::{Deserialize, Serialize};

use crate::api::{PodUser, PullPolicy};
use crate::cluster::desired::{Desired, DesiredImage, EtcdVersion, PodShape};
use crate::cluster::render::{fingerprint, quantity};
use crate::etcd_options::EtcdOptions;
use crate::gate::GateConfiguration;
use crate::names::{ETCD_CONTAINER, INSTALL_GATE_CONTAINER};
use crate::tls::MemberTls;

/// Everything about a member that a change of the spec can change, and a restart is needed for.
///
/// What is at its default is not written, so that a target keeps its digest when later operators know more settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The etcd version.
    pub version: EtcdVersion,
    /// Repository of the etcd image, without a tag.
    pub image_repository: String,
    /// Requests and limits of the etcd container.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub resources: ResourceRequirements,
    /// etcd's own limit of its database, in bytes; etcd's default if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_backend_bytes: Option<u64>,
    /// Whether the spec chose that limit, so that it goes with the spec's choice.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_quota_chosen: bool,
    /// Who chooses the user that the pod runs as.
    #[serde(default, skip_serializing_if = "PodUser::is_fixed")]
    pub user: PodUser,
    /// How images are named and pulled, beside the repository.
    #[serde(default, skip_serializing_if = "ImageChoice::is_default")]
    pub image: ImageChoice,
    /// etcd's own options, but the quota.
    #[serde(default, skip_serializing_if = "EtcdOptions::is_default")]
    pub etcd: EtcdOptions,
    /// What the spec asks of the pod.
    #[serde(default, skip_serializing_if = "PodShape::is_default")]
    pub pod: PodShape,
    /// How it uses TLS; plain text alone if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<MemberTls>,
    /// The last restart that was asked for, by the word that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
}

/// How the images of a pod are named and pulled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageChoice {
    /// The tag; `v` and the version if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The digest, which counts instead of the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When images are pulled; if the node has them not, if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Names of Secrets with credentials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
}

impl ImageChoice {
    fn is_default(&self) -> bool {
        *self == ImageChoice::default()
    }

    fn of(image: &DesiredImage) -> ImageChoice {
        ImageChoice {
            tag: image.tag.clone(),
            digest: image.digest.clone(),
            pull_policy: image.pull_policy,
            pull_secrets: image.pull_secrets.clone(),
        }
    }
}

/// The image that etcd of a version runs from: a digest counts instead of a tag, and a tag instead of the version.
pub fn etcd_image(repository: &str, tag: Option<&str>, digest: Option<&str>, version: EtcdVersion) -> String {
    match (digest, tag) {
        (Some(digest), _) => format!("{repository}@{digest}"),
        (None, Some(tag)) => format!("{repository}:{tag}"),
        (None, None) => format!("{repository}:v{version}"),
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_empty(resources: &ResourceRequirements) -> bool {
    *resources == ResourceRequirements::default()
}

/// The largest database that etcd recommends (<https://etcd.io/docs/v3.6/dev-guide/limit/>).
const LARGEST_QUOTA_BYTES: u64 = 8 << 30;
/// Less than this holds no useful database.
const SMALLEST_QUOTA_BYTES: u64 = 16 << 20;

/// The smallest quota under which a database of this size goes on accepting writes: 1.2 times its size.
pub fn smallest_quota_bytes(present_database_bytes: u64) -> u64 {
    present_database_bytes.saturating_mul(6) / 5
}

/// The quota that fits a volume: a quarter of it. The rest is for the copy that a defragmentation makes, the log and snapshots.
/// Never so small that a database that is there would stop at once.
pub fn fitting_quota_bytes(volume: &str, present_database_bytes: u64) -> Option<u64> {
    let bytes = u64::try_from(quantity::parse(volume)? / 1000).ok()?;
    let fitting = (bytes / 4).clamp(SMALLEST_QUOTA_BYTES, LARGEST_QUOTA_BYTES);
    Some(fitting.max(smallest_quota_bytes(present_database_bytes)))
}

impl Target {
    /// What the spec asks of a member, for what a change of the spec does not decide here: version, quota and TLS.
    pub fn of_spec(
        desired: &Desired,
        version: EtcdVersion,
        quota_backend_bytes: Option<u64>,
        tls: Option<MemberTls>,
    ) -> Target {
        Target {
            version,
            image_repository: desired.image.repository.clone(),
            resources: desired.resources.clone(),
            quota_backend_bytes,
            is_quota_chosen: desired.etcd.quota_backend_bytes.is_some()
                && desired.etcd.quota_backend_bytes == quota_backend_bytes,
            user: desired.user,
            image: ImageChoice::of(&desired.image),
            etcd: desired.etcd.options.clone(),
            pod: desired.pod.clone(),
            tls,
            restart: None,
        }
    }

    /// The image that etcd runs from.
    pub fn etcd_image(&self) -> String {
        let ImageChoice { tag, digest, pull_policy: _, pull_secrets: _ } = &self.image;
        etcd_image(&self.image_repository, tag.as_deref(), digest.as_deref(), self.version)
    }

    /// When images are pulled.
    pub fn pull_policy(&self) -> PullPolicy {
        self.image.pull_policy.unwrap_or(PullPolicy::IfNotPresent)
    }

    /// What a template shows that an operator wrote before targets were recorded.
    pub fn of_template(live: &StatefulSet) -> Option<Target> {
        Target::of_pod_spec(live.spec.as_ref()?.template.spec.as_ref()?)
    }

    /// What the spec of a member's pod shows.
    pub fn of_pod_spec(pod: &PodSpec) -> Option<Target> {
        let etcd = etcd_container(pod)?;
        let configuration = gate_configuration(pod)?;
        let user = pod.security_context.as_ref().and_then(|security| security.run_as_user);
        Some(Target {
            version: EtcdVersion::parse(&configuration.etcd_version)?,
            image_repository: repository(etcd)?,
            resources: etcd.resources.clone().unwrap_or_default(),
            quota_backend_bytes: configuration.quota_backend_bytes,
            is_quota_chosen: false,
            user: if user.is_some() { PodUser::Fixed } else { PodUser::Platform },
            // Operators that wrote no target knew nothing else.
            image: ImageChoice::default(),
            etcd: EtcdOptions::default(),
            pod: PodShape::default(),
            tls: configuration.tls,
            restart: None,
        })
    }

    /// Whether a pod that shows this was made from the other. Resources that the other does not name may have been filled in when
    /// the pod was admitted.
    pub fn includes(&self, other: &Target) -> bool {
        let named = ResourceRequirements {
            requests: named(self.resources.requests.as_ref(), other.resources.requests.as_ref()),
            limits: named(self.resources.limits.as_ref(), other.resources.limits.as_ref()),
            ..other.resources.clone()
        };
        Target { resources: named, user: other.user, ..self.clone() }.is_same_as(other)
    }

    /// The annotation's value on a claim.
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).expect("a target is plain data")
    }

    /// A digest of it. Amounts count as amounts: `1Gi` and `1024Mi` are one target.
    pub fn digest(&self) -> String {
        // Who chose the quota is a note: it changes nothing that runs.
        let running = Target { is_quota_chosen: false, ..self.clone() };
        fingerprint(&running)
    }

    /// Whether two targets are the same, amounts compared as amounts.
    pub fn is_same_as(&self, other: &Target) -> bool {
        self.digest() == other.digest()
    }
}

type Amounts = BTreeMap<String, Quantity>;

/// Those of the amounts whose names the others have.
fn named(amounts: Option<&Amounts>, others: Option<&Amounts>) -> Option<Amounts> {
    let others = others?;
    let of_others = |(name, _): &(&String, &Quantity)| others.contains_key(*name);
    Some(amounts?.iter().filter(of_others).map(|(name, amount)| (name.clone(), amount.clone())).collect())
}

fn repository(etcd: &Container) -> Option<String> {
    let image = etcd.image.as_deref()?;
    image.rsplit_once(':').map(|(repository, _)| repository.to_owned())
}

fn etcd_container(pod: &PodSpec) -> Option<&Container> {
    pod.containers.iter().find(|container| container.name == ETCD_CONTAINER)
}

/// What the gate of a member's pod is told of TLS: nothing of it, if `Some(None)`. A text without the field is not read any further: that is what
/// every look at every pod of a cluster without TLS comes to.
pub fn told_of_tls(pod: &PodSpec) -> Option<Option<MemberTls>> {
    let argument = etcd_container(pod)?.args.as_ref()?.first()?;
    if argument.contains("\"tls\":") { Some(gate_configuration(pod)?.tls) } else { Some(None) }
}

/// What the gate of a member's pod is told.
pub fn gate_configuration(pod: &PodSpec) -> Option<GateConfiguration> {
    serde_json::from_str(etcd_container(pod)?.args.as_ref()?.first()?).ok()
}

/// The image that a member's gate comes from, as its template says.
pub fn gate_image(live: &StatefulSet) -> Option<&str> {
    let containers = live.spec.as_ref()?.template.spec.as_ref()?.init_containers.as_ref()?;
    containers.iter().find(|container| container.name == INSTALL_GATE_CONTAINER)?.image.as_deref()
}
