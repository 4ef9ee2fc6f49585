//! A member's pod made of nothing but namespaces: a root directory laid out as the pod template does it, a network of its
//! own, the gate's binary and a real etcd. It knows no Kubernetes.

use super::etcd;
use etcd_operator::etcd::{Access, Connector, EtcdPort};
use etcd_operator_core::gate::{
    ClusterState, FORMAT, GateConfiguration, InitialMember, OLDEST_READER, Permit, Stamp,
};
use etcd_operator_core::names::{
    ANNOTATION_PERMIT, ClusterIdentity, MemberName, Naming, PermitId, STAMP_PATH, Scheme,
};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, chroot, geteuid};
use std::fs::{self, File, Permissions};
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Where the kubelet would have put the file for the container's last words.
pub(crate) const TERMINATION_LOG: &str = "/dev/termination-log";
/// The boot counter, beside the stamp.
pub(crate) const BOOT_COUNTER: &str = "/var/lib/etcd/boot-counter";
/// What the pod's processes said.
const LOG: &str = "/tmp/log";
const ANNOTATIONS: &str = "/etc/pod-info/annotations";

/// The addresses of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// `::1` and `fd00::1`, and of IPv4 only `127.0.0.1`, which Linux gives to each loopback: an IPv6-only cluster.
    Ipv6,
    /// `::1` and `fd00::1`, and no address of IPv4, not even on loopback.
    Ipv6Alone,
    /// `127.0.0.1` and `10.0.0.1`; IPv6 is switched off.
    Ipv4Alone,
    /// All four.
    DualStack,
}

