//! The pod template of a member. All that differs between two starts of the same member is on its disk or in the
//! annotations of its live pod, so the template changes only with the member's target and its role.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EmptyDirVolumeSource,
    HTTPGetAction, ObjectFieldSelector, PersistentVolumeClaimVolumeSource, PodSpec, PodTemplateSpec, Probe,
    Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Rendering, quantity, service};
use crate::api::StorageMedium;
use crate::cluster::target::Target;
use crate::gate::{self, GateConfiguration};
use crate::names::{
    ANNOTATION_TARGET, CERTIFICATES_DIRECTORY, CERTIFICATES_VOLUME, CLIENT_PORT, DATA_VOLUME, ETCD_CONTAINER,
    GATE_BINARY, GATE_DIRECTORY, GATE_VOLUME, METRICS_PORT, MemberName, POD_INFO_DIRECTORY, POD_INFO_VOLUME,
    Role, Scheme, VOLUME_PATH,
};
use crate::pods::parts::{empty, install_gate, mount, not_empty, pull_secrets, secret};
use crate::pods::security;

mod placement;

/// The template.
pub(super) fn template(rendering: &Rendering<'_>, member: &MemberName, role: Role) -> PodTemplateSpec {
    let target = rendering.target;
    let shape = &target.pod;
    let mut labels = shape.labels.clone();
    labels.extend(rendering.cluster.pod_labels(member, role));
    let mut annotations = shape.annotations.clone();
    // The pod bears it too, and so tells which target it was made for.
    annotations.insert(ANNOTATION_TARGET.to_owned(), target.digest());
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            affinity: Some(placement::affinity(rendering.cluster, target)),
            node_selector: not_empty(&shape.node_selector),
            tolerations: (!shape.tolerations.is_empty()).then(|| shape.tolerations.clone()),
            topology_spread_constraints: placement::spread(rendering.cluster, target),
            priority_class_name: shape.priority_class_name.clone(),
            runtime_class_name: shape.runtime_class_name.clone(),
            service_account_name: shape.service_account_name.clone(),
            termination_grace_period_seconds: shape.termination_grace_period_seconds,
            image_pull_secrets: pull_secrets(&target.image.pull_secrets),
            // Members need nothing of the Kubernetes API, so they get no token and no variables about Services.
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            security_context: Some(security::of_pod(target.user, target.pod.security_context.as_ref())),
            init_containers: Some(vec![install_gate(rendering.operator_image, target.pull_policy())]),
            containers: [vec![etcd(rendering, member)], further_containers(target)].concat(),
            volumes: Some([volumes(rendering, member), shape.volumes.clone()].concat()),
            ..PodSpec::default()
        }),
    }
}

/// The spec's own, with the pull policy that an API server would fill in: what it fills in looks like somebody else's change.
fn further_containers(target: &Target) -> Vec<Container> {
    let with_policy = |container: &Container| {
        let image = container.image.as_deref().unwrap_or_default();
        let name = image.rsplit('/').next().unwrap_or_default();
        let is_latest = !name.contains('@') && name.rsplit_once(':').is_none_or(|(_, tag)| tag == "latest");
        let policy = if is_latest { "Always" } else { "IfNotPresent" };
        let image_pull_policy = container.image_pull_policy.clone().or_else(|| Some(policy.to_owned()));
        Container { image_pull_policy, ..container.clone() }
    };
    target.pod.containers.iter().map(with_policy).collect()
}

