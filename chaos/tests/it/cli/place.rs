//! A place of its own for one test of the binary, and the proof that the binary left it as it was.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::agent::CHAOS;

/// Names the place in the environment of every process that is started in it.
const MARK: &str = "CHAOS_TEST_PLACE";

/// The version of etcd that scenarios of these tests ask for.
pub(super) const ETCD_VERSION: &str = "3.6.16";

/// A scenario without any mistake.
pub(super) const GOOD: &str = "\
name: good
subject:
  cluster:
    size: 3
faults:
  - at: 5s
    kind: pod-kill
    target: leader
  - {at: 20s, kind: partition, direction: both, target: follower, for: 4s}
";

/// A working directory, a home, a cache with the files of one etcd image, and a directory for temporary files.
pub(super) struct Place {
    directory: tempfile::TempDir,
}

/// What the binary came to.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Place {
    /// A new place. The etcd binaries in its cache are empty files: nothing of these tests may come so far as to start them.
    pub(super) fn new() -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap() };
        for name in ["home", "tmp", "work"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        let image = place.cache().join(format!("images/etcd/v{ETCD_VERSION}"));
        fs::create_dir_all(&image).unwrap();
        for name in ["etcd", "etcdctl", "etcdutl"] {
            fs::write(image.join(name), "").unwrap();
        }
        place
    }

    /// All of it.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where the binary is started.
    pub(super) fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// The cache that the binary is told to use.
    pub(super) fn cache(&self) -> PathBuf {
        self.path().join("cache")
    }

    /// Writes a file into the working directory.
    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.work().join(name), bytes).unwrap();
    }

    /// The binary with arguments, to be started in this place. It heeds Ctrl-C from its first instruction on, as from a terminal,
    /// even where the tests run in the background of a shell, which hands on that it is to be ignored.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=INT").arg(CHAOS).args(arguments);
        self.settle(&mut command);
        command
    }

    /// Gives a command this place's directories.
    pub(super) fn settle(&self, command: &mut Command) {
        command
            .current_dir(self.work())
            .env_remove("XDG_CACHE_HOME")
            .env_remove("KUBECONFIG")
            .env("HOME", self.path().join("home"))
            .env("TMPDIR", self.path().join("tmp"))
            .env("CHAOS_CACHE", self.cache())
            .env(MARK, self.path())
            .stdin(Stdio::null());
    }

    /// Runs the binary to its end.
    pub(super) fn chaos(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().unwrap())
    }

    /// Runs the binary and requires what holds for every refusal: exit code 2, one message, nothing left.
    pub(super) fn refused(&self, arguments: &[&str]) -> String {
        self.refused_command(&mut self.command(arguments))
    }

    /// The same for a command that was prepared otherwise.
    pub(super) fn refused_command(&self, command: &mut Command) -> String {
        let before = self.files();
        let answer = Answer::of(command.output().unwrap());
        assert_eq!(answer.code, Some(2), "{command:?}: {answer:?}");
        assert_eq!(answer.stdout, "", "{command:?}: a refusal has no output");
        assert_eq!(answer.stderr.matches("error:").count(), 1, "{command:?}: one message: {}", answer.stderr);
        assert!(!answer.stderr.contains("panicked"), "{command:?}: {}", answer.stderr);
        assert!(answer.stderr.len() < 4000, "{command:?}: a message is short: {} bytes", answer.stderr.len());
        assert_eq!(self.files(), before, "{command:?} left files");
        self.assert_quiet();
        answer.stderr
    }

    /// Every file below this place with its size, and directories without.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, Option<u64>> {
        let mut files = BTreeMap::new();
        list(self.path(), &mut files);
        files
    }

    /// No process of this place is there and nothing is mounted in it.
    pub(super) fn assert_quiet(&self) {
        assert_eq!(self.leavings(), Vec::<String>::new(), "left behind");
    }

    /// Processes that were started in this place or see it mounted, and mounts in it.
    pub(super) fn leavings(&self) -> Vec<String> {
        let path = self.path().to_str().unwrap();
        let mut left = Vec::new();
        for process in processes().filter(|process| self.holds(process)) {
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            left.push(format!("process {}: {line}", process.file_name().unwrap().display()));
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(path)).map(|line| format!("mount {line}")));
        left
    }

    /// Whether a process of this place was started as `role`. Looks closely at few processes: where many run, a start is over
    /// before all of them were looked at.
    pub(super) fn runs(&self, role: &str) -> bool {
        processes().any(|process| contains(&process.join("cmdline"), role) && self.holds(&process))
    }

    /// Whether a process was started in this place or sees it mounted.
    fn holds(&self, process: &Path) -> bool {
        let path = self.path().to_str().unwrap();
        contains(&process.join("environ"), &format!("{MARK}={path}"))
            || contains(&process.join("mountinfo"), path)
    }
}

/// The directories in `/proc` of all processes.
fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let is_process =
        |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
    entries.filter(is_process).map(|entry| entry.path())
}

/// Whether the file is there and holds the text.
fn contains(file: &Path, text: &str) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
}

impl Answer {
    pub(super) fn of(output: Output) -> Answer {
        Answer {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

fn list(directory: &Path, files: &mut BTreeMap<PathBuf, Option<u64>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::symlink_metadata(&path).unwrap();
        if data.is_dir() {
            list(&path, files);
        }
        files.insert(path, data.is_file().then(|| data.size()));
    }
}
