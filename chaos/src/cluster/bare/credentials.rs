//! The certificate authority of a cluster and what it signs: one certificate for each component, as Kubernetes' own
//! documents ask for (<https://kubernetes.io/docs/setup/best-practices/certificates/>). Valid from 2020 to 2120, whatever a
//! container's clock says. Never leaves the state directory.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::config::{API_SERVICE, CONTROL_PLANE, NodeIndex};

/// Names under which clients in the cluster reach the API server.
const API_NAMES: [&str; 5] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// The authority, and the directory into which it signs.
pub(super) struct Credentials {
    directory: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// A component's name in the cluster: user and group as RBAC knows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity<'a> {
    pub(super) user: &'a str,
    pub(super) group: Option<&'a str>,
}

impl Identity<'static> {
    pub(super) const ADMINISTRATOR: Identity<'static> =
        Identity { user: "kubernetes-admin", group: Some("system:masters") };
    pub(super) const CONTROLLER_MANAGER: Identity<'static> =
        Identity { user: "system:kube-controller-manager", group: None };
    pub(super) const SCHEDULER: Identity<'static> = Identity { user: "system:kube-scheduler", group: None };
    pub(super) const PROXY: Identity<'static> = Identity { user: "system:kube-proxy", group: None };
    /// As which the API server asks kubelets for logs and to run commands.
    const KUBELET_CLIENT: Identity<'static> =
        Identity { user: "kube-apiserver-kubelet-client", group: Some("system:masters") };
}

impl Credentials {
    /// Makes the authority and writes its certificate, the API server's, and the key that signs tokens.
    pub(super) fn make(directory: &Path, host_address: IpAddr) -> Result<Credentials> {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        let mut parameters = parameters("etcd-chaos-bare", None);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().context("making the authority's key")?;
        let authority = CertifiedIssuer::self_signed(parameters, key).context("making the authority")?;
        let credentials = Credentials { directory: directory.to_path_buf(), authority };
        credentials.write("ca.crt", &credentials.authority.pem())?;
        credentials.write_api_server(host_address)?;
        credentials.write_token_keys()?;
        let (certificate, key) = credentials.client(Identity::KUBELET_CLIENT)?;
        credentials.write("kubelet-client.crt", &certificate)?;
        credentials.write("kubelet-client.key", &key)?;
        Ok(credentials)
    }

    fn write_api_server(&self, host_address: IpAddr) -> Result<()> {
        let addresses =
            [IpAddr::V4(Ipv4Addr::LOCALHOST), API_SERVICE.into(), CONTROL_PLANE.into(), host_address];
        let (certificate, key) = self.server("kube-apiserver", &addresses, &API_NAMES)?;
        self.write("apiserver.crt", &certificate)?;
        self.write("apiserver.key", &key)
    }

    fn write_token_keys(&self) -> Result<()> {
        let key = KeyPair::generate().context("making the key that signs tokens")?;
        self.write("tokens.key", &key.serialize_pem())?;
        self.write("tokens.pub", &key.public_key_pem())
    }

    /// Writes the certificate with which a kubelet serves.
    pub(super) fn write_kubelet(&self, node: NodeIndex, directory: &Path) -> Result<()> {
        let name = node.name();
        let (certificate, key) = self.server(&name, &[node.address().into()], &[&name])?;
        write_private(&directory.join("kubelet.crt"), &certificate)?;
        write_private(&directory.join("kubelet.key"), &key)
    }

    /// A kubeconfig by which `identity` reaches `server`.
    pub(super) fn kubeconfig(&self, name: &str, server: &str, identity: Identity<'_>) -> Result<String> {
        let (certificate, key) = self.client(identity)?;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let (authority, certificate, key) =
            (encode(&self.authority.pem()), encode(&certificate), encode(&key));
        Ok(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name}\nclusters:\n- name: {name}\n  cluster:\n    server: \
             {server}\n    certificate-authority-data: {authority}\ncontexts:\n- name: {name}\n  context:\n    cluster: \
             {name}\n    user: {name}-{user}\n    namespace: default\nusers:\n- name: {name}-{user}\n  user:\n    \
             client-certificate-data: {certificate}\n    client-key-data: {key}\n",
            user = identity.user.replace(':', "-"),
        ))
    }

    fn client(&self, identity: Identity<'_>) -> Result<(String, String)> {
        let mut parameters = parameters(identity.user, identity.group);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(parameters)
    }

    fn server(&self, name: &str, addresses: &[IpAddr], names: &[&str]) -> Result<(String, String)> {
        let mut parameters = parameters(name, None);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.subject_alt_names = addresses.iter().copied().map(SanType::IpAddress).collect();
        for name in names {
            let name = (*name).try_into().with_context(|| format!("writing the name {name}"))?;
            parameters.subject_alt_names.push(SanType::DnsName(name));
        }
        self.sign(parameters)
    }

    /// Certificate and key, in PEM.
    fn sign(&self, mut parameters: CertificateParams) -> Result<(String, String)> {
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().context("making a key")?;
        let certificate = parameters.signed_by(&key, &self.authority).context("signing a certificate")?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        write_private(&self.directory.join(name), content)
    }
}

/// Writes a file for its owner only. It appears whole or not at all.
pub(super) fn write_private(path: &Path, content: &str) -> Result<()> {
    let new = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(content.as_bytes())?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

fn parameters(user: &str, group: Option<&str>) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        parameters.distinguished_name.push(DnType::OrganizationName, group);
    }
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2120, 1, 1);
    parameters
}
