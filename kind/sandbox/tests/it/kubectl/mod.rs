//! The real kubectl against the API server over HTTPS, with the controllers at work and a stand-in for the node.
//! kubectl is the one that `ci/images` builds into the cache, never one from the PATH.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

mod creating;
mod custom;
mod workloads;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use sandbox::apiserver::inputs::{
    Connection, LogRequest, LogStream, NodeAccess, NodeAccessError, SystemClock,
};
use sandbox::apiserver::{ApiServer, ApiServerConfig, ServerCertificate, kubeconfig};
use sandbox::controllers::Controllers;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::controllers::kubelet::Kubelet;

/// No call of kubectl in these tests takes longer; one that does hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A cluster without processes behind a real socket, and kubectl with a home of its own.
struct Kubectl {
    program: PathBuf,
    home: TempDir,
    client: kube::Client,
    _controllers: Controllers,
    _kubelet: Kubelet,
    _listener: JoinSet<()>,
}

/// What a call of kubectl gave.
#[derive(Debug)]
struct Answer {
    success: bool,
    output: String,
    errors: String,
}

impl Kubectl {
    async fn start() -> Kubectl {
        let program = program();
        let home = tempfile::tempdir().unwrap();
        let certificate = ServerCertificate::generate(&[]).unwrap();
        let authority = certificate.authority().to_owned();
        let server = ApiServer::new(ApiServerConfig {
            administrator_token: Some("secret".into()),
            root_certificate: authority.clone(),
            node: Some(Arc::new(Logs)),
            ..ApiServerConfig::default()
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        std::fs::write(home.path().join("config"), kubeconfig("test", &url, &authority, "secret")).unwrap();
        let client = server.client();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { server.serve(listener, certificate).await.unwrap() });
        let kubelet = Kubelet::start(client.clone()).await;
        let controllers = Controllers::start(client.clone(), Arc::new(SystemClock));
        Kubectl { program, home, client, _controllers: controllers, _kubelet: kubelet, _listener: tasks }
    }

    /// Runs kubectl with these arguments, separated by spaces, and this input.
    async fn call_with(&self, arguments: &str, input: &str) -> Answer {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(arguments.split(' '))
            .env_clear()
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let ended = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
        let ended = ended.unwrap_or_else(|_| panic!("kubectl {arguments} hangs")).unwrap();
        Answer {
            success: ended.status.success(),
            output: String::from_utf8(ended.stdout).unwrap(),
            errors: String::from_utf8(ended.stderr).unwrap(),
        }
    }

    async fn call(&self, arguments: &str) -> Answer {
        self.call_with(arguments, "").await
    }

    /// Runs kubectl, which must succeed without complaint, and returns what it printed.
    async fn ok(&self, arguments: &str) -> String {
        self.ok_with(arguments, "").await
    }

    async fn ok_with(&self, arguments: &str, input: &str) -> String {
        let answer = self.call_with(arguments, input).await;
        assert!(answer.success, "kubectl {arguments}: {answer:#?}");
        answer.output
    }

    async fn apply(&self, object: &Value) -> String {
        self.ok_with("apply -f -", &object.to_string()).await
    }
}

/// The cached kubectl.
fn program() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = from("CHAOS_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|home| home.join("etcd-chaos")))
        .or_else(|| from("HOME").map(|home| home.join(".cache/etcd-chaos")))
        .expect("one of CHAOS_CACHE, XDG_CACHE_HOME and HOME is set");
    let program = cache.join("bin/kubectl");
    assert!(
        program.is_file(),
        "there is no kubectl at {}: run `ci/images`, which builds it",
        program.display()
    );
    program
}

/// A node that has the same log for each container.
struct Logs;

impl NodeAccess for Logs {
    fn log(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, NodeAccessError>> {
        let mut text = String::new();
        for line in 1..=request.tail_lines.unwrap_or(3) {
            writeln!(text, "{} of {} line {line}", request.container, request.pod).unwrap();
        }
        let stream = futures::stream::iter([Ok(Bytes::from(text))]).boxed();
        async move { Ok(stream as LogStream) }.boxed()
    }

    fn connect(
        &self,
        _pod: Value,
        address: std::net::IpAddr,
        port: u16,
    ) -> BoxFuture<'static, Result<Box<dyn Connection>, NodeAccessError>> {
        let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        async move { Err(NodeAccessError::Dial { address, port, source }) }.boxed()
    }
}

/// Cuts what differs from run to run: ages, addresses and generated suffixes stay readable, times do not.
fn columns(table: &str) -> Vec<Vec<String>> {
    table
        .lines()
        .map(|line| {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
        })
        .collect()
}
