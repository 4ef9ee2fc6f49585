//! Reads a run's folder into memory. The only file of the judging side that does I/O.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{AssembleError, FILES, RunRecord};

/// The bytes of a record's files by their name within the folder. A file that is not there is not in the map.
pub type RecordFiles = BTreeMap<String, Vec<u8>>;

/// Why a folder cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file is there and cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not the folder of a run.
    #[error("failed to read the run in {}", folder.display())]
    Assemble {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: AssembleError,
    },
}

/// Reads a run's folder.
///
/// # Errors
/// A file that cannot be read, or a folder without a run. A broken record is no error: see [`RunRecord::problems`].
pub fn open(folder: &Path) -> Result<RunRecord, OpenError> {
    let files = read_folder(folder)?;
    RunRecord::assemble(&files).map_err(|source| OpenError::Assemble { folder: folder.to_owned(), source })
}

/// Reads every file of the record that is there.
///
/// # Errors
/// A file that is there and cannot be read; a missing file is no error here.
pub fn read_folder(folder: &Path) -> Result<RecordFiles, OpenError> {
    let mut files = RecordFiles::new();
    for name in FILES {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => {
                files.insert(name.to_owned(), bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(OpenError::Read { path, source }),
        }
    }
    Ok(files)
}
