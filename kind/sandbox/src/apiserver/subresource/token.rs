//! `serviceaccounts/token`: issuing a token for a ServiceAccount, perhaps bound to a pod.
//!
//! Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::answer::Answer;
use crate::apiserver::auth::{Claims, sign};
use crate::apiserver::cluster::{Cluster, Inputs, Target, time_text};
use crate::apiserver::error::ApiError;
use crate::apiserver::json::{list, object, text};
use crate::apiserver::read;
use crate::apiserver::request::ApiRequest;
use crate::store::{GroupResource, ObjectKey};

const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

pub(super) fn issue(
    cluster: &Cluster,
    inputs: &Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let mut wanted: Value = request.body_object()?;
    object(&mut wanted, "spec");
    let account = read::get(cluster, target)?;
    let seconds = wanted.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(3600);
    let mut audiences: Vec<String> =
        list(wanted.pointer("/spec/audiences")).filter_map(Value::as_str).map(str::to_owned).collect();
    if audiences.is_empty() {
        audiences.push(AUDIENCE.to_owned());
    }
    let pod = bound_pod(cluster, target, &wanted)?;
    let expires = inputs.now.as_second().saturating_add(seconds);
    let claims = Claims {
        namespace: text(&account, "/metadata/namespace").to_owned(),
        account: text(&account, "/metadata/name").to_owned(),
        account_uid: text(&account, "/metadata/uid").to_owned(),
        pod,
        issued: inputs.now.as_second(),
        expires,
        audiences: audiences.clone(),
    };
    let end = jiff::Timestamp::from_second(expires).unwrap_or(inputs.now);
    wanted["kind"] = json!("TokenRequest");
    wanted["apiVersion"] = json!("authentication.k8s.io/v1");
    wanted["spec"]["audiences"] = json!(audiences);
    wanted["spec"]["expirationSeconds"] = json!(seconds);
    wanted["status"] =
        json!({"token": sign(&cluster.signing_key, &claims), "expirationTimestamp": time_text(end)});
    Ok(Answer::Object(201, None, Arc::new(wanted)))
}

fn bound_pod(
    cluster: &Cluster,
    target: &Target,
    wanted: &Value,
) -> Result<Option<(String, String)>, ApiError> {
    if text(wanted, "/spec/boundObjectRef/kind") != "Pod" {
        return Ok(None);
    }
    let resource = GroupResource::new("", "pods");
    let name = text(wanted, "/spec/boundObjectRef/name").to_owned();
    let key = ObjectKey { resource: resource.clone(), namespace: target.namespace.clone(), name };
    let pod = cluster.store.get(&key).ok_or_else(|| ApiError::not_found(&resource, &key.name))?;
    let (uid, has) = (text(wanted, "/spec/boundObjectRef/uid"), text(&pod, "/metadata/uid"));
    if !uid.is_empty() && uid != has {
        let why =
            format!("the UID in the bound object reference ({uid}) does not match the UID in record ({has})");
        return Err(ApiError::conflict(&resource, &key.name, &why));
    }
    Ok(Some((key.name, has.to_owned())))
}
