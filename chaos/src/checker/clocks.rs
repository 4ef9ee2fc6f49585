//! The clocks of a record's files, laid on the harness's own by what the harness read of them during the run. Pure. A clock that
//! jumped, or that nobody compared, is never trusted: the run then proves nothing, and never fails for it.

use std::time::Duration;

use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use crate::history::{Elapsed, Header, UnixNanoseconds, Writer};
use crate::record::{ClockReading, Event, EventLine, RunRecord};

/// A writer's clock is known well enough if it is known to this much.
const MOST_ERROR: Duration = Duration::from_millis(500);
/// So far apart may a file's header and its writer's later words about the wall clock be: clocks are slewed, not only stepped.
const MOST_STEP: Duration = Duration::from_millis(250);
/// Two good clocks go apart by at most so many millionths.
const DRIFT_PER_MILLION: u32 = 200;
/// What reading a clock costs at least.
const READING: Duration = Duration::from_millis(2);
/// For longer than this no clock goes unread while faults are about.
const MOST_UNREAD: Duration = Duration::from_secs(30);
/// So soon after it was answered the harness writes a reading down.
const WRITING_DOWN: Duration = Duration::from_secs(1);

/// How the files of a record lie on the harness's clock.
#[derive(Clone, Debug)]
pub struct Clocks {
    load: Option<Tie>,
    probe: Option<Tie>,
    /// What is wrong with which clock.
    problems: Vec<String>,
    /// Which clock nobody compared when it mattered.
    unread: Vec<String>,
    readings: usize,
}

/// When a file's clock began to count, by the harness's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tie {
    zero: UnixNanoseconds,
    error: Duration,
}

impl Clocks {
    /// Compares the clocks of a record.
    pub fn of(record: &RunRecord) -> Clocks {
        let mut clocks = Clocks {
            load: None,
            probe: None,
            problems: Vec::new(),
            unread: Vec::new(),
            readings: readings(record, None).count(),
        };
        clocks.problems.extend(harness_went_back(record));
        clocks.load = clocks.tie(record, Writer::Load, record.load.header.as_ref());
        clocks.probe = clocks.tie(record, Writer::Probe, record.probes.header.as_ref());
        clocks
    }

    /// A moment of the load by the harness's clock; nothing if the load's file has no beginning.
    pub fn of_load(&self, elapsed: Elapsed) -> Option<UnixNanoseconds> {
        self.load.map(|tie| tie.zero.plus_nanoseconds(elapsed.nanoseconds()))
    }

    /// A moment of the probe by the harness's clock; nothing if the probe's file has no beginning.
    pub fn of_probe(&self, elapsed: Elapsed) -> Option<UnixNanoseconds> {
        self.probe.map(|tie| tie.zero.plus_nanoseconds(elapsed.nanoseconds()))
    }

    /// By how much any moment of load or probe may be wrong on the harness's clock.
    pub fn error(&self) -> Duration {
        [self.load, self.probe].into_iter().flatten().map(|tie| tie.error).max().unwrap_or_default()
    }

    fn tie(&mut self, record: &RunRecord, writer: Writer, header: Option<&Header>) -> Option<Tie> {
        let header = header?;
        let readings: Vec<&ClockReading> = readings(record, Some(writer)).collect();
        let whose = whose(writer);
        self.unread.extend(unread(record, &readings).map(|why| format!("{whose} {why}")));
        self.problems.extend(stepped(header, &readings).map(|why| format!("{whose} {why}")));
        let Some((tie, jumped)) = laid(&readings) else {
            return Some(Tie { zero: header.zero, error: Duration::ZERO });
        };
        if let Some(by) = jumped {
            self.problems.push(format!("{whose} jumped by {} during the run", human::duration(by)));
        }
        if tie.error > MOST_ERROR {
            self.problems.push(format!(
                "{whose} is known only to {} (at most {} may be unknown)",
                human::duration(tie.error),
                human::duration(MOST_ERROR)
            ));
        }
        Some(tie)
    }
}

/// The rule about clocks: without it no time of load or probe means anything beside the harness's.
pub(super) fn check(clocks: &Clocks) -> Assertion {
    let mut check = Check::new(Rule::ClocksKnown);
    for problem in &clocks.problems {
        check.wrong(None, || problem.clone());
    }
    for unread in &clocks.unread {
        check.undecided(unread);
    }
    check.conclude_experiment(format!(
        "{} readings; the clocks of load and probe are known to {}",
        clocks.readings,
        human::duration(clocks.error())
    ))
}

fn whose(writer: Writer) -> &'static str {
    match writer {
        Writer::Load | Writer::FinalRead => "the clock of the load",
        Writer::Probe => "the clock of the probe",
    }
}

fn readings(record: &RunRecord, writer: Option<Writer>) -> impl Iterator<Item = &ClockReading> {
    record.events.iter().filter_map(move |line| match &line.event {
        Event::Clock(reading) if writer.is_none_or(|writer| reading.writer == writer) => Some(reading),
        _ => None,
    })
}

/// The harness writes lines in the order in which things happen, and a reading at once.
fn harness_went_back(record: &RunRecord) -> Option<String> {
    let back = record.events.windows(2).find(|pair| pair[1].at < pair[0].at);
    if let Some(pair) = back {
        let by = human::duration(pair[0].at.since(pair[1].at));
        return Some(format!("the clock of the harness went back by {by}"));
    }
    record.events.iter().find_map(|line| match &line.event {
        Event::Clock(reading)
            if reading.answered < reading.asked
                || line.at < reading.answered
                || line.at.since(reading.answered) > WRITING_DOWN =>
        {
            Some("the clock of the harness jumped while another one was read".to_owned())
        }
        _ => None,
    })
}

