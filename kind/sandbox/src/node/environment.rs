//! The variables, command and arguments of a container. Pure: the objects it refers to come in as inputs.

use super::field::{Capacity, Placement, field, resource};
use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVarSource, Pod, Secret, Service};
use std::collections::{BTreeMap, BTreeSet};

/// ConfigMaps and Secrets of the pod's namespace, by name; absent ones do not exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) config_maps: BTreeMap<String, ConfigMap>,
    pub(crate) secrets: BTreeMap<String, Secret>,
}

/// The names of the ConfigMaps and Secrets that something refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct References {
    pub(crate) config_maps: BTreeSet<String>,
    pub(crate) secrets: BTreeSet<String>,
}

/// Everything a container's variables are made of.
pub(crate) struct Inputs<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) container: &'a Container,
    pub(crate) placement: &'a Placement,
    pub(crate) capacity: Capacity,
    pub(crate) image: &'a BTreeMap<String, String>,
    pub(crate) services: &'a [Service],
    pub(crate) sources: &'a Sources,
}

/// What the variables of a container refer to.
pub(crate) fn references(container: &Container) -> References {
    let mut references = References::default();
    for from in container.env_from.iter().flatten() {
        references.config_maps.extend(from.config_map_ref.iter().map(|one| one.name.clone()));
        references.secrets.extend(from.secret_ref.iter().map(|one| one.name.clone()));
    }
    for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        references.config_maps.extend(source.config_map_key_ref.iter().map(|one| one.name.clone()));
        references.secrets.extend(source.secret_key_ref.iter().map(|one| one.name.clone()));
    }
    references
}

/// All variables of a container; later sources win: image, services, `envFrom`, `env`.
///
/// # Errors
/// The kubelet's message for a reference that leads nowhere (`CreateContainerConfigError`).
pub(crate) fn environment(inputs: &Inputs<'_>) -> Result<BTreeMap<String, String>, String> {
    let mut variables = inputs.image.clone();
    variables
        .entry("PATH".into())
        .or_insert_with(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    variables.insert("HOSTNAME".into(), hostname(inputs.pod));
    let services = service_variables(inputs.services);
    variables.extend(services.clone());
    add_env_from(inputs, &mut variables)?;
    // References see services and what stands before them, not the image's variables.
    let mut known = services;
    for variable in inputs.container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) => {
                Some(expand(value, |name| known.get(name).or_else(|| variables.get(name)).cloned()))
            }
            (None, Some(source)) => resolve(inputs, source)?,
            (None, None) => Some(String::new()),
        };
        if let Some(value) = value {
            known.insert(variable.name.clone(), value.clone());
            variables.insert(variable.name.clone(), value);
        }
    }
    Ok(variables)
}

/// The command line of a container: `command` and `args` with `$(NAME)` replaced, or the image's entry point.
pub(crate) fn command_line(
    container: &Container,
    entrypoint: &[String],
    variables: &BTreeMap<String, String>,
) -> Vec<String> {
    let command = container.command.as_deref().unwrap_or_default();
    let arguments = container.args.as_deref().unwrap_or_default();
    let stated =
        command.iter().chain(arguments).map(|text| expand(text, |name| variables.get(name).cloned()));
    if command.is_empty() { entrypoint.iter().cloned().chain(stated).collect() } else { stated.collect() }
}

/// The host name of a pod: its `hostname`, or its name, cut to what a host name may have.
pub(crate) fn hostname(pod: &Pod) -> String {
    let stated = pod.spec.as_ref().and_then(|spec| spec.hostname.clone()).filter(|name| !name.is_empty());
    let name = stated.or_else(|| pod.metadata.name.clone()).unwrap_or_default();
    name.chars().take(63).collect::<String>().trim_end_matches(['-', '.']).to_owned()
}

/// Replaces `$(NAME)`; `$$` is a dollar sign; an unknown name stays as it is written.
fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find('$') {
        result.push_str(&rest[..position]);
        rest = &rest[position + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match lookup(name) {
                Some(value) => result.push_str(&value),
                None => result.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            result.push('$');
        }
    }
    result.push_str(rest);
    result
}

