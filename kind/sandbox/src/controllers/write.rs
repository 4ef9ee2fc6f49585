//! What a controller wants changed: fully specified writes that leave no choice to the one who executes them. Every
//! change to an existing object names the uid and the resourceVersion that the decision was based on, so that
//! executing an outdated write is refused by the API server instead of doing harm.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use serde_json::{Map, Value, json};

use super::snapshot::{Kind, Stored};

/// What a reconcile decided: the writes, in order, and when to look again although nothing has changed by then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The writes, in the order in which they are to be made.
    pub(crate) writes: Vec<Write>,
    /// What to tell users of a state that nothing is written about. Each is told once.
    pub(crate) remarks: Vec<Announcement>,
    /// The next moment at which the passing of time alone changes the decision.
    pub(crate) due: Option<Timestamp>,
}

impl Outcome {
    /// Adds a write.
    pub(crate) fn push(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Asks for another look at this moment at the latest.
    pub(crate) fn look_again_at(&mut self, moment: Timestamp) {
        self.due = Some(self.due.map_or(moment, |due| due.min(moment)));
    }

    /// Takes in what another part decided.
    pub(crate) fn extend(&mut self, other: Outcome) {
        let Outcome { writes, remarks, due } = other;
        self.writes.extend(writes);
        self.remarks.extend(remarks);
        if let Some(due) = due {
            self.look_again_at(due);
        }
    }
}

/// One change, and the Event that tells the user of it once it is made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    /// The change.
    pub(crate) action: Action,
    /// What to tell the user.
    pub(crate) announcement: Option<Announcement>,
    /// What to tell the user when the API server refuses the change.
    pub(crate) complaint: Option<Announcement>,
    /// It is not made when the write before it was refused.
    pub(crate) follows: bool,
    /// Who must be there and not be leaving at the moment of the write: it is looked at afresh, since an adoption that is
    /// based on an old state would take back what an orphaning deletion has just let go.
    pub(crate) staying: Option<Target>,
}

/// A change to one object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Creates an object.
    Create {
        /// The object's kind.
        kind: Kind,
        /// Its namespace; none for cluster-scoped kinds.
        namespace: Option<String>,
        /// The whole object.
        body: Value,
    },
    /// Changes an object, or its status alone.
    Patch {
        /// The object, at the version that the decision was based on.
        target: Target,
        /// Whether the patch goes to the object or to its status.
        part: Part,
        /// A JSON merge patch (RFC 7396).
        patch: Value,
    },
    /// Deletes an object.
    Delete {
        /// The object; deletion is bound to its uid, not to its version.
        target: Target,
        /// Overrides the grace period of the object.
        grace_seconds: Option<u32>,
        /// Which goes first, the object or what it owns.
        order: Order,
    },
    /// Assigns a pod to a node.
    Bind {
        /// The pod.
        target: Target,
        /// The node's name.
        node: String,
    },
}

/// In which order an object and what it owns are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The object first.
    Background,
    /// The object last.
    Foreground,
}

/// The part of an object that a patch goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status.
    Main,
    /// The status subresource.
    Status,
}

/// One version of one incarnation of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The object's kind.
    pub(crate) kind: Kind,
    /// Its namespace; none for cluster-scoped kinds.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// Its uid.
    pub(crate) uid: String,
    /// The version that the decision was based on.
    pub(crate) resource_version: String,
}

impl Target {
    /// Names the object as it stands in the snapshot.
    pub(crate) fn of<K: Stored>(object: &K) -> Target {
        Target {
            kind: K::KIND,
            namespace: object.namespace(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            resource_version: object.resource_version().unwrap_or_default(),
        }
    }
}

/// In an Event's message, the name of the object that the write made: the API server chooses it.
pub(crate) const NAME: &str = "{name}";

/// In an Event's message, why the API server refused the write.
pub(crate) const REFUSAL: &str = "{refusal}";

/// Whether an Event tells of the ordinary or of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// As expected.
    Normal,
    /// Something stands in the way.
    Warning,
}

/// An Event to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Announcement {
    /// The object that the Event is about.
    pub(crate) about: Target,
    /// Normal or warning.
    pub(crate) severity: Severity,
    /// The reason, one word in camel case.
    pub(crate) reason: &'static str,
    /// What happened, in words; [`NAME`] stands for the name of the object that was written.
    pub(crate) message: String,
}

impl Announcement {
    /// An Event about an object.
    pub(crate) fn about<K: Stored>(
        about: &K,
        severity: Severity,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { about: Target::of(about), severity, reason, message: message.into() }
    }
}

impl Write {
    /// Creates an object.
    pub(crate) fn create<K: Stored>(object: &K) -> Write {
        let mut body = to_json(object);
        body["apiVersion"] = json!(K::api_version(&()));
        body["kind"] = json!(K::kind(&()));
        if let Some(fields) = body.as_object_mut() {
            fields.remove("status");
        }
        Action::Create { kind: K::KIND, namespace: object.namespace(), body }.into()
    }

    /// Brings everything but the status from what it is to what it should be; nothing if it is that already.
    pub(crate) fn update<K: Stored>(current: &K, desired: &K) -> Option<Write> {
        if current == desired {
            return None;
        }
        let (mut current_json, mut desired_json) = (to_json(current), to_json(desired));
        for value in [&mut current_json, &mut desired_json] {
            value.as_object_mut().map(|fields| fields.remove("status"));
        }
        let patch = merge_difference(&current_json, &desired_json)?;
        Some(Self::patch(current, Part::Main, patch))
    }

