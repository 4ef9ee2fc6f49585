//! The spec, parsed once. Nobody reads the spec after this, and what parses can be carried out. Never reads the
//! status or the world.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::{
    AccessMode, Amount, BootstrapSpec, EtcdCluster, EtcdClusterSpec, EtcdSettings, ImageSpec,
    PeerServiceSettings, PodUser, PullPolicy, ResourcesSpec, RestoreSpec, RetainedVolumes, ServiceSettings,
    StorageMedium, StorageSpec,
};
use crate::cluster::render::quantity;
use crate::etcd_options::Refused;
use crate::names::{ClusterIdentity, Naming};

mod etcd;
mod path;
mod pod;
mod tls;
mod version;

pub use etcd::DesiredEtcd;
pub use path::{Course, Detour, course};
pub use pod::PodShape;
pub use tls::DesiredTls;
pub use version::{EtcdVersion, Line};

/// What is wanted of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Whose.
    pub cluster: ClusterIdentity,
    /// Number of voters: 1, 3, 5 or 7.
    pub size: usize,
    /// The version wanted. What a member runs is its own [`crate::cluster::target::Target`].
    pub version: EtcdVersion,
    /// Size of each volume.
    pub storage_size: Quantity,
    /// StorageClass of each volume; the default class if `None`.
    pub storage_class_name: Option<String>,
    /// Requests and limits of the etcd container.
    pub resources: ResourceRequirements,
    /// Who may mount a volume.
    pub access_mode: AccessMode,
    /// What volumes are kept in.
    pub medium: StorageMedium,
    /// etcd's own settings.
    pub etcd: DesiredEtcd,
    /// Where images come from.
    pub image: DesiredImage,
    /// Whether the members should be stopped.
    pub suspend: bool,
    /// Whether an empty cluster may be formed beside retained volumes of the same name.
    pub may_form_beside_retained_volumes: bool,
    /// The backup that the cluster's data comes from.
    pub restore: Option<RestoreSpec>,
    /// How long a changed member must be well before the next one is changed.
    pub soak: SignedDuration,
    /// Who chooses the user that pods run as.
    pub user: PodUser,
    /// What else is wanted of the pods.
    pub pod: PodShape,
    /// TLS, if any is wanted.
    pub tls: Option<DesiredTls>,
    /// The Service for clients.
    pub service: ServiceSettings,
    /// The Service for peers.
    pub peer_service: PeerServiceSettings,
}

/// Where the images of a pod come from.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredImage {
    /// Repository of the etcd image, without a tag.
    pub repository: String,
    /// The tag; `v` and the version if `None`.
    pub tag: Option<String>,
    /// The digest, which counts instead of the tag.
    pub digest: Option<String>,
    /// When images are pulled; if the node has them not, if `None`.
    pub pull_policy: Option<PullPolicy>,
    /// Names of Secrets with credentials.
    pub pull_secrets: Vec<String>,
}

