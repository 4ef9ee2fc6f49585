//! Counts the requests that came over the network, by verb, so that it can be said what a client costs. Decides nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;

use http::Method;

use super::answer::Answer;
use super::error::ApiError;

/// How many requests of each verb have come so far. Verbs are Kubernetes' own: `list` and `watch` are told from `get`.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    pub(super) fn count(&self, method: &Method, answered: &Result<Answer, ApiError>) {
        let mut verbs = self.0.lock().expect("nothing panics while it counts");
        *verbs.entry(verb(method, answered)).or_default() += 1;
    }

    pub(super) fn so_far(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().expect("nothing panics while it counts").clone()
    }
}

fn verb(method: &Method, answered: &Result<Answer, ApiError>) -> &'static str {
    match (method, answered) {
        (_, Ok(Answer::Watch(_))) => "watch",
        (_, Ok(Answer::List(..))) => "list",
        (&Method::GET | &Method::HEAD, _) => "get",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, _) => "delete",
        (_, _) => "other",
    }
}
