//! Logs: one line an event on stderr, JSON in a container and text at a terminal. It never decides what is logged.

use std::error::Error;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Sends this process's events to stderr, filtered by `RUST_LOG` (default: `info`).
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        subscriber.init();
    } else {
        subscriber.json().flatten_event(true).init();
    }
}

/// An error with its causes, outermost first. Errors of this crate do not repeat their cause in their own text.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
