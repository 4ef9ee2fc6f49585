//! Walks the schedule: each fault waits for its time or fact, its targets are chosen and permitted at that moment, and it is
//! carried out beside the others. A fault that cannot be done ends the walk, because the run then proves nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Stop;
use super::shared::Experiment;
use crate::faults::{self, Case, FaultContext, Victims};
use crate::record::Event;
use crate::scenario::{Condition, FaultName, Schedule, Step, Trigger};
use crate::subject::operator;
use crate::targeting::{permit, resolve};

/// How long a fault waits for a target to be there and for the quorum to allow it: an earlier fault may still be mending.
const TARGET_PATIENCE: Duration = Duration::from_secs(30);
/// How long a fault waits for a client that asks its target: such a client looks every two seconds who is there. After that the
/// fault comes all the same, since it may last until one asks; whether anybody felt it is the judge's to say.
pub(super) const CLIENT_PATIENCE: Duration = Duration::from_secs(10);
/// How long faults get to end after they were told to.
const END_PATIENCE: Duration = Duration::from_secs(90);

/// How one step ended.
enum Ended {
    /// It was carried out, or it failed and the record says why.
    Done { failed: bool },
    /// It never came to be: the walk was ended before.
    Skipped,
}

/// What the steps of one walk share.
struct Walk {
    context: Arc<FaultContext>,
    schedule: Schedule,
    /// Choosing a target and marking it as hit is one act, so that two faults never spend the same spare member.
    choosing: Mutex<()>,
    began: Instant,
}

/// Carries the whole schedule out and returns when every fault is over.
pub(super) async fn walk(
    experiment: &Experiment<'_>,
    context: &Arc<FaultContext>,
    schedule: &Schedule,
) -> Result<(), Stop> {
    let walk = Arc::new(Walk {
        context: Arc::clone(context),
        schedule: schedule.clone(),
        choosing: Mutex::new(()),
        began: Instant::now(),
    });
    let mut steps = JoinSet::new();
    for index in 0..schedule.steps.len() {
        let walk = Arc::clone(&walk);
        steps.spawn(async move { walk.step(index).await });
    }
    let finished = finish(experiment, context, &mut steps).await;
    if experiment.interrupt.is_cancelled() {
        return Err(Stop::Interrupted);
    }
    finished
}

async fn finish(
    experiment: &Experiment<'_>,
    context: &FaultContext,
    steps: &mut JoinSet<Ended>,
) -> Result<(), Stop> {
    let mut end_at: Option<Instant> = None;
    while !steps.is_empty() {
        let deadline = end_at.unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400));
        tokio::select! {
            biased;
            () = experiment.interrupt.cancelled(), if !context.ending.is_cancelled() => {
                experiment.display.say("stopping: ending all faults");
                context.ending.cancel();
            }
            ended = timeout_at(deadline, steps.join_next()) => match ended {
                Ok(Some(Ok(Ended::Done { failed: true }))) => context.ending.cancel(),
                Ok(Some(Ok(Ended::Done { failed: false } | Ended::Skipped)) | None) => {}
                Ok(Some(Err(error))) => return Err(Stop::Failed(anyhow!(error).context("a fault's task ended badly"))),
                Err(_) => return Err(Stop::Failed(anyhow!("faults did not end within {} s", END_PATIENCE.as_secs()))),
            },
        }
        if context.ending.is_cancelled() {
            end_at = end_at.or_else(|| Some(Instant::now() + END_PATIENCE));
        }
    }
    Ok(())
}

impl Walk {
    async fn step(&self, index: usize) -> Ended {
        let step = &self.schedule.steps[index];
        let triggered = tokio::select! {
            biased;
            () = self.context.ending.cancelled() => return Ended::Skipped,
            triggered = self.wait_for_trigger(index) => triggered,
        };
        if !triggered {
            self.context.recorder.record(Event::FaultNotTriggered { fault: step.name.clone() });
            self.context.display.say(&format!("{}: what it waits for was not seen", step.name));
            return Ended::Done { failed: true };
        }
        let case = Case { context: &self.context, step };
        let chosen = tokio::select! {
            biased;
            () = self.context.ending.cancelled() => return Ended::Skipped,
            chosen = self.choose(&case) => chosen,
        };
        let carried_out = match chosen {
            Ok(victims) => faults::carry_out(&case, &victims).await,
            Err(refusal) => {
                let reason = format!("{refusal:#}");
                self.context.display.say(&format!("{}: refused: {reason}", step.name));
                self.context.recorder.record(Event::FaultRefused { fault: step.name.clone(), reason });
                return Ended::Done { failed: true };
            }
        };
        let failed = carried_out.is_err();
        if let Err(error) = carried_out {
            self.tell_failure(step, &format!("{error:#}"));
        }
        case.release();
        Ended::Done { failed }
    }

