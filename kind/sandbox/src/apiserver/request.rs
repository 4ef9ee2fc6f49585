//! A request taken apart: which resource of which version, which object, which subresource, which options.
//!
//! Path forms: <https://kubernetes.io/docs/reference/using-api/api-concepts/>. Pure; decides nothing about the answer.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::auth::User;
use super::error::ApiError;
use super::protobuf;
use crate::store::selector::Selector;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/api/...` or `/apis/...` down to a resource.
    Resource(ResourcePath),
    /// Anything else, by its segments: discovery, OpenAPI, health, version.
    Other(Vec<String>),
}

/// A path to a collection, an object or a subresource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// What follows a `proxy` subresource.
    pub(crate) rest: String,
}

/// A whole request, its body read.
#[derive(Clone, Debug)]
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    pub(crate) route: Route,
    pub(crate) query: Query,
    pub(crate) raw_query: String,
    pub(crate) accept: String,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) user: User,
    pub(crate) body: Bytes,
}

impl ApiRequest {
    /// The name under which changes are recorded in `managedFields`.
    pub(crate) fn field_manager(&self) -> String {
        let from_agent = self.user_agent.split('/').next().filter(|name| !name.is_empty());
        let named = self.query.get("fieldManager").filter(|name| !name.is_empty());
        named.or(from_agent).unwrap_or("unknown").to_owned()
    }

    /// Every value of a query parameter, in order.
    pub(crate) fn query_all(&self, name: &str) -> Vec<String> {
        let pairs = self.raw_query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(|(key, _)| decode(key) == name).map(|(_, value)| decode(value)).collect()
    }

    /// The body as JSON, whether sent as JSON or as YAML.
    pub(crate) fn body_object(&self) -> Result<Value, ApiError> {
        let media_type = self.content_type.split(';').next().unwrap_or_default().trim();
        let value: Value = match media_type {
            "" | "application/json" => serde_json::from_slice(&self.body).map_err(unreadable)?,
            "application/yaml" => yaml(&self.body)?,
            protobuf::MEDIA_TYPE => protobuf::decode(&self.body).map_err(unreadable)?,
            _ => {
                let accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
                return Err(ApiError::unsupported_media_type(accepted));
            }
        };
        if value.is_object() { Ok(value) } else { Err(unreadable("it is not an object")) }
    }
}

/// Reads YAML (JSON included) as Kubernetes' own reader would.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, ApiError> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = std::str::from_utf8(body).map_err(unreadable)?;
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(unreadable)
}

fn unreadable(error: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!("the object provided is unrecognized or can't be read: {error}"))
}

/// Query parameters; the last of a repeated one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| (decode(k), decode(v)))
                // What is said first counts.
                .rev()
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    /// A whole number, absent when missing or empty.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let parsed =
            text.parse().map_err(|_| ApiError::bad_request(format!("invalid value for {name}: {text:?}")));
        parsed.map(Some)
    }

    pub(crate) fn dry_run(&self) -> bool {
        self.get("dryRun") == Some("All")
    }

    pub(crate) fn selector(&self) -> Result<Selector, ApiError> {
        let text = |name| self.get(name).unwrap_or_default();
        let parsed = Selector::parse(text("labelSelector"), text("fieldSelector"));
        parsed.map_err(|error| ApiError::bad_request(error.to_string()))
    }
}

/// Percent-decoding of one query component or path segment.
pub(crate) fn decode(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match (bytes[at], escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (_, Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', None) => out.push(b' '),
            (byte, None) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Takes a path apart.
pub(crate) fn route(path: &str) -> Route {
    let segments: Vec<String> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|one| decode(&one.replace('+', "%2B")))
        .collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let resource = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => resource_path("", version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => resource_path(group, version, rest),
        _ => None,
    };
    match resource {
        Some(mut found) => {
            if path.ends_with('/') && found.subresource.as_deref() == Some("proxy") {
                found.rest.push('/');
            }
            Route::Resource(found)
        }
        None => Route::Other(segments),
    }
}

fn resource_path(group: &str, version: &str, rest: &[&str]) -> Option<ResourcePath> {
    let base =
        ResourcePath { group: group.to_owned(), version: version.to_owned(), ..ResourcePath::default() };
    let (namespace, rest) = match rest {
        ["namespaces", _, "status" | "finalize"] => (None, rest),
        ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (Some((*namespace).to_owned()), inner),
        _ => (None, rest),
    };
    let at = |resource: &str, name: Option<&str>, subresource: Option<&str>, rest: &[&str]| ResourcePath {
        namespace: namespace.clone(),
        resource: resource.to_owned(),
        name: name.map(str::to_owned),
        subresource: subresource.map(str::to_owned),
        rest: rest.join("/"),
        ..base.clone()
    };
    match rest {
        [resource] => Some(at(resource, None, None, &[])),
        [resource, name] => Some(at(resource, Some(name), None, &[])),
        [resource, name, subresource] => Some(at(resource, Some(name), Some(subresource), &[])),
        [resource, name, "proxy", inner @ ..] => Some(at(resource, Some(name), Some("proxy"), inner)),
        _ => None,
    }
}
