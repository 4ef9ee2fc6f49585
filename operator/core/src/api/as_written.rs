//! Parts of Kubernetes' own API inside our spec, kept as the user wrote them: an object that cannot be read would stop them all,
//! so they are read when the spec is parsed. Never reads them itself.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// Something of Kubernetes' type `T`, as it was written.
#[derive(Debug)]
pub struct AsWritten<T> {
    /// The document.
    pub value: Value,
    of: PhantomData<fn() -> T>,
}

impl<T> AsWritten<T> {
    /// This document.
    pub fn new(value: Value) -> AsWritten<T> {
        AsWritten { value, of: PhantomData }
    }
}

// Not derived: `T` need not be any of this.
impl<T> Clone for AsWritten<T> {
    fn clone(&self) -> Self {
        AsWritten::new(self.value.clone())
    }
}

impl<T> PartialEq for AsWritten<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> Serialize for AsWritten<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for AsWritten<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(AsWritten::new)
    }
}

impl<T: JsonSchema> JsonSchema for AsWritten<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    /// Kubernetes' own schema, with descriptions cut to their first sentence, for the whole ones would be most of the definition; and
    /// with bounds, without which an API server refuses rules about it as too costly.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let schema = T::json_schema(generator);
        let mut value = schema.clone().to_value();
        bound(&mut value);
        Schema::try_from(value).unwrap_or(schema)
    }
}

/// More entries than any list of a pod has.
const LONGEST_LIST: u32 = 64;

fn bound(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // A property may be called `description` or `name` too: then it is a schema, not a text.
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = first_sentence(text);
            }
            if fields.get("type") == Some(&json!("array")) {
                fields.entry("maxItems").or_insert(json!(LONGEST_LIST));
            }
            if let Some(Value::Object(name)) = fields.get_mut("name").filter(|name| name["type"] == "string")
            {
                name.entry("maxLength").or_insert(json!(253));
            }
            fields.values_mut().for_each(bound);
        }
        Value::Array(items) => items.iter_mut().for_each(bound),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn first_sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.find(". ") {
        Some(end) => line[..=end].to_owned(),
        None => line.to_owned(),
    }
}