/// A spec that cannot be carried out. The API server refuses most of these itself; an older or patched CRD may not.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// The object lacks its identity: it never came from an API server.
    #[error("metadata.{0} is missing")]
    Identity(&'static str),
    /// The size is not one that is supported.
    #[error("spec.size is {0}; it must be 1, 3, 5 or 7")]
    Size(i32),
    /// The version is not three numbers.
    #[error("spec.version is {0:?}; it must be three numbers, for example 3.6.16")]
    Version(String),
    /// The version has known defects or is not known.
    #[error(
        "spec.version {0} is not supported: use 3.5.32 or later, 3.6.11 or later, or 3.7, \
         or set spec.allowUnsupportedVersion"
    )]
    UnsupportedVersion(EtcdVersion),
    /// A quantity cannot be read, or is not positive.
    #[error("{field} is {value:?}; it must be a positive quantity, for example {example}")]
    Quantity {
        /// The field.
        field: String,
        /// What it says.
        value: String,
        /// What it could say.
        example: &'static str,
    },
    /// The repository is empty or holds a tag.
    #[error("spec.image.repository is {0:?}; it must be a repository without tag or digest")]
    Repository(String),
    /// A container that asks for more than it may have is refused by the API server, whatever else is right with it.
    #[error("spec.resources.requests.{name} is {request}, which is above its limit, {limit}")]
    AboveLimit {
        /// Which resource.
        name: String,
        /// What is requested.
        request: String,
        /// What is allowed.
        limit: String,
    },
    /// Retained volumes cannot be adopted yet.
    #[error(
        "spec.bootstrap.retainedVolumes is Adopt, and this version cannot take over retained volumes; set it to Leave for a cluster \
         beside them"
    )]
    Adopt,
    /// An option of etcd cannot be set so.
    #[error("spec.etcd: {0}")]
    EtcdOption(#[source] Refused),
    /// The database could fill more than its volume.
    #[error("spec.etcd.quotaBackendBytes is {quota}, which is above spec.storage.size, {volume}")]
    QuotaAboveVolume {
        /// The quota.
        quota: String,
        /// The volume.
        volume: String,
    },
    /// etcd would refuse its two times.
    #[error(
        "spec.etcd.electionTimeoutMilliseconds is {election}; it must be at least five times the heartbeat interval of {heartbeat}, \
         and at most 50000"
    )]
    ElectionTimeout {
        /// Milliseconds between heartbeats.
        heartbeat: i64,
        /// Milliseconds until an election.
        election: i64,
    },
    /// It is neither a duration nor a number of revisions.
    #[error(
        "spec.etcd.autoCompactionRetention is {0:?}; it must be a duration such as 1h30m with the mode periodic, and a number with the \
         mode revision"
    )]
    CompactionRetention(String),
    /// It is no URL that members could advertise.
    #[error(
        "spec.etcd.advertisedClientUrls holds {0:?}; a client URL is http:// or https://, a host and a port"
    )]
    ClientUrl(String),
    /// The tag is none.
    #[error("spec.image.tag is {0:?}; it must be a tag without repository or digest")]
    Tag(String),
    /// The digest is none.
    #[error("spec.image.digest is {0:?}; it must be sha256: and 64 hexadecimal digits")]
    Digest(String),
    /// Something of the pods cannot be carried out.
    #[error("spec.pod.{field}: {message}")]
    Pod {
        /// The field.
        field: String,
        /// Why not.
        message: String,
    },
    /// TLS of this version can be kept from serving.
    #[error(
        "spec.tls: etcd {0} lets a client that says nothing keep all others out; TLS needs 3.5.33, 3.6.14 or 3.7.1 at least"
    )]
    UnsoundTls(EtcdVersion),
    /// It is no name that a certificate could hold.
    #[error(
        "spec.tls.extraNames holds {0:?}; it must be a DNS name in lower case, which may begin with *., or an IP address"
    )]
    ExtraName(String),
    /// The authority would be gone before what it signed.
    #[error(
        "spec.tls.certificateLifetimeSeconds is {certificate} and spec.tls.authorityLifetimeSeconds is {authority}; certificates must \
         live two minutes at least, and authorities twice as long as they"
    )]
    Lifetimes {
        /// Of certificates, in seconds.
        certificate: i64,
        /// Of authorities, in seconds.
        authority: i64,
    },
    /// A duration is negative.
    #[error("spec.tls.trustPeriodSeconds is {0}; it must be 0 or more")]
    TrustPeriod(i64),
    /// A duration is negative.
    #[error("spec.rollout.soakSeconds is {0}; it must be 0 or more")]
    Soak(i64),
    /// Something else cannot go with data in memory.
    #[error("spec.storage.medium is Memory: {0}")]
    Memory(&'static str),
}

