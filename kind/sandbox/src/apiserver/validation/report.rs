//! Collecting what is wrong with an object, in the order in which it is found.
//!
//! Pure; knows nothing of any kind.

use std::net::IpAddr;

use serde_json::Value;

use crate::apiserver::error::Cause;

/// The causes found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    causes: Vec<Cause>,
}

impl Report {
    pub(super) fn into_causes(self) -> Vec<Cause> {
        self.causes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.causes.is_empty()
    }

    pub(super) fn push(&mut self, cause: Cause) {
        self.causes.push(cause);
    }

    pub(super) fn extend(&mut self, causes: impl IntoIterator<Item = Cause>) {
        self.causes.extend(causes);
    }

    /// Takes in what another report found.
    pub(super) fn append(&mut self, other: Self) {
        self.causes.extend(other.causes);
    }

    /// A field that must be set.
    pub(super) fn required(&mut self, at: impl Into<String>, why: &str) {
        self.push(Cause::required(at, why));
    }

    /// A value that can't be.
    pub(super) fn invalid(&mut self, at: impl Into<String>, value: impl Into<Value>, why: &str) {
        self.push(Cause::invalid(at, &value.into(), why));
    }

    /// A field that must not be set.
    pub(super) fn forbidden(&mut self, at: impl Into<String>, why: &str) {
        self.push(Cause::forbidden(at, why));
    }

    /// A value that was there already.
    pub(super) fn duplicate(&mut self, at: impl Into<String>, value: impl Into<Value>) {
        self.push(Cause::duplicate(at, &value.into()));
    }

    /// The name of something that is not there.
    pub(super) fn not_found(&mut self, at: impl Into<String>, name: &str) {
        let message = format!("Not found: {}", Value::from(name));
        self.push(Cause { reason: "FieldValueNotFound", field: at.into(), message });
    }

    /// A text that is none of those that are known.
    pub(super) fn unsupported(&mut self, at: impl Into<String>, value: &str, known: &[&str]) {
        let known: Vec<String> = known.iter().map(|one| (*one).to_owned()).collect();
        self.push(Cause::unsupported(at, &Value::from(value), &known));
    }

    /// A text that must be one of those that are known.
    pub(super) fn one_of(&mut self, at: impl Into<String>, value: &str, known: &[&str]) {
        if !known.contains(&value) {
            self.unsupported(at, value, known);
        }
    }

    /// Everything that is wrong with a text.
    pub(super) fn all(&mut self, at: &str, text: &str, wrong: Vec<String>) {
        for why in wrong {
            self.invalid(at, text, &why);
        }
    }

    /// A number that must not be negative; nothing is wrong with one that is not there.
    pub(super) fn not_negative(&mut self, at: impl Into<String>, value: Option<&Value>) {
        if let Some(number) = value.and_then(Value::as_i64).filter(|number| *number < 0) {
            self.invalid(at, number, "must be greater than or equal to 0");
        }
    }

    /// An address, in version 4 or 6.
    pub(super) fn address(&mut self, at: &str, text: &str) {
        if text.parse::<IpAddr>().is_err() {
            self.invalid(at, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        }
    }
}
