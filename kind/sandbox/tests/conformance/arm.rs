//! One of the two things that are compared: requests go in as they stand, answers come out as they are.
//!
//! Decides nothing about answers. The transport is kube's client without its typed layer, and without any retry.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use http::{Request, header};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::memory::Memory;
use crate::step::{Step, Verb};
use crate::stream::{Script, ask_for_stream, converse, ended_well};

/// A watch that brings no further event within this time is taken to be silent.
const SILENCE: Duration = Duration::from_secs(5);

/// An answer as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body: JSON, or a text, or the events of a watch.
    pub(crate) body: Value,
}

/// A cluster's API and what it has said so far in this case.
pub(crate) struct Arm {
    pub(crate) name: &'static str,
    client: kube::Client,
    /// How a running cluster is reached.
    config: Option<kube::Config>,
    /// The administrator's token, for an arm behind a socket.
    token: Option<String>,
    pub(crate) memory: Memory,
}

impl Arm {
    /// The API of a running cluster.
    ///
    /// # Errors
    /// When its kubeconfig can't be used.
    pub(crate) async fn of_cluster(name: &'static str, kubeconfig: &Path) -> anyhow::Result<Self> {
        let content = Kubeconfig::read_from(kubeconfig)
            .with_context(|| format!("reading the kubeconfig {}", kubeconfig.display()))?;
        let mut config = kube::Config::from_custom_kubeconfig(content, &KubeConfigOptions::default()).await?;
        // A refusal with a time to wait is an answer to be compared.
        config.default_retry = false;
        let client = kube::Client::try_from(config.clone())?;
        Ok(Self { config: Some(config), ..Self::new(name, client, None) })
    }

    /// A client whose connections nobody else uses: a server that refuses a stream may end the connection after its answer,
    /// just when the next request is on its way.
    fn client_for_a_stream(&self) -> anyhow::Result<kube::Client> {
        match &self.config {
            Some(config) => Ok(kube::Client::try_from(config.clone())?),
            None => Ok(self.client.clone()),
        }
    }

    pub(crate) fn new(name: &'static str, client: kube::Client, token: Option<String>) -> Self {
        Self { name, client, config: None, token, memory: Memory::default() }
    }

    /// Sends a step's request and reads its whole answer.
    ///
    /// # Errors
    /// When the step refers to nothing, or the connection breaks: never because of the answer.
    pub(crate) async fn ask(&mut self, step: &Step) -> anyhow::Result<Answer> {
        let (path, body) = self.filled(step)?;
        let answer = match step.verb {
            Verb::Watch => self.watch(step, &path).await?,
            Verb::Stream => self.stream(step, &path).await?,
            Verb::Get
            | Verb::Post
            | Verb::Put
            | Verb::Delete
            | Verb::Merge
            | Verb::Json
            | Verb::Strategic
            | Verb::Apply
            | Verb::Settle
            | Verb::Wait
            | Verb::Try => self.exchange(step, &path, body).await?,
        };
        self.memory.learn(&step.short, &answer.body);
        Ok(answer)
    }

    fn filled(&self, step: &Step) -> anyhow::Result<(String, Vec<u8>)> {
        let path = self.memory.fill_text(&step.place.path).map_err(anyhow::Error::msg)?;
        let body = match &step.body {
            _ if !step.sends_body() => Vec::new(),
            Value::Null => Vec::new(),
            Value::String(text) => self.memory.fill_text(text).map_err(anyhow::Error::msg)?.into_bytes(),
            body => self.memory.fill(body).map_err(anyhow::Error::msg)?.to_string().into_bytes(),
        };
        Ok((path, body))
    }

