//! Cases as files hold them, and the requests that their steps stand for.
//!
//! Pure. A case is a list of steps; a step is one line `VERB path [flag]…` and a body. What a step refers to
//! (`${version pods/a}`) is filled in from what the same arm answered before, see [`super::memory`].

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::paths::{Place, resolve};

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseFile {
    /// Bodies that steps may build on by `$like: name`.
    #[serde(default)]
    pub(crate) bodies: BTreeMap<String, Value>,
    /// The cases.
    pub(crate) cases: Vec<Case>,
}

/// One case: what it shows, and the steps.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// A sentence.
    pub(crate) case: String,
    /// Why the arms may differ here: makes this an accepted difference, which must still be there.
    #[serde(default)]
    pub(crate) differs_because: Option<String>,
    /// The places (beginnings of JSON pointers, with `*` for any member or item and `$` for the end) in which they may, and nowhere else.
    #[serde(default)]
    pub(crate) differs_at: Vec<String>,
    /// What is sent, in order.
    pub(crate) steps: Vec<BTreeMap<String, Value>>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Reads.
    Get,
    /// Creates.
    Post,
    /// Replaces.
    Put,
    /// Deletes one or all.
    Delete,
    /// RFC 7396.
    Merge,
    /// RFC 6902.
    Json,
    /// Kubernetes' own merge.
    Strategic,
    /// Server-side apply.
    Apply,
    /// Reads events of a watch: the body says how many.
    Watch,
    /// Reads until both arms answer the same and what `until` says.
    Settle,
    /// Reads until both arms answer what `until` says, whatever else they answer.
    Wait,
    /// Creates, as a dry run, until both arms answer what `until` says: an API server's admission learns of namespaces from a
    /// watch of its own, which no reading request shows.
    Try,
    /// Opens a stream over WebSocket: the body is a [`crate::stream::Script`].
    Stream,
}

/// Who must come to what a step waits for. What only one of them does is waited for there alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// Both arms.
    Both,
    /// The real one.
    Real,
    /// The sandbox.
    Sandbox,
}

/// One request of a case, still with references in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) line: String,
    pub(crate) verb: Verb,
    /// As written: the name under which answers are remembered.
    pub(crate) short: String,
    pub(crate) place: Place,
    pub(crate) accept: Option<String>,
    /// More headers, as sent.
    pub(crate) headers: Vec<(String, String)>,
    /// Who must come to what the step waits for.
    pub(crate) awaited: Awaited,
    pub(crate) agent: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) user: Option<String>,
    /// Whether it is sent in a later second than the step before: times of the API are whole seconds.
    pub(crate) later: bool,
    /// The protocols that a stream's client offers, best first.
    pub(crate) protocol: String,
    pub(crate) body: Value,
    /// What the step waits for, by JSON pointer, see [`crate::run`].
    pub(crate) until: Value,
}

impl Case {
    /// The case's steps in a namespace.
    ///
    /// # Errors
    /// The step that can't be read.
    pub(crate) fn steps(
        &self,
        bodies: &BTreeMap<String, Value>,
        namespace: &str,
    ) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        for step in &self.steps {
            let mut entries = step.iter();
            let (Some((line, body)), None) = (entries.next(), entries.next()) else {
                return Err(format!("{}: a step has one key, found {:?}", self.case, step.keys()));
            };
            let read = Step::read(line, body, bodies, namespace);
            steps.push(read.map_err(|why| format!("{}: {line}: {why}", self.case))?);
        }
        Ok(steps)
    }
}

impl Step {
    /// Reads one step.
    ///
    /// # Errors
    /// What can't be read.
    pub(crate) fn read(
        line: &str,
        body: &Value,
        bodies: &BTreeMap<String, Value>,
        namespace: &str,
    ) -> Result<Self, String> {
        let (request, flags) = line.split_once(" [").unwrap_or((line, ""));
        let (verb, short) = request.trim().split_once(' ').ok_or("a step is `VERB path`")?;
        let verb = Verb::read(verb)?;
        let mut step = Self {
            line: line.to_owned(),
            verb,
            short: short.trim().to_owned(),
            place: resolve(short.trim(), namespace)?,
            accept: None,
            headers: Vec::new(),
            awaited: Awaited::Both,
            agent: None,
            content_type: None,
            user: None,
            later: false,
            protocol: "v5.channel.k8s.io".to_owned(),
            body: located(build(body, bodies)?, namespace),
            until: Value::Null,
        };
        if let (true, Some(body)) = (verb.waits(), step.body.as_object_mut()) {
            step.until = body.remove("until").unwrap_or_default();
        }
        if verb == Verb::Try && !step.short.contains("dryRun=All") {
            return Err("TRY is for dry runs: what is created once is refused the next time".to_owned());
        }
        if let Some(short) = step.body["meanwhile"].as_str() {
            step.body["meanwhile"] = json!(resolve(short, namespace)?.path);
        }
        for flag in flags.trim_end_matches(']').split("] [").filter(|flag| !flag.is_empty()) {
            step.flag(flag)?;
        }
        step.fill_identity();
        Ok(step)
    }

