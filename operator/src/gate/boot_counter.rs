//! The boot counter's file: how often etcd was started on this disk. It has a fixed width and is overwritten in place,
//! so that a full disk still takes it. No start depends on it, and it decides nothing.

use etcd_operator_core::gate::BootCounterState;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The digits of the largest number, and the end of the line.
const WIDTH: usize = 21;

/// What the file says. A file that can't be read is a finding and no error.
pub(super) fn read(path: &Path) -> BootCounterState {
    let mut bytes = Vec::with_capacity(WIDTH + 1);
    // A byte more than it should have, so that a longer file is told from ours.
    let read = File::open(path).and_then(|file| file.take(WIDTH as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => parse(&bytes).map_or_else(
            || BootCounterState::Unreadable(format!("it is not {} digits and the end of a line", WIDTH - 1)),
            BootCounterState::Number,
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => BootCounterState::Absent,
        Err(error) => BootCounterState::Unreadable(error.to_string()),
    }
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.strip_suffix(b"\n")?;
    if digits.len() != WIDTH - 1 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Writes the number over the one before.
pub(super) fn write(path: &Path, number: u64) -> io::Result<()> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    let length_before = file.metadata()?.len();
    file.write_all_at(format!("{number:0digits$}\n", digits = WIDTH - 1).as_bytes(), 0)?;
    if length_before > WIDTH as u64 {
        file.set_len(WIDTH as u64)?;
    }
    file.sync_all()?;
    match path.parent() {
        // A new file's name must last too: its block is what a full disk has no other of.
        Some(directory) if length_before == 0 => File::open(directory)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_number_comes_back_and_takes_the_same_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("boot-counter");
        assert_eq!(read(&path), BootCounterState::Absent);
        for number in [1, 2, 9_999, u64::MAX, 3] {
            write(&path, number).unwrap();
            assert_eq!(read(&path), BootCounterState::Number(number));
            assert_eq!(fs::metadata(&path).unwrap().len(), WIDTH as u64);
        }
    }

    #[test]
    fn what_is_no_counter_is_unreadable_and_the_next_start_puts_it_right() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("boot-counter");
        let torn =
            ["", "7", "7\n", "0000000000000000000x\n", "00000000000000000007\n\n", "99999999999999999999\n"];
        for content in torn {
            fs::write(&path, content).unwrap();
            assert!(matches!(read(&path), BootCounterState::Unreadable(_)), "{content:?}");
            write(&path, 8).unwrap();
            assert_eq!(read(&path), BootCounterState::Number(8), "{content:?}");
        }
        assert!(matches!(read(directory.path()), BootCounterState::Unreadable(_)), "a directory is none");
    }
}
