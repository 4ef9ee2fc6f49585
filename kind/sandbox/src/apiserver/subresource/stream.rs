//! `pods/exec`, `pods/attach` and `pods/portforward`: which container or which ports are meant.
//!
//! Pure; the plan is carried out by [`crate::apiserver::stream`].

use serde_json::Value;

use super::pod::container_of;
use crate::apiserver::answer::Answer;
use crate::apiserver::cluster::{Cluster, Target};
use crate::apiserver::error::ApiError;
use crate::apiserver::inputs::SessionRequest;
use crate::apiserver::json::text;
use crate::apiserver::read;
use crate::apiserver::request::ApiRequest;

/// What to do once the connection is a stream.
#[derive(Clone, Debug)]
pub(crate) enum StreamPlan {
    /// Talk to a program in a container.
    Session(SessionRequest),
    /// Carry bytes to ports of this pod.
    Ports {
        /// The pod object.
        pod: Value,
        /// In the order in which the client names them.
        ports: Vec<u16>,
    },
}

pub(super) fn session(
    cluster: &Cluster,
    target: &Target,
    kind: &str,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let pod = read::get(cluster, target)?;
    let container = container_of(&pod, request.query.get("container"))?;
    check_host(&pod)?;
    let query = &request.query;
    let tty = query.flag("tty");
    // Clients that say nothing of outputs want them, as the API's defaults have it.
    let wanted = |name: &str| query.get(name).is_none_or(|value| matches!(value, "true" | "1"));
    let asked = SessionRequest {
        namespace: text(&pod, "/metadata/namespace").to_owned(),
        pod: text(&pod, "/metadata/name").to_owned(),
        uid: text(&pod, "/metadata/uid").to_owned(),
        container,
        command: (kind == "exec").then(|| request.query_all("command")),
        stdin: query.flag("stdin"),
        stdout: wanted("stdout"),
        stderr: wanted("stderr") && !tty,
        tty,
    };
    if asked.command.as_ref().is_some_and(Vec::is_empty) {
        return Err(ApiError::bad_request("you must specify at least 1 command"));
    }
    if !(asked.stdin || asked.stdout || asked.stderr) {
        return Err(ApiError::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    Ok(Answer::Stream(Box::new(StreamPlan::Session(asked))))
}

pub(super) fn ports(cluster: &Cluster, target: &Target, request: &ApiRequest) -> Result<Answer, ApiError> {
    let pod = read::get(cluster, target)?;
    check_host(&pod)?;
    let listed = request.query_all("ports");
    let numbers = listed.iter().flat_map(|list| list.split(',')).filter(|one| !one.is_empty());
    let parse = |one: &str| {
        let number = one.parse().ok().filter(|port| *port > 0);
        number.ok_or_else(|| ApiError::bad_request(format!("invalid port {one:?}")))
    };
    let ports = numbers.map(parse).collect::<Result<Vec<u16>, _>>()?;
    Ok(Answer::Stream(Box::new(StreamPlan::Ports { pod: Value::clone(&pod), ports })))
}

fn check_host(pod: &Value) -> Result<(), ApiError> {
    if text(pod, "/spec/nodeName").is_empty() {
        let name = text(pod, "/metadata/name");
        return Err(ApiError::bad_request(format!("pod {name} does not have a host assigned")));
    }
    Ok(())
}
