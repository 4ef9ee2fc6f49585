//! What of the host a cluster or a container engine could have changed.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Everything that is compared; whatever differs is printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Host {
    rules: String,
    links: BTreeSet<String>,
    routes: String,
    mounts: BTreeSet<String>,
    directories: BTreeSet<String>,
    control_groups: BTreeSet<String>,
    parameters: Vec<String>,
}

pub(crate) fn host() -> Host {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let names = |path: &str| -> Vec<String> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().display().to_string()).collect()
    };
    let watched = [
        "/run",
        "/run/containerd",
        "/run/netns",
        "/var/lib",
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/var/log",
        "/opt",
        "/etc/cni",
        "/etc/containerd",
        "/etc/docker",
        "/var/lib/docker",
        "/usr/libexec",
    ];
    let parameters = [
        "kernel/keys/root_maxbytes",
        "kernel/keys/root_maxkeys",
        "kernel/panic",
        "kernel/panic_on_oops",
        "kernel/pid_max",
        "net/ipv4/ip_forward",
        "vm/overcommit_memory",
        "vm/panic_on_oom",
    ];
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    Host {
        // Without counters and the elements that other programs' sets learn by themselves.
        rules: said("nft", &["--stateless", "list", "ruleset"]),
        links: said("ip", &["-o", "link", "show"])
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .map(str::to_owned)
            .collect(),
        routes: said("ip", &["route", "show", "table", "all"]),
        // Without the number that the kernel gives each mount.
        mounts: mounts.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).map(str::to_owned).collect(),
        directories: watched.iter().flat_map(|path| names(path)).collect(),
        // Those of clusters and engines are looked at by their own names.
        control_groups: names("/sys/fs/cgroup")
            .iter()
            .flat_map(|hierarchy| names(hierarchy))
            .filter(|path| !path.contains("/etcd-chaos.") && !path.contains("/etcd-chaos-engine."))
            .collect(),
        parameters: parameters
            .iter()
            .map(|name| fs::read_to_string(format!("/proc/sys/{name}")).unwrap())
            .collect(),
    }
}

impl Host {
    /// Fails with what is different, and nothing else of it.
    pub(crate) fn assert_is(&self, before: &Host) {
        let lines = |host: &Host| format!("{host:#?}").lines().map(str::to_owned).collect::<BTreeSet<_>>();
        let (before, now) = (lines(before), lines(self));
        let gone: Vec<_> = before.difference(&now).collect();
        let new: Vec<_> = now.difference(&before).collect();
        assert!(gone.is_empty() && new.is_empty(), "the host has changed; gone: {gone:#?}, new: {new:#?}");
    }
}