    /// Brings the status from what it is to what it should be, and the annotations with it; nothing if they are that already.
    pub(crate) fn update_status<K: Stored>(current: &K, desired: &K) -> Option<Write> {
        if current == desired {
            return None;
        }
        let (current_json, desired_json) = (to_json(current), to_json(desired));
        let difference = |pointer: &str| {
            let nothing = json!({});
            let at = |value: &Value| value.pointer(pointer).unwrap_or(&nothing).clone();
            merge_difference(&at(&current_json), &at(&desired_json))
        };
        let (status, annotations) = (difference("/status"), difference("/metadata/annotations"));
        if status.is_none() && annotations.is_none() {
            return None;
        }
        let mut patch = json!({ "status": status.unwrap_or_else(|| json!({})) });
        if let Some(annotations) = annotations {
            patch["metadata"] = json!({ "annotations": annotations });
        }
        Some(Self::patch(current, Part::Status, patch))
    }

    /// Makes the write only if this object is there then and not leaving.
    pub(crate) fn while_stays<K: Stored>(mut self, owner: &K) -> Write {
        self.staying = Some(Target::of(owner));
        self
    }

    fn patch<K: Stored>(current: &K, part: Part, patch: Value) -> Write {
        Action::Patch { target: Target::of(current), part, patch }.into()
    }

    /// Deletes an object; its own grace period holds.
    pub(crate) fn delete<K: Stored>(object: &K) -> Write {
        Action::Delete { target: Target::of(object), grace_seconds: None, order: Order::Background }.into()
    }

    /// Deletes an object after everything that it owns.
    pub(crate) fn delete_last<K: Stored>(object: &K) -> Write {
        Action::Delete { target: Target::of(object), grace_seconds: None, order: Order::Foreground }.into()
    }

    /// Deletes an object at once.
    pub(crate) fn delete_at_once<K: Stored>(object: &K) -> Write {
        Action::Delete { target: Target::of(object), grace_seconds: Some(0), order: Order::Background }.into()
    }

    /// Tells the user of the change once it is made.
    pub(crate) fn announce<K: Stored>(
        mut self,
        about: &K,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Write {
        self.announcement = Some(Announcement::about(about, Severity::Normal, reason, message));
        self
    }

    /// Tells the user of a refusal; [`REFUSAL`] stands for what the API server said.
    pub(crate) fn complain<K: Stored>(
        mut self,
        about: &K,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Write {
        self.complaint = Some(Announcement::about(about, Severity::Warning, reason, message));
        self
    }

    /// Leaves the write out when the one before it was refused.
    pub(crate) fn only_after_the_last(mut self) -> Write {
        self.follows = true;
        self
    }

    /// Like [`Write::announce`], for trouble.
    pub(crate) fn warn<K: Stored>(
        self,
        about: &K,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Write {
        let mut write = self.announce(about, reason, message);
        if let Some(announcement) = &mut write.announcement {
            announcement.severity = Severity::Warning;
        }
        write
    }
}

impl From<Action> for Write {
    fn from(action: Action) -> Self {
        Write { action, announcement: None, complaint: None, follows: false, staying: None }
    }
}

/// The owner reference of a controller to what it controls.
pub(crate) fn controlled_by<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference { block_owner_deletion: Some(true), ..owner.controller_owner_ref(&()).unwrap_or_default() }
}

/// An API object as JSON.
pub(crate) fn to_json<T: serde::Serialize>(object: &T) -> Value {
    serde_json::to_value(object).expect("API types have string keys only, so they serialise")
}

/// The JSON merge patch that turns one value into the other; none if they are equal.
pub(crate) fn merge_difference(current: &Value, desired: &Value) -> Option<Value> {
    if current == desired {
        return None;
    }
    let (Value::Object(current), Value::Object(desired)) = (current, desired) else {
        return Some(desired.clone());
    };
    let mut patch = Map::new();
    for (name, value) in desired {
        let held = current.get(name).unwrap_or(&Value::Null);
        if let Some(difference) = merge_difference(held, value) {
            patch.insert(name.clone(), difference);
        }
    }
    for name in current.keys().filter(|name| !desired.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;

    #[test]
    fn a_difference_applied_as_merge_patch_gives_the_desired_value() {
        let current = json!({"a": 1, "b": {"x": 1, "y": 2}, "c": [1, 2], "gone": true});
        let desired = json!({"a": 1, "b": {"x": 3}, "c": [2], "new": {"z": 1}});
        let patch = merge_difference(&current, &desired).unwrap();
        assert_eq!(patch, json!({"b": {"x": 3, "y": null}, "c": [2], "gone": null, "new": {"z": 1}}));
        let mut patched = current;
        json_patch::merge(&mut patched, &patch);
        assert_eq!(patched, desired);
    }

    #[test]
    fn an_object_that_is_as_desired_is_not_written() {
        let pod = Pod::default();
        assert_eq!(Write::update(&pod, &pod.clone()), None);
        assert_eq!(Write::update_status(&pod, &pod.clone()), None);
    }

    #[test]
    fn the_earlier_of_two_due_times_counts() {
        let mut outcome = Outcome::default();
        outcome.look_again_at(Timestamp::from_second(20).unwrap());
        outcome.look_again_at(Timestamp::from_second(10).unwrap());
        outcome.look_again_at(Timestamp::from_second(30).unwrap());
        assert_eq!(outcome.due, Some(Timestamp::from_second(10).unwrap()));
    }
}
