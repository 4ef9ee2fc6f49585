//! One fault of a scenario file: which fields its kind has, which targets make sense, when it is due. Pure.

mod certificate;
mod change;
mod upgrade;

use std::collections::BTreeMap;

use super::error::ScenarioError;
use super::fields::Fields;
use super::kinds::{ONE_CERTIFICATE, event_of, grammar, impossible};
use super::raw::{At, RawDirection, RawFault, RawKind, RawScenario, RawTarget, RawWhen};
use super::{
    Aim, ClusterObject, Condition, Direction, EtcdVersion, Fault, FaultName, Peers, Period, PlannedFault,
    Subject, Target, Timing,
};

/// A scenario with more faults is a campaign, not an experiment.
const MOST_FAULTS: usize = 64;
/// What a time is moved by if the scenario does not say.
const DEFAULT_JITTER: Period = Period::from_milliseconds(500);
/// How long a fact is waited for if the scenario does not say.
const DEFAULT_WITHIN: Period = Period::from_seconds(60);
/// How long a corruption stands if the scenario does not say.
const DEFAULT_CORRUPTION: Period = Period::from_seconds(5);

/// Checks all faults in the order of the file.
pub(super) fn faults(
    fields: &Fields<'_>,
    raw: &RawScenario,
    subject: &Subject,
) -> Result<Vec<PlannedFault>, ScenarioError> {
    let list = &raw.faults;
    if list.value.is_empty() {
        return Err(fields.error(
            "faults",
            list,
            "there is no fault: a run that breaks nothing proves nothing",
        ));
    }
    if list.value.len() > MOST_FAULTS {
        let message = format!("{} faults; a scenario has at most {MOST_FAULTS}", list.value.len());
        return Err(fields.error("faults", list, message));
    }
    let mut earlier: BTreeMap<FaultName, Fault> = BTreeMap::new();
    let mut declared = match subject {
        Subject::Cluster(cluster) => Some(cluster.version.clone()),
        Subject::Selector(_) => None,
    };
    let mut planned = Vec::new();
    for (index, raw) in list.value.iter().enumerate() {
        let path = format!("faults[{index}]");
        let one = OneFault { fields, raw, path, earlier: &earlier, declared: declared.as_ref() };
        let fault = one.planned(index, subject)?;
        if let Fault::Upgrade { version } = &fault.fault {
            declared = Some(version.clone());
        }
        earlier.insert(fault.name.clone(), fault.fault.clone());
        planned.push(fault);
    }
    certificate::has_certificates(fields, raw, subject, &planned)?;
    Ok(planned)
}

/// One entry of `faults` while it is being checked.
struct OneFault<'a> {
    fields: &'a Fields<'a>,
    raw: &'a RawFault,
    path: String,
    earlier: &'a BTreeMap<FaultName, Fault>,
    /// The version of etcd that is declared when this fault comes; nothing for a subject that somebody else runs.
    declared: Option<&'a EtcdVersion>,
}

