//! Amounts in the spec: `500m`, `8Gi`, or a plain number. Never computes with them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// A Kubernetes quantity as users write it. Unlike the generated type it reads whole numbers too, as `cpu: 1` is often
/// written: the API server keeps a custom resource as it came, and an object that cannot be read would stop them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Amount(pub String);

impl Amount {
    /// As Kubernetes' own objects hold it.
    pub fn to_quantity(&self) -> Quantity {
        Quantity(self.0.clone())
    }
}

/// Both forms in which an amount is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Number(i64),
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::Text(text) => Amount(text),
            Written::Number(number) => Amount(number.to_string()),
        })
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    /// The schema of Kubernetes' own quantities: its pattern allows digits, a decimal point, and a suffix or exponent. Of
    /// the digits one is not zero, because an amount of nothing cannot be carried out.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "maxLength": 40,
            "minimum": 1,
            "pattern": "^[+]?([0-9]*[1-9][0-9]*[.]?[0-9]*|[0-9]*[.][0-9]*[1-9][0-9]*)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$",
            "x-kubernetes-int-or-string": true,
        })
    }
}

/// Requests and limits of a container.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourcesSpec {
    /// What the scheduler sets aside.
    #[schemars(extend("maxProperties" = 6))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Amount>,
    /// What the container may use at most.
    #[schemars(extend("maxProperties" = 6))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Amount>,
}
