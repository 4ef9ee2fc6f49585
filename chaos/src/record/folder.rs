//! Reads a run's folder into memory. The only file of the judging side that does I/O.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{EVENTS_FILE, FINAL_FILE, LOAD_FILE, PROBE_FILE, RUN_FILE, SCHEDULE_FILE};

/// The bytes of a record's files by their name within the folder. A file that is not there is not in the map.
pub type RecordFiles = BTreeMap<String, Vec<u8>>;

/// Reads every file of the record that is there.
///
/// # Errors
/// A file that is there and cannot be read, with its path; a missing file is no error here.
pub fn read_folder(folder: &Path) -> Result<RecordFiles, (std::path::PathBuf, io::Error)> {
    let mut files = RecordFiles::new();
    for name in [RUN_FILE, SCHEDULE_FILE, EVENTS_FILE, LOAD_FILE, FINAL_FILE, PROBE_FILE] {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => {
                files.insert(name.to_owned(), bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err((path, error)),
        }
    }
    Ok(files)
}