    /// A fault that was ended early on order has proof missing by our own hand; that is no failure of the fault.
    fn tell_failure(&self, step: &Step, error: &str) {
        if self.context.ending.is_cancelled() {
            return self.context.recorder.note(format!("{} was ended early: {error}", step.name));
        }
        self.context.display.say(&format!("{}: {error}", step.name));
        self.context
            .recorder
            .record(Event::FaultFailed { fault: step.name.clone(), error: error.to_owned() });
    }

    /// Whether the step's time came, or its fact was seen in time.
    async fn wait_for_trigger(&self, index: usize) -> bool {
        let step = &self.schedule.steps[index];
        match &step.trigger {
            Trigger::At(at) => {
                sleep_until(self.began + at.as_duration()).await;
                true
            }
            Trigger::When { condition, within, delay } => {
                let since = self.previous_began(index).await;
                let fault = step.name.clone();
                self.context.recorder.record(Event::FaultWaiting { fault: fault.clone() });
                if !self.saw(condition, since, since + within.as_duration()).await {
                    return false;
                }
                self.context.recorder.record(Event::FaultTriggered { fault, seen: condition.to_string() });
                tokio::time::sleep(delay.as_duration()).await;
                true
            }
        }
    }

    /// A fact counts from the moment that the step before began to be injected.
    async fn previous_began(&self, index: usize) -> Instant {
        let Some(previous) = index.checked_sub(1).map(|previous| self.schedule.steps[previous].name.clone())
        else {
            return self.began;
        };
        let mut board = self.context.board.subscribe();
        let began = |name: &FaultName| {
            let name = name.clone();
            move |board: &crate::live::board::Board| {
                board.faults.get(&name).is_some_and(|fault| fault.began.is_some())
            }
        };
        let seen = board.wait_for(began(&previous)).await.ok();
        seen.and_then(|board| board.faults.get(&previous).and_then(|fault| fault.began)).unwrap_or(self.began)
    }

    async fn saw(&self, condition: &Condition, since: Instant, deadline: Instant) -> bool {
        let mut board = self.context.board.subscribe();
        let seen = board.wait_for(|board| board.has_seen(condition, since, Instant::now()));
        timeout_at(deadline, seen).await.is_ok_and(|seen| seen.is_ok())
    }

    /// Chooses whom the fault hits, from a fresh look, once the guard permits it.
    async fn choose(&self, case: &Case<'_>) -> Result<Victims> {
        let _choosing = self.choosing.lock().await;
        let (deadline, asked_until) = (Instant::now() + TARGET_PATIENCE, Instant::now() + CLIENT_PATIENCE);
        loop {
            let refusal = match self.try_choose(case.step, asked_until).await {
                Ok(victims) => {
                    case.mark(&victims);
                    return Ok(victims);
                }
                Err(refusal) => refusal,
            };
            if Instant::now() > deadline {
                return Err(refusal);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn try_choose(&self, step: &Step, asked_until: Instant) -> Result<Victims> {
        if faults::aims_at_operator(&step.fault, &step.target) {
            let operator = operator::pods(&self.context.client).await?;
            if operator.is_empty() {
                return Err(anyhow!("the operator has no pod"));
            }
            return Ok(Victims { operator, ..Victims::default() });
        }
        let board = self.context.board.borrow();
        if !board.shows_the_past(Instant::now()) {
            return Err(anyhow!("the probe has not answered since the last fault was over"));
        }
        let view = board.view.clone();
        if let (true, Some(member)) = (step.fault.traits().by_address, view.without_pod()) {
            return Err(anyhow!("{} is being restarted", member.name));
        }
        let members = resolve(&step.target, &step.preference, &view, &board.hits())?;
        if step.fault.stops_members() && self.schedule.allow.quorum_loss.is_none() {
            permit(&view, &members, &board.held_by_others(&step.name))?;
        }
        if Instant::now() < asked_until
            && let Some(unasked) = members.iter().find(|member| !board.is_asked(member))
        {
            return Err(anyhow!("no client asks {} itself yet", unasked.name));
        }
        let members = members.into_iter().cloned().collect();
        Ok(Victims { members, view, ..Victims::default() })
    }
}
