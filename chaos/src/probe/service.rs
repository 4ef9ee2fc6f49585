//! The probe at work, and what it answers over HTTP: `GET /latest`, `GET /samples?since=N`, `POST /hash`, `POST /stop`,
//! `GET /state`, `GET /clock`, `GET /history/<file>?offset=N`, `GET /digest/<file>`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::hashes::hash_all;
use super::rounds::Prober;
use super::samples::Window;
use crate::history::{Header, Line, ProbeRound};
use crate::in_pod::{
    Answer, Handler, HistoryFile, Question, Recorder, digest, history_piece, json, not_found,
};

/// The probe as the harness sees it.
pub(super) struct Service {
    history: PathBuf,
    header: Header,
    prober: Arc<Prober>,
    recorder: Recorder,
    window: Mutex<Window>,
    stop: watch::Sender<bool>,
    closed: watch::Sender<bool>,
}

impl Service {
    pub(super) fn new(history: PathBuf, header: Header, prober: Arc<Prober>, recorder: Recorder) -> Service {
        let (stop, closed) = (watch::Sender::new(false), watch::Sender::new(false));
        Service { history, header, prober, recorder, window: Mutex::default(), stop, closed }
    }

    /// Asks members until it is told to stop, closes the file, and stays for ever, because the history is to be read over HTTP.
    ///
    /// # Errors
    /// When the history could not be written.
    pub(super) async fn sample_for_ever(
        &self,
        interval: Duration,
        file: HistoryFile,
    ) -> std::io::Result<Infallible> {
        self.sample(interval).await;
        file.close(self.prober.clock().now()).await?;
        self.closed.send_replace(true);
        std::future::pending().await
    }

    /// Asks members until it is told to stop. A new round starts on time even if earlier ones still wait for
    /// silent members; rounds are recorded in the order in which they started.
    async fn sample(&self, interval: Duration) {
        let mut stop = self.stop.subscribe();
        let mut rounds = FuturesOrdered::new();
        let mut next = Instant::now();
        let mut number = 0;
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(round) = rounds.next(), if !rounds.is_empty() => self.keep(round),
                () = sleep_until(next) => {
                    number += 1;
                    rounds.push_back(self.prober.round(number));
                    next = (next + interval).max(Instant::now());
                }
            }
        }
        while let Some(round) = rounds.next().await {
            self.keep(round);
        }
    }

    fn keep(&self, round: ProbeRound) {
        self.recorder.record(Line::Probe(round.clone()));
        self.window().add(round);
    }

    async fn hash(&self) -> Answer {
        match hash_all(&self.prober).await {
            Ok(round) => {
                self.recorder.record(Line::Hash(round.clone()));
                json(&round)
            }
            Err(error) => {
                let mut answer = json(&json!({ "error": error }));
                *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                answer
            }
        }
    }

    /// Waits until the file is closed, so that what is read after it is whole.
    async fn stop(&self) -> Answer {
        self.stop.send_replace(true);
        // The sender lives as long as `self`, so this ends only when the file is closed.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
        self.state()
    }

    fn state(&self) -> Answer {
        let state = match (*self.stop.borrow(), *self.closed.borrow()) {
            (false, _) => "running",
            (true, false) => "stopping",
            (true, true) => "done",
        };
        json(&json!({ "state": state }))
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer_to(&self, question: &Question) -> Answer {
        match (&question.method, question.path.as_str()) {
            (&Method::GET, "/latest") => json(&self.window().latest(&self.header)),
            (&Method::GET, "/samples") => {
                json(&self.window().since(&self.header, question.number("since").unwrap_or(0)))
            }
            (&Method::GET, "/state") => self.state(),
            (&Method::GET, "/clock") => json(&self.prober.clock().face()),
            (&Method::POST, "/hash") => self.hash().await,
            (&Method::POST, "/stop") => self.stop().await,
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
        Box::pin(async move { self.answer_to(&question).await })
    }
}
