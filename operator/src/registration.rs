//! Registers the operator's own resource types when it starts. Only the holder of the Lease calls it.
//!
//! Each CustomResourceDefinition carries a schema generation. A newer one in the cluster was written by a newer
//! operator and is left alone: a downgrade would drop fields that are already in use.

use crate::telemetry::chain;
use etcd_operator_core::api::{EtcdBackup, EtcdBackupSchedule, EtcdCluster};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, CustomResourceExt as _, Resource as _, ResourceExt};
use std::time::Duration;
use thiserror::Error;

/// Annotation that says which generation of our schema a definition holds: a whole number, only ever raised.
pub const SCHEMA_GENERATION: &str = "etcd.operators.rs/schema-generation";

/// Generation of the schema that this build defines. Raise it with every change of a served schema.
pub const CURRENT_SCHEMA_GENERATION: u64 = 9;

/// Pause between two looks at a definition that is not served yet.
const ESTABLISHED_POLL: Duration = Duration::from_millis(100);

/// Why a resource type is not registered.
#[derive(Debug, Error)]
pub enum RegistrationError {
    /// The definition could not be read.
    #[error("failed to read the CustomResourceDefinition {name}")]
    Read {
        /// Its name.
        name: String,
        /// What the API server said.
        #[source]
        source: kube::Error,
    },
    /// The definition could not be written.
    #[error("failed to write the CustomResourceDefinition {name}")]
    Write {
        /// Its name.
        name: String,
        /// What the API server said.
        #[source]
        source: kube::Error,
    },
}

impl RegistrationError {
    /// Whether the right to it lacks.
    fn is_forbidden(&self) -> bool {
        let (RegistrationError::Read { source, .. } | RegistrationError::Write { source, .. }) = self;
        matches!(source, kube::Error::Api(status) if status.is_forbidden())
    }
}

/// What was found in the cluster, and hence what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Create,
    Update,
    Keep,
}

/// The definitions of this build, each with its schema generation.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![EtcdCluster::crd(), EtcdBackup::crd(), EtcdBackupSchedule::crd()];
    for definition in &mut definitions {
        definition
            .annotations_mut()
            .insert(SCHEMA_GENERATION.to_owned(), CURRENT_SCHEMA_GENERATION.to_string());
    }
    definitions
}

/// Writes each definition unless the cluster has it or a newer one, and waits until all are served. One that this operator may not register,
/// because it was installed by the manifest of an earlier one, is left out: clusters must not wait for the kinds beside theirs.
///
/// # Errors
/// The API server failed; or it refuses the definition of clusters.
pub async fn register(client: Client) -> Result<(), RegistrationError> {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    for definition in definitions() {
        let is_of_clusters = definition.spec.names.kind == EtcdCluster::kind(&());
        match write(&api, &definition).await {
            Err(error) if error.is_forbidden() && !is_of_clusters => {
                let name = definition.name_any();
                tracing::warn!(
                    name,
                    error = chain(&error),
                    "not registered: apply the manifest of this version"
                );
            }
            Err(error) => return Err(error),
            Ok(()) => wait_until_established(&api, &definition.name_any()).await?,
        }
    }
    Ok(())
}

async fn write(
    api: &Api<CustomResourceDefinition>,
    definition: &CustomResourceDefinition,
) -> Result<(), RegistrationError> {
    let name = definition.name_any();
    let live =
        api.get_opt(&name).await.map_err(|source| RegistrationError::Read { name: name.clone(), source })?;
    let step = step(live.as_ref());
    tracing::info!(name, ?step, "resource type");
    let written = match step {
        Step::Keep => return Ok(()),
        // An apply creates too, and names what it creates, so that the right to create can be narrowed to that name.
        Step::Create | Step::Update => {
            let parameters = PatchParams::apply(crate::kubernetes::FIELD_MANAGER).force();
            api.patch(&name, &parameters, &Patch::Apply(definition)).await.map(drop)
        }
    };
    written.map_err(|source| RegistrationError::Write { name, source })
}

async fn wait_until_established(
    api: &Api<CustomResourceDefinition>,
    name: &str,
) -> Result<(), RegistrationError> {
    loop {
        let live = api
            .get_opt(name)
            .await
            .map_err(|source| RegistrationError::Read { name: name.to_owned(), source })?;
        if live.is_some_and(|definition| is_established(&definition)) {
            return Ok(());
        }
        tokio::time::sleep(ESTABLISHED_POLL).await;
    }
}

fn step(live: Option<&CustomResourceDefinition>) -> Step {
    let Some(live) = live else { return Step::Create };
    let generation = live.annotations().get(SCHEMA_GENERATION).and_then(|text| text.parse::<u64>().ok());
    match generation {
        Some(generation) if generation >= CURRENT_SCHEMA_GENERATION => Step::Keep,
        Some(_) | None => Step::Update,
    }
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn live(generation: Option<&str>) -> CustomResourceDefinition {
        let mut definition = CustomResourceDefinition::default();
        if let Some(generation) = generation {
            definition.annotations_mut().insert(SCHEMA_GENERATION.to_owned(), generation.to_owned());
        }
        definition
    }

    #[test]
    fn a_definition_of_a_newer_operator_is_never_downgraded() {
        let newer = (CURRENT_SCHEMA_GENERATION + 1).to_string();
        assert_eq!(step(Some(&live(Some(&newer)))), Step::Keep);
    }

    #[test]
    fn a_missing_old_or_unmarked_definition_is_written() {
        assert_eq!(step(None), Step::Create);
        assert_eq!(step(Some(&live(Some("0")))), Step::Update);
        assert_eq!(step(Some(&live(None))), Step::Update);
        assert_eq!(step(Some(&live(Some("soon")))), Step::Update);
    }

    /// Clusters keep the definition of an earlier operator whose generation is the same, and drop every field that it does not know.
    /// When this fails, raise [`CURRENT_SCHEMA_GENERATION`] and write the new digest; a digest of a generation that was released
    /// is never changed.
    #[test]
    fn a_changed_schema_has_a_generation_of_its_own() {
        let specs: Vec<_> = definitions().into_iter().map(|definition| definition.spec).collect();
        let written = serde_json::to_string(&specs).unwrap();
        let digest: String =
            Sha256::digest(written).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((CURRENT_SCHEMA_GENERATION, digest.as_str()), (9, "6728945213a5f10c"));
    }

    #[test]
    fn the_definition_of_this_build_is_kept() {
        assert_eq!(step(Some(&live(Some(&CURRENT_SCHEMA_GENERATION.to_string())))), Step::Keep);
    }
}
