//! Real etcd members on loopback, from the cache of built images.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Process, wait_until};

const VERSION: &str = "v3.6.16";

/// The etcd binary; panics with the command that builds it when it is missing.
pub(crate) fn binary() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    let cache = std::env::var_os("CHAOS_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(home).join("etcd-chaos")
    });
    let binary = cache.join("images/etcd").join(VERSION).join("etcd");
    assert!(binary.exists(), "there is no {}: run `ci/images` to build it", binary.display());
    binary
}

/// An address on loopback that nobody uses at this moment.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A cluster of members on loopback, each with its own data directory.
pub(crate) struct Etcd {
    directory: tempfile::TempDir,
    members: Vec<Member>,
    spoken: Spoken,
    extra_arguments: Vec<String>,
}

/// What members speak on their client ports.
#[derive(Clone, Copy)]
pub(crate) enum Spoken {
    PlainText,
    Both,
    Tls,
}

impl Spoken {
    fn schemes(self) -> &'static [&'static str] {
        match self {
            Spoken::PlainText => &["http"],
            Spoken::Both => &["http", "https"],
            Spoken::Tls => &["https"],
        }
    }
}

struct Member {
    client: SocketAddr,
    peer: SocketAddr,
    process: Option<Process>,
}

impl Etcd {
    /// Starts a cluster and waits until each member answers on its client port.
    pub(crate) fn start(size: usize) -> Etcd {
        Etcd::start_with(size, &[])
    }

    /// Starts a cluster whose members get more arguments.
    pub(crate) fn start_with(size: usize, extra_arguments: &[&str]) -> Etcd {
        Etcd::start_speaking(Spoken::PlainText, size, extra_arguments)
    }

    /// Starts a cluster whose members speak TLS or both with clients; the arguments tell them with which certificate.
    pub(crate) fn start_speaking(spoken: Spoken, size: usize, extra_arguments: &[&str]) -> Etcd {
        let extra_arguments = extra_arguments.iter().copied().map(str::to_owned).collect();
        let member = |_| Member { client: free_address(), peer: free_address(), process: None };
        let members = (0..size).map(member).collect();
        let directory = tempfile::tempdir().unwrap();
        let mut etcd = Etcd { directory, members, spoken, extra_arguments };
        for number in 0..size {
            etcd.spawn(number);
        }
        (0..size).for_each(|number| etcd.wait_until_listening(number));
        etcd
    }

    /// The client URL of a member.
    pub(crate) fn url(&self, number: usize) -> String {
        format!("http://{}", self.members[number].client)
    }

    /// What a member speaks when it is started the next time.
    pub(crate) fn will_speak(&mut self, spoken: Spoken) {
        self.spoken = spoken;
    }

    /// The client address of a member.
    pub(crate) fn client(&self, number: usize) -> SocketAddr {
        self.members[number].client
    }

    /// Kills a member with SIGKILL.
    pub(crate) fn kill(&mut self, number: usize) {
        self.members[number].process = None;
    }

    /// Starts a killed member on its old data.
    pub(crate) fn restart(&mut self, number: usize) {
        self.spawn(number);
        self.wait_until_listening(number);
    }

    /// Stops or continues a member by a signal.
    pub(crate) fn signal(&self, number: usize, signal: Signal) {
        let process = self.members[number].process.as_ref().expect("the member runs");
        kill(Pid::from_raw(i32::try_from(process.id()).unwrap()), signal).unwrap();
    }

    fn spawn(&mut self, number: usize) {
        let mut command = Command::new(binary());
        command.args(self.arguments(number)).stdout(Stdio::null()).stderr(Stdio::null());
        self.members[number].process = Some(Process::start(&mut command));
    }

    fn arguments(&self, number: usize) -> Vec<String> {
        let name = |number: usize| format!("member-{number}");
        let peers = self.members.iter().enumerate();
        let cluster: Vec<String> =
            peers.map(|(number, member)| format!("{}=http://{}", name(number), member.peer)).collect();
        let member = &self.members[number];
        let urls = self.spoken.schemes().iter().map(|scheme| format!("{scheme}://{}", member.client));
        let (client, peer) = (urls.collect::<Vec<_>>().join(","), format!("http://{}", member.peer));
        single_member_arguments(&self.directory.path().join(name(number)), &client, &peer)
            .into_iter()
            .chain([format!("--name={}", name(number)), format!("--initial-cluster={}", cluster.join(","))])
            .chain(self.extra_arguments.iter().cloned())
            .collect()
    }

    fn wait_until_listening(&self, number: usize) {
        let address = self.members[number].client;
        wait_until("etcd listens", Duration::from_secs(30), || TcpStream::connect(address).is_ok());
    }
}

/// The arguments of a member, without its name and its cluster.
pub(crate) fn single_member_arguments(data: &Path, client: &str, peer: &str) -> Vec<String> {
    vec![
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        "--heartbeat-interval=50".to_owned(),
        "--election-timeout=500".to_owned(),
        "--log-level=error".to_owned(),
    ]
}
