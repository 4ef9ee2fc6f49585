//! Writes to the Kubernetes API, as all kinds need them: how one failed is told apart (overtaken, refused, not now), and none is begun that
//! might outlive the Lease. It chooses nothing.

use crate::lease::Leadership;
use crate::telemetry::chain;
use etcd_operator_core::cluster::plan::{PatchOperation, SetbackKind};
use etcd_operator_core::names::FIELD_MANAGER;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{NamespaceResourceScope, Status};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;
use thiserror::Error;

/// No call to the API server takes longer ([`crate::kubernetes`]).
pub const KUBERNETES_CALL: Duration = Duration::from_secs(10);

/// Why something was not written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The world is no longer what it was planned on. Nothing was done; the next plan will see it.
    #[error("{0}, so this is planned anew")]
    Overtaken(String),
    /// The API server understood the request and refused it: by validation, quota, admission or rights.
    #[error("the API server refused")]
    Refused {
        /// Its words.
        message: String,
        /// The whole answer.
        #[source]
        source: kube::Error,
    },
    /// The API server could not do it now, or did not answer.
    #[error("failed to ask the API server")]
    Kubernetes(#[source] kube::Error),
    /// What was to be written cannot be made.
    #[error("failed to make a certificate: {0}")]
    NotMade(String),
    /// An object can't be written.
    #[error("failed to write the request")]
    Request(#[source] serde_json::Error),
    /// The Lease may end before the call would.
    #[error("the Lease is held for {remaining:?} more and the call may take {needed:?}")]
    LeaseTooShort {
        /// Time left.
        remaining: Duration,
        /// Time that the call may take.
        needed: Duration,
    },
}

impl WriteError {
    /// What it means for the next attempt and for the user.
    pub fn setback(&self) -> SetbackKind {
        match self {
            WriteError::Overtaken(_) => SetbackKind::Overtaken,
            WriteError::Refused { message, source: _ } => SetbackKind::Refused(message.clone()),
            WriteError::Kubernetes(kube::Error::Api(status)) => SetbackKind::NotNow(status.message.clone()),
            WriteError::Kubernetes(error) => SetbackKind::NotNow(chain(error)),
            WriteError::NotMade(message) => SetbackKind::Refused(message.clone()),
            WriteError::Request(error) => SetbackKind::Refused(chain(error)),
            WriteError::LeaseTooShort { .. } => SetbackKind::NotOurs,
        }
    }

    /// Whether the namespace is being deleted, and nothing new may be made in it.
    pub fn is_of_ending_namespace(&self) -> bool {
        let WriteError::Refused { message: _, source: kube::Error::Api(status) } = self else { return false };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
    }
}

/// Whether the Lease is held for longer than a call may take.
///
/// # Errors
/// It is not.
pub fn covered(leadership: &Leadership, needed: Duration) -> Result<(), WriteError> {
    let remaining = leadership.remaining();
    if remaining > needed { Ok(()) } else { Err(WriteError::LeaseTooShort { remaining, needed }) }
}

/// Creates an object. One that is there already is not touched.
///
/// # Errors
/// Why it was not created.
pub async fn create<K>(client: &Client, object: &K) -> Result<(), WriteError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let parameters = PostParams { field_manager: manager(), ..PostParams::default() };
    let written = api.create(&parameters, object).await;
    outcome(&format!("{} {}", K::kind(&()), object.name_any()), written)
}

/// Deletes the object of this name and UID, and what it owns after it.
///
/// # Errors
/// Why it was not deleted.
pub async fn delete<K>(client: &Client, namespace: &str, name: &str, uid: &str) -> Result<(), WriteError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    outcome(&format!("{} {name}", K::kind(&())), api.delete(name, &parameters).await)
}

