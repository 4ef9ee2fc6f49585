//! The images of a cluster as archives on disk: what comes from the cache is archived once and kept there, what is built here is
//! archived for each cluster anew.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sandbox::{ImageReference, ImageSource};
use sha2::{Digest as _, Sha256};

use super::cache;
use crate::image::{self, WrongOperators};

/// The archive of every image, in their order. Those that are not kept are below `state`.
pub(super) async fn prepare(
    images: impl IntoIterator<Item = (ImageReference, ImageSource)>,
    state: &Path,
) -> Result<Vec<PathBuf>> {
    let (images, state): (Vec<_>, _) = (images.into_iter().collect(), state.to_owned());
    let written = tokio::task::spawn_blocking(move || write(&images, &state));
    written.await.context("failed to prepare images")?
}

fn write(images: &[(ImageReference, ImageSource)], state: &Path) -> Result<Vec<PathBuf>> {
    // Beside each other: most are there already, and the others are big.
    std::thread::scope(|scope| {
        let start = |(name, source)| scope.spawn(move || archive(name, source, state));
        let threads: Vec<_> = images.iter().map(|(name, source)| start((name, source))).collect();
        let panicked = |_| anyhow::anyhow!("a thread that makes an image panicked");
        threads.into_iter().map(|thread| thread.join().map_err(panicked)?).collect()
    })
}

/// Removes what is not kept: archives are of no use once they are loaded.
pub(super) fn remove(state: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory(state)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("failed to remove the archives of images")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn directory(state: &Path) -> PathBuf {
    state.join("archives")
}

fn archive(name: &ImageReference, source: &ImageSource, state: &Path) -> Result<PathBuf> {
    let cache = cache::directory()?;
    let real = source.files.values().map(|file| file.canonicalize()).collect::<std::io::Result<Vec<_>>>();
    let real = real.with_context(|| format!("failed to find the files of the image {name}"))?;
    let cache_root = cache.canonicalize().unwrap_or_else(|_| cache.clone());
    let stable = real.iter().all(|file| file.starts_with(&cache_root) || file.starts_with("/usr"));
    let directory = if stable { cache.join("archives").join(key(name, source)?) } else { directory(state) };
    let image = image::from_source(name, source, 0, WrongOperators::AllowedInTestCluster)?;
    let kept = directory.join(image.name.file_name());
    if stable && kept.is_file() {
        return Ok(kept);
    }
    Ok(image::save(&image, &directory)?.path)
}

/// Changes when the image's description or one of its files does.
fn key(name: &ImageReference, source: &ImageSource) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(&(name, source)).context("failed to describe an image")?);
    for file in source.files.values() {
        let data =
            std::fs::metadata(file).with_context(|| format!("failed to look at {}", file.display()))?;
        for number in [data.size().cast_signed(), data.mtime(), data.mtime_nsec()] {
            hash.update(number.to_le_bytes());
        }
    }
    Ok(hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
}