impl Desired {
    /// Parses the spec.
    ///
    /// # Errors
    /// The first field that cannot be carried out.
    pub fn parse(cluster: &EtcdCluster) -> Result<Desired, Invalid> {
        // Destructured without `..`, so that a new field cannot be forgotten here.
        let EtcdClusterSpec {
            size,
            version,
            allow_unsupported_version,
            etcd,
            storage,
            resources,
            image,
            suspend,
            bootstrap,
            tls,
            // Nothing of a member follows from it: see `crate::backup::work`.
            backup: _,
            rollout,
            pod,
            service,
            peer_service,
        } = &cluster.spec;
        let parsed = EtcdVersion::parse(version).ok_or_else(|| Invalid::Version(version.clone()))?;
        if !parsed.is_supported() && !allow_unsupported_version {
            return Err(Invalid::UnsupportedVersion(parsed));
        }
        let size = parse_size(*size)?;
        let restore = bootstrap.as_ref().and_then(|bootstrap| bootstrap.restore.clone());
        check_medium(storage, size, *suspend, restore.is_some())?;
        Ok(Desired {
            cluster: identity(cluster)?,
            size,
            version: parsed,
            storage_size: parse_amount("spec.storage.size", &storage.size, "8Gi")?,
            storage_class_name: storage.storage_class_name.clone(),
            access_mode: storage.access_mode,
            medium: storage.medium,
            etcd: parse_etcd(etcd.as_ref(), parsed, &storage.size)?,
            resources: parse_resources(resources.as_ref())?,
            image: parse_image(image)?,
            suspend: *suspend,
            may_form_beside_retained_volumes: may_leave_retained_volumes(bootstrap.as_ref())?,
            restore,
            soak: parse_soak(rollout.soak_seconds)?,
            user: pod.user,
            pod: pod::parse(pod)?,
            tls: tls::parse(tls.as_ref(), parsed)?,
            service: service.clone(),
            peer_service: peer_service.clone(),
        })
    }
}

/// The identity of a cluster object.
///
/// # Errors
/// The object lacks name, namespace or UID.
pub fn identity(cluster: &EtcdCluster) -> Result<ClusterIdentity, Invalid> {
    let metadata = &cluster.metadata;
    Ok(ClusterIdentity {
        name: metadata.name.clone().ok_or(Invalid::Identity("name"))?,
        namespace: metadata.namespace.clone().ok_or(Invalid::Identity("namespace"))?,
        uid: metadata.uid.clone().ok_or(Invalid::Identity("uid"))?,
        // What the cluster has published already is found in its objects: see `world::identity`.
        naming: Naming::ByUid,
    })
}

fn may_leave_retained_volumes(bootstrap: Option<&BootstrapSpec>) -> Result<bool, Invalid> {
    match bootstrap.and_then(|bootstrap| bootstrap.retained_volumes) {
        None => Ok(false),
        Some(RetainedVolumes::Leave) => Ok(true),
        Some(RetainedVolumes::Adopt) => Err(Invalid::Adopt),
    }
}

fn parse_soak(seconds: i64) -> Result<SignedDuration, Invalid> {
    if seconds < 0 { Err(Invalid::Soak(seconds)) } else { Ok(SignedDuration::from_secs(seconds)) }
}

/// A number of voters.
pub(crate) fn parse_size(size: i32) -> Result<usize, Invalid> {
    match size {
        1 | 3 | 5 | 7 => usize::try_from(size).map_err(|_| Invalid::Size(size)),
        _ => Err(Invalid::Size(size)),
    }
}

/// A quota above the volume would let the database fill it, and a full volume stops more than writes.
fn parse_etcd(
    settings: Option<&EtcdSettings>,
    version: EtcdVersion,
    volume: &Amount,
) -> Result<DesiredEtcd, Invalid> {
    let quota = settings.and_then(|settings| settings.quota_backend_bytes.as_ref());
    if let Some(quota) = quota.filter(|quota| quantity::is_above(&quota.0, &volume.0)) {
        return Err(Invalid::QuotaAboveVolume { quota: quota.0.clone(), volume: volume.0.clone() });
    }
    etcd::parse(settings, version)
}

