//! A schedule as people read it: one line for each fault, in the order of the file. Pure.

use std::fmt::Write as _;

use super::{Direction, Fault, Load, Peers, Schedule, Step, Subject, Trigger};

/// The schedule as text: what runs, what is broken when and in whom, what must hold.
pub fn timeline(schedule: &Schedule) -> String {
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes everything");
    line(format!("{}, seed {}", schedule.scenario, schedule.seed));
    line(format!("  {}; {}", subject(&schedule.subject), load(&schedule.load)));
    line(format!("  load alone for {}", schedule.load.warm_up));
    let rows: Vec<[String; 4]> = schedule.steps.iter().map(|step| row(schedule, step)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (when, name, what) = (width(0), width(1), width(2));
    for [due, fault, kind, whom] in &rows {
        line(format!("  {due:when$}  {fault:name$}  {kind:what$}  {whom}").trim_end().to_owned());
    }
    line(format!("  load alone for {} once all is whole again", schedule.load.cool_down));
    expectations(schedule).into_iter().for_each(line);
    text
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Cluster(cluster) => format!("etcd {}, size {}", cluster.version, cluster.size),
        Subject::Selector(selector) => {
            format!("the etcd that the labels find in {}, size {}", selector.namespace, selector.size)
        }
    }
}

fn load(load: &Load) -> String {
    format!("{} clients, at most {} calls a second", load.clients, load.requests_per_second)
}

fn row(schedule: &Schedule, step: &Step) -> [String; 4] {
    [due(&step.trigger), step.name.to_string(), what(schedule, step), format!("in {}", step.target)]
}

/// When a fault is due.
pub fn due(trigger: &Trigger) -> String {
    match trigger {
        Trigger::At(at) => format!("{at} into the faults"),
        Trigger::When { condition, within, delay } if delay.is_zero() => {
            format!("when {condition}, within {within}")
        }
        Trigger::When { condition, within, delay } => format!("{delay} after {condition}, within {within}"),
    }
}

fn what(schedule: &Schedule, step: &Step) -> String {
    let (kind, fault) = (schedule.title(step), &step.fault);
    let detail = match fault {
        Fault::PodKill { grace } if grace.is_zero() => String::new(),
        Fault::PodKill { grace } => format!(" with {grace} of grace"),
        Fault::Partition { direction, peers, .. } => {
            let way = match direction {
                Direction::Both => "both ways",
                Direction::Inbound => "inbound",
                Direction::Outbound => "outbound",
            };
            let whom = match peers {
                Peers::All => "all peers",
                Peers::Majority => "a majority",
                Peers::Leader => "the leader",
            };
            format!(" {way} from {whom}")
        }
        Fault::Corrupt { object, .. } | Fault::DeleteObject { object } | Fault::Intrude { object } => {
            format!(" {object}")
        }
        Fault::Certificate { damage, .. } => format!(" {damage}"),
        Fault::Resize { size } => format!(" to {size}"),
        Fault::Change { spec, effect, .. } => {
            let fields: Vec<&str> = spec.keys().map(String::as_str).collect();
            format!(" of {} with the effect {effect}", fields.join(", "))
        }
        Fault::Request { ask } => format!(" to {ask}"),
        Fault::Backup
        | Fault::Roll
        | Fault::Upgrade { .. }
        | Fault::ProcessKill
        | Fault::ProcessPause { .. }
        | Fault::DiskLost
        | Fault::DirectoryWiped
        | Fault::OperatorKill
        | Fault::OperatorPause { .. }
        | Fault::VolumeDeletionStuck { .. } => String::new(),
    };
    let lasting = fault.lasting().map(|lasting| format!(" for {lasting}")).unwrap_or_default();
    format!("{kind}{detail}{lasting}")
}

fn expectations(schedule: &Schedule) -> Vec<String> {
    let expect = &schedule.expect;
    let mut lines = vec![
        format!("  nobody without a quorum for longer than {}", expect.longest_outage),
        format!("  a quorum back within {} of each fault's end", expect.quorum_back_within),
        format!(
            "  all members healthy for {} without a break, within {} of the last fault's end",
            expect.steady_for, expect.recovery_within
        ),
    ];
    if let Some(allowed) = &schedule.allow.quorum_loss {
        lines[0] = format!(
            "  faults may take the quorum away; it is back within {} of their end",
            allowed.quorum_back_within
        );
        lines.remove(1);
    }
    lines
}
