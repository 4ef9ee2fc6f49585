//! Writes Secrets with certificates: makes what is new, moves what moves, and writes all of it at once, on the condition that nobody has written
//! since. It never lists Secrets, and never shows what is in one.

use super::make::{self, Made};
use crate::etcd::Secret as Hidden;
use crate::lease::Leadership;
use crate::telemetry::chain;
use crate::write::{self, KUBERNETES_CALL, WriteError, covered, manager, outcome};
use etcd_operator_core::names::Pair;
use etcd_operator_core::tls::facts::EntryFacts;
use etcd_operator_core::tls::written::{Issuer, SecretBase, SecretEntry, SecretWrite};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, PostParams};
use std::collections::BTreeMap;

type Data = BTreeMap<String, ByteString>;

/// Carries out one such write.
pub async fn write(client: &Client, leadership: &Leadership, order: &SecretWrite) -> Result<(), WriteError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &order.namespace);
    let mut secret = match &order.base {
        SecretBase::New { owner, labels, secret_type } => Secret {
            metadata: ObjectMeta {
                name: Some(order.name.clone()),
                namespace: Some(order.namespace.clone()),
                labels: Some(labels.clone()),
                owner_references: Some(vec![(**owner).clone()]),
                ..ObjectMeta::default()
            },
            type_: Some(secret_type.as_str().to_owned()),
            ..Secret::default()
        },
        SecretBase::Live { uid, resource_version } => {
            let live = read(&api, &order.name).await?;
            let is_same = live.metadata.uid.as_ref() == Some(uid)
                && live.metadata.resource_version.as_ref() == Some(resource_version);
            if !is_same {
                return Err(WriteError::Overtaken(format!("Secret {} has changed", order.name)));
            }
            live
        }
    };
    let mut data = secret.data.take().unwrap_or_default();
    for entry in &order.entries {
        apply(&api, entry, &mut data).await?;
    }
    secret.data = Some(data);
    secret.metadata.annotations.get_or_insert_default().extend(order.annotations.clone());
    // Others were read meanwhile.
    covered(leadership, KUBERNETES_CALL)?;
    match &order.base {
        SecretBase::New { .. } => write::create(client, &secret).await,
        SecretBase::Live { .. } => {
            // Its resourceVersion goes with it, so that it replaces only what was read.
            let parameters = PostParams { field_manager: manager(), ..PostParams::default() };
            outcome(&format!("Secret {}", order.name), api.replace(&order.name, &parameters, &secret).await)
        }
    }
}

async fn read(api: &Api<Secret>, name: &str) -> Result<Secret, WriteError> {
    match api.get_opt(name).await {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => Err(WriteError::Overtaken(format!("Secret {name} is gone"))),
        Err(error) => outcome::<Secret>(&format!("Secret {name}"), Err(error)).map(|()| Secret::default()),
    }
}

async fn apply(api: &Api<Secret>, entry: &SecretEntry, data: &mut Data) -> Result<(), WriteError> {
    match entry {
        SecretEntry::Authority { at, common_name, validity } => {
            put(data, *at, make::authority(common_name, validity).map_err(not_made)?);
        }
        SecretEntry::Certificate { at, request, issuer } => {
            let issuer = signer(api, issuer).await?;
            put(data, *at, make::certificate(request, &issuer).map_err(not_made)?);
        }
        SecretEntry::Text { at, value } => {
            data.insert(at.clone(), ByteString(value.clone().into_bytes()));
        }
        SecretEntry::Move { from, to } => {
            for (from, to) in [(from.certificate, to.certificate), (from.key, to.key)] {
                match data.remove(from) {
                    Some(value) => data.insert(to.to_owned(), value),
                    None => data.remove(to),
                };
            }
        }
        SecretEntry::Remove { at } => {
            data.remove(at);
        }
    }
    Ok(())
}

fn put(data: &mut Data, at: Pair, made: Made) {
    data.insert(at.certificate.to_owned(), ByteString(made.certificate.into_bytes()));
    data.insert(at.key.to_owned(), ByteString(made.key.0.into_bytes()));
}

/// The authority that is to sign, if it is still the one that was planned on.
async fn signer(api: &Api<Secret>, issuer: &Issuer) -> Result<Made, WriteError> {
    let secret = read(api, &issuer.secret).await?;
    let facts = super::secret_facts(&secret, &[]);
    let is_same =
        matches!(facts.entries.get(issuer.at.key), Some(EntryFacts::Key(key)) if *key == issuer.key);
    if !is_same {
        return Err(WriteError::Overtaken(format!("the authority in Secret {} has changed", issuer.secret)));
    }
    pair_of(&secret, issuer.at).ok_or_else(|| {
        WriteError::Overtaken(format!("the authority in Secret {} has changed", issuer.secret))
    })
}

/// A certificate and its key, as a Secret has them.
pub(crate) fn pair_of(secret: &Secret, at: Pair) -> Option<Made> {
    let data = secret.data.as_ref()?;
    let text = |entry: &str| String::from_utf8(data.get(entry)?.0.clone()).ok();
    Some(Made { certificate: text(at.certificate)?, key: Hidden(text(at.key)?) })
}

/// What cannot be made now cannot be made by asking again: it is said, as a refusal is.
fn not_made(error: make::MakeError) -> WriteError {
    WriteError::NotMade(chain(&error))
}