/// Data in memory is no volume of any class, and is gone when all members stop.
fn check_medium(storage: &StorageSpec, size: usize, suspend: bool, is_restored: bool) -> Result<(), Invalid> {
    let refused = match storage.medium {
        StorageMedium::Disk => None,
        StorageMedium::Memory if size == 1 => {
            Some("a single member would lose all data with its pod; spec.size must be 3 at least")
        }
        StorageMedium::Memory if suspend => Some("all data would be lost; the cluster cannot be suspended"),
        StorageMedium::Memory if storage.storage_class_name.is_some() => {
            Some("a volume in memory has no storageClassName")
        }
        StorageMedium::Memory if storage.access_mode != AccessMode::default() => {
            Some("a volume in memory has no accessMode")
        }
        StorageMedium::Memory if is_restored => Some("it is not restored from a backup yet"),
        StorageMedium::Memory => None,
    };
    refused.map_or(Ok(()), |why| Err(Invalid::Memory(why)))
}

fn parse_image(image: &ImageSpec) -> Result<DesiredImage, Invalid> {
    let ImageSpec { repository, tag, digest, pull_policy, pull_secrets } = image;
    let is_word =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if let Some(tag) = tag.as_ref().filter(|tag| tag.is_empty() || !is_word(tag)) {
        return Err(Invalid::Tag(tag.clone()));
    }
    let is_digest = |text: &str| {
        let digits = text.strip_prefix("sha256:");
        digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    if let Some(digest) = digest.as_ref().filter(|digest| !is_digest(digest)) {
        return Err(Invalid::Digest(digest.clone()));
    }
    Ok(DesiredImage {
        repository: parse_repository(repository)?,
        tag: tag.clone(),
        digest: digest.clone(),
        pull_policy: *pull_policy,
        pull_secrets: pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
    })
}

fn parse_repository(repository: &str) -> Result<String, Invalid> {
    let last = repository.rsplit('/').next().unwrap_or_default();
    let is_plain = !last.is_empty() && !last.contains([':', '@', ' ']);
    if is_plain { Ok(repository.to_owned()) } else { Err(Invalid::Repository(repository.to_owned())) }
}

/// Requests and limits of a container.
pub(crate) fn parse_resources(resources: Option<&ResourcesSpec>) -> Result<ResourceRequirements, Invalid> {
    let Some(ResourcesSpec { requests, limits }) = resources else {
        return Ok(ResourceRequirements::default());
    };
    let parsed = ResourceRequirements {
        requests: parse_amounts("spec.resources.requests", requests)?,
        limits: parse_amounts("spec.resources.limits", limits)?,
        ..ResourceRequirements::default()
    };
    for (name, request) in parsed.requests.iter().flatten() {
        let limit = parsed.limits.as_ref().and_then(|limits| limits.get(name));
        if let Some(limit) = limit.filter(|limit| quantity::is_above(&request.0, &limit.0)) {
            let (request, limit) = (request.0.clone(), limit.0.clone());
            return Err(Invalid::AboveLimit { name: name.clone(), request, limit });
        }
    }
    Ok(parsed)
}

fn parse_amounts(
    field: &str,
    amounts: &BTreeMap<String, Amount>,
) -> Result<Option<BTreeMap<String, Quantity>>, Invalid> {
    let parse = |(name, amount): (&String, &Amount)| {
        Ok((name.clone(), parse_amount(&format!("{field}.{name}"), amount, "500m")?))
    };
    let parsed: BTreeMap<String, Quantity> = amounts.iter().map(parse).collect::<Result<_, Invalid>>()?;
    Ok((!parsed.is_empty()).then_some(parsed))
}

fn parse_amount(field: &str, amount: &Amount, example: &'static str) -> Result<Quantity, Invalid> {
    let is_positive = quantity::parse(&amount.0).is_some_and(|value| value > 0);
    if is_positive {
        return Ok(amount.to_quantity());
    }
    Err(Invalid::Quantity { field: field.to_owned(), value: amount.0.clone(), example })
}
