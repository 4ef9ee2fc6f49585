//! Refuses scenarios whose faults go beyond what the quorum survives, unless the scenario says that it means to. Pure.
//!
//! Only what the file fixes is judged here: how many members one fault hits, and faults whose times overlap. Faults that
//! wait for a fact are judged again by the runner, against the members that are there.

use super::error::{ScenarioError, Source};
use super::fields::Fields;
use super::raw::{At, RawFault, RawScenario};
use super::{ClusterSize, Fault, Period, Scenario, Target, Timing};

/// How long a member is taken to be away after its process was killed: a restart with its probes.
const RESTART: Period = Period::from_seconds(4);
/// How long a member is taken to be away after its disk was lost: a new member has to join and catch up.
const REPLACEMENT: Period = Period::from_seconds(15);

/// Checks the faults of a scenario against the smallest size that its cluster has.
pub(super) fn check(
    source: &Source<'_>,
    raw: &RawScenario,
    scenario: &Scenario,
) -> Result<(), ScenarioError> {
    let fields = Fields::of(source);
    let size = smallest_size(scenario);
    for (index, fault) in scenario.faults.iter().enumerate() {
        let hit = members_hit(&fault.fault, &fault.target, scenario, size);
        let at = &place_of_target(&raw.faults.value[index]);
        let field = format!("faults[{index}].target");
        if fault.fault.destroys_data() && hit > size.spare() {
            let message = format!(
                "`{}` would destroy {hit} of {size} disks: acknowledged writes cannot survive that",
                fault.fault.kind()
            );
            return Err(fields.error(&field, at, message));
        }
        if hit > size.spare() && scenario.allow.quorum_loss.is_none() {
            return Err(beyond(&fields, &field, at, hit, size));
        }
    }
    if scenario.allow.quorum_loss.is_none() { overlaps(&fields, raw, scenario, size) } else { Ok(()) }
}

/// Where a fault names its targets; at its kind if that has targets of its own.
fn place_of_target(raw: &RawFault) -> At<()> {
    let target = raw.target.as_ref().map(|at| at.referenced);
    let same = raw.same_target_as.as_ref().map(|at| at.referenced);
    let referenced = target.or(same).unwrap_or(raw.kind.referenced);
    At { value: (), referenced, defined: referenced }
}

fn smallest_size(scenario: &Scenario) -> ClusterSize {
    let resizes = scenario.faults.iter().filter_map(|fault| match fault.fault {
        Fault::Resize { size } => Some(size),
        _ => None,
    });
    resizes.fold(scenario.subject.size(), ClusterSize::min)
}

fn beyond<T>(fields: &Fields<'_>, field: &str, at: &At<T>, hit: usize, size: ClusterSize) -> ScenarioError {
    let spare = size.spare();
    let message =
        format!("{hit} of {size} members would be away and {spare} can be spared: the quorum would be lost");
    fields.error(field, at, message).with_help(
        "spread the faults out, wait with `when: {event: healthy}`, or say what must then hold with \
         `allow: {quorumLoss: {quorumBackWithin: 60s}}`",
    )
}

/// How many members a fault takes away.
fn members_hit(fault: &Fault, target: &Target, scenario: &Scenario, size: ClusterSize) -> usize {
    if !fault.stops_members() {
        return 0;
    }
    match target {
        Target::Leader | Target::Follower | Target::Member => 1,
        Target::Minority => size.spare(),
        Target::All => size.members(),
        Target::SameAs(name) => {
            let earlier = scenario.faults.iter().find(|fault| fault.name == *name);
            earlier.map_or(1, |fault| match fault.target {
                Target::Minority => size.spare(),
                Target::All => size.members(),
                _ => 1,
            })
        }
        Target::Operator | Target::Cluster => 0,
    }
}

/// When a fault with a fixed time may have members away: as early and as late as the jitter permits.
fn window(fault: &Fault, timing: &Timing) -> Option<(u64, u64)> {
    let Timing::At { at, jitter } = timing else { return None };
    let away = match fault {
        Fault::DiskLost | Fault::DirectoryWiped => REPLACEMENT,
        other => other.lasting().unwrap_or_default().plus(RESTART),
    };
    let start = at.nanoseconds().saturating_sub(jitter.nanoseconds());
    let end = at.nanoseconds().saturating_add(jitter.nanoseconds()).saturating_add(away.nanoseconds());
    Some((start, end))
}

/// Sums up the members that are away at the beginning of each fault: the sum only grows there.
fn overlaps(
    fields: &Fields<'_>,
    raw: &RawScenario,
    scenario: &Scenario,
    size: ClusterSize,
) -> Result<(), ScenarioError> {
    let timed: Vec<(usize, (u64, u64), usize)> = scenario
        .faults
        .iter()
        .enumerate()
        .filter(|(_, fault)| !matches!(fault.target, Target::SameAs(_)))
        .filter_map(|(index, fault)| {
            let hit = members_hit(&fault.fault, &fault.target, scenario, size);
            Some((index, window(&fault.fault, &fault.timing)?, hit)).filter(|(_, _, hit)| *hit > 0)
        })
        .collect();
    for (index, (start, end), _) in &timed {
        let at_once: usize = timed
            .iter()
            .filter(|(_, other, _)| other.0 <= *start && *start < other.1)
            .map(|(_, _, hit)| hit)
            .sum();
        debug_assert!(start < end, "a fault takes time");
        if at_once > size.spare() {
            let raw = &raw.faults.value[*index];
            let field = format!("faults[{index}].at");
            return Err(match &raw.at {
                Some(at) => beyond(fields, &field, at, at_once, size),
                None => beyond(fields, &field, &raw.kind, at_once, size),
            });
        }
    }
    Ok(())
}
