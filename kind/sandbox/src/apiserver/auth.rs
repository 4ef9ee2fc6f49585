//! Who is asking: the administrator's token and the tokens of ServiceAccounts.
//!
//! Pure: tokens are checked against what the cluster holds. What a caller may do is decided in [`super::authorize`].

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::authorize::MASTERS;
use super::cluster::Cluster;
use super::json::{list, text};
use crate::store::{GroupResource, ObjectKey};

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
            groups: vec![MASTERS.to_owned(), "system:authenticated".to_owned()],
            extra: BTreeMap::new(),
        }
    }

    /// A caller who says nothing about himself.
    pub(crate) fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            uid: String::new(),
            groups: vec!["system:unauthenticated".to_owned()],
            extra: BTreeMap::new(),
        }
    }

    /// Whether he may do everything.
    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    fn service_account(claims: &Claims) -> Self {
        let one = |text: &str| vec![text.to_owned()];
        let prefix = "authentication.kubernetes.io";
        let pod = claims.pod.iter().flat_map(|(name, uid)| {
            [(format!("{prefix}/pod-name"), one(name)), (format!("{prefix}/pod-uid"), one(uid))]
        });
        let extra =
            pod.chain([(format!("{prefix}/credential-id"), vec![format!("JTI={}", claims.identifier)])]);
        Self {
            name: claims.subject(),
            uid: claims.account_uid.clone(),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{}", claims.namespace),
                "system:authenticated".to_owned(),
            ],
            extra: extra.collect(),
        }
    }

    /// As `authentication.k8s.io` `UserInfo`.
    pub(crate) fn to_json(&self) -> Value {
        json!({"username": self.name, "uid": self.uid, "groups": self.groups, "extra": self.extra})
    }
}

/// What a ServiceAccount's token says. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) namespace: String,
    pub(crate) account: String,
    pub(crate) account_uid: String,
    /// Name and uid of the pod that it was made for.
    pub(crate) pod: Option<(String, String)>,
    pub(crate) issued: i64,
    pub(crate) expires: i64,
    pub(crate) audiences: Vec<String>,
    /// Of this token alone.
    pub(crate) identifier: String,
}

impl Claims {
    fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.account)
    }

    fn to_json(&self) -> Value {
        let mut own = json!({
            "namespace": self.namespace, "serviceaccount": {"name": self.account, "uid": self.account_uid},
        });
        if let Some((name, uid)) = &self.pod {
            own["pod"] = json!({"name": name, "uid": uid});
        }
        json!({
            "iss": AUDIENCE, "sub": self.subject(), "aud": self.audiences,
            "iat": self.issued, "nbf": self.issued, "exp": self.expires, "jti": self.identifier,
            "kubernetes.io": own,
        })
    }

    fn read(value: &Value) -> Option<Self> {
        let own = value.get("kubernetes.io")?;
        let pod = own.get("pod").map(|pod| (text(pod, "/name").to_owned(), text(pod, "/uid").to_owned()));
        Some(Self {
            namespace: text(own, "/namespace").to_owned(),
            account: text(own, "/serviceaccount/name").to_owned(),
            account_uid: text(own, "/serviceaccount/uid").to_owned(),
            pod,
            issued: value["iat"].as_i64()?,
            expires: value["exp"].as_i64()?,
            audiences: list(value.get("aud")).filter_map(Value::as_str).map(str::to_owned).collect(),
            identifier: text(value, "/jti").to_owned(),
        })
    }
}

/// Makes a token in the form of a JSON Web Token (HS256).
pub(crate) fn sign(key: &[u8; 32], claims: &Claims) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_json().to_string()));
    let signature = URL_SAFE_NO_PAD.encode(keyed_hash(key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// For whom a token is made unless it says otherwise: the API server itself.
pub(crate) const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// Who a bearer token stands for; `None` when it is unknown, expired, made for others than the API server, or its account
/// or pod is gone.
pub(crate) fn authenticate(cluster: &Cluster, token: &str, now: Timestamp) -> Option<User> {
    if cluster.administrator_token.as_deref().is_some_and(|own| !own.is_empty() && own == token) {
        return Some(User::administrator());
    }
    let (signed, signature) = token.rsplit_once('.')?;
    if URL_SAFE_NO_PAD.decode(signature).ok()?.as_slice()
        != keyed_hash(&cluster.signing_key, signed.as_bytes())
    {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
    let claims = Claims::read(&serde_json::from_slice(&payload).ok()?)?;
    let lives = |resource: &str, name: &str, uid: &str| {
        let resource = GroupResource::new("", resource);
        let namespace = Some(claims.namespace.clone());
        let found = cluster.store.get(&ObjectKey { resource, namespace, name: name.to_owned() });
        found.is_some_and(|found| text(&found, "/metadata/uid") == uid)
    };
    let account = lives("serviceaccounts", &claims.account, &claims.account_uid);
    let pod = claims.pod.as_ref().is_none_or(|(name, uid)| lives("pods", name, uid));
    let meant = claims.audiences.iter().any(|one| one == AUDIENCE);
    (account && pod && meant && claims.expires > now.as_second()).then(|| User::service_account(&claims))
}

/// HMAC-SHA256 (RFC 2104); the key is shorter than a block.
fn keyed_hash(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}
