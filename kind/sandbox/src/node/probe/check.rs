//! One try of a probe: an HTTP request, a TCP connection or a command in the container.

use super::Subject;
use crate::node::container::process::{Output, RunningProcess};
use crate::node::container::spec::ProcessSpec;
use crate::sys::process::Exit;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::fs::File;
use std::time::Duration;
use tokio::net::TcpStream;

/// What to try.
#[derive(Clone, Debug)]
pub(super) enum Check {
    Http {
        host: String,
        port: u16,
        path: String,
        headers: Vec<(String, String)>,
    },
    Tcp {
        host: String,
        port: u16,
    },
    Command(Box<ProcessSpec>),
    /// A kind of probe that the sandbox does not have, or a port that the container does not name.
    Impossible(String),
}

impl Check {
    pub(super) fn of(probe: &Probe, container: &Container, subject: &Subject) -> Check {
        let own = subject.address.to_string();
        if let Some(get) = &probe.http_get {
            return Check::of_http(get, container, own);
        }
        if let Some(socket) = &probe.tcp_socket {
            return match port(&socket.port, container) {
                Some(port) => Check::Tcp { host: socket.host.clone().unwrap_or(own), port },
                None => Check::Impossible(format!("no port {:?}", socket.port)),
            };
        }
        if let Some(command) = probe.exec.as_ref().and_then(|exec| exec.command.clone()) {
            return Check::Command(Box::new(subject.command(command)));
        }
        Check::Impossible("the sandbox has no probe of this kind".into())
    }

    fn of_http(get: &HTTPGetAction, container: &Container, own: String) -> Check {
        if get.scheme.as_deref() == Some("HTTPS") {
            return Check::Impossible("the sandbox has no HTTPS probe".into());
        }
        let headers =
            get.http_headers.iter().flatten().map(|header| (header.name.clone(), header.value.clone()));
        match port(&get.port, container) {
            Some(port) => Check::Http {
                host: get.host.clone().unwrap_or(own),
                port,
                path: get.path.clone().unwrap_or_else(|| "/".into()),
                headers: headers.collect(),
            },
            None => Check::Impossible(format!("no port {:?}", get.port)),
        }
    }

    /// Tries once; the error is for people.
    pub(super) async fn run(&self, limit: Duration) -> Result<(), String> {
        let attempt = async {
            match self {
                Check::Http { host, port, path, headers } => get(host, *port, path, headers).await,
                Check::Tcp { host, port } => {
                    let connected = TcpStream::connect((host.as_str(), *port)).await;
                    connected.map(drop).map_err(|error| format!("dial tcp {host}:{port}: {error}"))
                }
                Check::Command(spec) => command(spec).await,
                Check::Impossible(message) => Err(message.clone()),
            }
        };
        tokio::time::timeout(limit, attempt)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
    }
}

async fn get(host: &str, port: u16, path: &str, headers: &[(String, String)]) -> Result<(), String> {
    let address = format!("{host}:{port}");
    let failed = |error: &dyn std::fmt::Display| format!("Get \"http://{address}{path}\": {error}");
    let stream = TcpStream::connect(&address).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let mut request = http::Request::get(path)
        .header("host", &address)
        .header("user-agent", "kube-probe/1.34")
        .header("connection", "close");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| failed(&error))?;
    let mut response = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        biased;
        response = &mut response => response,
        // The connection only moves bytes. It may end in the very step in which it hands the answer over.
        _ = connection => response.await,
    };
    let response = response.map_err(|error| failed(&error))?;
    let status = response.status();
    if status.is_success() || status.is_redirection() {
        Ok(())
    } else {
        Err(format!("HTTP probe failed with statuscode: {}", status.as_u16()))
    }
}

async fn command(spec: &ProcessSpec) -> Result<(), String> {
    let null = || File::options().write(true).open("/dev/null").map_err(|error| error.to_string());
    let output = Output { stdout: null()?.into(), stderr: null()?.into() };
    let mut process = RunningProcess::start(spec, output).await.map_err(|error| error.to_string())?;
    match process.wait().await {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) => Err(format!("command ended with status {code}")),
        Exit::Signal(signal) => Err(format!("command was ended by signal {signal}")),
    }
}

/// A number, or the name of one of the container's ports.
fn port(port: &IntOrString, container: &Container) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port)?
        }
    };
    u16::try_from(number).ok()
}
