//! Differential fuzzing: random operations on both arms, compared answer by answer and event by event.
//!
//! `CONFORMANCE_OPERATIONS` and `CONFORMANCE_SECONDS` say when to stop, whichever comes first; `CONFORMANCE_SEED` where to
//! begin: what is printed with a seed is repeated by it. A sequence that differs is shrunk and printed as a case for `cases/`.

mod generate;
mod owners;
mod pools;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use crate::cases;
use crate::compare::shown;
use crate::emulated::Emulated;
use crate::memory::Memory;
use crate::real::{Controllers, Real};
use crate::run::{AGREE_LIMIT, Disagreement, Suite};
use crate::step::Step;
use generate::Written;

/// Random operations in one sequence.
const LENGTH: usize = 24;
/// So many different differences end a run: more would not be read.
const ENOUGH: usize = 12;
/// How long a real collector may take; it is waited for only where the arms differ.
const COLLECTION_LIMIT: Duration = Duration::from_secs(10);
/// How long fewer steps are looked for; what is left then is printed, shortest or not.
const SHRINKING_LIMIT: Duration = Duration::from_secs(60);
/// A difference where real controllers act is tried again so many times before it counts as one of time alone.
const REPEATS: usize = 3;

/// How much to do.
#[derive(Clone, Copy, Debug)]
struct Budget {
    first_seed: u64,
    operations: u64,
    time: Duration,
}

impl Budget {
    fn from_environment() -> anyhow::Result<Self> {
        Ok(Self {
            first_seed: number("CONFORMANCE_SEED", 1)?,
            operations: number("CONFORMANCE_OPERATIONS", 100_000)?,
            time: Duration::from_secs(number("CONFORMANCE_SECONDS", 180)?),
        })
    }
}

fn number(name: &str, usual: u64) -> anyhow::Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text:?} must be a whole number")),
        Err(_) => Ok(usual),
    }
}

/// What is done at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Campaign {
    /// Every verb on several kinds, between arms without controllers: requests alone change them.
    Requests,
    /// Owners and what becomes of their dependents, between arms with controllers.
    Owners,
}

impl Campaign {
    fn controllers(self) -> Controllers {
        match self {
            Self::Requests => Controllers::None,
            Self::Owners => Controllers::All,
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Requests, Self::Owners].into_iter().find(|campaign| campaign.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Owners => "owners",
        }
    }

    fn sequence(self, seed: u64) -> Vec<Written> {
        match self {
            Self::Requests => generate::sequence(seed, LENGTH),
            Self::Owners => owners::sequence(seed, LENGTH),
        }
    }
}

/// Runs sequences of one campaign until the budget is spent. True when no difference was found.
///
/// # Errors
/// When there is no such campaign, the arms can't be started or a connection breaks.
pub(crate) async fn run_one(name: &str) -> anyhow::Result<bool> {
    let campaign = Campaign::named(name)
        .with_context(|| format!("there is no campaign {name:?}: requests and owners are"))?;
    spend(campaign, Budget::from_environment()?).await
}

/// Runs sequences until the budget is spent: a sixth of the time goes to owners, and, since those take longer, a twentieth of
/// the operations. True when no difference was found.
///
/// # Errors
/// When the arms can't be started or a connection breaks.
pub(crate) async fn run_all() -> anyhow::Result<bool> {
    let budget = Budget::from_environment()?;
    let owners = Budget { operations: budget.operations / 20, time: budget.time / 6, ..budget };
    let requests = Budget {
        operations: budget.operations - owners.operations,
        time: budget.time - owners.time,
        ..budget
    };
    let same = spend(Campaign::Requests, requests).await?;
    Ok(spend(Campaign::Owners, owners).await? && same)
}

async fn spend(campaign: Campaign, budget: Budget) -> anyhow::Result<bool> {
    let real = Real::start(campaign.controllers()).await?;
    let mut fuzz = Fuzz::new(&real, "some", campaign).await?;
    let started = Instant::now();
    let (mut operations, mut seed, mut known) = (0u64, budget.first_seed, BTreeSet::new());
    while operations < budget.operations && started.elapsed() < budget.time && known.len() < ENOUGH {
        let steps = campaign.sequence(seed);
        operations += steps.len() as u64;
        if let Some(found) = fuzz.first_difference(&steps).await? {
            let what = signature(&found, &steps);
            if !known.contains(&what) && fuzz.report(seed, steps, found).await? {
                known.insert(what);
            }
        }
        if seed % 100 == 0 {
            println!("{operations} operations, seed {seed}, {:.0} s", started.elapsed().as_secs_f64());
        }
        seed += 1;
    }
    println!(
        "fuzz: {}: {operations} operations in {} sequences, seeds {} to {}, {:.0} s: {} differences",
        campaign.name(),
        seed - budget.first_seed,
        budget.first_seed,
        seed - 1,
        started.elapsed().as_secs_f64(),
        known.len()
    );
    Ok(known.is_empty())
}

/// Differences are counted once for each verb, kind and place.
fn signature(found: &Disagreement, steps: &[Written]) -> String {
    let line = steps.get(found.number - 1).map_or("", |step| step.0.as_str());
    let words: Vec<&str> = line.split(['/', '?', ' ']).take(2).collect();
    let place = found.differences.first().map_or("", |one| one.at.as_str());
    let place: String = place.chars().filter(|one| !one.is_ascii_digit()).collect();
    format!("{} {place}", words.join(" "))
}

