//! What the load answers over HTTP: `GET /progress`, `GET /state`, `GET /clock`, `GET /history/<file>?offset=N`,
//! `GET /digest/<file>`, `GET /contents/<cluster>`, `POST /stop`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use http::Method;
use tokio::sync::watch;

use super::contents;
use super::counters::Counters;
use super::pins::Pins;
use super::progress::{Progress, StateReport};
use crate::in_pod::{Answer, Clock, Handler, Question, digest, failed, history_piece, json, not_found};
use crate::subject::etcd::CLIENT_PORT;

/// The load as the harness sees it.
pub(super) struct Service {
    history: PathBuf,
    prefix: String,
    clock: Clock,
    counters: Arc<Counters>,
    pins: Arc<Pins>,
    stop: watch::Sender<bool>,
    state: Mutex<StateReport>,
}

impl Service {
    pub(super) fn new(
        history: PathBuf,
        prefix: String,
        clock: Clock,
        counters: Arc<Counters>,
        pins: Arc<Pins>,
        stop: watch::Sender<bool>,
    ) -> Service {
        Service { history, prefix, clock, counters, pins, stop, state: Mutex::new(StateReport::Running) }
    }

    /// The clients have stopped and the dump begins.
    pub(super) fn dumping(&self) {
        *self.state() = StateReport::Stopping { doing: "taking the final dump".to_owned() };
    }

    /// The load is over.
    pub(super) fn finish(&self, state: StateReport) {
        *self.state() = state;
    }

    /// Asking twice is asking once.
    fn stop(&self) -> StateReport {
        let mut state = self.state();
        if *state == StateReport::Running {
            *state = StateReport::Stopping { doing: "waiting for open calls".to_owned() };
        }
        self.stop.send_replace(true);
        state.clone()
    }

    fn state(&self) -> MutexGuard<'_, StateReport> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> Progress {
        Progress { asked_members: self.pins.asked(), ..self.counters.progress(self.clock.now()) }
    }

    /// What a cluster of the same namespace has below the load's prefix.
    async fn contents(&self, cluster: &str) -> Answer {
        match contents::read(&format!("{cluster}:{CLIENT_PORT}"), &self.prefix).await {
            Ok(contents) => json(&contents),
            Err(error) => failed(&error),
        }
    }

    fn answer_now(&self, question: &Question) -> Answer {
        match (&question.method, question.path.as_str()) {
            (&Method::GET, "/progress") => json(&self.progress()),
            (&Method::GET, "/state") => json(&*self.state()),
            (&Method::GET, "/clock") => json(&self.clock.face()),
            (&Method::POST, "/stop") => json(&self.stop()),
            (&Method::GET, _) => {
                let file = history_piece(&self.history, question);
                file.or_else(|| digest(&self.history, question)).unwrap_or_else(|| not_found(question))
            }
            _ => not_found(question),
        }
    }
}

impl Handler for Service {
    fn answer(self: Arc<Self>, question: Question) -> BoxFuture<'static, Answer> {
        Box::pin(async move {
            match (&question.method, question.path.strip_prefix("/contents/")) {
                (&Method::GET, Some(cluster)) => self.contents(cluster).await,
                _ => self.answer_now(&question),
            }
        })
    }
}