    fn request(&self, step: &Step, path: &str, body: Vec<u8>) -> anyhow::Result<Request<Body>> {
        let path = path.replace(' ', "%20").replace('"', "%22");
        let mut request = Request::builder()
            .method(step.method())
            .uri(path)
            .header(header::ACCEPT, step.accept.as_deref().unwrap_or("application/json"))
            .header(header::USER_AGENT, step.agent.as_deref().unwrap_or("conformance"));
        for (name, value) in &step.headers {
            request = request.header(name, value);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, step.media_type());
        }
        let token = match &step.user {
            Some(user) => Some(self.memory.token(user).unwrap_or("nobody").to_owned()),
            None => self.token.clone(),
        };
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        Ok(request.body(Body::from(body))?)
    }

    async fn exchange(&self, step: &Step, path: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        // A step with headers of its own may ask for a stream in another way.
        let client = if step.headers.is_empty() { self.client.clone() } else { self.client_for_a_stream()? };
        let response = client.send(self.request(step, path, body)?).await?;
        self.body_of(response.status().as_u16(), response).await
    }

    /// Opens a stream, says what the step says and hears what comes back.
    async fn stream(&self, step: &Step, path: &str) -> anyhow::Result<Answer> {
        let script: Script = serde_json::from_value(step.body.clone())?;
        let response = self.client_for_a_stream()?.send(self.stream_request(step, path)?).await?;
        let status = response.status().as_u16();
        if status != 101 {
            return self.body_of(status, response).await;
        }
        let meanwhile = async || {
            let Some(path) = &script.meanwhile else { return Ok(()) };
            let response = self.client_for_a_stream()?.send(self.stream_request(step, path)?).await?;
            anyhow::ensure!(response.status() == 101, "{path} was refused: {}", response.status());
            let heard = converse(response, &Script::default(), async || Ok(())).await?;
            anyhow::ensure!(ended_well(&heard), "{path} ended badly: {heard}");
            Ok(())
        };
        Ok(Answer { status, body: converse(response, &script, meanwhile).await? })
    }

    fn stream_request(&self, step: &Step, path: &str) -> anyhow::Result<Request<Body>> {
        let mut request = self.request(step, path, Vec::new())?;
        request.headers_mut().remove(header::ACCEPT);
        ask_for_stream(&mut request, &step.protocol)?;
        Ok(request)
    }

    async fn body_of(&self, status: u16, response: http::Response<Body>) -> anyhow::Result<Answer> {
        let bytes = response.into_body().collect().await?.to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Ok(Answer { status, body })
    }

    /// Reads as many events as the step asks for, or until the one of a named object; fewer, when the watch ends or stays silent.
    async fn watch(&self, step: &Step, path: &str) -> anyhow::Result<Answer> {
        let last = step.body["until"].as_str();
        let wanted = step.body["events"].as_u64().unwrap_or(if last.is_some() { 1_000 } else { 1 });
        let is_last = |event: &Value| {
            last.is_some() && event.pointer("/object/metadata/name").and_then(Value::as_str) == last
        };
        let joiner = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{joiner}watch=true&timeoutSeconds=60");
        let response = self.client.send(self.request(step, &path, Vec::new())?).await?;
        let status = response.status().as_u16();
        if status != 200 {
            return self.body_of(status, response).await;
        }
        let mut stream = response.into_body().into_data_stream();
        let (mut buffer, mut events) = (Vec::new(), Vec::new());
        while (events.len() as u64) < wanted && !events.last().is_some_and(is_last) {
            let Ok(piece) = tokio::time::timeout(SILENCE, stream.next()).await else {
                events.push(json!("<no further event>"));
                break;
            };
            let Some(piece) = piece else {
                if !buffer.is_empty() {
                    events.push(serde_json::from_slice(&buffer)?);
                }
                events.push(json!("<end of the watch>"));
                break;
            };
            buffer.extend_from_slice(&piece.map_err(|error| anyhow::anyhow!("reading a watch: {error}"))?);
            while let Some(at) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=at).collect();
                events.push(serde_json::from_slice(&line)?);
            }
        }
        events.truncate(usize::try_from(wanted)?.max(1) + 1);
        Ok(Answer { status, body: Value::Array(events) })
    }
}