/// Two arms without controllers, and the namespaces used so far.
pub(crate) struct Fuzz {
    suite: Suite,
    _emulated: Emulated,
    campaign: Campaign,
    prefix: String,
    namespaces: u64,
}

impl Fuzz {
    /// A new sandbox beside a real cluster; namespaces begin with the prefix.
    ///
    /// # Errors
    /// When the arms can't be prepared.
    async fn new(real: &Real, prefix: &str, campaign: Campaign) -> anyhow::Result<Self> {
        let emulated = Emulated::start(campaign.controllers() == Controllers::All, real.authority()?);
        let loaded = cases::load(cases::CASES)?;
        let (arms, bodies) = ((real.arm(), emulated.arm()), loaded.bodies);
        let mut suite = Suite { real: arms.0, sandbox: arms.1, bodies, agree_limit: AGREE_LIMIT };
        for (_, case) in loaded.cases.iter().filter(|(file, _)| file == "00-setup") {
            let steps = case.steps(&suite.bodies, "default").map_err(anyhow::Error::msg)?;
            suite.run_steps(&steps, true).await?;
        }
        suite.agree_limit = COLLECTION_LIMIT;
        Ok(Self { suite, _emulated: emulated, campaign, prefix: prefix.to_owned(), namespaces: 0 })
    }

    /// A new sandbox beside a real cluster, for operations without controllers.
    ///
    /// # Errors
    /// When the arms can't be prepared.
    #[cfg(feature = "defects")]
    pub(crate) async fn of_requests(real: &Real, prefix: &str) -> anyhow::Result<Self> {
        Self::new(real, prefix, Campaign::Requests).await
    }

    /// Whether the arms differ on a seed's operations.
    ///
    /// # Errors
    /// When a connection breaks.
    #[cfg(feature = "defects")]
    pub(crate) async fn differs(&mut self, seed: u64) -> anyhow::Result<bool> {
        Ok(self.first_difference(&generate::sequence(seed, LENGTH)).await?.is_some())
    }

    /// Runs a sequence in a new namespace, up to the first difference.
    async fn first_difference(&mut self, steps: &[Written]) -> anyhow::Result<Option<Disagreement>> {
        self.namespaces += 1;
        let namespace = format!("{}-fuzz-{}", self.prefix, self.namespaces);
        (self.suite.real.memory, self.suite.sandbox.memory) = (Memory::default(), Memory::default());
        let mut made = vec![
            ("POST namespaces".to_owned(), json!({"metadata": {"name": namespace}})),
            // No controller makes them on the real arm; the sandbox has them.
            ("POST serviceaccounts".to_owned(), json!({"metadata": {"name": "default"}})),
            ("POST configmaps".to_owned(), json!({"metadata": {"name": "kube-root-ca.crt"}})),
        ];
        for (line, body) in made.drain(..) {
            let step =
                Step::read(&line, &body, &self.suite.bodies, &namespace).map_err(anyhow::Error::msg)?;
            self.suite.prepare_by(&step).await?;
        }
        (self.suite.real.memory, self.suite.sandbox.memory) = (Memory::default(), Memory::default());
        let read = |(line, body): &Written| Step::read(line, body, &self.suite.bodies, &namespace);
        let steps: Vec<Step> =
            steps.iter().map(read).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?;
        Ok(self.suite.run_steps(&steps, false).await?.into_iter().next())
    }

    /// Shrinks a sequence that differs and prints what is left. False where it is not to be counted: real controllers take
    /// their time, and what they do only once is no rule. Without controllers everything counts.
    async fn report(
        &mut self,
        seed: u64,
        mut steps: Vec<Written>,
        seen: Disagreement,
    ) -> anyhow::Result<bool> {
        let what = signature(&seen, &steps);
        let mut again = None;
        for _ in 0..REPEATS {
            again = self.same_difference(&steps, &what).await?;
            if again.is_some() {
                break;
            }
        }
        let Some(mut found) = again else {
            println!(
                "seed {seed}: differed once and then no more: it depends on time. In step {}:",
                seen.number
            );
            println!("{}\n{}", seen.line, shown(&seen.differences));
            return Ok(self.campaign == Campaign::Requests);
        };
        steps.truncate(found.number);
        println!("seed {seed} differs in step {}; looking for fewer steps that do:", found.number);
        println!("{}\n{}", found.line, shown(&found.differences));
        let limit = Instant::now() + SHRINKING_LIMIT;
        // The first step stays: watches begin at what it made.
        let mut at = steps.len().saturating_sub(1);
        while at > 1 && Instant::now() < limit {
            at -= 1;
            let mut fewer = steps.clone();
            fewer.remove(at);
            if let Some(still) = self.same_difference(&fewer, &what).await? {
                fewer.truncate(still.number);
                (steps, found) = (fewer, still);
                at = at.min(steps.len().saturating_sub(1));
            }
        }
        println!("- case: Found by seed {seed}\n  steps:");
        for (line, body) in &steps {
            println!(
                "  - {line}: {}",
                if *body == Value::Null { "null".to_owned() } else { body.to_string() }
            );
        }
        println!("  # differs in step {}:\n{}", found.number, shown(&found.differences));
        Ok(true)
    }

    /// Runs a sequence; nothing, unless it differs in the way that is looked for.
    async fn same_difference(
        &mut self,
        steps: &[Written],
        what: &str,
    ) -> anyhow::Result<Option<Disagreement>> {
        let found = self.first_difference(steps).await?;
        Ok(found.filter(|found| signature(found, steps) == what))
    }
}
