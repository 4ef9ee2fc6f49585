//! What a person sees while a run lasts: on a terminal one live line below a log, piped plain lines. Only writes to
//! standard error and standard output; the record is kept elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Piped output repeats the state of things this often at most.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// A handle on what the person sees; clones write to the same place.
#[derive(Clone)]
pub struct Display {
    inner: Arc<Inner>,
}

struct Inner {
    started: Instant,
    bar: Option<ProgressBar>,
    last_plain: Mutex<Option<(Instant, String)>>,
}

impl Default for Display {
    fn default() -> Display {
        Display::new()
    }
}

impl Display {
    /// Live if standard error is a terminal, plain otherwise.
    #[must_use]
    pub fn new() -> Display {
        let bar = std::io::stderr().is_terminal().then(live_bar);
        Display { inner: Arc::new(Inner { started: Instant::now(), bar, last_plain: Mutex::new(None) }) }
    }

    /// Something happened: stays on the screen.
    pub fn say(&self, text: &str) {
        let line = format!("{:>6.1}s  {text}", self.inner.started.elapsed().as_secs_f64());
        match &self.inner.bar {
            // Without a visible bar indicatif would print nothing.
            Some(bar) if !bar.is_hidden() => bar.println(line),
            Some(_) | None => anstream::eprintln!("{line}"),
        }
    }

    /// How things stand: replaced by the next.
    pub fn state(&self, text: &str) {
        if let Some(bar) = &self.inner.bar {
            bar.set_message(text.to_owned());
            return;
        }
        let mut last = self.inner.last_plain.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.as_ref().is_none_or(|(at, said)| at.elapsed() >= PLAIN_INTERVAL && said != text);
        if due && !text.is_empty() {
            *last = Some((Instant::now(), text.to_owned()));
            drop(last);
            self.say(text);
        }
    }

    /// A step of a start: replaced by the next on a live line; piped, each stays, for it may be the last one for minutes.
    pub fn step(&self, text: &str) {
        match &self.inner.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => self.say(text),
        }
    }

    /// Takes the live line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.inner.bar {
            bar.finish_and_clear();
        }
    }
}

fn live_bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>6}  {spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
