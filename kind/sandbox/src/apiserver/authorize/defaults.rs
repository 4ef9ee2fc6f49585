//! The roles and bindings that every cluster starts with, as far as callers of this server need them.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings>. A table only. The
//! controllers and the node of a sandbox call in process as administrator, so their roles are not here.

use serde_json::{Value, json};

use super::MASTERS;

const AUTHENTICATED: &str = "system:authenticated";
const ACCOUNTS: &str = "system:serviceaccounts";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// Name and rules of each ClusterRole.
pub(crate) fn cluster_roles() -> Vec<(&'static str, Value)> {
    let get = |paths: &[&str]| json!({"verbs": ["get"], "nonResourceURLs": paths});
    let health = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let served = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let issuer = [
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/",
        "/openid/v1/jwks",
        "/openid/v1/jwks/",
    ];
    let own_rights = json!({
        "verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    });
    let own_name = json!({
        "verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"],
    });
    let everything = json!([
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": ["*"], "nonResourceURLs": ["*"]},
    ]);
    vec![
        ("cluster-admin", everything),
        ("system:basic-user", json!([own_rights, own_name])),
        ("system:discovery", json!([get(&served)])),
        ("system:public-info-viewer", json!([get(&health)])),
        ("system:service-account-issuer-discovery", json!([get(&issuer)])),
    ]
}

/// Name of each ClusterRoleBinding, which is its role's too, and the groups it names.
pub(crate) fn cluster_role_bindings() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("cluster-admin", vec![MASTERS]),
        ("system:basic-user", vec![AUTHENTICATED]),
        ("system:discovery", vec![AUTHENTICATED]),
        ("system:public-info-viewer", vec![AUTHENTICATED, UNAUTHENTICATED]),
        ("system:service-account-issuer-discovery", vec![ACCOUNTS]),
    ]
}
