//! Where built images and lasting clusters are kept between runs. Never fills the cache: `ci/images` does.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// The cache directory: `$CHAOS_CACHE`, else `$XDG_CACHE_HOME/etcd-chaos`, else `~/.cache/etcd-chaos`.
pub fn directory() -> Result<PathBuf> {
    let from_variable =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(directory) = from_variable("CHAOS_CACHE") {
        return Ok(directory);
    }
    if let Some(directory) = from_variable("XDG_CACHE_HOME") {
        return Ok(directory.join("etcd-chaos"));
    }
    match from_variable("HOME") {
        Some(home) => Ok(home.join(".cache/etcd-chaos")),
        None => bail!("no cache directory: set CHAOS_CACHE, XDG_CACHE_HOME or HOME"),
    }
}