fn add_env_from(inputs: &Inputs<'_>, variables: &mut BTreeMap<String, String>) -> Result<(), String> {
    for from in inputs.container.env_from.iter().flatten() {
        let prefix = from.prefix.clone().unwrap_or_default();
        let mut add = |key: &str, value: String| variables.insert(format!("{prefix}{key}"), value);
        if let Some(reference) = &from.config_map_ref {
            match inputs.sources.config_maps.get(&reference.name) {
                Some(map) => {
                    for (key, value) in map.data.iter().flatten() {
                        add(key, value.clone());
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("configmap \"{}\" not found", reference.name)),
            }
        }
        if let Some(reference) = &from.secret_ref {
            match inputs.sources.secrets.get(&reference.name) {
                Some(secret) => {
                    for (key, value) in secret.data.iter().flatten() {
                        add(key, String::from_utf8_lossy(&value.0).into_owned());
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("secret \"{}\" not found", reference.name)),
            }
        }
    }
    Ok(())
}

/// The value a source gives; nothing for an optional one that leads nowhere.
fn resolve(inputs: &Inputs<'_>, source: &EnvVarSource) -> Result<Option<String>, String> {
    if let Some(reference) = &source.field_ref {
        return field(inputs.pod, inputs.placement, &reference.field_path)
            .map(Some)
            .ok_or_else(|| format!("unsupported fieldPath: {}", reference.field_path));
    }
    if let Some(reference) = &source.resource_field_ref {
        let divisor = reference.divisor.as_ref().map(|divisor| divisor.0.as_str());
        return resource(inputs.container, &reference.resource, divisor, inputs.capacity)
            .map(Some)
            .ok_or_else(|| format!("unsupported resource: {}", reference.resource));
    }
    if let Some(reference) = &source.config_map_key_ref {
        let map = inputs.sources.config_maps.get(&reference.name);
        let value = map.and_then(|map| map.data.as_ref()?.get(&reference.key)).cloned();
        let place =
            ("ConfigMap", "configmap", map.is_some(), reference.name.as_str(), reference.key.as_str());
        return found(inputs, value, reference.optional, place);
    }
    if let Some(reference) = &source.secret_key_ref {
        let secret = inputs.sources.secrets.get(&reference.name);
        let value = secret.and_then(|secret| secret.data.as_ref()?.get(&reference.key));
        let value = value.map(|value| String::from_utf8_lossy(&value.0).into_owned());
        let place = ("Secret", "secret", secret.is_some(), reference.name.as_str(), reference.key.as_str());
        return found(inputs, value, reference.optional, place);
    }
    Err("valueFrom names no source".into())
}

fn found(
    inputs: &Inputs<'_>,
    value: Option<String>,
    optional: Option<bool>,
    (kind, lower, exists, name, key): (&str, &str, bool, &str, &str),
) -> Result<Option<String>, String> {
    let namespace = inputs.pod.metadata.namespace.as_deref().unwrap_or_default();
    match (value, optional) {
        (Some(value), _) => Ok(Some(value)),
        (None, Some(true)) => Ok(None),
        (None, _) if exists => Err(format!("couldn't find key {key} in {kind} {namespace}/{name}")),
        (None, _) => Err(format!("{lower} \"{name}\" not found")),
    }
}

/// The variables by which pods find services, in the form of Docker's links.
fn service_variables(services: &[Service]) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for service in services {
        let (Some(name), Some(spec)) = (&service.metadata.name, &service.spec) else { continue };
        let Some(address) = spec.cluster_ip.as_deref().filter(|address| !matches!(*address, "" | "None"))
        else {
            continue;
        };
        let upper = name.to_uppercase().replace('-', "_");
        for (index, port) in spec.ports.iter().flatten().enumerate() {
            let (number, protocol) = (port.port, port.protocol.as_deref().unwrap_or("TCP"));
            let url = format!("{}://{address}:{number}", protocol.to_lowercase());
            if index == 0 {
                variables.insert(format!("{upper}_SERVICE_HOST"), address.to_owned());
                variables.insert(format!("{upper}_SERVICE_PORT"), number.to_string());
                variables.insert(format!("{upper}_PORT"), url.clone());
            }
            if let Some(port_name) = &port.name {
                let port_name = port_name.to_uppercase().replace('-', "_");
                variables.insert(format!("{upper}_SERVICE_PORT_{port_name}"), number.to_string());
            }
            let prefix = format!("{upper}_PORT_{number}_{protocol}");
            variables.insert(prefix.clone(), url);
            variables.insert(format!("{prefix}_PROTO"), protocol.to_lowercase());
            variables.insert(format!("{prefix}_PORT"), number.to_string());
            variables.insert(format!("{prefix}_ADDR"), address.to_owned());
        }
    }
    variables
}

#[cfg(test)]
mod tests;
