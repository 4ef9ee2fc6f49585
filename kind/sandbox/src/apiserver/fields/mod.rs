//! Who owns which field: `metadata.managedFields`, by writes and by server-side apply.
//!
//! Rules: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>. Pure.

pub(crate) mod set;
pub(crate) mod topology;
pub(crate) mod walk;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::set::FieldSet;
use self::topology::Place;
use super::builtin;
use super::cluster::{Target, time_text};
use super::defects::Defect;
use super::definition::Shape;
use super::error::ApiError;
use super::json::{list, object, text};
use super::strategy::has_status;

/// How a manager came by its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Apply,
    Update,
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    manager: String,
    operation: Operation,
    api_version: String,
    subresource: String,
    time: Value,
    fields: FieldSet,
}

impl Entry {
    fn read(value: &Value) -> Self {
        Self {
            manager: text(value, "/manager").to_owned(),
            operation: if text(value, "/operation") == "Apply" {
                Operation::Apply
            } else {
                Operation::Update
            },
            api_version: text(value, "/apiVersion").to_owned(),
            subresource: text(value, "/subresource").to_owned(),
            time: value.get("time").cloned().unwrap_or(Value::Null),
            fields: FieldSet::from_json(&value["fieldsV1"]),
        }
    }

    fn to_json(&self) -> Value {
        let operation = match self.operation {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        };
        let mut value = json!({
            "manager": self.manager, "operation": operation, "apiVersion": self.api_version,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.to_json(),
        });
        if !self.time.is_null() {
            value["time"] = self.time.clone();
        }
        if !self.subresource.is_empty() {
            value["subresource"] = json!(self.subresource);
        }
        value
    }

    /// An applier is the same whatever version it speaks; others are not.
    fn is_of(&self, target: &Target, manager: &str, operation: Operation) -> bool {
        self.manager == manager
            && self.operation == operation
            && (operation == Operation::Apply || self.api_version == target.api_version())
            && self.subresource == target.subresource.as_deref().unwrap_or_default()
    }

    /// As conflicts name it.
    fn description(&self) -> String {
        let subresource = match self.subresource.as_str() {
            "" => String::new(),
            name => format!(" with subresource \"{name}\""),
        };
        match self.operation {
            Operation::Update => format!("\"{}\"{subresource} using {}", self.manager, self.api_version),
            Operation::Apply => format!("\"{}\"{subresource}", self.manager),
        }
    }
}

/// Records a write that is not an apply: its manager owns what it changed, others lose that.
pub(crate) fn track(target: &Target, old: Option<&Value>, new: &mut Value, manager: &str, now: Timestamp) {
    let place = Place::root(target);
    // Nothing is tracked on an object whose ownership nobody began to record.
    if old.is_some_and(|old| read_entries(old).is_empty()) {
        write_entries(new, Vec::new());
        return;
    }
    let reset = old.is_some() && new.pointer("/metadata/managedFields").is_some_and(is_reset);
    let before = visible(target, old.unwrap_or(&unowned(target)));
    let after = visible(target, new);
    let mut changed = walk::changed(place, Some(&before), &after);
    // The object as such, and its metadata, are nobody's.
    changed.owned = false;
    if let Some(metadata) = changed.children.get_mut("f:metadata") {
        metadata.owned = false;
    }
    let removed = match old {
        Some(_) => walk::all_paths(place, &before).difference(&walk::all_paths(place, &after)),
        None => FieldSet::default(),
    };
    let mut entries = if reset { Vec::new() } else { old.map(read_entries).unwrap_or_default() };
    for entry in &mut entries {
        if !entry.is_of(target, manager, Operation::Update) {
            entry.fields = entry.fields.difference(&changed);
        }
        entry.fields = entry.fields.difference(&removed);
    }
    if !changed.is_empty() {
        // Who scales leaves no time.
        let now = (target.subresource.as_deref() != Some("scale")).then_some(now);
        own(&mut entries, target, (manager, Operation::Update), |fields| fields.union(&changed), now);
    }
    write_entries(new, entries);
}

/// An object of the target of which nobody owns anything.
fn unowned(target: &Target) -> Value {
    match &target.definition.shape {
        Shape::BuiltIn(typed) => builtin::blank(&typed.kind),
        Shape::Custom(_) => json!({}),
    }
}

/// The object after an apply, its ownership included.
///
/// # Errors
/// 409 when fields are owned by others with other values, unless `force`.
pub(crate) fn applied(
    target: &Target,
    old: Option<&Value>,
    mut sent: Value,
    (manager, force): (&str, bool),
    now: Timestamp,
) -> Result<Value, ApiError> {
    object(&mut sent, "metadata").remove("managedFields");
    let place = Place::root(target);
    let config = visible(target, &sent);
    let wanted = FieldSet { owned: false, ..walk::fields_of(place, &config) };
    let Some(live) = old else {
        let mut entries = Vec::new();
        own(&mut entries, target, (manager, Operation::Apply), |_| wanted.clone(), Some(now));
        write_entries(&mut sent, entries);
        return Ok(sent);
    };
    let mut merged = walk::merge(place, Some(live), &config);
    for precondition in ["uid", "resourceVersion"] {
        if let Some(value) = sent["metadata"].get(precondition) {
            merged["metadata"][precondition] = value.clone();
        }
    }
    let mut entries = read_entries(live);
    if entries.is_empty() {
        entries.extend(before_first_apply(target, live, now));
    }
    let changed = walk::changed(place, Some(&visible(target, live)), &visible(target, &merged));
    let force = force || Defect::ConflictsIgnored.is_planted();
    resolve_conflicts(&mut entries, target, manager, &changed, force)?;
    let is_own = |entry: &&Entry| entry.is_of(target, manager, Operation::Apply);
    let previous = entries.iter().find(is_own).map(|entry| entry.fields.clone()).unwrap_or_default();
    let others = entries
        .iter()
        .filter(|entry| !is_own(entry))
        .fold(FieldSet::default(), |all, one| all.union(&one.fields));
    let given_up = match Defect::GivenUpFieldsStay.is_planted() {
        true => FieldSet::default(),
        false => release(previous.difference(&walk::all_paths(place, &config)), &others),
    };
    let mut result = walk::remove(place, &merged, &given_up).unwrap_or_else(|| json!({}));
    // An apply that changes nothing but ownership leaves no time.
    let now = (visible(target, live) != visible(target, &result)).then_some(now);
    own(&mut entries, target, (manager, Operation::Apply), |_| wanted.clone(), now);
    write_entries(&mut result, entries);
    Ok(result)
}

