//! Two network namespaces with a cable between them: the target's, and one that holds all its peers.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use super::{Process, need_root, run, wait_until};

/// A network namespace that lives as long as a process in it.
pub(crate) struct NetworkNamespace(Process);

impl NetworkNamespace {
    fn new() -> NetworkNamespace {
        let process = Process::start(Command::new("unshare").args(["--net", "sleep", "600"]));
        let path = format!("/proc/{}/ns/net", process.id());
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        wait_until("the holder of a network namespace is in it", Duration::from_secs(10), || {
            std::fs::read_link(&path).is_ok_and(|namespace| namespace != own)
        });
        NetworkNamespace(process)
    }

    /// A command that runs inside.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.0.id())).arg("--").arg(program);
        command
    }

    /// Does something on a thread inside; sockets made there stay there.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }
}

/// The target at 10.9.0.1 and three peers at 10.9.0.2 to 10.9.0.4, each listening on etcd's peer port.
pub(crate) struct Wire {
    pub(crate) target: NetworkNamespace,
    pub(crate) peers: NetworkNamespace,
    listeners: Vec<TcpListener>,
}

/// The address of a peer, counted from 0.
pub(crate) fn peer(number: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, number + 2), 2380)
}

impl Wire {
    pub(crate) fn new() -> Wire {
        need_root();
        let (target, peers) = (NetworkNamespace::new(), NetworkNamespace::new());
        let peers_id = peers.0.id().to_string();
        let ip = |namespace: &NetworkNamespace, line: &str| {
            run(namespace.command("ip").args(line.split_whitespace()));
        };
        ip(&target, &format!("link add wire type veth peer name wire netns {peers_id}"));
        ip(&target, "address add 10.9.0.1/24 dev wire");
        for number in 0..3 {
            ip(&peers, &format!("address add {}/24 dev wire", peer(number).ip()));
        }
        for namespace in [&target, &peers] {
            ip(namespace, "link set lo up");
            ip(namespace, "link set wire up");
        }
        let listen = || (0..3).map(|number| TcpListener::bind(peer(number)).unwrap()).collect();
        let listeners = peers.inside(listen);
        Wire { target, peers, listeners }
    }

    /// Accepts a connection to a peer that was dialled before.
    pub(crate) fn accept(&self, number: u8) -> std::net::TcpStream {
        self.listeners[usize::from(number)].accept().unwrap().0
    }

    /// Whether a fresh connection from the target to a peer is established in time.
    pub(crate) fn reaches(&self, number: u8, limit: Duration) -> bool {
        self.target.inside(|| std::net::TcpStream::connect_timeout(&peer(number).into(), limit).is_ok())
    }
}
