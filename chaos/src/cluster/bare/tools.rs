//! Finding what a bare cluster is made of. Everything that is missing is named in one message, with what to do about it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sandbox::{ImageReference, ImageSource};

use super::addons::NAME_SERVER_IMAGE;
use super::config::Tools;
use super::control_groups::Hierarchies;
use super::node_files::PAUSE_IMAGE;
use crate::cluster::cache;

/// The etcd that stores the API server's objects; which one is of no matter to the clusters under test.
const STORE: &str = "images/etcd/v3.6.16/etcd";
/// kube-proxy's mode `nftables` needs it (<https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-nftables>).
const OLDEST_KERNEL: (u32, u32) = (5, 13);
/// Where distributions put the network plugins: Debian, then everybody else.
const PLUGIN_PLACES: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// The programs that make images of their own.
#[derive(Clone, Debug)]
pub(super) struct ImagePrograms {
    /// Holds a pod's namespaces open.
    pub(super) catatonit: PathBuf,
    pub(super) coredns: PathBuf,
}

impl ImagePrograms {
    /// The images that they make.
    pub(super) fn images(&self) -> [(ImageReference, ImageSource); 2] {
        let pause = single("/pause", &self.catatonit, &["/pause", "-P"]);
        let names = single("/coredns", &self.coredns, &["/coredns"]);
        [(ImageReference::from(PAUSE_IMAGE), pause), (ImageReference::from(NAME_SERVER_IMAGE), names)]
    }
}

fn single(in_image: &str, on_host: &Path, entrypoint: &[&str]) -> ImageSource {
    ImageSource {
        files: BTreeMap::from([(PathBuf::from(in_image), on_host.to_owned())]),
        entrypoint: entrypoint.iter().map(|word| (*word).to_owned()).collect(),
        environment: BTreeMap::new(),
        user: None,
    }
}

/// Whether a bare cluster can be started here, as far as that shows before anything is made.
pub(super) fn check(listen: SocketAddr) -> Result<()> {
    require_root()?;
    require_kernel()?;
    Hierarchies::read()?;
    require_free(listen)?;
    find().map(drop)
}

fn require_free(listen: SocketAddr) -> Result<()> {
    let free = TcpListener::bind(listen).map(drop);
    free.with_context(|| {
        format!("the API of the bare cluster cannot listen on {listen}; give another address with --listen, port 0 takes a free one")
    })
}

fn require_root() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    bail!(
        "a bare cluster makes pid, network and mount namespaces and control groups: run it as root, or use --cluster current \
         --context NAME"
    )
}

fn require_kernel() -> Result<()> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .context("failed to read the kernel's release")?;
    too_old(release.trim()).map_or(Ok(()), |complaint| bail!(complaint))
}

/// What to say of a kernel that cannot do it. A release that does not begin with two numbers is somebody's own: let them try.
fn too_old(release: &str) -> Option<String> {
    let (major, minor) = OLDEST_KERNEL;
    (version(release)? < OLDEST_KERNEL).then(|| {
        format!(
            "the kernel {release} is too old for a bare cluster: its Services need Linux {major}.{minor} or newer; use --cluster \
             sandbox"
        )
    })
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The programs, or one message that names all that are missing.
pub(super) fn find() -> Result<(Tools, ImagePrograms)> {
    let cache = cache::directory()?;
    let mut search = Search { missing_packages: Vec::new(), missing_builds: Vec::new() };
    let tools = Tools {
        kubernetes: search.build(&cache, "tools/kubernetes/kubernetes"),
        etcd: search.build(&cache, STORE),
        containerd: search.program("containerd", "containerd"),
        ctr: search.program("ctr", "containerd"),
        runc: search.program("runc", "runc"),
        plugins: search.plugins(),
    };
    let images = ImagePrograms {
        catatonit: search.program("catatonit", "catatonit"),
        coredns: search.build(&cache, "tools/coredns/coredns"),
    };
    search.program("nft", "nftables");
    search.program("mount", "mount");
    search.complaint().map_or(Ok((tools, images)), |complaint| bail!(complaint))
}

struct Search {
    missing_packages: Vec<&'static str>,
    missing_builds: Vec<PathBuf>,
}

impl Search {
    fn program(&mut self, name: &str, package: &'static str) -> PathBuf {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Programs of the administrator are not on every user's path.
        let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        let found = places.map(|place| place.join(name)).find(|file| file.is_file());
        self.or_missing(found, package)
    }

    fn plugins(&mut self) -> PathBuf {
        let complete =
            |place: &PathBuf| ["ptp", "host-local", "loopback"].iter().all(|name| place.join(name).is_file());
        let found = PLUGIN_PLACES.iter().map(PathBuf::from).find(complete);
        self.or_missing(found, "containernetworking-plugins")
    }

    fn or_missing(&mut self, found: Option<PathBuf>, package: &'static str) -> PathBuf {
        if found.is_none() && !self.missing_packages.contains(&package) {
            self.missing_packages.push(package);
        }
        found.unwrap_or_default()
    }

    fn build(&mut self, cache: &Path, name: &str) -> PathBuf {
        let path = cache.join(name);
        // The name in the cache is a link that moves on with the recipe; a cluster keeps what it started with.
        let real = path.canonicalize().ok().filter(|real| real.is_file());
        if real.is_none() {
            self.missing_builds.push(path);
        }
        real.unwrap_or_default()
    }

    fn complaint(&self) -> Option<String> {
        let mut wants = Vec::new();
        if !self.missing_packages.is_empty() {
            let packages = self.missing_packages.join(" ");
            wants.push(format!("the programs of the Debian packages {packages}: install them with `apt-get install {packages}`"));
        }
        if !self.missing_builds.is_empty() {
            let files: Vec<String> =
                self.missing_builds.iter().map(|path| path.display().to_string()).collect();
            wants.push(format!("{}: build them with `ci/images`", files.join(", ")));
        }
        (!wants.is_empty()).then(|| format!("a bare cluster needs {}", wants.join("; and ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_is_too_old_is_named_with_what_to_do() {
        assert_eq!(
            too_old("5.9.0-1-amd64").as_deref(),
            Some(
                "the kernel 5.9.0-1-amd64 is too old for a bare cluster: its Services need Linux 5.13 or newer; use --cluster \
                 sandbox"
            )
        );
        for enough in ["5.13.0", "6.1-rc3", "10.0", "custom"] {
            assert_eq!(too_old(enough), None);
        }
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let search = Search {
            missing_packages: vec!["runc", "nftables"],
            missing_builds: vec!["/cache/coredns".into()],
        };
        assert_eq!(
            search.complaint().as_deref(),
            Some(
                "a bare cluster needs the programs of the Debian packages runc nftables: install them with `apt-get install \
                 runc nftables`; and /cache/coredns: build them with `ci/images`"
            )
        );
    }
}
