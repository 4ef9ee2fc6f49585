//! Objects for the unit tests of the controllers, and a snapshot that takes in a controller's writes as an API server
//! would, so that a test can run a controller until it rests.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{Container, Pod, PodCondition, PodSpec, PodStatus, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use serde_json::{Value, json};

use super::snapshot::{Object, ObjectKey, Snapshot, Stored};
use super::write::{Action, Outcome, Part, Target, Write, controlled_by, to_json};

/// A moment, in seconds after the epoch.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Metadata as the API server fills it in.
pub(super) fn meta(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: Some("default".into()),
        uid: Some(format!("uid-of-{name}")),
        resource_version: Some("1".into()),
        generation: Some(1),
        creation_timestamp: Some(Time(at(0))),
        ..ObjectMeta::default()
    }
}

/// A pod template labelled `app: <name>`.
pub(super) fn template(name: &str, image: &str) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some([("app".into(), name.into())].into()),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![Container {
                name: "main".into(),
                image: Some(image.into()),
                ..Container::default()
            }],
            ..PodSpec::default()
        }),
    }
}

/// A selector for `app: <name>`.
pub(super) fn selector(name: &str) -> LabelSelector {
    LabelSelector { match_labels: Some([("app".into(), name.into())].into()), ..LabelSelector::default() }
}

