//! The harness's half of the agent against an API server in process: what it puts into the pod, and how it reads a log that breaks.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos::agent::client::{Agent, AgentError, AgentTarget, DataVolume, EphemeralAgent};
use chaos::agent::protocol::{
    AgentFault, CheckHealFault, Observation, PROTOCOL_FORMAT, ProofEvent, ProofLine, WipeFault,
};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use sandbox::apiserver::inputs::{Connection, LogRequest, LogStream, NodeAccess, NodeAccessError};
use sandbox::apiserver::{ApiServer, ApiServerConfig};
use serde_json::{Value, json};

/// One opening of the log: what it gives, and whether the connection breaks after it.
#[derive(Clone)]
struct Reading {
    text: String,
    breaks: bool,
}

/// A node whose logs are scripted: each opening takes the next reading, the last one again and again.
struct ScriptedNode(Mutex<VecDeque<Reading>>);

impl NodeAccess for ScriptedNode {
    fn log(&self, _: LogRequest) -> BoxFuture<'static, Result<LogStream, NodeAccessError>> {
        let mut readings = self.0.lock().unwrap();
        let reading = if readings.len() > 1 { readings.pop_front() } else { readings.front().cloned() };
        let reading = reading.expect("the script has a reading");
        let broken = || Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        let pieces = [Some(Ok(reading.text.into())), reading.breaks.then(broken)];
        let stream: LogStream = Box::pin(stream::iter(pieces.into_iter().flatten()).fuse());
        std::future::ready(Ok(stream)).boxed()
    }

    fn connect(
        &self,
        _: Value,
        address: IpAddr,
        port: u16,
    ) -> BoxFuture<'static, Result<Box<dyn Connection>, NodeAccessError>> {
        let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        std::future::ready(Err(NodeAccessError::Dial { address, port, source })).boxed()
    }
}

struct Bench {
    pods: Api<Pod>,
    agent: EphemeralAgent,
    target: AgentTarget,
    _server: ApiServer,
}

impl Bench {
    async fn new(readings: Vec<Reading>) -> Bench {
        let server = ApiServer::new(ApiServerConfig::default());
        server.set_node(Arc::new(ScriptedNode(Mutex::new(readings.into()))));
        let client = server.client();
        let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
        let pod = create(&client, &pods).await;
        let target = AgentTarget {
            namespace: "default".to_owned(),
            pod: "demo-abcde-0".to_owned(),
            pod_uid: pod.metadata.uid.unwrap(),
            container: "etcd".to_owned(),
            data_volume: Some(DataVolume { name: "data".to_owned(), mount_path: "/var/lib/etcd".to_owned() }),
        };
        Bench { pods, agent: EphemeralAgent::new(client, "chaos:v0.1.0", "r1"), target, _server: server }
    }

    async fn set_state(&self, state: Value) {
        let pod = self.pods.get(&self.target.pod).await.unwrap();
        let containers = pod.spec.unwrap().ephemeral_containers.unwrap_or_default();
        let statuses: Vec<Value> = containers
            .iter()
            .map(|container| {
                json!({
                    "name": container.name, "image": "chaos:v0.1.0", "imageID": "", "ready": false, "restartCount": 0,
                    "state": state,
                })
            })
            .collect();
        let patch = json!({"status": {"ephemeralContainerStatuses": statuses}});
        let parameters = PatchParams::default();
        self.pods.patch_status(&self.target.pod, &parameters, &Patch::Merge(patch)).await.unwrap();
    }

    async fn ephemeral_containers(&self) -> Value {
        let pod = self.pods.get(&self.target.pod).await.unwrap();
        serde_json::to_value(pod.spec.unwrap().ephemeral_containers).unwrap()
    }
}

async fn create(client: &kube::Client, pods: &Api<Pod>) -> Pod {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "demo-abcde-0"},
        "spec": {
            "containers": [{"name": "etcd", "image": "i"}],
            "volumes": [{"name": "data", "emptyDir": {}}],
        },
    });
    let pod = pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let binding = json!({"metadata": {"name": "demo-abcde-0"}, "target": {"kind": "Node", "name": "n"}});
    let path = "/api/v1/namespaces/default/pods/demo-abcde-0/binding";
    let request = http::Request::post(path).body(serde_json::to_vec(&binding).unwrap()).unwrap();
    client.request::<Value>(request).await.unwrap();
    pod
}

fn line(event: ProofEvent) -> String {
    let line = ProofLine { format: PROTOCOL_FORMAT, at_unix_nanoseconds: 5, event };
    serde_json::to_string(&line).unwrap() + "\n"
}

fn heal_check() -> AgentFault {
    AgentFault::CheckHeal(CheckHealFault::default())
}

/// A complete log of an agent that looked for leftovers.
fn whole_log() -> String {
    let nothing = || Observation::Network {
        peers: vec![],
        uncut: vec![],
        dropped: Default::default(),
        cut_addresses: vec![],
    };
    [
        ProofEvent::Started { fault: heal_check(), boot_id: "b".to_owned() },
        ProofEvent::Before { observation: nothing() },
        ProofEvent::Applied { ends_at_unix_nanoseconds: None },
        ProofEvent::After { observation: nothing() },
        ProofEvent::Finished,
    ]
    .map(line)
    .concat()
}

