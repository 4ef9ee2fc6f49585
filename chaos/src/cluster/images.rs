//! Which image names a sandbox knows and which files on this machine stand behind them. Never builds an image.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sandbox::{ImageReference, ImageSource};

use super::cache;

/// The image that the operator's manifest names.
pub const OPERATOR_IMAGE: &str = concat!("etcd-operator:v", env!("CARGO_PKG_VERSION"));
/// The image that load, probe and agent run from.
pub const CHAOS_IMAGE: &str = concat!("chaos:v", env!("CARGO_PKG_VERSION"));
/// The repository of etcd's images, as the operator defaults it.
const ETCD_REPOSITORY: &str = "quay.io/coreos/etcd";
const ETCD_BINARIES: [&str; 3] = ["etcd", "etcdctl", "etcdutl"];

/// The images of a sandbox, checked to be there before anything is started.
#[derive(Clone, Debug)]
pub struct SandboxImages {
    /// Each image that pods may name.
    pub sources: BTreeMap<ImageReference, ImageSource>,
}

/// Images by name.
pub type Sources = BTreeMap<ImageReference, ImageSource>;

impl SandboxImages {
    /// Collects both binaries of this project and every etcd version in the cache; a cache without any is refused.
    pub fn collect(operator_binary: Option<&Path>) -> Result<SandboxImages> {
        let mut sources = etcd()?;
        sources.append(&mut operator(operator_binary)?);
        sources.append(&mut chaos(None)?);
        Ok(SandboxImages { sources })
    }

    /// The same without etcd of any version but these: what a run does not start need not be put into nodes.
    pub fn with_etcd_of(&self, versions: &BTreeSet<&str>) -> SandboxImages {
        let prefix = format!("{ETCD_REPOSITORY}:v");
        let needed = |name: &str| name.strip_prefix(&prefix).is_none_or(|other| versions.contains(other));
        let kept = self.sources.iter().filter(|(name, _)| needed(name.as_str()));
        SandboxImages { sources: kept.map(|(name, source)| (name.clone(), source.clone())).collect() }
    }
}

/// The operator's image, from the binary beside this program unless another is named.
pub fn operator(binary: Option<&Path>) -> Result<Sources> {
    let binary = binary.map_or_else(default_operator_binary, |path| Ok(path.to_owned()))?;
    named_operator(OPERATOR_IMAGE, &binary)
}

/// An image of the operator under a name of its own.
pub fn named_operator(image: &str, binary: &Path) -> Result<Sources> {
    Ok(Sources::from([(ImageReference::from(image), single_binary(binary, "/etcd-operator")?)]))
}

/// The image of load, probe and agent, from this program unless another is named.
pub fn chaos(binary: Option<&Path>) -> Result<Sources> {
    let binary = binary.map_or_else(this_program, |path| Ok(path.to_owned()))?;
    let source = single_binary(&binary, "/chaos")?;
    Ok(Sources::from([(ImageReference::from(CHAOS_IMAGE), source)]))
}

/// Every etcd version in the cache; a cache without any is refused.
pub fn etcd() -> Result<Sources> {
    let versions = etcd_versions()?;
    if versions.is_empty() {
        bail!(
            "there is no etcd image in the cache {}: build them with `ci/images`",
            cache::directory()?.display()
        );
    }
    let named = |(version, directory): (String, PathBuf)| {
        let name = format!("{ETCD_REPOSITORY}:v{version}");
        (ImageReference::from(name.as_str()), etcd_image(&directory))
    };
    Ok(versions.into_iter().map(named).collect())
}

/// The operator binary that a sandbox runs unless another is named: the one beside this program.
pub fn default_operator_binary() -> Result<PathBuf> {
    Ok(this_program()?.with_file_name("etcd-operator"))
}

fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("failed to find this program's own file")
}

fn single_binary(on_host: &Path, in_container: &str) -> Result<ImageSource> {
    let executable = std::fs::metadata(on_host).is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0);
    if !executable {
        bail!(
            "the binary for {in_container} is missing: {} is not an executable file; build it with `cargo build -p \
             etcd-operator`, or name another with --operator-binary",
            on_host.display()
        );
    }
    Ok(ImageSource {
        files: BTreeMap::from([(PathBuf::from(in_container), on_host.to_owned())]),
        entrypoint: vec![in_container.to_owned()],
        environment: BTreeMap::new(),
        user: Some(65532),
    })
}

fn etcd_image(directory: &Path) -> ImageSource {
    let files = ETCD_BINARIES
        .iter()
        .map(|name| (Path::new("/usr/local/bin").join(name), directory.join(name)))
        .collect();
    let path = ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned());
    ImageSource {
        files,
        entrypoint: vec!["/usr/local/bin/etcd".to_owned()],
        environment: BTreeMap::from([path]),
        user: None,
    }
}

/// Complete etcd images in the cache, by version.
fn etcd_versions() -> Result<BTreeMap<String, PathBuf>> {
    let directory = cache::directory()?.join("images/etcd");
    let mut versions = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(&directory) else {
        return Ok(versions);
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to read {}", directory.display()))?;
        let name = entry.file_name();
        let version = name.to_str().and_then(|name| name.strip_prefix('v'));
        let complete = ETCD_BINARIES.iter().all(|binary| entry.path().join(binary).is_file());
        if let (Some(version), true) = (version, complete) {
            versions.insert(version.to_owned(), entry.path());
        }
    }
    Ok(versions)
}

/// What to say if an etcd version is not in the cache; nothing if it is there.
pub fn missing_etcd(version: &str) -> Result<Option<String>> {
    let present = etcd_versions()?;
    if present.contains_key(version) {
        return Ok(None);
    }
    let names: Vec<&str> = present.keys().map(String::as_str).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let cache = cache::directory()?;
    Ok(Some(format!(
        "the etcd image v{version} is not in the cache {} (there: {names}); build it with `ci/images`",
        cache.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_etcd_only_the_versions_of_a_run_are_kept_and_other_images_stay() {
        let source = etcd_image(Path::new("/etcd"));
        let named = |name: &str| (ImageReference::from(name), source.clone());
        let names =
            [CHAOS_IMAGE, OPERATOR_IMAGE, "quay.io/coreos/etcd:v3.5.35", "quay.io/coreos/etcd:v3.6.16"];
        let images = SandboxImages { sources: names.into_iter().map(named).collect() };
        let kept = |versions: &[&str]| {
            let kept = images.with_etcd_of(&versions.iter().copied().collect()).sources;
            kept.into_keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(kept(&["3.6.16"]), [CHAOS_IMAGE, OPERATOR_IMAGE, "quay.io/coreos/etcd:v3.6.16"]);
        assert_eq!(kept(&["3.5.35", "3.6.16"]), names);
    }
}
