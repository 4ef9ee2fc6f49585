//! Programs that somebody talks to: started in a container that runs (`exec`), or a container's own (`attach`); and
//! connections from inside a pod.

use super::container::process::{Output, RunningProcess};
use super::container::spec::{Identity, Place, ProcessSpec};
use super::context::NodeContext;
use super::log;
use super::worker::Running;
use crate::apiserver::inputs::{Connection, NodeAccessError, Session, SessionRequest, TerminalSize};
use crate::sys::namespace::inside_network;
use crate::sys::terminal::{Terminal, resize};
use futures::StreamExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;

/// A running container, as far as another program can join it.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Its first process below /proc.
    process: PathBuf,
    identity: Identity,
    environment: BTreeMap<String, String>,
    working_directory: PathBuf,
}

impl Program {
    pub(super) fn of(running: &Running, spec: &ProcessSpec) -> Program {
        Program {
            process: running.path().to_path_buf(),
            identity: spec.identity.clone(),
            environment: spec.environment.clone(),
            working_directory: spec.working_directory.clone(),
        }
    }
}

/// All running containers, by the pod's uid and their name.
#[derive(Debug, Default)]
pub(crate) struct Programs(Mutex<BTreeMap<(String, String), Program>>);

impl Programs {
    pub(crate) fn put(&self, uid: &str, container: &str, program: Program) {
        self.lock().insert((uid.to_owned(), container.to_owned()), program);
    }

    pub(crate) fn remove(&self, uid: &str, container: &str) {
        self.lock().remove(&(uid.to_owned(), container.to_owned()));
    }

    fn find(&self, uid: &str, container: &str) -> Option<Program> {
        self.lock().get(&(uid.to_owned(), container.to_owned())).cloned()
    }

