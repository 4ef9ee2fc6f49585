//! The file by which clients on the host reach the sandbox as administrator. Pure but for the writing.

use base64::Engine as _;
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// What a kubeconfig says.
pub(super) struct Kubeconfig<'a> {
    pub(super) name: &'a str,
    pub(super) address: SocketAddr,
    /// In PEM.
    pub(super) authority: &'a str,
    pub(super) token: &'a str,
}

impl Kubeconfig<'_> {
    /// As JSON, which is YAML too.
    fn document(&self) -> Value {
        let authority = base64::engine::general_purpose::STANDARD.encode(self.authority);
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.name,
            "clusters": [{"name": self.name, "cluster": {
                "server": format!("https://{}", self.address), "certificate-authority-data": authority,
            }}],
            "users": [{"name": self.name, "user": {"token": self.token}}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": self.name}}],
        })
    }

    /// Writes the file, readable for its owner only. It appears whole or not at all.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file =
            std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(serde_json::to_string_pretty(&self.document())?.as_bytes())?;
        file.write_all(b"\n")?;
        std::fs::rename(new, path)
    }
}
