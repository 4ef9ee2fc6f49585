//! Runs a case on both arms in step, and says where their answers differ.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use crate::arm::{Answer, Arm};
use crate::compare::{Difference, differences};
use crate::explained::unexplained;
use crate::memory::Memory;
use crate::normal::Normaliser;
use crate::step::{Awaited, Case, Step, Verb};

/// How long an arm may take to come to the state that a step waits for.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
/// How long after that the two may usually still differ: controllers write in several steps.
pub(crate) const AGREE_LIMIT: Duration = Duration::from_secs(2);
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// Two arms and the suite's named bodies.
pub(crate) struct Suite {
    pub(crate) real: Arm,
    pub(crate) sandbox: Arm,
    pub(crate) bodies: BTreeMap<String, Value>,
    /// How long the two may differ after both have come to what a step waits for.
    pub(crate) agree_limit: Duration,
}

/// The first step in which the arms differed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disagreement {
    /// Counted from one.
    pub(crate) number: usize,
    pub(crate) line: String,
    pub(crate) differences: Vec<Difference>,
}

/// The namespace of a case: the same on both arms.
pub(crate) fn prepare(namespace: &str) -> Vec<(String, Value)> {
    vec![
        ("POST namespaces".to_owned(), json!({"metadata": {"name": namespace}})),
        ("SETTLE serviceaccounts/default".to_owned(), json!({"until": {"/metadata/name": "default"}})),
        (
            "SETTLE configmaps/kube-root-ca.crt".to_owned(),
            json!({"until": {"/metadata/name": "kube-root-ca.crt"}}),
        ),
    ]
}

impl Suite {
    /// Runs a case in a namespace of its own. `thorough` goes on after a difference and returns all of them.
    ///
    /// # Errors
    /// When a case can't be read or a connection breaks.
    pub(crate) async fn run(
        &mut self,
        case: &Case,
        namespace: &str,
        thorough: bool,
    ) -> anyhow::Result<Vec<Disagreement>> {
        (self.real.memory, self.sandbox.memory) = (Memory::default(), Memory::default());
        for (line, body) in prepare(namespace) {
            let step = Step::read(&line, &body, &self.bodies, namespace).map_err(anyhow::Error::msg)?;
            self.prepare_by(&step).await?;
        }
        let steps = case.steps(&self.bodies, namespace).map_err(anyhow::Error::msg)?;
        self.run_steps(&steps, thorough).await.with_context(|| format!("case {:?}", case.case))
    }