fn whole(text: String) -> Reading {
    Reading { text, breaks: false }
}

#[test_log::test(tokio::test)]
async fn a_log_that_breaks_in_the_middle_of_a_line_is_read_again_without_loss_or_repetition() {
    let log = whole_log();
    let cut = |bytes| Reading { text: log[..bytes].to_owned(), breaks: true };
    let bench = Bench::new(vec![cut(150), cut(7), cut(log.len() - 20), whole(log.clone())]).await;
    let mut handle = bench.agent.apply(&bench.target, heal_check()).await.unwrap();
    bench.set_state(json!({"running": {}})).await;
    assert_eq!(handle.applied().await.unwrap(), 5);
    let (proof, error) = handle.finish().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(proof.lines.len(), 5);
    assert_eq!(proof.gaps(), []);
}

#[test_log::test(tokio::test)]
async fn an_agent_that_dies_with_its_target_leaves_the_proof_that_it_wrote() {
    let process = || Observation::Process {
        process: Some(chaos::agent::protocol::ProcessState {
            process_id: 1,
            command: "etcd".to_owned(),
            start_time_ticks: 9,
            threads_by_state: [('S', 4)].into(),
            threads_by_wait_channel: Default::default(),
        }),
    };
    let log = [
        ProofEvent::Started { fault: AgentFault::Kill, boot_id: "b".to_owned() },
        ProofEvent::Before { observation: process() },
        ProofEvent::Applied { ends_at_unix_nanoseconds: None },
    ]
    .map(line)
    .concat();
    let bench = Bench::new(vec![whole(log)]).await;
    let handle = bench.agent.apply(&bench.target, AgentFault::Kill).await.unwrap();
    bench.set_state(json!({"terminated": {"exitCode": 137}})).await;
    let (proof, error) = handle.finish().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(proof.gaps(), []);
}

#[test_log::test(tokio::test)]
async fn a_pod_that_is_replaced_ends_the_reading_by_name_of_its_uid() {
    let bench = Bench::new(vec![whole(String::new())]).await;
    let mut handle = bench.agent.apply(&bench.target, AgentFault::Kill).await.unwrap();
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    bench.pods.delete(&bench.target.pod, &now).await.unwrap();
    let error = tokio::time::timeout(Duration::from_secs(20), handle.applied()).await.unwrap().unwrap_err();
    assert!(matches!(&error, AgentError::PodGone { uid, .. } if *uid == bench.target.pod_uid), "{error:?}");
    let later = bench.agent.apply(&bench.target, AgentFault::Kill).await;
    assert!(matches!(later, Err(AgentError::PodGone { .. })));
}

#[test_log::test(tokio::test)]
async fn two_agents_in_one_pod_have_names_of_their_own_and_only_what_their_faults_need() {
    let bench = Bench::new(vec![whole(String::new())]).await;
    let wipe = WipeFault { path: "/var/lib/etcd/data".into(), then_kill: true };
    let (first, second) = tokio::join!(
        bench.agent.apply(&bench.target, heal_check()),
        bench.agent.apply(&bench.target, AgentFault::Wipe(wipe)),
    );
    let (_first, _second) = (first.unwrap(), second.unwrap());
    let containers = bench.ephemeral_containers().await;
    let mut containers = containers.as_array().unwrap().clone();
    containers.sort_by_key(|container| container["name"].to_string());
    assert_eq!(containers.len(), 2);
    let [check, wipe] = &containers[..] else { panic!() };
    assert_eq!(check["name"], "chaos-check-heal-r1-0");
    assert_eq!(check["targetContainerName"], Value::Null);
    assert_eq!(check["securityContext"]["capabilities"], json!({"add": ["NET_ADMIN"]}));
    assert_eq!(wipe["name"], "chaos-wipe-r1-1");
    assert_eq!(wipe["targetContainerName"], "etcd");
    assert_eq!(wipe["volumeMounts"], json!([{"name": "data", "mountPath": "/var/lib/etcd"}]));
    assert_eq!(wipe["securityContext"]["capabilities"], json!({"add": ["DAC_OVERRIDE", "SYS_PTRACE"]}));
    assert_eq!(wipe["securityContext"]["runAsUser"], 0);
    assert_eq!(wipe["command"][1], "agent");
}

#[test_log::test(tokio::test)]
async fn a_fault_that_makes_no_sense_is_refused_before_the_pod_is_touched() {
    let bench = Bench::new(vec![whole(String::new())]).await;
    let wipe = WipeFault { path: "/var/lib/../etc".into(), then_kill: false };
    let refused = bench.agent.apply(&bench.target, AgentFault::Wipe(wipe)).await;
    assert!(matches!(refused, Err(AgentError::Request(_))));
    assert_eq!(bench.ephemeral_containers().await, Value::Null);
}
