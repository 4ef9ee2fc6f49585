//! The settings of pods, parsed from what users wrote into what Kubernetes knows. Never looks at a pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvVar, PodSecurityContext, Toleration, TopologySpreadConstraint, Volume,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Invalid;
use crate::api::{AsWritten, PodSettings};
use crate::names::{self, ETCD_CONTAINER, INSTALL_GATE_CONTAINER, OPERATORS_VOLUMES};

/// What a spec asks of the pods, beside their user. What is left out is the operator's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodShape {
    /// Labels, none of them the operator's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations, none of them the operator's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Which nodes are preferred or required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Which taints are tolerated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// How pods spread.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The PriorityClass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// The RuntimeClass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,
    /// Security settings that take the place of the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<PodSecurityContext>,
    /// The ServiceAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Variables of the etcd container, none of them etcd's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// Further volumes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Further containers, which mount none of the operator's volumes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<Container>,
    /// Seconds that a member has to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
}

impl PodShape {
    /// Whether all is the operator's default.
    pub fn is_default(&self) -> bool {
        *self == PodShape::default()
    }
}

pub(super) fn parse(settings: &PodSettings) -> Result<PodShape, Invalid> {
    // Destructured without `..`, so that a new field cannot be forgotten here.
    let PodSettings {
        user: _,
        labels,
        annotations,
        node_selector,
        affinity,
        tolerations,
        topology_spread_constraints,
        priority_class_name,
        runtime_class_name,
        security_context,
        service_account_name,
        env,
        volumes,
        containers,
        termination_grace_period_seconds,
    } = settings;
    let shape = PodShape {
        labels: labels.clone(),
        annotations: annotations.clone(),
        node_selector: node_selector.clone(),
        affinity: read_one("affinity", affinity.as_ref())?,
        tolerations: read_all("tolerations", tolerations)?,
        topology_spread_constraints: read_all("topologySpreadConstraints", topology_spread_constraints)?,
        priority_class_name: priority_class_name.clone(),
        runtime_class_name: runtime_class_name.clone(),
        security_context: read_one("securityContext", security_context.as_ref())?,
        service_account_name: service_account_name.clone(),
        env: read_all("env", env)?,
        volumes: read_all("volumes", volumes)?,
        containers: read_all("containers", containers)?,
        termination_grace_period_seconds: *termination_grace_period_seconds,
    };
    check(&shape)?;
    Ok(shape)
}

fn read_one<T: DeserializeOwned>(field: &str, written: Option<&AsWritten<T>>) -> Result<Option<T>, Invalid> {
    written.map(|written| read(field, written)).transpose()
}

fn read_all<T: DeserializeOwned>(field: &str, written: &[AsWritten<T>]) -> Result<Vec<T>, Invalid> {
    let entries = written.iter().enumerate();
    entries.map(|(index, written)| read(&format!("{field}[{index}]"), written)).collect()
}

fn read<T: DeserializeOwned>(field: &str, written: &AsWritten<T>) -> Result<T, Invalid> {
    let mut value = written.value.clone();
    amounts_as_text(&mut value);
    serde_json::from_value(value)
        .map_err(|error| Invalid::Pod { field: field.to_owned(), message: error.to_string() })
}

/// Amounts may be written as numbers, which Kubernetes' own types do not read.
fn amounts_as_text(value: &mut Value) {
    const AMOUNTS: [&str; 2] = ["requests", "limits"];
    const AMOUNT: [&str; 2] = ["sizeLimit", "divisor"];
    let as_text = |value: &mut Value| {
        if let Value::Number(number) = value {
            *value = Value::String(number.to_string());
        }
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                match value {
                    Value::Object(amounts) if AMOUNTS.contains(&key.as_str()) => {
                        amounts.values_mut().for_each(as_text);
                    }
                    amount if AMOUNT.contains(&key.as_str()) => as_text(amount),
                    other => amounts_as_text(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(amounts_as_text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What the API server refuses, too; an older definition may not.
fn check(shape: &PodShape) -> Result<(), Invalid> {
    let refused = |field: &str, message: String| Err(Invalid::Pod { field: field.to_owned(), message });
    let is_own = |key: &&String| names::is_own_key(key);
    if let Some(key) = shape.labels.keys().find(is_own) {
        return refused("labels", format!("{key} is set by the operator"));
    }
    if let Some(key) = shape.annotations.keys().find(is_own) {
        return refused("annotations", format!("{key} is set by the operator"));
    }
    if let Some(variable) = shape.env.iter().find(|variable| variable.name.starts_with("ETCD_")) {
        return refused("env", format!("{} is refused: etcd's settings are in spec.etcd", variable.name));
    }
    if let Some(volume) =
        shape.volumes.iter().find(|volume| OPERATORS_VOLUMES.contains(&volume.name.as_str()))
    {
        return refused("volumes", format!("{} is a volume of the operator", volume.name));
    }
    if let Some(volume) = shape.volumes.iter().find(|volume| volume.persistent_volume_claim.is_some()) {
        return refused("volumes", format!("{} names a claim, which only one pod could use", volume.name));
    }
    if let Some(security) = &shape.security_context
        && (security.run_as_user == Some(0) || security.run_as_non_root == Some(false))
    {
        return refused("securityContext", "etcd is not run as root".to_owned());
    }
    shape.containers.iter().try_for_each(check_container)
}

fn check_container(container: &Container) -> Result<(), Invalid> {
    let refused = |message: String| Err(Invalid::Pod { field: "containers".to_owned(), message });
    let name = container.name.as_str();
    if [ETCD_CONTAINER, INSTALL_GATE_CONTAINER].contains(&name) {
        return refused(format!("{name} is a container of the operator"));
    }
    let mounts = container.volume_mounts.iter().flatten().map(|mount| &mount.name);
    let devices = container.volume_devices.iter().flatten().map(|device| &device.name);
    let mut used = mounts.chain(devices);
    match used.find(|volume| OPERATORS_VOLUMES.contains(&volume.as_str())) {
        Some(volume) => refused(format!("{name} mounts {volume}, which holds what the member trusts")),
        None => Ok(()),
    }
}
