//! The files of ConfigMap, Secret, downward API and projected volumes. Pure: the objects come in as inputs.

use crate::node::environment::{References, Sources};
use crate::node::field::{Capacity, Placement, field, resource};
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource,
    SecretProjection, ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use std::collections::BTreeMap;

/// One file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VolumeFile {
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
}

/// The files of a volume by their path in it.
pub(crate) type Payload = BTreeMap<String, VolumeFile>;

/// What a payload is made of.
pub(crate) struct Inputs<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) placement: &'a Placement,
    pub(crate) capacity: Capacity,
    pub(crate) sources: &'a Sources,
    /// Issued ServiceAccount tokens by their path in the volume.
    pub(crate) tokens: &'a BTreeMap<String, String>,
}

/// The volume as a projected one, if it is made of files that the node writes.
pub(crate) fn as_projected(volume: &Volume) -> Option<ProjectedVolumeSource> {
    let (projection, default_mode) = if let Some(projected) = &volume.projected {
        return Some(projected.clone());
    } else if let Some(map) = &volume.config_map {
        let config_map =
            ConfigMapProjection { items: map.items.clone(), name: map.name.clone(), optional: map.optional };
        (VolumeProjection { config_map: Some(config_map), ..VolumeProjection::default() }, map.default_mode)
    } else if let Some(secret) = &volume.secret {
        let name = secret.secret_name.clone().unwrap_or_default();
        let projection = SecretProjection { items: secret.items.clone(), name, optional: secret.optional };
        (VolumeProjection { secret: Some(projection), ..VolumeProjection::default() }, secret.default_mode)
    } else if let Some(downward) = &volume.downward_api {
        let projection = DownwardAPIProjection { items: downward.items.clone() };
        (
            VolumeProjection { downward_api: Some(projection), ..VolumeProjection::default() },
            downward.default_mode,
        )
    } else {
        return None;
    };
    Some(ProjectedVolumeSource { default_mode, sources: Some(vec![projection]) })
}

/// The ConfigMaps and Secrets that a volume shows.
pub(crate) fn references(projected: &ProjectedVolumeSource) -> References {
    let mut references = References::default();
    for source in projected.sources.iter().flatten() {
        references.config_maps.extend(source.config_map.iter().map(|map| map.name.clone()));
        references.secrets.extend(source.secret.iter().map(|secret| secret.name.clone()));
    }
    references
}

/// The ServiceAccount tokens that a volume shows.
pub(crate) fn tokens(
    projected: &ProjectedVolumeSource,
) -> impl Iterator<Item = &ServiceAccountTokenProjection> {
    projected.sources.iter().flatten().filter_map(|source| source.service_account_token.as_ref())
}

/// Whether the volume shows fields of the pod.
pub(crate) fn shows_pod(projected: &ProjectedVolumeSource) -> bool {
    projected.sources.iter().flatten().any(|source| source.downward_api.is_some())
}

/// The files of a volume.
///
/// # Errors
/// The kubelet's message for an object or key that is missing and not optional.
pub(crate) fn payload(projected: &ProjectedVolumeSource, inputs: &Inputs<'_>) -> Result<Payload, String> {
    let default_mode = mode(projected.default_mode, 0o644);
    let mut payload = Payload::new();
    for source in projected.sources.iter().flatten() {
        if let Some(map) = &source.config_map {
            payload.extend(of_config_map(map, inputs, default_mode)?);
        }
        if let Some(secret) = &source.secret {
            payload.extend(of_secret(secret, inputs, default_mode)?);
        }
        for item in source.downward_api.iter().flat_map(|downward| downward.items.iter().flatten()) {
            let content = of_field(item, inputs)?.into_bytes();
            payload.insert(item.path.clone(), VolumeFile { content, mode: mode(item.mode, default_mode) });
        }
        if let Some(token) = &source.service_account_token {
            let content = inputs.tokens.get(&token.path).cloned().unwrap_or_default().into_bytes();
            payload.insert(token.path.clone(), VolumeFile { content, mode: default_mode });
        }
    }
    Ok(payload)
}

fn of_config_map(
    map: &ConfigMapProjection,
    inputs: &Inputs<'_>,
    default_mode: u32,
) -> Result<Payload, String> {
    let Some(object) = inputs.sources.config_maps.get(&map.name) else {
        return absent(map.optional, "configmap", &map.name);
    };
    let text = object.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let binary = object.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    select(&text.chain(binary).collect(), map.items.as_deref(), map.optional, default_mode)
}

