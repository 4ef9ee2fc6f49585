//! The certificate authority of a cluster and what it signs: one certificate for each component, as Kubernetes' own
//! documents ask for (<https://kubernetes.io/docs/setup/best-practices/certificates/>). Never leaves the state directory.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use rcgen::KeyPair;
use sandbox::certificates::{self, API_SERVER_NAMES};

use super::config::{API_SERVICE, CONTROL_PLANE, NodeIndex};

/// The authority, and the directory into which it signs.
pub(super) struct Credentials {
    directory: PathBuf,
    authority: certificates::Authority,
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
        fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
        let authority = certificates::authority("etcd-chaos-bare").context("failed to make the authority")?;
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
        let (certificate, key) = self.server("kube-apiserver", &addresses, &API_SERVER_NAMES)?;
        self.write("apiserver.crt", &certificate)?;
        self.write("apiserver.key", &key)
    }

    fn write_token_keys(&self) -> Result<()> {
        let key = KeyPair::generate().context("failed to make the key that signs tokens")?;
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

    /// Certificate and key, in PEM.
    fn client(&self, identity: Identity<'_>) -> Result<(String, String)> {
        let signed = certificates::sign_client(&self.authority, identity.user, identity.group);
        let (certificate, key) = signed.with_context(|| format!("failed to sign for {}", identity.user))?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// Certificate and key, in PEM.
    fn server(&self, name: &str, addresses: &[IpAddr], names: &[&str]) -> Result<(String, String)> {
        let signed = certificates::sign_server(&self.authority, name, addresses, names);
        let (certificate, key) = signed.with_context(|| format!("failed to sign for {name}"))?;
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
    write().with_context(|| format!("failed to write {}", path.display()))
}
