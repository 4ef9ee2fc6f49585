//! Writes another text over every place where a text stands in a file. The file keeps its length and its owner keeps it open; nothing
//! else in it changes.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use anyhow::Context;

use super::output;
use super::protocol::{Observation, SpoilFault};

/// Carries the fault out and measures it.
pub(super) fn spoil(fault: &SpoilFault) -> anyhow::Result<()> {
    output::before(observe(fault)?)?;
    write_over(fault)?;
    output::applied(None)?;
    output::after(observe(fault)?)
}

fn observe(fault: &SpoilFault) -> anyhow::Result<Observation> {
    Ok(Observation::File { places: places(fault)?.len() as u64 })
}

/// Where the old text stands, in bytes from the file's beginning.
fn places(fault: &SpoilFault) -> anyhow::Result<Vec<u64>> {
    let content =
        fs::read(&fault.path).with_context(|| format!("failed to read {}", fault.path.display()))?;
    let old = fault.old.as_bytes();
    Ok(content.windows(old.len()).zip(0..).filter(|(there, _)| *there == old).map(|(_, at)| at).collect())
}

fn write_over(fault: &SpoilFault) -> anyhow::Result<()> {
    let writing = || format!("failed to write over {}", fault.path.display());
    let file: File = OpenOptions::new().write(true).open(&fault.path).with_context(writing)?;
    for at in places(fault)? {
        file.write_all_at(fault.new.as_bytes(), at).with_context(writing)?;
    }
    file.sync_all().with_context(writing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_written_over_and_the_rest_stays() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"a=right b=right c=rig").unwrap();
        let fault =
            SpoilFault { path: file.path().to_owned(), old: "right".to_owned(), new: "wrong".to_owned() };
        assert_eq!(places(&fault).unwrap(), [2, 10]);
        write_over(&fault).unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), b"a=wrong b=wrong c=rig");
        assert!(places(&fault).unwrap().is_empty());
    }
}