impl OneFault<'_> {
    fn planned(&self, index: usize, subject: &Subject) -> Result<PlannedFault, ScenarioError> {
        self.no_foreign_fields()?;
        let fault = self.fault()?;
        self.needs_operator(&fault, subject)?;
        Ok(PlannedFault {
            name: self.name(index, &fault)?,
            timing: self.timing()?,
            any_direction: self.raw.direction.as_ref().is_some_and(|at| at.value == RawDirection::Any),
            target: self.target(&fault, subject)?,
            fault,
        })
    }

    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn error<T>(&self, name: &str, at: &At<T>, message: impl Into<String>) -> ScenarioError {
        self.fields.error(&self.field(name), at, message)
    }

    fn missing(&self, name: &str) -> ScenarioError {
        let kind = grammar(self.raw.kind.value).word;
        self.error(name, &self.raw.kind, format!("`{kind}` needs the field `{name}`"))
    }

    /// A field that the kind does not know would be ignored silently; that is refused.
    fn no_foreign_fields(&self) -> Result<(), ScenarioError> {
        let kind = self.raw.kind.value;
        let raw = self.raw;
        let known = grammar(kind).fields;
        let given = [
            ("for", raw.lasting.as_ref().map(|at| at.referenced)),
            ("grace", raw.grace.as_ref().map(|at| at.referenced)),
            ("direction", raw.direction.as_ref().map(|at| at.referenced)),
            ("peers", raw.peers.as_ref().map(|at| at.referenced)),
            ("object", raw.object.as_ref().map(|at| at.referenced)),
            ("damage", raw.damage.as_ref().map(|at| at.referenced)),
            ("size", raw.size.as_ref().map(|at| at.referenced)),
            ("version", raw.version.as_ref().map(|at| at.referenced)),
            ("spec", raw.spec.as_ref().map(|at| at.referenced)),
            ("effect", raw.effect.as_ref().map(|at| at.referenced)),
            ("ask", raw.ask.as_ref().map(|at| at.referenced)),
        ];
        for (name, place) in given {
            if let Some(place) = place.filter(|_| !known.contains(&name)) {
                let at = At::new((), place, place);
                return Err(self.error(name, &at, format!("`{}` has no field `{name}`", grammar(kind).word)));
            }
        }
        Ok(())
    }

    fn fault(&self) -> Result<Fault, ScenarioError> {
        Ok(match self.raw.kind.value {
            RawKind::PodKill => Fault::PodKill { grace: self.grace()? },
            RawKind::ProcessKill => Fault::ProcessKill,
            RawKind::ProcessPause => Fault::ProcessPause { lasting: self.lasting()? },
            RawKind::DiskLost => Fault::DiskLost,
            RawKind::DirectoryWiped => Fault::DirectoryWiped,
            RawKind::Partition => Fault::Partition {
                // `any` is settled by the seed; until then this is a placeholder of the same shape.
                direction: self
                    .raw
                    .direction
                    .as_ref()
                    .and_then(|at| at.value.fixed())
                    .unwrap_or(Direction::Both),
                peers: self.raw.peers.as_ref().map_or(Peers::All, |at| at.value),
                lasting: self.lasting()?,
            },
            RawKind::Corrupt => {
                let lasting = if self.raw.lasting.is_some() { self.lasting()? } else { DEFAULT_CORRUPTION };
                Fault::Corrupt { object: self.object()?, lasting }
            }
            RawKind::Certificate => self.certificate()?,
            RawKind::DeleteObject => Fault::DeleteObject { object: self.object()? },
            RawKind::Intrude => Fault::Intrude { object: self.object()? },
            RawKind::Resize => {
                let at = self.raw.size.as_ref().ok_or_else(|| self.missing("size"))?;
                Fault::Resize { size: self.fields.size(&self.field("size"), at)? }
            }
            RawKind::Roll => Fault::Roll,
            RawKind::Upgrade => self.upgrade()?,
            RawKind::Change => self.change()?,
            RawKind::Request => {
                let ask = self.raw.ask.as_ref().ok_or_else(|| self.missing("ask"))?.value;
                Fault::Request { ask }
            }
            RawKind::Backup => Fault::Backup,
            RawKind::OperatorKill => Fault::OperatorKill,
            RawKind::OperatorPause => Fault::OperatorPause { lasting: self.lasting()? },
            RawKind::VolumeDeletionStuck => Fault::VolumeDeletionStuck { lasting: self.lasting()? },
        })
    }

    fn lasting(&self) -> Result<Period, ScenarioError> {
        let at = self.raw.lasting.as_ref().ok_or_else(|| self.missing("for"))?;
        // The kernel's and the agent's timers end a fault; an hour is longer than any experiment needs.
        self.fields.period(
            &self.field("for"),
            at,
            Period::from_milliseconds(100)..=Period::from_seconds(3600),
        )
    }

    fn grace(&self) -> Result<Period, ScenarioError> {
        let Some(at) = &self.raw.grace else { return Ok(Period::default()) };
        let grace =
            self.fields.period(&self.field("grace"), at, Period::default()..=Period::from_seconds(300))?;
        if grace.nanoseconds() % 1_000_000_000 == 0 {
            return Ok(grace);
        }
        Err(self.error("grace", at, "Kubernetes counts the grace period in whole seconds"))
    }

    fn object(&self) -> Result<ClusterObject, ScenarioError> {
        let at = self.raw.object.as_ref().ok_or_else(|| self.missing("object"))?;
        let kind = self.raw.kind.value;
        let known = grammar(kind).objects;
        if known.contains(&at.value) {
            return Ok(at.value);
        }
        let words: Vec<String> = known.iter().map(|object| format!("`{object}`")).collect();
        let message =
            format!("`{}` cannot be done to `{}`: write {}", grammar(kind).word, at.value, words.join(", "));
        Err(self.error("object", at, message))
    }

    fn needs_operator(&self, fault: &Fault, subject: &Subject) -> Result<(), ScenarioError> {
        let ours = matches!(subject, Subject::Cluster(_));
        let needed = fault.traits().needs_operator;
        if ours || !needed {
            return Ok(());
        }
        let message = format!(
            "`{}` needs `subject.cluster`: what a selector finds has no operator of ours",
            fault.kind()
        );
        Err(self.error("kind", &self.raw.kind, message))
    }

    fn name(&self, index: usize, fault: &Fault) -> Result<FaultName, ScenarioError> {
        let name: FaultName = match &self.raw.name {
            Some(at) => self.fields.parsed(&self.field("name"), at)?,
            None => format!("{}-{}", fault.kind(), index + 1)
                .parse()
                .expect("kinds are made of the letters of names"),
        };
        match (&self.raw.name, self.earlier.contains_key(&name)) {
            (Some(at), true) => {
                Err(self.error("name", at, format!("an earlier fault is already named `{name}`")))
            }
            (None, true) => {
                let message =
                    format!("an earlier fault has the name `{name}` that this one would get: name it");
                Err(self.error("name", &self.raw.kind, message))
            }
            (_, false) => Ok(name),
        }
    }

    fn timing(&self) -> Result<Timing, ScenarioError> {
        let jitter = match &self.raw.jitter {
            Some(at) => Some(self.fields.period(
                &self.field("jitter"),
                at,
                Period::default()..=Period::from_seconds(600),
            )?),
            None => None,
        };
        match (&self.raw.at, &self.raw.when) {
            (Some(at), None) => {
                let bounds = Period::default()..=Period::from_seconds(3600 * 12);
                let due = self.fields.period(&self.field("at"), at, bounds)?;
                Ok(Timing::At { at: due, jitter: jitter.unwrap_or(DEFAULT_JITTER).min(due) })
            }
            (None, Some(when)) => self.when(when, jitter.unwrap_or_default()),
            (Some(at), Some(_)) => Err(self.error("at", at, "`at` and `when` exclude each other")),
            (None, None) => Err(self.error(
                "at",
                &self.raw.kind,
                "the time is missing: write `at: 5s` or `when: {event: …}`",
            )),
        }
    }

    fn when(&self, at: &At<RawWhen>, jitter: Period) -> Result<Timing, ScenarioError> {
        let raw = &at.value;
        let mut conditions = Vec::new();
        if let Some(event) = &raw.event {
            conditions.push(event_of(event.value));
        }
        if let Some(members) = &raw.members {
            let count = u8::try_from(members.value).ok().filter(|count| (1..=7).contains(count));
            let count = count
                .ok_or_else(|| self.error("when.members", members, "write a number of voters from 1 to 7"))?;
            conditions.push(Condition::Members { count });
        }
        if let Some(fault) = &raw.fault_ended {
            conditions.push(Condition::FaultEnded { fault: self.earlier_fault("when.faultEnded", fault)? });
        }
        if let Some(fault) = &raw.fault_injected {
            conditions
                .push(Condition::FaultInjected { fault: self.earlier_fault("when.faultInjected", fault)? });
        }
        let within = match &raw.within {
            Some(at) => {
                let bounds = Period::from_milliseconds(100)..=Period::from_seconds(3600);
                self.fields.period(&self.field("when.within"), at, bounds)?
            }
            None => DEFAULT_WITHIN,
        };
        match <[Condition; 1]>::try_from(conditions) {
            Ok([condition]) => Ok(Timing::When { condition, within, jitter }),
            Err(_) => {
                let message = "write exactly one of `event`, `members`, `faultEnded` and `faultInjected`";
                Err(self.error("when", at, message))
            }
        }
    }

    fn earlier_fault(&self, field: &str, at: &At<String>) -> Result<FaultName, ScenarioError> {
        let name: FaultName = self.fields.parsed(&self.field(field), at)?;
        if self.earlier.contains_key(&name) {
            return Ok(name);
        }
        Err(self.error(field, at, format!("no fault before this one is named `{name}`")))
    }

    fn target(&self, fault: &Fault, subject: &Subject) -> Result<Target, ScenarioError> {
        let aim = fault.traits().aim;
        if let Some(at) = &self.raw.same_target_as {
            if let Some(target) = &self.raw.target {
                return Err(self.error("target", target, "`target` and `sameTargetAs` exclude each other"));
            }
            let name = self.earlier_fault("sameTargetAs", at)?;
            let same = self.earlier.get(&name).map(|earlier| earlier.traits().aim);
            if !fault.traits().hits_targets {
                let message = "a request names one member: write `target: leader`, `follower` or `member`";
                return Err(self.error("sameTargetAs", at, message));
            }
            if matches!(fault, Fault::Certificate { .. }) {
                return Err(self.error("sameTargetAs", at, ONE_CERTIFICATE));
            }
            if aim != Aim::Members || same != Some(Aim::Members) {
                return Err(self.error("sameTargetAs", at, "only faults of members can share their target"));
            }
            return Ok(Target::SameAs(name));
        }
        let Some(at) = &self.raw.target else {
            return match aim {
                Aim::Operator => Ok(Target::Operator),
                Aim::Cluster => Ok(Target::Cluster),
                Aim::Members => Err(self.missing("target")),
            };
        };
        let target = match at.value {
            RawTarget::Leader => Target::Leader,
            RawTarget::Follower => Target::Follower,
            RawTarget::Member => Target::Member,
            RawTarget::Minority => Target::Minority,
            RawTarget::All => Target::All,
            RawTarget::Operator => Target::Operator,
            RawTarget::Cluster => Target::Cluster,
        };
        match impossible(fault, aim, &target, subject) {
            None => Ok(target),
            Some(message) => Err(self.error("target", at, message)),
        }
    }
}