/// Changes single fields of an object.
///
/// # Errors
/// Why it was not changed.
pub async fn patch<K>(
    client: &Client,
    namespace: &str,
    name: &str,
    operations: &[PatchOperation],
) -> Result<(), WriteError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let (parameters, operations) = as_request(operations)?;
    outcome(&format!("{} {name}", K::kind(&())), api.patch(name, &parameters, &operations).await)
}

/// A patch as the client library has it.
///
/// # Errors
/// A value of it cannot be written.
pub fn as_request(operations: &[PatchOperation]) -> Result<(PatchParams, Patch<()>), WriteError> {
    let value = serde_json::to_value(operations).map_err(WriteError::Request)?;
    let operations = serde_json::from_value(value).map_err(WriteError::Request)?;
    let parameters = PatchParams { field_manager: manager(), ..PatchParams::default() };
    Ok((parameters, Patch::Json(operations)))
}

/// Who writes, for the record that Kubernetes keeps.
pub fn manager() -> Option<String> {
    Some(FIELD_MANAGER.to_owned())
}

const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;
const UNPROCESSABLE: u16 = 422;
const TOO_MANY_REQUESTS: u16 = 429;
const SERVER_ERROR: u16 = 500;

/// Tells the three kinds of failure apart: the world has moved on, the server refuses, or it can't do it now.
///
/// # Errors
/// Which of them.
pub fn outcome<T>(what: &str, answer: kube::Result<T>) -> Result<(), WriteError> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => match status.code {
            NOT_FOUND | CONFLICT => Err(overtaken(what, &status)),
            UNPROCESSABLE if is_failed_test(&status) => Err(overtaken(what, &status)),
            TOO_MANY_REQUESTS | SERVER_ERROR.. => Err(WriteError::Kubernetes(kube::Error::Api(status))),
            _ => {
                Err(WriteError::Refused { message: status.message.clone(), source: kube::Error::Api(status) })
            }
        },
        Err(error) => Err(WriteError::Kubernetes(error)),
    }
}

fn overtaken(what: &str, status: &Status) -> WriteError {
    WriteError::Overtaken(format!("{what} has changed ({})", status.message))
}

/// Whether a 422 says that a test of a JSON patch failed. A refusal by validation has the same code and names the object and the
/// fields (`k8s.io/apiserver/pkg/endpoints/handlers/patch.go`, where a failed test becomes a generic response without details).
fn is_failed_test(status: &Status) -> bool {
    status.details.as_ref().is_none_or(|details| details.kind.is_empty() && details.causes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use assert_matches::assert_matches;
    use serde_json::json;

    /// What comes of an answer with this code and these details.
    fn setback(code: u16, details: &serde_json::Value) -> SetbackKind {
        let status = json!({ "code": code, "message": "the server's words", "details": details });
        let status: Status = serde_json::from_value(status).unwrap();
        outcome("Service demo", Err::<(), _>(kube::Error::Api(Box::new(status)))).unwrap_err().setback()
    }

    #[test]
    fn what_another_writer_changed_was_overtaken_and_nothing_is_said() {
        for code in [404, 409] {
            assert_matches!(setback(code, &json!(null)), SetbackKind::Overtaken, "{code}");
        }
        assert_matches!(setback(422, &json!(null)), SetbackKind::Overtaken, "a failed test of a patch");
    }

    #[test]
    fn what_validation_quotas_admission_and_rights_refuse_is_quoted() {
        let invalid = json!({ "kind": "StatefulSet", "causes": [{ "field": "spec", "message": "no" }] });
        for (code, details) in [(400, json!(null)), (403, json!({ "kind": "services" })), (422, invalid)] {
            let setback = setback(code, &details);
            assert_matches!(setback, SetbackKind::Refused(message) if message == "the server's words", "{code}");
        }
    }

    #[test]
    fn what_the_server_cannot_do_now_is_tried_again() {
        for code in [429, 500, 503, 504] {
            assert_matches!(setback(code, &json!(null)), SetbackKind::NotNow(_), "{code}");
        }
    }
}
