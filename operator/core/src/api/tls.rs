//! What users say of TLS: that it is on, and how. Never decides, and holds no key.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::described;

/// TLS between members, and between clients and members. `tls: {}` is enough: the operator makes the authorities and all certificates, and
/// renews them. It is switched on and off for a cluster that runs, one member after the other.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("self.authorityLifetimeSeconds >= 2 * self.certificateLifetimeSeconds")
    .message("an authority must live at least twice as long as the certificates that it signs").field_path(".authorityLifetimeSeconds"))]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// Whether clients must show a certificate of the cluster's (`Required`), or whoever knows the address may ask (`Optional`). The operator
    /// makes one for applications, in the Secret `<cluster>-client-tls`.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
    /// Further DNS names and IP addresses under which clients reach members, for example those of a load balancer. They stand in the
    /// members' certificates beside the names of pods and Services.
    #[x_kube(validation = Rule::new("self.all(name, isIP(name) || name.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))")
        .message("an extra name must be a DNS name in lower case, which may begin with *., or an IP address"))]
    #[schemars(length(max = 32), inner(length(min = 1, max = 253)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_names: Vec<String>,
    /// For how long certificates are good, in seconds: three years if absent. They are renewed when a third of it is left, without a restart.
    #[schemars(range(min = 120, max = 315_360_000))]
    #[serde(default = "certificate_lifetime_seconds")]
    pub certificate_lifetime_seconds: i64,
    /// For how long authorities are good, in seconds: ten years if absent. When a third of it is left they are rotated, which restarts
    /// the members one at a time, twice.
    #[schemars(range(min = 240, max = 3_153_600_000_i64))]
    #[serde(default = "authority_lifetime_seconds")]
    pub authority_lifetime_seconds: i64,
    /// For how long applications have time, in seconds: seven days if absent. When TLS is switched on or off for a cluster that runs, members
    /// serve both for so long. When the clients' authority is rotated, applications have so long to trust the new one, and so long
    /// again to show certificates of it. Kubernetes takes up to two minutes to bring a changed Secret to the pods that mount it. The annotation
    /// `etcd.operators.rs/clients-ready` ends a wait.
    #[schemars(range(min = 0, max = 31_536_000))]
    #[serde(default = "trust_period_seconds")]
    pub trust_period_seconds: i64,
}

impl Default for TlsSpec {
    fn default() -> Self {
        TlsSpec {
            client_certificates: ClientCertificates::default(),
            extra_names: Vec::new(),
            certificate_lifetime_seconds: certificate_lifetime_seconds(),
            authority_lifetime_seconds: authority_lifetime_seconds(),
            trust_period_seconds: trust_period_seconds(),
        }
    }
}

/// Whether clients must show a certificate.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(transform = described::by_its_field)]
pub enum ClientCertificates {
    /// They must.
    #[default]
    Required,
    /// They need not.
    Optional,
}

/// Three years of 365 days: a third of them is more than the year for which a cluster must run without its operator.
fn certificate_lifetime_seconds() -> i64 {
    3 * 365 * 24 * 3600
}

fn authority_lifetime_seconds() -> i64 {
    10 * 365 * 24 * 3600
}

fn trust_period_seconds() -> i64 {
    7 * 24 * 3600
}
