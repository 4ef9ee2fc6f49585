//! The pod template of a member. All that differs between two starts of the same member is on its disk or in the
//! annotations of its live pod, so the template is the same for the member's whole life but for its role.

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, DownwardAPIVolumeFile, DownwardAPIVolumeSource,
    EmptyDirVolumeSource, HTTPGetAction, ObjectFieldSelector, PersistentVolumeClaimVolumeSource,
    PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, SeccompProfile,
    SecurityContext, Volume, VolumeMount, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Common;
use crate::gate::{self, GateConfiguration};
use crate::names::{
    CLIENT_PORT, ClusterIdentity, ETCD_CONTAINER, GATE_BINARY, GATE_DIRECTORY, INSTALL_GATE_CONTAINER,
    LABEL_CLUSTER, LABEL_ROLE, METRICS_PORT, MemberName, PEER_PORT, POD_INFO_DIRECTORY, Role, VOLUME_PATH,
};

/// The user and group that everything in the pod runs as: the customary number for "nobody in particular".
const USER: i64 = 65532;

/// The template.
pub(super) fn template(common: &Common<'_>, member: &MemberName, role: Role) -> PodTemplateSpec {
    let mut labels = common.desired.cluster.member_labels(member);
    labels.insert(LABEL_ROLE.to_owned(), role.as_str().to_owned());
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
        spec: Some(PodSpec {
            affinity: Some(spread(&common.desired.cluster)),
            // Members need nothing of the Kubernetes API, so they get no token and no variables about Services.
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            security_context: Some(pod_security()),
            init_containers: Some(vec![install_gate(common)]),
            containers: vec![etcd(common, member)],
            volumes: Some(volumes(member)),
            ..PodSpec::default()
        }),
    }
}

/// Prefers different nodes, then different zones. Only prefers: a cluster of three on one node is still a cluster.
fn spread(cluster: &ClusterIdentity) -> Affinity {
    let apart = |topology_key: &str, weight| WeightedPodAffinityTerm {
        weight,
        pod_affinity_term: PodAffinityTerm {
            topology_key: topology_key.to_owned(),
            label_selector: Some(LabelSelector {
                match_labels: Some([(LABEL_CLUSTER.to_owned(), cluster.name.clone())].into()),
                ..LabelSelector::default()
            }),
            ..PodAffinityTerm::default()
        },
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                apart("kubernetes.io/hostname", 100),
                apart("topology.kubernetes.io/zone", 50),
            ]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

/// Copies the operator's static binary to where the etcd container can run it: etcd's image holds no shell.
fn install_gate(common: &Common<'_>) -> Container {
    Container {
        name: INSTALL_GATE_CONTAINER.to_owned(),
        image: Some(common.operator_image.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(["/etcd-operator", "install-gate", GATE_BINARY].map(str::to_owned).to_vec()),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![mount("gate", GATE_DIRECTORY, false)]),
        ..Container::default()
    }
}

fn etcd(common: &Common<'_>, member: &MemberName) -> Container {
    let desired = common.desired;
    let configuration = GateConfiguration {
        format: gate::FORMAT,
        oldest_reader: gate::OLDEST_READER,
        cluster: desired.cluster.clone(),
        member: member.clone(),
        etcd_version: common.version.to_string(),
        quota_backend_bytes: None,
    };
    let argument = serde_json::to_string(&configuration).expect("the gate's configuration is plain data");
    Container {
        name: ETCD_CONTAINER.to_owned(),
        image: Some(format!("{}:v{}", desired.image_repository, common.version)),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(vec![GATE_BINARY.to_owned(), "gate".to_owned()]),
        args: Some(vec![argument]),
        ports: Some(vec![
            port("client", CLIENT_PORT),
            port("peer", PEER_PORT),
            port("metrics", METRICS_PORT),
        ]),
        // Liveness is the process: a probe that restarts etcd because its peers are gone, or because it loads a large
        // snapshot, makes a bad moment worse.
        readiness_probe: Some(readiness()),
        resources: Some(desired.resources.clone()),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![
            mount("data", VOLUME_PATH, false),
            mount("gate", GATE_DIRECTORY, false),
            mount("pod-info", POD_INFO_DIRECTORY, true),
        ]),
        ..Container::default()
    }
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

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn volumes(member: &MemberName) -> Vec<Volume> {
    let items = ["annotations", "labels", "name", "namespace", "uid"].map(|field| DownwardAPIVolumeFile {
        path: field.to_owned(),
        field_ref: Some(ObjectFieldSelector {
            field_path: format!("metadata.{field}"),
            ..ObjectFieldSelector::default()
        }),
        ..DownwardAPIVolumeFile::default()
    });
    vec![
        Volume {
            name: "data".to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: member.claim(),
                ..PersistentVolumeClaimVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: "gate".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        },
        Volume {
            name: "pod-info".to_owned(),
            downward_api: Some(DownwardAPIVolumeSource {
                items: Some(items.to_vec()),
                ..DownwardAPIVolumeSource::default()
            }),
            ..Volume::default()
        },
    ]
}
