//! The pod template of a member. All that differs between two starts of the same member is on its disk or in the
//! annotations of its live pod, so the template changes only with the member's target and its role.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, DownwardAPIVolumeFile, DownwardAPIVolumeSource,
    EmptyDirVolumeSource, HTTPGetAction, ObjectFieldSelector, PersistentVolumeClaimVolumeSource,
    PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements, SeccompProfile, SecurityContext, Volume, VolumeMount, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Rendering;
use crate::api::PodUser;
use crate::gate::{self, GateConfiguration};
use crate::names::{
    ANNOTATION_TARGET, CLIENT_PORT, ClusterIdentity, ETCD_CONTAINER, GATE_BINARY, GATE_DIRECTORY,
    INSTALL_GATE_CONTAINER, LABEL_CLUSTER, METRICS_PORT, MemberName, PEER_PORT, POD_INFO_DIRECTORY, Role,
    VOLUME_PATH,
};

/// The user and group that everything in the pod runs as: the customary number for "nobody in particular".
const USER: i64 = 65532;

/// The template.
pub(super) fn template(rendering: &Rendering<'_>, member: &MemberName, role: Role) -> PodTemplateSpec {
    let labels = rendering.cluster.pod_labels(member, role);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            // The pod bears it too, and so tells which target it was made for.
            annotations: Some([(ANNOTATION_TARGET.to_owned(), rendering.target.digest())].into()),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            affinity: Some(spread(rendering.cluster)),
            // Members need nothing of the Kubernetes API, so they get no token and no variables about Services.
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            security_context: Some(pod_security(rendering.target.user)),
            init_containers: Some(vec![install_gate(rendering)]),
            containers: vec![etcd(rendering, member)],
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

/// Where the platform chooses the user, a pod that names one would be refused.
fn pod_security(chosen_by: PodUser) -> PodSecurityContext {
    let user = match chosen_by {
        PodUser::Fixed => Some(USER),
        PodUser::Platform => None,
    };
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: user,
        run_as_group: user,
        fs_group: user,
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
fn install_gate(rendering: &Rendering<'_>) -> Container {
    Container {
        name: INSTALL_GATE_CONTAINER.to_owned(),
        image: Some(rendering.operator_image.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(["/etcd-operator", "install-gate", GATE_BINARY].map(str::to_owned).to_vec()),
        resources: Some(small()),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![mount("gate", GATE_DIRECTORY, false)]),
        ..Container::default()
    }
}

/// What copying one file takes. Both requests and limits, since a quota on either refuses a pod whose containers do not all name
/// them; and equal, so that a member whose own are equal keeps the class Guaranteed.
fn small() -> ResourceRequirements {
    let amounts: BTreeMap<String, Quantity> = [("cpu", "100m"), ("memory", "64Mi")]
        .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
        .into();
    ResourceRequirements {
        requests: Some(amounts.clone()),
        limits: Some(amounts),
        ..ResourceRequirements::default()
    }
}

fn etcd(rendering: &Rendering<'_>, member: &MemberName) -> Container {
    let target = rendering.target;
    let configuration = GateConfiguration {
        format: gate::FORMAT,
        oldest_reader: gate::oldest_reader_of(rendering.cluster),
        cluster: rendering.cluster.clone(),
        member: member.clone(),
        etcd_version: target.version.to_string(),
        quota_backend_bytes: target.quota_backend_bytes,
    };
    let argument = serde_json::to_string(&configuration).expect("the gate's configuration is plain data");
    Container {
        name: ETCD_CONTAINER.to_owned(),
        image: Some(format!("{}:v{}", target.image_repository, target.version)),
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
        // etcd says why it ends in its log, and the gate in the message itself: the status quotes whichever there is.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        resources: Some(target.resources.clone()),
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
