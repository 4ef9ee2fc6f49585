//! Who is asking.
//!
//! Pure: tokens are checked against what the cluster holds. Nothing is authorized here; roles are stored only.

use std::collections::BTreeMap;

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// The administrator of the kubeconfig, and every in-process client.
    pub(crate) fn administrator() -> Self {
        Self {
            name: "kubernetes-admin".to_owned(),
            uid: String::new(),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
            extra: BTreeMap::new(),
        }
    }
}

impl User {
    /// As `authentication.k8s.io` `UserInfo`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({"username": self.name, "uid": self.uid, "groups": self.groups, "extra": self.extra})
    }
}
