//! From what a cluster knows about an image to an archive on disk. Refuses what could not run in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sandbox::{ImageReference, ImageSource};

use super::archive::Written;
use super::{Architecture, Image, ImageFile, Program};

/// All files of our images are programs.
const PROGRAM_MODE: u32 = 0o755;
/// What the variable means: <https://reproducible-builds.org/specs/source-date-epoch/>.
const TIME_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// Whether an operator built with the feature `mutants` may go into an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongOperators {
    /// Never for an archive that leaves this machine.
    Refused,
    /// For a test cluster that ends with the run.
    AllowedInTestCluster,
}

/// An archive on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it holds.
    pub written: Written,
}

/// The time that images carry: `SOURCE_DATE_EPOCH` if it is set, else 0 (1970).
pub fn created_seconds() -> Result<u32> {
    match std::env::var(TIME_VARIABLE) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("failed to read {TIME_VARIABLE}={text:?} as whole seconds since 1970")),
        Err(std::env::VarError::NotPresent) => Ok(0),
        Err(error) => Err(error).with_context(|| format!("failed to read {TIME_VARIABLE}")),
    }
}

/// The image that `source` describes, if every program of it can run on nothing but a kernel.
pub fn from_source(
    name: &ImageReference,
    source: &ImageSource,
    created_seconds: u32,
    wrong_operators: WrongOperators,
) -> Result<Image> {
    let name = name.as_str().parse().map_err(anyhow::Error::msg)?;
    let mut architecture = None;
    for file in source.files.values() {
        let program = inspect(file, wrong_operators)?;
        if architecture.is_some_and(|first: Architecture| first != program.architecture) {
            bail!("{} is for another processor than the image's other programs", file.display());
        }
        architecture = Some(program.architecture);
    }
    let Some(architecture) = architecture else {
        bail!("the image {name} has no files");
    };
    let file = |source: &PathBuf| ImageFile { source: source.clone(), mode: PROGRAM_MODE };
    Ok(Image {
        name,
        architecture,
        files: source.files.iter().map(|(path, on_host)| (path.clone(), file(on_host))).collect(),
        entrypoint: source.entrypoint.clone(),
        environment: source.environment.clone(),
        user: source.user,
        labels: BTreeMap::new(),
        created_seconds,
    })
}

fn inspect(file: &Path, wrong_operators: WrongOperators) -> Result<Program> {
    let shown = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("failed to read {shown}"))?;
    let program = Program::read(&bytes)
        .map_err(|reason| anyhow::anyhow!("{shown} cannot go into an image: {reason}"))?;
    if !program.is_static {
        bail!(
            "{shown} cannot go into an image: it needs a dynamic loader, and the image holds nothing else; build it static"
        );
    }
    if program.is_wrong_operator && wrong_operators == WrongOperators::Refused {
        bail!(
            "{shown} cannot go into an image: it was built with the feature `mutants`, whose operators are wrong on purpose"
        );
    }
    Ok(program)
}

/// Writes the archive of `image` into `directory` under its own name. The file appears whole or not at all.
pub fn save(image: &Image, directory: &Path) -> Result<ArchiveFile> {
    std::fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
    let path = directory.join(image.name.file_name());
    // A process number would not do: two namespaces of processes may share the directory.
    let partial = directory.join(format!(".{}.{}", image.name.file_name(), uuid::Uuid::new_v4().simple()));
    let saved = save_as(image, &partial, &path);
    if saved.is_err() {
        // What could not be written is of no use; if it cannot be removed either, the first error says more.
        let _ = std::fs::remove_file(&partial);
    }
    saved.with_context(|| format!("failed to write the image {} to {}", image.name, path.display()))
}

fn save_as(image: &Image, partial: &Path, path: &Path) -> Result<ArchiveFile> {
    let file = File::create(partial).with_context(|| format!("failed to make {}", partial.display()))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let written = super::write(image, &mut file)?;
    file.flush().context("failed to write the last bytes")?;
    std::fs::rename(partial, path).with_context(|| format!("failed to name it {}", path.display()))?;
    Ok(ArchiveFile { path: path.to_owned(), written })
}