    /// Runs steps on both arms.
    ///
    /// # Errors
    /// When a connection breaks.
    pub(crate) async fn run_steps(
        &mut self,
        steps: &[Step],
        thorough: bool,
    ) -> anyhow::Result<Vec<Disagreement>> {
        let (mut real, mut sandbox) = (Normaliser::default(), Normaliser::default());
        let mut found = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let differences = self
                .step(step, &mut real, &mut sandbox)
                .await
                .with_context(|| format!("step {}", step.line))?;
            let differences = if thorough { differences } else { unexplained(differences) };
            if !differences.is_empty() {
                found.push(Disagreement { number: index + 1, line: step.line.clone(), differences });
                if !thorough {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Asks both arms to delete a namespace, without waiting for its end.
    ///
    /// # Errors
    /// When a connection breaks.
    pub(crate) async fn delete(&mut self, namespace: &str) -> anyhow::Result<()> {
        let line = format!("DELETE namespaces/{namespace}");
        let step = Step::read(&line, &Value::Null, &self.bodies, namespace).map_err(anyhow::Error::msg)?;
        self.prepare_by(&step).await
    }

    /// Sends a step to both arms and waits for what it says, whatever else they answer.
    pub(crate) async fn prepare_by(&mut self, step: &Step) -> anyhow::Result<()> {
        let limit = Instant::now() + SETTLE_LIMIT;
        loop {
            let (one, other) = tokio::join!(self.real.ask(step), self.sandbox.ask(step));
            let missing = awaited(step, &one?, &other?);
            if missing.is_empty() {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < limit, "{}: {missing:?}", step.line);
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }

    async fn step(
        &mut self,
        step: &Step,
        real: &mut Normaliser,
        sandbox: &mut Normaliser,
    ) -> anyhow::Result<Vec<Difference>> {
        if step.later {
            next_second().await;
        }
        let limit = Instant::now() + SETTLE_LIMIT;
        let mut agree_limit = limit;
        loop {
            let (one, other) = tokio::join!(self.real.ask(step), self.sandbox.ask(step));
            let (one, other) =
                (one.with_context(|| self.real.name)?, other.with_context(|| self.sandbox.name)?);
            let (mut next_real, mut next_sandbox) = (real.clone(), sandbox.clone());
            let mut differences = compare(&one, &other, &mut next_real, &mut next_sandbox);
            let settling = step.verb.waits();
            if matches!(step.verb, Verb::Wait | Verb::Try) {
                differences.clear();
            }
            differences.extend(unfinished(step, &one, &other));
            if settling {
                let missing = awaited(step, &one, &other);
                if missing.is_empty() {
                    agree_limit = agree_limit.min(Instant::now() + self.agree_limit);
                }
                differences.extend(missing);
            }
            if !settling || differences.is_empty() || Instant::now() > agree_limit {
                (*real, *sandbox) = (next_real, next_sandbox);
                return Ok(differences);
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }
}

/// Waits until the clock shows another second.
async fn next_second() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.subsec_nanos().into()));
    tokio::time::sleep(left + SETTLE_PAUSE).await;
}

fn compare(
    real: &Answer,
    sandbox: &Answer,
    to_real: &mut Normaliser,
    to_sandbox: &mut Normaliser,
) -> Vec<Difference> {
    let shown = |answer: &Answer, normaliser: &mut Normaliser| json!({"status": answer.status, "body": normaliser.normalise(&answer.body)});
    let (left, right) = (shown(real, to_real), shown(sandbox, to_sandbox));
    let mut found = differences(&left, &right);
    if real.status != sandbox.status {
        // With different outcomes nothing else can agree: say what each said.
        found.retain(|one| matches!(one.at.as_str(), "/status" | "/body" | "/body/message"));
    }
    found
}

/// Streams that did not come to their end, or not to what the step waits for: on both arms alike, they would show nothing.
fn unfinished(step: &Step, real: &Answer, sandbox: &Answer) -> Vec<Difference> {
    let why = |answer: &Answer| answer.body["unfinished"].as_str().unwrap_or_default().to_owned();
    if step.verb != Verb::Stream {
        return Vec::new();
    }
    let (real, sandbox) = match step.awaited {
        Awaited::Both => (why(real), why(sandbox)),
        Awaited::Real => (why(real), String::new()),
        Awaited::Sandbox => (String::new(), why(sandbox)),
    };
    let nothing = real.is_empty() && sandbox.is_empty();
    (!nothing)
        .then(|| Difference { at: "waiting: the end of the stream".to_owned(), real, sandbox })
        .into_iter()
        .collect()
}

/// What the step waits for and has not come.
fn awaited(step: &Step, real: &Answer, sandbox: &Answer) -> Vec<Difference> {
    let until = &step.until;
    match step.awaited {
        Awaited::Both => [unmet(until, real, "real"), unmet(until, sandbox, "sandbox")].concat(),
        Awaited::Real => unmet(until, real, "real"),
        Awaited::Sandbox => unmet(until, sandbox, "sandbox"),
    }
}

/// What `until` asks for and the answer lacks: each pointer has its value, or a list that many items.
fn unmet(until: &Value, answer: &Answer, arm: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    for (pointer, wanted) in until.as_object().into_iter().flatten() {
        let has = match pointer.as_str() {
            "status" => Some(json!(answer.status)),
            pointer => match (answer.body.pointer(pointer), wanted) {
                (Some(Value::Array(items)), Value::Number(_)) => Some(json!(items.len())),
                (has, _) => has.cloned(),
            },
        };
        if has.as_ref() != Some(wanted) && !(has.is_none() && wanted.is_null()) {
            let has = has.map_or_else(|| "(nothing)".to_owned(), |has| has.to_string());
            let (real, sandbox) = if arm == "real" { (has, String::new()) } else { (String::new(), has) };
            // No list of places where arms may differ begins like this: what was not reached is never an accepted difference.
            found.push(Difference {
                at: format!("waiting: {pointer} should become {wanted}"),
                real,
                sandbox,
            });
        }
    }
    found
}
