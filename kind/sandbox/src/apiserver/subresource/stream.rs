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
    let asked = SessionRequest {
        namespace: text(&pod, "/metadata/namespace").to_owned(),
        pod: text(&pod, "/metadata/name").to_owned(),
        uid: text(&pod, "/metadata/uid").to_owned(),
        container,
        command: (kind == "exec").then(|| request.query_all("command")),
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr") && !tty,
        tty,
    };
    Ok(Answer::Stream(Box::new(StreamPlan::Session(asked))))
}

pub(super) fn ports(cluster: &Cluster, target: &Target, request: &ApiRequest) -> Result<Answer, ApiError> {
    let listed = request.query_all("ports");
    let numbers = listed.iter().flat_map(|list| list.split(','));
    let ports = numbers.map(port).collect::<Result<Vec<u16>, _>>()?;
    let pod = read::get(cluster, target)?;
    check_host(&pod)?;
    Ok(Answer::Stream(Box::new(StreamPlan::Ports { pod: Value::clone(&pod), ports })))
}

/// A port as a query names it; what is none is refused in the words of Go's parser. Zero is the node's to refuse.
fn port(text: &str) -> Result<u16, ApiError> {
    text.parse().map_err(|_| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let why = if digits { "value out of range" } else { "invalid syntax" };
        ApiError::bad_request(format!(
            "cannot convert to []int32: strconv.ParseUint: parsing {text:?}: {why}"
        ))
    })
}

fn check_host(pod: &Value) -> Result<(), ApiError> {
    if text(pod, "/spec/nodeName").is_empty() {
        let name = text(pod, "/metadata/name");
        return Err(ApiError::bad_request(format!("pod {name} does not have a host assigned")));
    }
    Ok(())
}
