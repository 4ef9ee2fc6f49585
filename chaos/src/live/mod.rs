//! What is known while a run lasts, and where it is written down at once: the board that everybody waits on, the log of events, the
//! journal of what must be undone. Talks to no cluster; knows neither the runner nor the faults, which both use it.

pub mod board;
pub mod event_log;
pub mod journal;
pub mod samples;
#[cfg(test)]
mod tests;
