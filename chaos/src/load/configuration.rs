//! What the load is told to do. Pure: parsing and checking, no defaults that depend on the machine.

use serde::{Deserialize, Serialize};

use crate::in_pod::Tls;

/// The configuration of a load, JSON in `chaos load --config`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configuration {
    /// The client Service, such as `http://demo.namespace.svc:2379`; with `https://` if there is TLS.
    pub endpoint: String,
    /// A DNS name that resolves to each member's address, with the client port: for the pinned clients, and for the final dump
    /// while the Service does not answer. Such as `demo-peers.namespace.svc:2379`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints_dns: Option<String>,
    /// From this every client draws its own stream of choices.
    pub seed: u64,
    /// How many clients there are; each has its own connection and one call open at a time.
    pub clients: u32,
    /// So many of them always ask one and the same member each, the others the Service. Needs `endpoints_dns`.
    #[serde(default)]
    pub pinned_clients: u32,
    /// How many calls a client starts in a second at most.
    pub calls_per_second_per_client: f64,
    /// How many keys there are.
    pub keys: u32,
    /// The prefix of each key. Nobody else may write below it.
    pub prefix: String,
    /// Values are padded to this many bytes.
    #[serde(default = "default_value_bytes")]
    pub value_bytes: usize,
    /// How a client chooses among calls.
    #[serde(default)]
    pub mix: Mix,
    /// How long a client waits for an answer.
    #[serde(default = "default_call_limit_milliseconds")]
    pub call_limit_milliseconds: u64,
    /// How TLS is spoken; nothing if only plain text is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// Weights of the kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mix {
    /// Plain writes.
    pub put: u32,
    /// Linearizable reads.
    pub get: u32,
    /// Compare-and-swap of one key on its modification revision.
    pub compare_and_swap: u32,
    /// Writes of several keys in one transaction.
    pub multiple_keys: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Self { put: 40, get: 35, compare_and_swap: 15, multiple_keys: 10 }
    }
}

fn default_value_bytes() -> usize {
    64
}

fn default_call_limit_milliseconds() -> u64 {
    2_000
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// A number outside its bounds.
    #[error("{field} must be {bounds}")]
    Number {
        /// The field.
        field: &'static str,
        /// What it must be.
        bounds: &'static str,
    },
    /// A prefix that could not be told from other keys.
    #[error("prefix must consist of ASCII letters, digits and `/`, and end in `/`")]
    Prefix,
    /// An endpoint without a scheme, or with the wrong one.
    #[error("endpoint must start with http://, or with https:// if tls is given")]
    Endpoint,
}

impl Configuration {
    /// Checks what can be known without a network.
    ///
    /// # Errors
    /// Names the first field that cannot be used.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        let number = |holds: bool, field, bounds| {
            if holds { Ok(()) } else { Err(ConfigurationError::Number { field, bounds }) }
        };
        number((1..=1000).contains(&self.clients), "clients", "1 to 1000")?;
        number(self.pinned_clients <= self.clients, "pinnedClients", "at most as many as clients")?;
        number((2..=1_000_000).contains(&self.keys), "keys", "2 to 1000000")?;
        let rate = self.calls_per_second_per_client;
        number(rate > 0.0 && rate <= 10_000.0, "callsPerSecondPerClient", "above 0 and at most 10000")?;
        number(self.value_bytes <= 1_000_000, "valueBytes", "at most 1000000")?;
        let limit = self.call_limit_milliseconds;
        number((50..=60_000).contains(&limit), "callLimitMilliseconds", "50 to 60000")?;
        let Mix { put, get, compare_and_swap, multiple_keys } = self.mix;
        let weights = [put, get, compare_and_swap, multiple_keys];
        number(weights.iter().all(|weight| *weight <= 1000), "mix", "weights of at most 1000")?;
        number(weights.iter().sum::<u32>() > 0, "mix", "more than all zeros")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'/';
        if !self.prefix.ends_with('/') || !self.prefix.bytes().all(plain) {
            return Err(ConfigurationError::Prefix);
        }
        self.service().map(drop).ok_or(ConfigurationError::Endpoint)
    }

    /// Host and port of the client Service; nothing if the endpoint does not say that TLS is spoken where it is, or says so where it is not.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.endpoint.strip_prefix(if self.tls.is_some() { "https://" } else { "http://" })
    }
}
