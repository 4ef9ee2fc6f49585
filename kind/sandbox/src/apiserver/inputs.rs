//! What the API server needs from outside: time, identifiers, and a way to reach the node.
//!
//! The traits stand here so that a simulation can give its own; the system's versions are at the end.

use std::net::IpAddr;
use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

/// The wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Source of everything that must be unique or unguessable.
pub trait Identifiers: Send + 'static {
    /// A new uid, in the text form of a UUID.
    fn uid(&mut self) -> String;
    /// Five characters for `generateName`, from Kubernetes' alphabet `bcdfghjklmnpqrstvwxz2456789`.
    fn name_suffix(&mut self) -> String;
    /// A key for signing ServiceAccount tokens; asked for once.
    fn signing_key(&mut self) -> [u8; 32];
}

/// What a client asked of a container's log (`pods/log`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid, so that a log of an earlier pod of that name is never shown.
    pub uid: String,
    /// The container; already resolved and known to be in the pod.
    pub container: String,
    /// Keep the stream open and send what is added.
    pub follow: bool,
    /// The container's run before this one.
    pub previous: bool,
    /// Put an RFC 3339 time before each line.
    pub timestamps: bool,
    /// Only so many lines from the end.
    pub tail_lines: Option<u64>,
    /// Only what is younger.
    pub since_seconds: Option<u64>,
    /// Stop after so many bytes.
    pub limit_bytes: Option<u64>,
}

/// Why the node could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum NodeAccessError {
    /// The container has not started, or the run asked for left no log; sent as 400.
    #[error("{0}")]
    NotAvailable(String),
    /// Nothing accepts at that address; sent as 503.
    #[error("dial tcp {address}:{port}")]
    Dial {
        /// The pod's address.
        address: IpAddr,
        /// The port.
        port: u16,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

/// Bytes of a log as they come.
pub type LogStream = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// A byte stream to a pod.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// What a client wants of a container (`pods/exec`, `pods/attach`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRequest {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// The container; known to be in the pod.
    pub container: String,
    /// The program to run and its arguments; without one, the container's own program is meant.
    pub command: Option<Vec<String>>,
    /// The client sends input.
    pub stdin: bool,
    /// The client wants the output.
    pub stdout: bool,
    /// The client wants the errors; never with a terminal, which has one output only.
    pub stderr: bool,
    /// The program gets a terminal.
    pub tty: bool,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Lines.
    pub height: u16,
}

/// A program that a client talks to. Dropping it ends a program that was started for it.
pub struct Session {
    /// Where input goes; dropping it is its end.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// What the program writes; an error is its end.
    pub stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// What the program writes as errors.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Changes the terminal's size, if there is one.
    pub resize: Option<Box<dyn Fn(TerminalSize) + Send + Sync>>,
    /// The program's exit status, once it has ended.
    pub exit: BoxFuture<'static, i32>,
}

/// What a kubelet offers to the API server.
pub trait NodeAccess: Send + Sync + 'static {
    /// Opens a container's log.
    fn log(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, NodeAccessError>>;

    /// Connects to a port of a pod; `pod` is the pod object.
    fn connect(
        &self,
        pod: Value,
        address: IpAddr,
        port: u16,
    ) -> BoxFuture<'static, Result<Box<dyn Connection>, NodeAccessError>>;

    /// Whether such a conversation can begin at all. Asked before the connection becomes one: what is refused here is sent as 500.
    ///
    /// # Errors
    /// Why not, in a kubelet's words.
    fn admit_session(&self, _request: &SessionRequest) -> Result<(), NodeAccessError> {
        Ok(())
    }

    /// Whether ports of this pod can be forwarded at all; as [`NodeAccess::admit_session`].
    ///
    /// # Errors
    /// Why not, in a kubelet's words.
    fn admit_ports(&self, _pod: &Value) -> Result<(), NodeAccessError> {
        Ok(())
    }

    /// Runs a program in a container, or joins the container's own.
    fn open_session(&self, request: SessionRequest) -> BoxFuture<'static, Result<Session, NodeAccessError>> {
        let why = format!("this node runs no program in container {}", request.container);
        Box::pin(std::future::ready(Err(NodeAccessError::NotAvailable(why))))
    }

    /// Connects to a port from inside the pod, where it may listen on loopback only; `pod` is the pod object.
    fn forward_port(
        &self,
        _pod: Value,
        port: u16,
    ) -> BoxFuture<'static, Result<Box<dyn Connection>, NodeAccessError>> {
        let why = format!("this node forwards nothing to port {port}");
        Box::pin(std::future::ready(Err(NodeAccessError::NotAvailable(why))))
    }
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Identifiers from a random generator: seeded for a simulation, or from the system's entropy.
#[derive(Debug)]
pub struct RandomIdentifiers(rand::rngs::ChaCha8Rng);

impl RandomIdentifiers {
    /// The same seed gives the same identifiers in the same order.
    pub fn from_seed(seed: u64) -> Self {
        Self(rand::SeedableRng::seed_from_u64(seed))
    }

    /// Identifiers that nobody can guess.
    pub fn from_entropy() -> Self {
        let mut generator = rand::rng();
        Self(rand::SeedableRng::from_rng(&mut generator))
    }
}

impl Identifiers for RandomIdentifiers {
    fn uid(&mut self) -> String {
        let bytes: [u8; 16] = rand::RngExt::random(&mut self.0);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    fn name_suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).map(|_| ALPHABET[rand::RngExt::random_range(&mut self.0, 0..ALPHABET.len())] as char).collect()
    }

    fn signing_key(&mut self) -> [u8; 32] {
        rand::RngExt::random(&mut self.0)
    }
}
