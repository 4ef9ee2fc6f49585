//! Who owns which field: `metadata.managedFields`, by writes and by server-side apply.
//!
//! Rules: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>. Pure.

mod filter;
mod prune;
pub(crate) mod scale;
pub(crate) mod set;
pub(crate) mod topology;
pub(crate) mod walk;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::filter::Filter;
use self::set::FieldSet;
use self::topology::Place;
use super::builtin;
use super::cluster::{Target, time_text};
use super::defects::Defect;
use super::definition::Shape;
use super::error::ApiError;
use super::json::{list, object, text};

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

    /// Who this is: an applier whatever version it speaks, others in one version.
    fn owner(&self) -> (&str, Operation, &str, &str) {
        let version = if self.operation == Operation::Apply { "" } else { &self.api_version };
        (&self.manager, self.operation, version, &self.subresource)
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

/// Records a write that is not an apply: its manager owns what it changed, others lose that. The new state is the one
/// that was sent, before the server puts back what can't be changed.
pub(crate) fn track(target: &Target, old: Option<&Value>, new: &mut Value, manager: &str, now: Timestamp) {
    let place = Place::root(target);
    let mut entries = old.map(|old| known_entries(target, old, new)).unwrap_or_default();
    // Nothing is tracked on an object whose ownership nobody began to record.
    if old.is_some() && entries.is_empty() {
        write_entries(new, Vec::new());
        return;
    }
    let before = visible(old.unwrap_or(&unowned(target)));
    let after = visible(new);
    let changed = own_nothing_as_such(walk::changed(place, Some(&before), &after));
    let removed = match old {
        Some(_) => walk::all_paths(place, &before).difference(&walk::all_paths(place, &after)),
        None => FieldSet::default(),
    };
    for entry in &mut entries {
        let filter = Filter::of(target, &entry.api_version);
        if !entry.is_of(target, manager, Operation::Update) {
            entry.fields = entry.fields.difference(&filter.apply(&changed));
        }
        entry.fields = entry.fields.difference(&filter.apply(&removed));
    }
    let changed = Filter::of(target, &target.api_version()).apply(&changed);
    if !changed.is_empty() {
        own(&mut entries, target, (manager, Operation::Update), |fields| fields.union(&changed), Some(now));
    }
    write_entries(new, entries);
}

/// Who owned what before a write: as the object says that is sent, if it says anything. A subresource is not asked.
fn known_entries(target: &Target, old: &Value, sent: &Value) -> Vec<Entry> {
    let managed = sent.pointer("/metadata/managedFields");
    match managed.filter(|_| target.subresource.is_none()) {
        Some(managed) if is_reset(managed) => Vec::new(),
        Some(managed) if list(Some(managed)).next().is_some() && list(Some(managed)).all(is_readable) => {
            read_entries(sent)
        }
        Some(_) | None => read_entries(old),
    }
}

fn is_readable(entry: &Value) -> bool {
    matches!(text(entry, "/operation"), "Apply" | "Update")
        && !text(entry, "/apiVersion").is_empty()
        && text(entry, "/fieldsType") == "FieldsV1"
}

/// The object as such, and its metadata, are nobody's.
fn own_nothing_as_such(mut fields: FieldSet) -> FieldSet {
    fields.owned = false;
    if let Some(metadata) = fields.children.get_mut("f:metadata") {
        metadata.owned = false;
    }
    fields
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
    let config = visible(&sent);
    let filter = Filter::of(target, &target.api_version());
    let wanted = filter.apply(&own_nothing_as_such(walk::fields_of(place, &config)));
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
    let is_own = |entry: &&Entry| entry.is_of(target, manager, Operation::Apply);
    let last = entries.iter().find(is_own).map(|entry| entry.fields.clone()).unwrap_or_default();
    let others = entries.iter().filter(|entry| !is_own(entry));
    // While it is decided what goes, an applier also owns the names that it sends.
    let sent_fields = filter.apply(&walk::fields_of(place, &sent));
    let owned = others.fold(sent_fields, |all, one| all.union(&one.fields));
    let mut result = match Defect::GivenUpFieldsStay.is_planted() {
        true => merged,
        false => prune::prune(place, &merged, &last, &owned),
    };
    let (before, after) = (visible(live), visible(&result));
    let changed = walk::changed(place, Some(&before), &after);
    let removed = walk::all_paths(place, &before).difference(&walk::all_paths(place, &after));
    let force = force || Defect::ConflictsIgnored.is_planted();
    resolve_conflicts(&mut entries, target, manager, (&changed, &removed), force)?;
    // An apply that changes nothing but ownership leaves no time.
    let now = (before != after).then_some(now);
    own(&mut entries, target, (manager, Operation::Apply), |_| wanted.clone(), now);
    write_entries(&mut result, entries);
    Ok(result)
}

/// What an object has that nobody is known to own belongs, from its first apply on, to a manager of that name.
fn before_first_apply(target: &Target, live: &Value, now: Timestamp) -> Option<Entry> {
    let place = Place::root(target);
    let fields = own_nothing_as_such(walk::changed(place, Some(&unowned(target)), &visible(live)));
    let entry = Entry {
        manager: "before-first-apply".to_owned(),
        operation: Operation::Update,
        api_version: target.api_version(),
        subresource: target.subresource.clone().unwrap_or_default(),
        time: json!(time_text(now)),
        fields: Filter::of(target, &target.api_version()).apply(&fields),
    };
    (!entry.fields.is_empty()).then_some(entry)
}

/// Refuses an apply that changes what others own, or takes it from them. What is gone is nobody's.
fn resolve_conflicts(
    entries: &mut [Entry],
    target: &Target,
    manager: &str,
    (changed, removed): (&FieldSet, &FieldSet),
    force: bool,
) -> Result<(), ApiError> {
    let mut conflicts = Vec::new();
    for entry in entries.iter_mut().filter(|entry| !entry.is_of(target, manager, Operation::Apply)) {
        let filter = Filter::of(target, &entry.api_version);
        let contested = entry.fields.intersection(&filter.apply(changed));
        entry.fields = entry.fields.difference(&filter.apply(removed));
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

/// Of entries that name the same owner, the last one counts.
fn read_entries(value: &Value) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for entry in list(value.pointer("/metadata/managedFields")).map(Entry::read) {
        entries.retain(|other| other.owner() != entry.owner());
        entries.push(entry);
    }
    entries
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

/// The part of an object that can be owned.
fn visible(value: &Value) -> Value {
    const SYSTEM: [&str; 8] = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
        "selfLink",
    ];
    let mut shown = value.clone();
    let Some(members) = shown.as_object_mut() else { return shown };
    members.remove("apiVersion");
    members.remove("kind");
    let metadata = object(&mut shown, "metadata");
    SYSTEM.into_iter().for_each(|field| drop(metadata.remove(field)));
    if metadata.is_empty() {
        shown.as_object_mut().expect("it was just changed as an object").remove("metadata");
    }
    shown
}