fn etcd(rendering: &Rendering<'_>, member: &MemberName) -> Container {
    let target = rendering.target;
    let configuration = GateConfiguration {
        format: gate::FORMAT,
        oldest_reader: gate::oldest_reader_of(rendering.cluster, target.tls.as_ref()),
        cluster: rendering.cluster.clone(),
        member: member.clone(),
        etcd_version: target.version.to_string(),
        quota_backend_bytes: target.quota_backend_bytes,
        options: target.etcd.clone(),
        tls: target.tls.clone(),
    };
    let argument = serde_json::to_string(&configuration).expect("the gate's configuration is plain data");
    Container {
        name: ETCD_CONTAINER.to_owned(),
        image: Some(target.etcd_image()),
        image_pull_policy: Some(target.pull_policy().as_str().to_owned()),
        command: Some(vec![GATE_BINARY.to_owned(), "gate".to_owned()]),
        args: Some(vec![argument]),
        env: (!target.pod.env.is_empty()).then(|| target.pod.env.clone()),
        ports: Some(ports(target)),
        // Liveness is the process: a probe that restarts etcd because its peers are gone, or because it loads a large
        // snapshot, makes a bad moment worse.
        readiness_probe: Some(readiness()),
        // etcd says why it ends in its log, and the gate in the message itself: the status quotes whichever there is.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        resources: Some(target.resources.clone()),
        security_context: Some(security::of_container()),
        volume_mounts: Some(mounts(target)),
        ..Container::default()
    }
}

fn mounts(target: &Target) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount(DATA_VOLUME, VOLUME_PATH, false),
        mount(GATE_VOLUME, GATE_DIRECTORY, false),
        mount(POD_INFO_VOLUME, POD_INFO_DIRECTORY, true),
    ];
    if target.tls.is_some() {
        mounts.push(mount(CERTIFICATES_VOLUME, CERTIFICATES_DIRECTORY, true));
    }
    mounts
}

fn ports(target: &Target) -> Vec<ContainerPort> {
    let schemes = target.tls.as_ref().map_or(&[Scheme::Http][..], |tls| tls.serves.schemes());
    let peers = schemes.iter().map(|scheme| port(service::peer_port_name(*scheme), scheme.peer_port()));
    let (client, metrics) = (port("client", CLIENT_PORT), port("metrics", METRICS_PORT));
    [client].into_iter().chain(peers).chain([metrics]).collect()
}

/// etcd's own readiness: a linearizable read goes through. Two seconds between questions and two failures keep a member
/// that lost its quorum out of the client Service within five seconds.
fn readiness() -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/readyz".to_owned()),
            port: IntOrString::Int(i32::from(METRICS_PORT)),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(2),
        timeout_seconds: Some(2),
        failure_threshold: Some(2),
        ..Probe::default()
    }
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// The claim of the member, or memory.
fn data(rendering: &Rendering<'_>, member: &MemberName) -> Volume {
    let name = DATA_VOLUME.to_owned();
    match rendering.memory {
        None => Volume {
            name,
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: member.claim(),
                ..PersistentVolumeClaimVolumeSource::default()
            }),
            ..Volume::default()
        },
        Some(size) => Volume {
            name,
            empty_dir: Some(EmptyDirVolumeSource {
                medium: Some(StorageMedium::Memory.as_str().to_owned()),
                size_limit: Some(Quantity(quantity::whole_binary(size))),
            }),
            ..Volume::default()
        },
    }
}

/// The member's certificates. A pod waits for its Secret, so that none starts without them.
fn certificates(member: &MemberName) -> Volume {
    secret(CERTIFICATES_VOLUME, &member.certificates())
}

fn volumes(rendering: &Rendering<'_>, member: &MemberName) -> Vec<Volume> {
    let items = ["annotations", "labels", "name", "namespace", "uid"].map(|field| DownwardAPIVolumeFile {
        path: field.to_owned(),
        field_ref: Some(ObjectFieldSelector {
            field_path: format!("metadata.{field}"),
            ..ObjectFieldSelector::default()
        }),
        ..DownwardAPIVolumeFile::default()
    });
    let mut volumes = vec![
        data(rendering, member),
        empty(GATE_VOLUME),
        Volume {
            name: POD_INFO_VOLUME.to_owned(),
            downward_api: Some(DownwardAPIVolumeSource {
                items: Some(items.to_vec()),
                ..DownwardAPIVolumeSource::default()
            }),
            ..Volume::default()
        },
    ];
    volumes.extend(rendering.target.tls.is_some().then(|| certificates(member)));
    volumes
}
