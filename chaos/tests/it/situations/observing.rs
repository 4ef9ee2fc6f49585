//! Watching that something stays so for a while. A test that has to show that nothing happens needs a time; all others wait for
//! a fact.

use std::time::{Duration, Instant};

use crate::promises::arena::until;

/// Time between two looks.
const STEP: Duration = Duration::from_millis(500);

/// Looks again and again for a time; panics with the first thing that is not as it must be.
pub(super) async fn throughout(
    what: &str,
    time: Duration,
    mut look: impl AsyncFnMut() -> Result<(), String>,
) {
    let start = Instant::now();
    while start.elapsed() < time {
        if let Err(wrong) = look().await {
            panic!("{what}: {wrong}, {:.1} s after the first look", start.elapsed().as_secs_f64());
        }
        tokio::time::sleep(STEP).await;
    }
}

/// Waits for a fact, and looks each time whether something else still holds; panics when it does not, or when the fact does not
/// come.
pub(super) async fn until_while(
    what: &str,
    mut fact: impl AsyncFnMut() -> bool,
    mut look: impl AsyncFnMut() -> Result<(), String>,
) {
    until(what, async || {
        if let Err(wrong) = look().await {
            panic!("before this was so: {what}: {wrong}");
        }
        Ok(fact().await.then_some(()))
    })
    .await;
}

/// An error with a message, unless the condition holds.
pub(super) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}