    fn any_of(&self, uid: &str) -> Option<Program> {
        self.lock().iter().find(|((owner, _), _)| owner == uid).map(|(_, program)| program.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Program>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The container as it runs now; in the kubelet's words, why there is none.
fn running(node: &NodeContext, request: &SessionRequest) -> Result<Program, NodeAccessError> {
    let SessionRequest { namespace, pod, uid, container, command, .. } = request;
    node.programs.find(uid, container).ok_or_else(|| {
        NodeAccessError::NotAvailable(match command {
            Some(_) => format!("container not found (\"{container}\")"),
            None => format!("container {container} not found in pod {pod}_{namespace}"),
        })
    })
}

/// Whether the container runs.
pub(crate) fn admit(node: &NodeContext, request: &SessionRequest) -> Result<(), NodeAccessError> {
    running(node, request).map(drop)
}

/// Whether any container of the pod runs, in the kubelet's words.
pub(crate) fn admit_ports(node: &NodeContext, pod: &Value) -> Result<(), NodeAccessError> {
    let metadata = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    if node.programs.any_of(metadata("uid")).is_some() {
        return Ok(());
    }
    let why = format!("pod not found (\"{}_{}\")", metadata("name"), metadata("namespace"));
    Err(NodeAccessError::NotAvailable(why))
}

/// Begins a conversation with a program.
pub(crate) async fn open(node: &NodeContext, request: SessionRequest) -> Result<Session, NodeAccessError> {
    let program = running(node, &request)?;
    let failed = |why: String| NodeAccessError::NotAvailable(why);
    match request.command.clone() {
        Some(command) => execute(program, command, &request)
            .await
            .map_err(|why| failed(format!("error executing command in container: {why}"))),
        None => attach(node, &request).await.map_err(|error| failed(error.to_string())),
    }
}

/// What the program gets, and what we keep.
struct Ends {
    stdin: OwnedFd,
    output: Output,
    ours: Ours,
}

#[derive(Default)]
struct Ours {
    stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    resize: Option<Box<dyn Fn(TerminalSize) + Send + Sync>>,
}

async fn execute(
    program: Program,
    command: Vec<String>,
    request: &SessionRequest,
) -> Result<Session, String> {
    if command.is_empty() {
        return Err("args must not be empty".to_owned());
    }
    let failed = |error: io::Error| error.to_string();
    let Ends { stdin, output, ours } =
        if request.tty { terminal().map_err(failed)? } else { pipes(request).map_err(failed)? };
    let mut environment = program.environment;
    if request.tty {
        environment.entry("TERM".into()).or_insert_with(|| "xterm".into());
    }
    let spec = ProcessSpec {
        place: Place::Existing { process: program.process },
        command,
        environment,
        working_directory: program.working_directory,
        identity: program.identity,
        stdin: (request.stdin || request.tty)
            .then(|| format!("/proc/{}/fd/{}", std::process::id(), stdin.as_raw_fd()).into()),
        terminal: request.tty,
    };
    let started = RunningProcess::start(&spec, output).await;
    // The program holds its own end by now, or never will.
    drop(stdin);
    let mut process = started.map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    let Ours { stdin, stdout, stderr, resize } = ours;
    let exit = Box::pin(async move { process.wait().await.status() });
    Ok(Session { stdin, stdout, stderr, resize, exit })
}

fn pipes(request: &SessionRequest) -> io::Result<Ends> {
    let mut ours = Ours::default();
    let (stdin, to_program) = io::pipe()?;
    if request.stdin {
        ours.stdin = Some(Box::new(pipe::Sender::from_owned_fd(to_program.into())?));
    }
    let output = |wanted: bool| -> io::Result<(OwnedFd, Option<Box<dyn AsyncRead + Send + Unpin>>)> {
        if !wanted {
            return Ok((std::fs::File::options().write(true).open("/dev/null")?.into(), None));
        }
        let (from_program, theirs) = io::pipe()?;
        Ok((theirs.into(), Some(Box::new(pipe::Receiver::from_owned_fd(from_program.into())?))))
    };
    let (stdout, ours_out) = output(request.stdout)?;
    let (stderr, ours_err) = output(request.stderr)?;
    (ours.stdout, ours.stderr) = (ours_out, ours_err);
    Ok(Ends { stdin: stdin.into(), output: Output { stdout, stderr }, ours })
}

fn terminal() -> io::Result<Ends> {
    let Terminal { ours, theirs } = Terminal::open()?;
    let output = Output { stdout: theirs.try_clone()?, stderr: theirs.try_clone()? };
    let (writing, sizing) = (ours.try_clone()?, ours.try_clone()?);
    let ours = Ours {
        stdin: Some(Box::new(pipe::Sender::from_owned_fd_unchecked(writing)?)),
        stdout: Some(Box::new(pipe::Receiver::from_owned_fd_unchecked(ours)?)),
        stderr: None,
        resize: Some(Box::new(move |size| {
            if let Err(error) = resize(&sizing, size.width, size.height) {
                tracing::debug!(%error, "a terminal did not take its size");
            }
        })),
    };
    Ok(Ends { stdin: theirs, output, ours })
}

/// Shows what a container's own program writes from now on. It has no input here.
async fn attach(node: &NodeContext, request: &SessionRequest) -> io::Result<Session> {
    let gone = || io::Error::other(format!("container {} has no output", request.container));
    let file = node.logs.find(&request.uid, &request.container, false).ok_or_else(gone)?;
    let mut progress = file.progress.clone();
    let options = log::Request { follow: true, tail_lines: Some(0), ..log::Request::default() };
    let pieces = log::open(file, options).await?.boxed();
    let output = tokio_util::io::StreamReader::new(pieces);
    let exit = Box::pin(async move {
        // Without a writer it has ended, too.
        let _ = progress.wait_for(|progress| progress.ended).await;
        0
    });
    let stdout: Option<Box<dyn AsyncRead + Send + Unpin>> = request.stdout.then(|| Box::new(output) as _);
    Ok(Session { stdin: None, stdout, stderr: None, resize: None, exit })
}

/// Connects to a port of a pod from inside the pod.
pub(crate) async fn connect_inside(
    node: &NodeContext,
    uid: &str,
    port: u16,
) -> Result<Box<dyn Connection>, NodeAccessError> {
    let program = node.programs.any_of(uid);
    let program =
        program.ok_or_else(|| NodeAccessError::NotAvailable(format!("no container of pod {uid} runs")))?;
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let connect = move || {
        let network = std::fs::File::open(program.process.join("ns/net"))?.into();
        let stream = inside_network(&network, || std::net::TcpStream::connect((address, port)))?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    };
    let connected =
        tokio::task::spawn_blocking(connect).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let stream = connected.and_then(tokio::net::TcpStream::from_std);
    let stream = stream.map_err(|source| NodeAccessError::Dial { address, port, source })?;
    Ok(Box::new(stream))
}