/// What an object has that nobody is known to own belongs, from its first apply on, to a manager of that name.
fn before_first_apply(target: &Target, live: &Value, now: Timestamp) -> Option<Entry> {
    let place = Place::root(target);
    let mut fields = walk::changed(place, Some(&unowned(target)), &visible(target, live));
    fields.owned = false;
    if let Some(metadata) = fields.children.get_mut("f:metadata") {
        metadata.owned = false;
    }
    let entry = Entry {
        manager: "before-first-apply".to_owned(),
        operation: Operation::Update,
        api_version: target.api_version(),
        subresource: String::new(),
        time: json!(time_text(now)),
        fields,
    };
    (!entry.fields.is_empty()).then_some(entry)
}

/// What may be removed: nothing that others own, and no list item below which others own something.
fn release(given_up: FieldSet, others: &FieldSet) -> FieldSet {
    let mut result = FieldSet { owned: given_up.owned && others.is_empty(), ..FieldSet::default() };
    for (element, below) in given_up.children {
        let left = match others.children.get(&element) {
            Some(others) => release(below, others),
            None => below,
        };
        result.insert(element, left);
    }
    result
}

fn resolve_conflicts(
    entries: &mut [Entry],
    target: &Target,
    manager: &str,
    changed: &FieldSet,
    force: bool,
) -> Result<(), ApiError> {
    let mut conflicts = Vec::new();
    for entry in entries.iter_mut().filter(|entry| !entry.is_of(target, manager, Operation::Apply)) {
        let contested = entry.fields.intersection(changed);
        if force {
            entry.fields = entry.fields.difference(&contested);
        } else {
            conflicts.extend(contested.paths().into_iter().map(|path| (path, entry.description())));
        }
    }
    if conflicts.is_empty() { Ok(()) } else { Err(ApiError::apply_conflict(&conflicts)) }
}

/// Changes the fields of one manager, and its time if there is one.
fn own(
    entries: &mut Vec<Entry>,
    target: &Target,
    (manager, operation): (&str, Operation),
    change: impl FnOnce(&FieldSet) -> FieldSet,
    now: Option<Timestamp>,
) {
    let at = entries.iter().position(|entry| entry.is_of(target, manager, operation));
    let empty = FieldSet::default();
    let fields = change(at.map_or(&empty, |at| &entries[at].fields));
    let known = at.map_or(Value::Null, |at| entries[at].time.clone());
    let entry = Entry {
        manager: manager.to_owned(),
        operation,
        api_version: target.api_version(),
        subresource: target.subresource.clone().unwrap_or_default(),
        time: now.map_or(known, |now| json!(time_text(now))),
        fields,
    };
    match at {
        Some(at) => entries[at] = entry,
        None => entries.push(entry),
    }
}

fn read_entries(value: &Value) -> Vec<Entry> {
    list(value.pointer("/metadata/managedFields")).map(Entry::read).collect()
}

fn write_entries(value: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    let order = |entry: &Entry| {
        let operation = entry.operation == Operation::Update;
        let time = entry.time.as_str().unwrap_or_default().to_owned();
        (operation, time, entry.manager.clone(), entry.api_version.clone(), entry.subresource.clone())
    };
    entries.sort_by_key(order);
    let metadata = object(value, "metadata");
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), entries.iter().map(Entry::to_json).collect());
    }
}

/// A client gives up all ownership by sending an empty list or one empty entry.
fn is_reset(managed: &Value) -> bool {
    managed.as_array().is_some_and(|entries| entries.iter().all(|entry| text(entry, "/manager").is_empty()))
}

/// The part of an object that can be owned through this resource or subresource.
fn visible(target: &Target, value: &Value) -> Value {
    const SYSTEM: [&str; 9] = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "managedFields",
    ];
    if target.subresource.as_deref() == Some("status") {
        return value.get("status").map_or_else(|| json!({}), |status| json!({"status": status}));
    }
    let mut shown = value.clone();
    let Some(members) = shown.as_object_mut() else { return shown };
    members.remove("apiVersion");
    members.remove("kind");
    if has_status(target) {
        members.remove("status");
    }
    let metadata = object(&mut shown, "metadata");
    SYSTEM.into_iter().chain(["selfLink"]).for_each(|field| drop(metadata.remove(field)));
    if metadata.is_empty() {
        shown.as_object_mut().expect("it was just changed as an object").remove("metadata");
    }
    shown
}
