//! Waits for facts between the parts of a run: enough load before the first fault, a whole cluster after the last. Only
//! waits; whether it took too long is the judge's to say.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use super::shared::Experiment;
use super::walk::CLIENT_PATIENCE;
use crate::live::board::Board;

/// Fewer acknowledged writes than this before the first fault, and nothing is known about normal times.
const WRITES_BEFORE_FAULTS: u64 = 20;
/// How long those writes may take.
const WARM_UP_PATIENCE: Duration = Duration::from_secs(60);
/// Beyond the steadiness that the scenario asks for: the judge looks at rounds of the probe, which come a little apart.
const STEADY_MARGIN: Duration = Duration::from_millis(1_000);
/// Beyond what the scenario allows: the judge must see that it took too long, not that nobody looked.
const GRACE: Duration = Duration::from_secs(5);

/// Load without faults, for as long as the scenario says and until there is something that could be lost.
pub(super) async fn warm_up(experiment: &Experiment<'_>) -> Result<()> {
    let began = Instant::now();
    let warm_up = experiment.assignment.schedule.load.warm_up.as_duration();
    loop {
        let (writes, whole, asked, last_error) = {
            let board = experiment.board.borrow();
            let progress = board.progress.clone().unwrap_or_default();
            let (whole, asked) = (board.is_whole(Instant::now()), board.every_voter_is_asked());
            (progress.acknowledged_writes, whole, asked, progress.last_error)
        };
        let asked = asked || began.elapsed() >= warm_up + CLIENT_PATIENCE;
        if began.elapsed() >= warm_up && writes >= WRITES_BEFORE_FAULTS && whole && asked {
            return Ok(());
        }
        if began.elapsed() > warm_up + WARM_UP_PATIENCE {
            let error =
                last_error.map(|error| format!("; the last error of a client: {error}")).unwrap_or_default();
            bail!(
                "after {} s of load only {writes} writes were acknowledged (members whole: {whole}){error}",
                began.elapsed().as_secs()
            );
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until members equal the declared size, all are well and every client call works; gives up after the time that
/// the scenario allows, and says what was missing.
pub(super) async fn whole_again(experiment: &Experiment<'_>) -> Result<()> {
    let expect = &experiment.assignment.schedule.expect;
    let patience = expect.recovery_within.as_duration() + GRACE;
    let steady = expect.steady_for.as_duration() + STEADY_MARGIN;
    let began = Instant::now();
    let mut whole_since: Option<Instant> = None;
    loop {
        let missing = missing(&experiment.board.borrow(), Instant::now());
        whole_since = if missing.is_some() { None } else { whole_since.or_else(|| Some(Instant::now())) };
        if whole_since.is_some_and(|since| since.elapsed() >= steady) {
            experiment
                .display
                .say(&format!("whole again {:.1} s after the last fault", began.elapsed().as_secs_f64()));
            return Ok(());
        }
        if began.elapsed() > patience + steady {
            let missing = missing.unwrap_or_else(|| "it is not steady".to_owned());
            let text = format!("not whole again after {} s: {missing}", began.elapsed().as_secs());
            experiment.recorder.note(text.clone());
            experiment.display.say(&text);
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Load after everything is healed, for as long as the scenario says.
pub(super) async fn cool_down(experiment: &Experiment<'_>) -> Result<()> {
    sleep(experiment.assignment.schedule.load.cool_down.as_duration()).await;
    Ok(())
}

/// What is still missing from a whole cluster; nothing if it is whole.
fn missing(board: &Board, now: Instant) -> Option<String> {
    if !board.is_fresh(now) {
        return Some("the probe does not answer".to_owned());
    }
    if !board.view.is_whole(board.size) {
        return Some(board.view.describe(board.size));
    }
    if !board.status_ready {
        return Some("the EtcdCluster is not Ready by its status".to_owned());
    }
    let progress = board.progress.as_ref()?;
    if progress.answered_last_second == 0 || progress.unanswered_last_second > 0 {
        return Some(format!("{} client calls of the last second failed", progress.unanswered_last_second));
    }
    None
}
