//! Reads what `/proc` says about processes of this pid namespace. Changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;

use super::protocol::ProcessState;

/// The fields of a `stat` file that matter here; see proc(5).
struct Stat {
    command: String,
    state: char,
    start_time_ticks: u64,
}

/// The identity of the machine's boot.
pub(super) fn boot_id() -> anyhow::Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").context("failed to read the boot id")?;
    Ok(text.trim().to_owned())
}

/// A process and the states of its threads; nothing if there is no such process.
pub(super) fn process_state(process_id: i32) -> anyhow::Result<Option<ProcessState>> {
    let directory = format!("/proc/{process_id}");
    let Some(process) = stat(Path::new(&directory))? else { return Ok(None) };
    let mut threads_by_state = BTreeMap::new();
    let mut threads_by_wait_channel = BTreeMap::new();
    for thread in thread_ids(process_id)? {
        let thread_directory = format!("{directory}/task/{thread}");
        let Some(thread) = stat(Path::new(&thread_directory))? else { continue };
        *threads_by_state.entry(thread.state).or_default() += 1;
        if let Some(channel) = wait_channel(&thread_directory) {
            *threads_by_wait_channel.entry(channel).or_default() += 1;
        }
    }
    Ok(Some(ProcessState {
        process_id,
        command: process.command,
        start_time_ticks: process.start_time_ticks,
        threads_by_state,
        threads_by_wait_channel,
    }))
}

/// The threads of a process at this moment; none if there is no such process.
pub(super) fn thread_ids(process_id: i32) -> anyhow::Result<Vec<i32>> {
    let directory = format!("/proc/{process_id}/task");
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("failed to read {directory}")),
    };
    let mut threads = Vec::new();
    for entry in entries {
        let name = match entry {
            Ok(entry) => entry.file_name(),
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(error).with_context(|| format!("failed to read {directory}")),
        };
        threads.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(threads)
}

/// The kernel function that a thread waits in. Kernels may hide it, and then it is not part of the proof.
fn wait_channel(thread_directory: &str) -> Option<String> {
    let channel = fs::read_to_string(format!("{thread_directory}/wchan")).ok()?;
    let channel = channel.trim();
    (!channel.is_empty() && channel != "0").then(|| channel.to_owned())
}

fn stat(directory: &Path) -> anyhow::Result<Option<Stat>> {
    let path = directory.join("stat");
    match fs::read_to_string(&path) {
        Ok(text) => {
            Ok(Some(parse_stat(&text).with_context(|| format!("failed to parse {}", path.display()))?))
        }
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", path.display())),
    }
}

/// The name stands in brackets and may hold anything, brackets too, so the fields are counted from its end.
fn parse_stat(text: &str) -> Option<Stat> {
    let (start, fields) = text.rsplit_once(") ")?;
    let (_, command) = start.split_once(" (")?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // Field 22 of the file; the state is field 3, and one was taken.
    let start_time_ticks = fields.nth(18)?.parse().ok()?;
    Some(Stat { command: command.to_owned(), state, start_time_ticks })
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let text = "17 (a) (b c) t 1 17 17 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 9 0 4711 1000 50";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.command.as_str(), stat.state, stat.start_time_ticks), ("a) (b c", 't', 4711));
    }

    #[test]
    fn this_process_is_found_and_a_process_that_cannot_be_is_not() {
        let own = process_state(i32::try_from(std::process::id()).unwrap()).unwrap().unwrap();
        assert!(!own.threads_by_state.is_empty());
        assert_eq!(process_state(i32::MAX).unwrap(), None);
    }
}