fn of_secret(secret: &SecretProjection, inputs: &Inputs<'_>, default_mode: u32) -> Result<Payload, String> {
    let Some(object) = inputs.sources.secrets.get(&secret.name) else {
        return absent(secret.optional, "secret", &secret.name);
    };
    let data = object.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    select(&data, secret.items.as_deref(), secret.optional, default_mode)
}

fn absent(optional: Option<bool>, kind: &str, name: &str) -> Result<Payload, String> {
    if optional == Some(true) { Ok(Payload::new()) } else { Err(format!("{kind} \"{name}\" not found")) }
}

/// All keys, or those that are asked for under the paths that are asked for.
fn select(
    data: &BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    default_mode: u32,
) -> Result<Payload, String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        let all = data.iter();
        return Ok(all.map(|(key, content)| (key.clone(), file(content, default_mode))).collect());
    };
    let mut payload = Payload::new();
    for item in items {
        match data.get(&item.key) {
            Some(content) => {
                payload.insert(item.path.clone(), file(content, mode(item.mode, default_mode)));
            }
            None if optional == Some(true) => {}
            None => return Err(format!("references non-existent key: {}", item.key)),
        }
    }
    Ok(payload)
}

fn of_field(item: &DownwardAPIVolumeFile, inputs: &Inputs<'_>) -> Result<String, String> {
    if let Some(reference) = &item.field_ref {
        return field(inputs.pod, inputs.placement, &reference.field_path)
            .ok_or_else(|| format!("unsupported fieldPath: {}", reference.field_path));
    }
    let reference = item.resource_field_ref.as_ref().ok_or("a downward API file names no source")?;
    let name = reference.container_name.as_deref().unwrap_or_default();
    let containers = inputs.pod.spec.iter().flat_map(|spec| &spec.containers);
    let container = containers.into_iter().find(|container| container.name == name);
    let divisor = reference.divisor.as_ref().map(|divisor| divisor.0.as_str());
    container
        .and_then(|container| resource(container, &reference.resource, divisor, inputs.capacity))
        .ok_or_else(|| format!("unsupported resource: {}", reference.resource))
}

fn file(content: &[u8], mode: u32) -> VolumeFile {
    VolumeFile { content: content.to_vec(), mode }
}

fn mode(stated: Option<i32>, default: u32) -> u32 {
    stated.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn files(volume: serde_json::Value) -> Result<Payload, String> {
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let pod =
            serde_json::from_value(json!({"metadata": {"name": "p", "annotations": {"a": "1"}}})).unwrap();
        let map = serde_json::from_value(json!({"data": {"one": "1", "two": "2"}})).unwrap();
        let sources = Sources { config_maps: BTreeMap::from([("m".into(), map)]), secrets: BTreeMap::new() };
        let placement =
            Placement { node: String::new(), host_address: String::new(), pod_address: String::new() };
        payload(
            &as_projected(&volume).unwrap(),
            &Inputs {
                pod: &pod,
                placement: &placement,
                capacity: Capacity { milli_cpus: 1, memory_bytes: 1 },
                sources: &sources,
                tokens: &BTreeMap::from([("token".into(), "secret".into())]),
            },
        )
    }

    #[test]
    fn a_config_map_shows_all_keys_or_the_chosen_ones() {
        let all = files(json!({"name": "v", "configMap": {"name": "m"}})).unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["one", "two"]);
        let items = json!([{"key": "two", "path": "deep/2", "mode": 256}]);
        let chosen = files(json!({"name": "v", "configMap": {"name": "m", "items": items}})).unwrap();
        assert_eq!(chosen["deep/2"], VolumeFile { content: b"2".to_vec(), mode: 0o400 });
    }

    #[test]
    fn a_missing_object_or_key_is_named() {
        assert_eq!(
            files(json!({"name": "v", "secret": {"secretName": "s"}})).unwrap_err(),
            "secret \"s\" not found"
        );
        let items = json!([{"key": "three", "path": "3"}]);
        let error = files(json!({"name": "v", "configMap": {"name": "m", "items": items}})).unwrap_err();
        assert_eq!(error, "references non-existent key: three");
    }

    #[test]
    fn a_projected_volume_puts_its_sources_together() {
        let sources = json!([
            {"serviceAccountToken": {"path": "token"}},
            {"downwardAPI": {"items": [{"path": "annotations", "fieldRef": {"fieldPath": "metadata.annotations"}}]}}
        ]);
        let files = files(json!({"name": "v", "projected": {"sources": sources}})).unwrap();
        assert_eq!(files["token"].content, b"secret");
        assert_eq!(files["annotations"].content, b"a=\"1\"");
    }
}