    fn flag(&mut self, flag: &str) -> Result<(), String> {
        match flag.split_once(' ').unwrap_or((flag, "")) {
            ("table", _) => self.accept_as("Table"),
            ("metadata", _) => self.accept_as("PartialObjectMetadata"),
            ("metadata-list", _) => self.accept_as("PartialObjectMetadataList"),
            ("accept", kind) => self.accept = Some(kind.to_owned()),
            ("header", header) => {
                let (name, value) = header.split_once(' ').ok_or("a header is [header NAME VALUE]")?;
                self.headers.push((name.to_owned(), value.to_owned()));
            }
            ("real", _) => self.awaited = Awaited::Real,
            ("sandbox", _) => self.awaited = Awaited::Sandbox,
            ("agent", name) => self.agent = Some(name.to_owned()),
            ("type", name) => self.content_type = Some(name.to_owned()),
            ("later", _) => self.later = true,
            ("protocol", names) => self.protocol = names.to_owned(),
            ("as", name) => self.user = Some(name.to_owned()),
            (other, _) => return Err(format!("unknown flag [{other}]")),
        }
        Ok(())
    }

    fn accept_as(&mut self, kind: &str) {
        self.accept = Some(format!("application/json;as={kind};v=v1;g=meta.k8s.io"));
    }

    /// Bodies of whole objects need not repeat what the path says.
    fn fill_identity(&mut self) {
        let whole = matches!(self.verb, Verb::Post | Verb::Put | Verb::Apply | Verb::Try);
        if let (true, Some((version, kind)), Value::Object(body)) =
            (whole, &self.place.identity, &mut self.body)
        {
            body.entry("apiVersion").or_insert_with(|| json!(version));
            body.entry("kind").or_insert_with(|| json!(kind));
        }
    }

    /// The HTTP method.
    pub(crate) fn method(&self) -> http::Method {
        match self.verb {
            Verb::Get | Verb::Watch | Verb::Settle | Verb::Wait | Verb::Stream => http::Method::GET,
            Verb::Post | Verb::Try => http::Method::POST,
            Verb::Put => http::Method::PUT,
            Verb::Delete => http::Method::DELETE,
            Verb::Merge | Verb::Json | Verb::Strategic | Verb::Apply => http::Method::PATCH,
        }
    }

    /// The media type of the body.
    pub(crate) fn media_type(&self) -> &str {
        let usual = match self.verb {
            Verb::Merge => "application/merge-patch+json",
            Verb::Json => "application/json-patch+json",
            Verb::Strategic => "application/strategic-merge-patch+json",
            Verb::Apply => "application/apply-patch+yaml",
            Verb::Get
            | Verb::Watch
            | Verb::Settle
            | Verb::Wait
            | Verb::Stream
            | Verb::Post
            | Verb::Try
            | Verb::Put
            | Verb::Delete => "application/json",
        };
        self.content_type.as_deref().unwrap_or(usual)
    }

    /// Whether the body is sent, rather than saying what is waited for or what is said later.
    pub(crate) fn sends_body(&self) -> bool {
        match self.verb {
            Verb::Get | Verb::Watch | Verb::Settle | Verb::Wait | Verb::Stream => false,
            Verb::Post
            | Verb::Try
            | Verb::Put
            | Verb::Delete
            | Verb::Merge
            | Verb::Json
            | Verb::Strategic
            | Verb::Apply => true,
        }
    }
}

impl Verb {
    /// Whether the request is sent again until its answer is what the step says.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Settle | Self::Wait | Self::Try)
    }

    fn read(text: &str) -> Result<Self, String> {
        Ok(match text {
            "GET" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "MERGE" => Self::Merge,
            "JSON" => Self::Json,
            "STRATEGIC" => Self::Strategic,
            "APPLY" => Self::Apply,
            "WATCH" => Self::Watch,
            "SETTLE" => Self::Settle,
            "WAIT" => Self::Wait,
            "TRY" => Self::Try,
            "STREAM" => Self::Stream,
            other => return Err(format!("unknown verb {other}")),
        })
    }
}

/// A body that names the namespace of its case.
fn located(body: Value, namespace: &str) -> Value {
    match body {
        Value::String(text) => Value::String(text.replace("${namespace}", namespace)),
        Value::Array(items) => items.into_iter().map(|item| located(item, namespace)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, located(value, namespace))).collect()
        }
        other => other,
    }
}

/// A body with its `$like` replaced by the body that it names, over which the rest is merged (RFC 7396).
fn build(body: &Value, bodies: &BTreeMap<String, Value>) -> Result<Value, String> {
    let mut built = match body {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "$like")
            .map(|(name, value)| Ok((name.clone(), build(value, bodies)?)))
            .collect::<Result<Value, String>>()?,
        Value::Array(items) => {
            items.iter().map(|item| build(item, bodies)).collect::<Result<Value, String>>()?
        }
        other => other.clone(),
    };
    if let Some(name) = body.get("$like").and_then(Value::as_str) {
        let base = bodies.get(name).ok_or_else(|| format!("no body called {name:?}"))?;
        let mut result = build(base, bodies)?;
        json_patch::merge(&mut result, &built);
        built = result;
    }
    Ok(built)
}