impl Network {
    /// Every address that something in the pod must answer on.
    pub(crate) fn addresses(self) -> Vec<IpAddr> {
        let addresses: &[&str] = match self {
            Network::Ipv6 => &["::1", "fd00::1", "127.0.0.1"],
            Network::Ipv6Alone => &["::1", "fd00::1"],
            Network::Ipv4Alone => &["127.0.0.1", "10.0.0.1"],
            Network::DualStack => &["::1", "fd00::1", "127.0.0.1", "10.0.0.1"],
        };
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    /// Gives the calling thread's network namespace its addresses.
    fn configure(self) {
        let switch = if self == Network::Ipv4Alone { "1" } else { "0" };
        for interfaces in ["all", "default", "lo"] {
            fs::write(format!("/proc/sys/net/ipv6/conf/{interfaces}/disable_ipv6"), switch).unwrap();
        }
        ip("link set lo up");
        match self {
            Network::Ipv6 => ip("address add fd00::1/128 dev lo"),
            Network::Ipv6Alone => {
                ip("address add fd00::1/128 dev lo");
                ip("address delete 127.0.0.1/8 dev lo");
            }
            Network::Ipv4Alone => ip("address add 10.0.0.1/32 dev lo"),
            Network::DualStack => {
                ip("address add fd00::1/128 dev lo");
                ip("address add 10.0.0.1/32 dev lo");
            }
        }
        self.wait_for_addresses();
    }

    /// Waits until the pod has its addresses and no other: the kernel looks for duplicates of a new one first.
    fn wait_for_addresses(self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        for address in Network::DualStack.addresses() {
            while UdpSocket::bind((address, 0)).is_ok() != self.addresses().contains(&address) {
                assert!(Instant::now() < deadline, "{self:?} and {address}");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs `work` on a thread that is inside a fresh pod: its network, its mounts and its root are the pod's.
pub(crate) fn inside<T: Send>(network: Network, work: impl FnOnce() -> T + Send) -> T {
    assert!(geteuid().is_root(), "this test makes namespaces and mounts: run it as root");
    let root = tempfile::tempdir().unwrap();
    let etcd = etcd::binary();
    let done = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
            network.configure();
            lay_out(root.path(), &etcd);
            chroot(root.path()).unwrap();
            std::env::set_current_dir("/").unwrap();
            work()
        });
        thread.join()
    });
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The pod's file system: the volume, the emptyDir with the gate in it, the downward API and etcd's image.
fn lay_out(root: &Path, etcd: &Path) {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    for directory in ["var/lib/etcd", "gate", "etc/pod-info", "usr/local/bin", "dev", "tmp"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for (source, target) in [
        (Path::new(env!("CARGO_BIN_EXE_etcd-operator")), "gate/etcd-operator"),
        (etcd, "usr/local/bin/etcd"),
        (Path::new("/dev/null"), "dev/null"),
    ] {
        let target = root.join(target);
        File::create(&target).unwrap();
        mount(Some(&source.canonicalize().unwrap()), &target, none, MsFlags::MS_BIND, none).unwrap();
    }
    let write = |path: &str, text: &str| fs::write(root.join(path.trim_start_matches('/')), text).unwrap();
    write(ANNOTATIONS, "");
    write("etc/pod-info/uid", "pod-uid");
    write(TERMINATION_LOG, "");
    let peers = MemberIdentity::new().host();
    write("etc/hosts", &format!("::1 localhost\n127.0.0.1 localhost\nfd00::1 {peers}\n10.0.0.1 {peers}\n"));
    for (path, mode) in [("", 0o755), ("gate", 0o777), ("dev/termination-log", 0o666), ("tmp", 0o1777)] {
        fs::set_permissions(root.join(path), Permissions::from_mode(mode)).unwrap();
    }
}

/// Who the pod's member is.
struct MemberIdentity {
    cluster: ClusterIdentity,
    member: MemberName,
}

impl MemberIdentity {
    fn new() -> Self {
        let cluster = ClusterIdentity {
            name: "c".to_owned(),
            namespace: "ns".to_owned(),
            uid: "cluster-uid".to_owned(),
            naming: Naming::ByUid,
        };
        let member = MemberName::parse(&cluster, "c-abcde").unwrap();
        Self { cluster, member }
    }

    fn host(&self) -> String {
        let url: http::Uri = self.cluster.peer_url(Scheme::Http, &self.member).parse().unwrap();
        url.host().unwrap().to_owned()
    }

    fn configuration(&self) -> GateConfiguration {
        GateConfiguration {
            format: FORMAT,
            oldest_reader: OLDEST_READER,
            cluster: self.cluster.clone(),
            member: self.member.clone(),
            etcd_version: "3.6.16".to_owned(),
            quota_backend_bytes: Some(1 << 30),
            options: etcd_operator_core::etcd_options::EtcdOptions::default(),
            tls: None,
        }
    }

    fn permit(&self) -> Permit {
        Permit {
            format: FORMAT,
            oldest_reader: OLDEST_READER,
            id: PermitId("permit".to_owned()),
            pod_uid: "pod-uid".to_owned(),
            cluster_uid: self.cluster.uid.clone(),
            cluster_id: None,
            member_id: None,
            token: self.cluster.token(1),
            state: ClusterState::New,
            initial_cluster: vec![InitialMember {
                peer_url: self.cluster.peer_url(Scheme::Http, &self.member),
                name: self.member.clone(),
            }],
            member: self.member.clone(),
            fence_epoch: 0,
        }
    }
}

/// Gives the pod its permit, as the downward API shows it.
pub(crate) fn give_permit() {
    let permit = serde_json::to_string(&MemberIdentity::new().permit()).unwrap();
    let quoted = serde_json::to_string(&permit).unwrap();
    fs::write(ANNOTATIONS, format!("{ANNOTATION_PERMIT}={quoted}\n")).unwrap();
}

/// The stamp on the volume.
pub(crate) fn stamp() -> Stamp {
    serde_json::from_slice(&fs::read(STAMP_PATH).unwrap()).unwrap()
}

/// A process in the pod, killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts the container's first process: the gate, which becomes etcd.
    pub(crate) fn gate() -> Self {
        Self::gate_as(0, 0)
    }

    /// The same as another user and group, who are in no further group.
    pub(crate) fn gate_as(user: u32, group: u32) -> Self {
        let configuration = serde_json::to_string(&MemberIdentity::new().configuration()).unwrap();
        Self::start(Command::new("/gate/etcd-operator").args(["gate", &configuration]).uid(user).gid(group))
    }

    /// Starts any program. What it says goes to the pod's log.
    pub(crate) fn start(command: &mut Command) -> Self {
        let log = File::options().create(true).append(true).open(LOG).unwrap();
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        Self(spawned.unwrap())
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn end(mut self) -> ExitStatus {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a fact; a minute only bounds the failure.
pub(crate) async fn eventually<T, E: std::fmt::Debug>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match look().await {
            Ok(found) => return found,
            Err(error) => {
                let said = || fs::read_to_string(LOG).unwrap_or_default();
                assert!(
                    Instant::now() < deadline,
                    "{what} never happened: {error:?}; the pod said: {}",
                    said()
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until etcd answers at an address of the pod with its member list, as the operator reads it.
pub(crate) async fn wait_for_etcd(address: IpAddr) {
    let access = Access::default();
    let endpoint = access.endpoint(&address.to_string());
    let member = Connector::default().member(&endpoint, &access);
    let list = eventually(&format!("a member list from {endpoint}"), async || member.members().await).await;
    let status = member.status().await.unwrap();
    assert_eq!(list.members.len(), 1, "{endpoint}");
    assert_eq!((list.members[0].id, list.members[0].name.as_str()), (status.member_id, "c-abcde"));
    assert_eq!(status.leader, Some(status.member_id));
}

/// A runtime whose only thread is the calling one, so that its sockets are the pod's.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
