//! Reads multi-document Kubernetes YAML and writes it to a cluster. Knows nothing about what the documents mean.

use anyhow::{Context as _, Result};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde::Deserialize as _;
use serde_json::Value;

use super::FIELD_MANAGER;

/// The documents of a manifest, empty ones left out. `name` is for messages.
pub fn documents(name: &str, text: &str) -> Result<Vec<DynamicObject>> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let values: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
        .with_context(|| format!("failed to parse the manifest {name}"))?;
    let objects = values.into_iter().filter(|value| !value.is_null()).map(DynamicObject::deserialize);
    objects
        .collect::<Result<_, _>>()
        .with_context(|| format!("failed to read the objects of the manifest {name}"))
}

/// Writes one object by server-side apply and takes over fields that others own.
pub async fn apply(client: &Client, object: &DynamicObject) -> Result<DynamicObject> {
    let api = api_of(client, object)?;
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let name = object.name_any();
    let applied = api.patch(&name, &parameters, &Patch::Apply(object)).await;
    applied.with_context(|| format!("failed to apply {} {name}", kind(object)))
}

fn api_of(client: &Client, object: &DynamicObject) -> Result<Api<DynamicObject>> {
    let types = object.types.as_ref().context("an object of the manifest has no kind")?;
    let gvk =
        GroupVersionKind::try_from(types).context("an object of the manifest has no proper apiVersion")?;
    let resource = ApiResource::from_gvk(&gvk);
    Ok(match object.metadata.namespace.as_deref() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    })
}

/// The object's kind, for messages.
#[must_use]
pub fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("object", |types| types.kind.as_str())
}