/// What is missing of the readings: one before the first fault, one after the last, and enough in between.
fn unread(record: &RunRecord, readings: &[&ClockReading]) -> Option<String> {
    let of_faults =
        |line: &&EventLine| matches!(line.event, Event::FaultInjecting { .. } | Event::FaultHealed { .. });
    let first = record.events.iter().find(of_faults)?.at;
    let last = record.events.iter().rev().find(of_faults)?.at;
    let Some(mut known) = readings.iter().map(|reading| reading.answered).rfind(|at| *at <= first) else {
        return Some("was not read before the first fault".to_owned());
    };
    for at in readings.iter().map(|reading| reading.answered).filter(|at| *at > first) {
        if at.since(known) > MOST_UNREAD {
            return Some(format!("was not read for {}", human::duration(at.since(known))));
        }
        known = at;
    }
    (known < last).then(|| "was not read after the last fault".to_owned())
}

/// Whether a writer's wall clock was moved after its file was begun.
fn stepped(header: &Header, readings: &[&ClockReading]) -> Option<String> {
    let by = |reading: &ClockReading| {
        let reckoned = header.zero.plus_nanoseconds(reading.elapsed.nanoseconds());
        reckoned.since(reading.wall).max(reading.wall.since(reckoned))
    };
    let most = readings.iter().map(|reading| by(reading)).max()?;
    let elapsed = readings.iter().map(|reading| reading.elapsed.nanoseconds()).max()?;
    (most > MOST_STEP + drift(Duration::from_nanos(elapsed))).then(|| {
        format!(
            "and its file's beginning are apart by {}: the clock was set meanwhile",
            human::duration(most)
        )
    })
}

/// Where a clock's zero lies on the harness's clock, by all readings together, and by how much they contradict each other.
///
/// Each reading says that the zero lies between when it was asked and when it was answered, less what the clock showed.
fn laid(readings: &[&ClockReading]) -> Option<(Tie, Option<Duration>)> {
    let zero = |at: UnixNanoseconds, elapsed: Elapsed| at.0.saturating_sub(elapsed.nanoseconds());
    let earliest = readings.iter().map(|reading| zero(reading.asked, reading.elapsed)).max()?;
    let latest = readings.iter().map(|reading| zero(reading.answered, reading.elapsed)).min()?;
    let elapsed = || readings.iter().map(|reading| reading.elapsed.nanoseconds());
    let span = Duration::from_nanos(elapsed().max()?.saturating_sub(elapsed().min()?));
    let slack = READING + drift(span);
    let (low, high) = (earliest.min(latest), earliest.max(latest));
    let half = Duration::from_nanos((high - low) / 2);
    let tie = Tie { zero: UnixNanoseconds(low + (high - low) / 2), error: half + slack };
    let contradiction = Duration::from_nanos(earliest.saturating_sub(latest));
    Some((tie, (contradiction > slack).then_some(contradiction)))
}

fn drift(span: Duration) -> Duration {
    span * DRIFT_PER_MILLION / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A reading at a second of the run of a clock whose zero lies at 1000 s, by a network that takes so many milliseconds.
    fn reading(second: u64, milliseconds: u64) -> ClockReading {
        let asked = UnixNanoseconds((1_000 + second) * SECOND);
        ClockReading {
            writer: Writer::Probe,
            asked,
            answered: asked.plus_nanoseconds(milliseconds * 1_000_000),
            elapsed: Elapsed(second * SECOND + milliseconds * 500_000),
            wall: UnixNanoseconds(5_000 * SECOND + second * SECOND + milliseconds * 500_000),
        }
    }

    #[test]
    fn the_fastest_answers_say_most() {
        let readings = [reading(0, 200), reading(2, 10), reading(4, 300)];
        let (tie, jumped) = laid(&readings.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(jumped, None);
        assert!(tie.error < Duration::from_millis(10), "{tie:?}");
        let off = tie.zero.0.abs_diff(1_000 * SECOND);
        assert!(off <= u64::try_from(tie.error.as_nanos()).unwrap(), "{tie:?}");
    }

    #[test]
    fn a_clock_that_jumps_is_noticed_and_one_that_is_only_slow_to_answer_is_not() {
        let mut jumping = [reading(0, 10), reading(2, 10), reading(4, 10)];
        jumping[2].elapsed = Elapsed(jumping[2].elapsed.0 + SECOND);
        let (_, jumped) = laid(&jumping.iter().collect::<Vec<_>>()).unwrap();
        assert!(jumped.unwrap() > Duration::from_millis(900), "{jumped:?}");
        let slow = [reading(0, 400), reading(2, 400)];
        assert_eq!(laid(&slow.iter().collect::<Vec<_>>()).unwrap().1, None);
    }

    #[test]
    fn a_wall_clock_that_is_set_contradicts_the_beginning_of_its_file() {
        let header = Header::new(Writer::Probe, UnixNanoseconds(5_000 * SECOND), "");
        let readings = [reading(0, 10), reading(2, 10)];
        assert_eq!(stepped(&header, &readings.iter().collect::<Vec<_>>()), None);
        let moved = Header { zero: UnixNanoseconds(5_005 * SECOND), ..header };
        assert!(stepped(&moved, &readings.iter().collect::<Vec<_>>()).unwrap().contains("5.0 s"));
    }
}
