//! `serviceaccounts/token`: issuing a token for a ServiceAccount, perhaps bound to a pod.
//!
//! Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::answer::Answer;
use crate::apiserver::auth::{AUDIENCE, Claims, sign};
use crate::apiserver::cluster::{Cluster, Inputs, Target, time_text};
use crate::apiserver::error::{ApiError, Cause};
use crate::apiserver::json::{list, object, text};
use crate::apiserver::request::ApiRequest;
use crate::apiserver::{read, review};
use crate::store::{GroupResource, ObjectKey};

pub(super) fn issue(
    cluster: &Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let mut wanted: Value = request.body_object()?;
    let spec = object(&mut wanted, "spec");
    spec.entry("expirationSeconds").or_insert_with(|| json!(3600));
    let owned = review::ownership(&wanted, request, "authentication.k8s.io/v1", "token", inputs);
    let account = read::get(cluster, target)?;
    let seconds = checked_seconds(&wanted)?;
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
        identifier: inputs.identifiers.uid(),
    };
    let end = jiff::Timestamp::from_second(expires).unwrap_or(inputs.now);
    wanted["kind"] = json!("TokenRequest");
    wanted["apiVersion"] = json!("authentication.k8s.io/v1");
    wanted["spec"]["audiences"] = json!(audiences);
    object(&mut wanted, "spec").entry("boundObjectRef").or_insert(Value::Null);
    wanted["metadata"] = json!({
        "name": account["metadata"]["name"], "namespace": account["metadata"]["namespace"],
        "uid": account["metadata"]["uid"], "creationTimestamp": inputs.now_text(), "managedFields": [owned],
    });
    wanted["status"] =
        json!({"token": sign(&cluster.signing_key, &claims), "expirationTimestamp": time_text(end)});
    Ok(Answer::Object(201, None, Arc::new(wanted)))
}

/// How long the token is to be valid.
fn checked_seconds(wanted: &Value) -> Result<i64, ApiError> {
    let value = &wanted["spec"]["expirationSeconds"];
    let seconds = value.as_i64().unwrap_or(3600);
    let why = match seconds {
        ..600 => "may not specify a duration less than 10 minutes",
        4_294_967_297.. => "may not specify a duration larger than 2^32 seconds",
        _ => return Ok(seconds),
    };
    let cause = Cause::invalid("spec.expirationSeconds", value, why);
    Err(ApiError::invalid("authentication.k8s.io", "TokenRequest", "", &[cause]))
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
