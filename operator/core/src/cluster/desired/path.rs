//! From one version of etcd to another: which steps there are, and which way leads where one step does not. Never looks at a member.

use std::fmt;

use super::{EtcdVersion, Line};

/// How a cluster comes from the versions that its members run to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// One member after the other runs it.
    Direct,
    /// The same, once etcd has been brought down to this minor: by then all members write what it can read.
    Down(Line),
    /// Not in one step.
    Refused(Detour),
}

/// Why a version cannot be reached in one step, and by which versions it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detour {
    /// Why not.
    pub because: String,
    /// The versions on the way, the present one first and the wanted one last; empty if none leads there.
    pub way: Vec<EtcdVersion>,
}

impl fmt::Display for Detour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.because)?;
        if self.way.is_empty() {
            return Ok(());
        }
        let way: Vec<String> = self.way.iter().map(EtcdVersion::to_string).collect();
        write!(formatter, "; set one after the other: {}", way.join(" → "))
    }
}

/// A minor, the first of its patches that the next minor may follow on, and the newest of its patches that is tested here.
///
/// <https://etcd.io/docs/v3.6/upgrades/upgrade_3_6/> asks for 3.5.32, <https://etcd.io/docs/v3.7/upgrades/upgrade_3_7/> for 3.6.11: members
/// that were removed come back otherwise.
struct Known {
    line: Line,
    safe_start: u32,
    newest: u32,
}

const KNOWN: [Known; 3] = [
    Known { line: Line { major: 3, minor: 5 }, safe_start: 32, newest: 35 },
    Known { line: Line { major: 3, minor: 6 }, safe_start: 11, newest: 16 },
    Known { line: Line { major: 3, minor: 7 }, safe_start: 0, newest: 3 },
];

fn known(line: Line) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.line == line)
}

fn newest(line: Line) -> Option<EtcdVersion> {
    known(line).map(|known| EtcdVersion { major: line.major, minor: line.minor, patch: known.newest })
}

fn is_safe_start(version: EtcdVersion) -> bool {
    known(version.line()).is_some_and(|known| version.patch >= known.safe_start)
}

/// The course from what members run, each with its own version. What a mixture of two minors allows follows from etcd's own rule: a
/// cluster counts as of the lowest minor that any of its members runs.
pub fn course(running: &[EtcdVersion], wanted: EtcdVersion) -> Course {
    let (Some(lowest), Some(highest)) = (running.iter().min(), running.iter().max()) else {
        return Course::Direct;
    };
    let (low, high, line) = (lowest.line(), highest.line(), wanted.line());
    let is_next = |lower: Line, upper: Line| lower.major == upper.major && lower.minor + 1 == upper.minor;
    if line == low && (line == high || is_next(low, high)) {
        // The cluster has not left this minor, or is being brought down to it.
        return Course::Direct;
    }
    if line > low {
        // In the middle of an upgrade the members that have not had it yet count.
        let is_one_step = is_next(low, line) && high <= line;
        return match running.iter().filter(|version| version.line() < line).find(|one| !is_safe_start(**one))
        {
            None if is_one_step => Course::Direct,
            Some(early) if is_one_step => Course::Refused(Detour {
                because: format!("etcd {early} is too old to be followed by {line}"),
                way: way(*early, wanted),
            }),
            _ => Course::Refused(Detour {
                because: format!("{lowest} and {wanted} are more than one minor apart"),
                way: way(*lowest, wanted),
            }),
        };
    }
    if low == high && is_next(line, low) && known(line).is_some() {
        return Course::Down(line);
    }
    Course::Refused(Detour {
        because: format!("etcd cannot be brought from {highest} down to {wanted} in one step"),
        way: way(*highest, wanted),
    })
}

/// The versions from one to another, minor by minor; empty where some minor in between is not known.
fn way(from: EtcdVersion, to: EtcdVersion) -> Vec<EtcdVersion> {
    let mut way = vec![from];
    let mut line = from.line();
    if to.line() > line && !is_safe_start(from) {
        way.extend(newest(line));
    }
    while line != to.line() {
        let minor = if to.line() > line { line.minor.checked_add(1) } else { line.minor.checked_sub(1) };
        let Some(next) = minor.map(|minor| Line { minor, ..line }).filter(|next| known(*next).is_some())
        else {
            return Vec::new();
        };
        line = next;
        way.extend(if line == to.line() { Some(to) } else { newest(line) });
    }
    way
}