/// A StatefulSet, OrderedReady and RollingUpdate.
pub(super) fn stateful_set(name: &str, replicas: i32) -> StatefulSet {
    StatefulSet {
        metadata: meta(name),
        spec: Some(StatefulSetSpec {
            replicas: Some(replicas),
            service_name: Some(format!("{name}-peers")),
            selector: selector(name),
            template: template(name, "image:1"),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

/// A pending pod of an owner, labelled `app: <owner>`.
pub(super) fn pod_owned_by<O: Stored>(owner: &O, name: &str) -> Pod {
    let owner_name = owner.meta().name.clone().unwrap();
    let template = template(&owner_name, "image:1");
    let mut pod = Pod { metadata: meta(name), spec: template.spec, status: Some(PodStatus::default()) };
    pod.metadata.labels = template.metadata.unwrap().labels;
    pod.metadata.owner_references = Some(vec![controlled_by(owner)]);
    pod
}

/// The pod, running and ready since a moment, at the address 10.244.0.9 on the node `node`.
pub(super) fn ready(mut pod: Pod, since: Timestamp) -> Pod {
    let condition = PodCondition {
        type_: "Ready".into(),
        status: "True".into(),
        last_transition_time: Some(Time(since)),
        ..PodCondition::default()
    };
    pod.spec.get_or_insert_default().node_name = Some("node".into());
    let status = pod.status.get_or_insert_default();
    status.phase = Some("Running".into());
    status.pod_ip = Some("10.244.0.9".into());
    status.conditions = Some(vec![condition]);
    pod
}

/// The pod under deletion.
pub(super) fn terminating(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = Some(Time(at(1)));
    pod
}

/// A snapshot together with what an API server adds: uids, versions, generated names.
#[derive(Default)]
pub(super) struct World {
    pub(super) snapshot: Snapshot,
    version: u64,
}

impl World {
    /// A world of these objects.
    pub(super) fn add<K: Stored>(&mut self, mut object: K) -> &mut Self {
        self.version += 1;
        object.meta_mut().resource_version = Some((1000 + self.version).to_string());
        self.snapshot.apply(object.into_object());
        self
    }

    /// Runs a controller until it writes nothing more; returns all its writes and when it wants to look again.
    pub(super) fn settle(
        &mut self,
        now: Timestamp,
        reconcile: fn(&Snapshot, Timestamp) -> Outcome,
    ) -> Outcome {
        let mut all = Outcome::default();
        for _ in 0..20 {
            let outcome = reconcile(&self.snapshot, now);
            let resting = outcome.writes.is_empty();
            outcome.writes.iter().for_each(|write| self.execute(write));
            all.writes.extend(outcome.writes);
            all.due = outcome.due;
            if resting {
                return all;
            }
        }
        panic!("the controller does not come to rest: {:#?}", all.writes);
    }

    /// Executes one write.
    pub(super) fn execute(&mut self, write: &Write) {
        self.version += 1;
        let version = 1000 + self.version;
        match &write.action {
            Action::Create { kind, body, .. } => {
                let mut body = body.clone();
                if body["metadata"].get("name").is_none() {
                    let prefix = body["metadata"]["generateName"].as_str().unwrap().to_owned();
                    body["metadata"]["name"] = json!(format!("{prefix}{version}"));
                }
                let filled = json!({"metadata": {"uid": format!("uid-{version}"), "resourceVersion": version.to_string(),
                    "generation": 1, "creationTimestamp": "1970-01-01T00:00:00Z"}});
                json_patch::merge(&mut body, &filled);
                self.snapshot.apply(Object::parse(*kind, body).unwrap());
            }
            Action::Patch { target, patch, part } => {
                let mut value = self.read(target);
                let is_status = patch.get("status").is_some();
                assert_eq!(is_status, *part == Part::Status, "a patch goes to the part that it names");
                json_patch::merge(&mut value, patch);
                self.store(target, value, version);
            }
            Action::Delete { target, .. } => {
                let mut value = self.read(target);
                let finalizers =
                    value["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
                if finalizers {
                    value["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:01Z");
                    self.store(target, value, version);
                } else {
                    self.snapshot.bury(target.kind, &key(target), &target.uid);
                }
            }
            Action::Bind { target, node } => {
                let mut value = self.read(target);
                value["spec"]["nodeName"] = json!(node);
                self.store(target, value, version);
            }
        }
    }

    fn store(&mut self, target: &Target, mut value: Value, version: u64) {
        value["metadata"]["resourceVersion"] = json!(version.to_string());
        let leaving = value["metadata"].get("deletionTimestamp").is_some_and(|time| !time.is_null());
        let held = value["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
        if leaving && !held {
            self.snapshot.bury(target.kind, &key(target), &target.uid);
        } else {
            self.snapshot.apply(Object::parse(target.kind, value).unwrap());
        }
    }

    fn read(&self, target: &Target) -> Value {
        let (namespace, name) = (target.namespace.as_deref().unwrap_or_default(), target.name.as_str());
        self.snapshot.json(target.kind, namespace, name).expect("a write names an object that exists")
    }
}

fn key(target: &Target) -> ObjectKey {
    ObjectKey { namespace: target.namespace.clone().unwrap_or_default(), name: target.name.clone() }
}

/// One line for each write, for comparing in tests.
pub(super) fn lines(writes: &[Write]) -> Vec<String> {
    writes.iter().map(line).collect()
}

fn line(write: &Write) -> String {
    match &write.action {
        Action::Create { kind, body, .. } => {
            let meta = &body["metadata"];
            let name = meta["name"].as_str().or(meta["generateName"].as_str()).unwrap_or_default();
            format!("create {kind:?} {name}")
        }
        Action::Patch { target, part: Part::Main, patch } => {
            format!("patch {:?} {} {patch}", target.kind, target.name)
        }
        Action::Patch { target, part: Part::Status, patch } => {
            format!("status {:?} {} {}", target.kind, target.name, patch["status"])
        }
        Action::Delete { target, grace_seconds: None, .. } => {
            format!("delete {:?} {}", target.kind, target.name)
        }
        Action::Delete { target, grace_seconds: Some(seconds), .. } => {
            format!("delete {:?} {} grace {seconds}", target.kind, target.name)
        }
        Action::Bind { target, node } => format!("bind {} {node}", target.name),
    }
}

/// The writes that are not to a status.
pub(super) fn without_status(writes: &[Write]) -> Vec<String> {
    lines(writes).into_iter().filter(|line| !line.starts_with("status ")).collect()
}

/// A value of the API read from JSON.
pub(super) fn from_json<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// The JSON form of an object, for picking fields in assertions.
pub(super) fn json_of<K: serde::Serialize>(object: &K) -> Value {
    to_json(object)
}
