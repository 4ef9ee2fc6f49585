//! What must be undone by hand if the harness dies, written and synced before it is done. Faults that end by themselves are
//! not in it. `chaos heal` finds the same things by looking at the cluster, so the journal is for people and for proof.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::record::ObjectIdentity;

/// The journal's name in a run's directory.
pub const JOURNAL_FILE: &str = "undo.jsonl";

/// One thing to undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Undo {
    /// Our finalizer is on a volume claim.
    Finalizer {
        /// The claim's namespace.
        namespace: String,
        /// The claim.
        claim: ObjectIdentity,
    },
}

impl Undo {
    /// Our finalizer on a claim.
    #[must_use]
    pub fn finalizer(namespace: &str, claim: &ObjectIdentity) -> Undo {
        Undo::Finalizer { namespace: namespace.to_owned(), claim: claim.clone() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Line<'a> {
    WillDo(&'a Undo),
    Undone(&'a Undo),
}

/// The journal of one run.
#[derive(Clone)]
pub struct Journal {
    file: Arc<Mutex<File>>,
}

impl Journal {
    /// Opens the journal in a run's directory.
    pub fn create(directory: &Path) -> Result<Journal> {
        let path = directory.join(JOURNAL_FILE);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("failed to open {}", path.display()))?;
        Ok(Journal { file: Arc::new(Mutex::new(file)) })
    }

    /// Says, before it is done, what will have to be undone. On disk when this returns.
    pub fn will_do(&self, undo: Undo) -> Result<()> {
        self.write(&Line::WillDo(&undo))
    }

    /// Says that it was undone.
    pub fn undone(&self, undo: &Undo) -> Result<()> {
        self.write(&Line::Undone(undo))
    }

    fn write(&self, line: &Line<'_>) -> Result<()> {
        let mut text = serde_json::to_string(line).context("failed to write the journal")?;
        text.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).context("failed to write the journal")
    }
}
