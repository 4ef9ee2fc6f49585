//! A real etcd member on loopback, from the cache of built images.

use etcd_operator::etcd::{Access, Identity, Pem, Secret};
use etcd_operator_core::names::{Endpoint, Scheme};
use sandbox::certificates::{authority, sign_client, sign_server};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const VERSION: &str = "v3.6.16";
/// One of each minor version that is supported.
pub(crate) const VERSIONS: [&str; 3] = ["v3.5.35", VERSION, "v3.7.3"];

/// A member that runs alone and is killed when dropped.
pub(crate) struct RealEtcd {
    directory: TempDir,
    endpoint: Endpoint,
    metrics: Endpoint,
    process: Child,
}

/// The etcd binary that tests use when the version does not matter.
pub(crate) fn binary() -> PathBuf {
    binary_of(VERSION)
}

/// The etcd binary of a version.
fn binary_of(version: &str) -> PathBuf {
    tool_of(version, "etcd")
}

/// Where what was built is kept.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("CHAOS_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache"));
        home.join("etcd-chaos")
    })
}

/// One of etcd's programs, of a version. Fails with the command that builds it when it is missing.
pub(crate) fn tool_of(version: &str, name: &str) -> PathBuf {
    let binary = cache().join("images/etcd").join(version).join(name);
    assert!(binary.exists(), "{} is missing; ci/images builds it", binary.display());
    binary
}

/// An address on loopback that nobody uses at this moment.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl RealEtcd {
    /// Starts a cluster of one; it may not answer yet.
    pub(crate) fn start() -> Self {
        Self::start_version(VERSION)
    }

    /// The same with a version.
    pub(crate) fn start_version(version: &str) -> Self {
        Self::start_with(version, tempfile::tempdir().unwrap(), Scheme::Http, &[])
    }

    /// One that may hold several GiB.
    pub(crate) fn start_large(version: &str) -> Self {
        let quota = ["--quota-backend-bytes=8589934592".to_owned()];
        Self::start_with(version, tempfile::tempdir().unwrap(), Scheme::Http, &quota)
    }

    /// A member whose client port takes nothing but TLS, from whom the authority of these certificates knows.
    pub(crate) fn start_with_tls(version: &str) -> (Self, Access) {
        let directory = tempfile::tempdir().unwrap();
        let certificates = Certificates::write(directory.path());
        let arguments = certificates.arguments(directory.path());
        (Self::start_with(version, directory, Scheme::Https, &arguments), certificates.access)
    }

    fn start_with(version: &str, directory: TempDir, scheme: Scheme, arguments: &[String]) -> Self {
        let address = free_address();
        let endpoint = Endpoint { scheme, address: address.ip().to_string(), port: address.port() };
        let client = endpoint.to_string();
        let peer = format!("http://{}", free_address());
        let address = free_address();
        let metrics =
            Endpoint { scheme: Scheme::Http, address: address.ip().to_string(), port: address.port() };
        let process = Command::new(binary_of(version))
            .args(["--name", "only", "--data-dir"])
            .arg(directory.path().join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("only={peer}"), "--logger", "zap"])
            .args(["--listen-metrics-urls", &metrics.to_string()])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { directory, endpoint, metrics, process }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where it says whether it is well, in plain text.
    pub(crate) fn metrics(&self) -> &Endpoint {
        &self.metrics
    }

    pub(crate) fn process_id(&self) -> i32 {
        i32::try_from(self.process.id()).unwrap()
    }

    /// The directory of the write-ahead log.
    pub(crate) fn log(&self) -> PathBuf {
        let wal: &Path = Path::new("data/member/wal");
        self.directory.path().join(wal)
    }
}

impl Drop for RealEtcd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a member and its client show each other.
struct Certificates {
    access: Access,
}

impl Certificates {
    /// Those of the member go to files, as etcd wants them.
    fn write(directory: &Path) -> Self {
        let authority = authority("members").unwrap();
        let (server, server_key) =
            sign_server(&authority, "member", &[Ipv4Addr::LOCALHOST.into()], &[]).unwrap();
        let (client, client_key) = sign_client(&authority, "operator", None).unwrap();
        std::fs::write(directory.join("authority.pem"), authority.pem()).unwrap();
        std::fs::write(directory.join("server.pem"), server.pem()).unwrap();
        std::fs::write(directory.join("server-key.pem"), server_key.serialize_pem()).unwrap();
        let identity = Identity {
            certificate: Pem(client.pem().into_bytes()),
            key: Secret(client_key.serialize_pem().into_bytes()),
        };
        let authority = Pem(authority.pem().into_bytes());
        let access = Access {
            scheme: Scheme::Https,
            authority: Some(authority),
            identity: Some(identity),
            ..Access::default()
        };
        Self { access }
    }

    fn arguments(&self, directory: &Path) -> Vec<String> {
        let file = |flag: &str, name: &str| format!("--{flag}={}", directory.join(name).display());
        let mut arguments = vec!["--client-cert-auth".to_owned(), file("trusted-ca-file", "authority.pem")];
        arguments.extend([file("cert-file", "server.pem"), file("key-file", "server-key.pem")]);
        arguments
    }
}
