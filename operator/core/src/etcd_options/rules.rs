//! The tables as rules that the API server enforces, with the reason in words. A test holds them together with
//! [`super::check`]. Never decides anything itself.

use kube::core::{Message, Rule};

use super::{DANGEROUS, FEATURE_GATES, OPTIONS, RESERVED, Takes};

/// A list in the API server's expression language.
fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(","))
}

/// None of the names may be set; the message is made from the first that is.
fn none_of<'a>(names: impl IntoIterator<Item = &'a str>, message: impl FnOnce(&str) -> String) -> Rule {
    let names = list(names);
    let first = format!("self.filter(name, name in {names})[0]");
    Rule::new(format!("self.all(name, !(name in {names}))")).message(Message::Expression(message(&first)))
}

/// No other names may be set; the message names the first that is.
fn only<'a>(names: impl IntoIterator<Item = &'a str>, why: &str) -> Rule {
    let names = list(names);
    Rule::new(format!("self.all(name, name in {names})"))
        .message(Message::Expression(format!("self.filter(name, !(name in {names}))[0] + ' {why}'")))
}

/// Options that endanger data.
pub fn not_dangerous() -> Rule {
    let reasons: Vec<String> = DANGEROUS.iter().map(|(name, why)| format!("'{name}': '{why}'")).collect();
    let reasons = reasons.join(", ");
    none_of(DANGEROUS.iter().map(|(name, _)| *name), |first| {
        format!("{first} + ' is refused: ' + {{{reasons}}}[{first}]")
    })
}

/// Options that the operator sets itself.
pub fn not_reserved() -> Rule {
    none_of(RESERVED.iter().copied(), |first| format!("{first} + ' is set by the operator'"))
}

/// Options that have fields of their own.
pub fn no_field() -> Rule {
    let with_field = OPTIONS.iter().filter(|option| option.field.is_some());
    none_of(with_field.map(|option| option.name), |first| {
        format!("{first} + ' has a field of its own in spec.etcd'")
    })
}

/// Options by their old names.
pub fn no_old_name() -> Rule {
    none_of(OPTIONS.iter().filter_map(|option| option.in_3_5.filter(|old| *old != option.name)), |first| {
        format!("{first} + ' is the name in etcd 3.5; write it as in etcd 3.7, which fits every version'")
    })
}

/// Options that nobody knows.
pub fn known() -> Rule {
    let old = OPTIONS.iter().filter_map(|option| option.in_3_5);
    let names = OPTIONS.iter().map(|option| option.name).chain(old);
    let names = names.chain(RESERVED.iter().copied()).chain(DANGEROUS.iter().map(|(name, _)| *name));
    only(names, "is not an option of etcd 3.5 to 3.7 that can be set")
}

fn named(takes: Takes) -> String {
    list(OPTIONS.iter().filter(|option| option.field.is_none() && option.takes == takes).map(|one| one.name))
}

fn values(takes: Takes, pattern: &str) -> Rule {
    let names = named(takes);
    Rule::new(format!("self.all(name, !(name in {names}) || self[name].matches('{pattern}'))")).message(
        Message::Expression(format!(
            "self.filter(name, name in {names} && !self[name].matches('{pattern}'))[0] + ' must be {}'",
            takes.wanted()
        )),
    )
}

/// Values of options that take numbers.
pub fn numbers() -> Rule {
    values(Takes::Number, "^[0-9]{1,9}$")
}

/// Values of options that take `true` or `false`.
pub fn switches() -> Rule {
    values(Takes::Switch, "^(true|false)$")
}

/// Values of options that take durations.
pub fn durations() -> Rule {
    values(Takes::Duration, "^([0-9]{1,9}(ns|us|ms|s|m|h))+$")
}

/// Values of options that take origins of pages.
pub fn origins() -> Rule {
    values(Takes::Origins, "^([*]|https?://[^/ ,]+:[0-9]{1,5}(,https?://[^/ ,]+:[0-9]{1,5})*)$")
}

/// Values of options that take one of some words.
pub fn words() -> Rule {
    let (mut checks, mut reasons) = (Vec::new(), Vec::new());
    for option in OPTIONS.iter().filter(|option| option.field.is_none()) {
        if let Takes::OneOf(allowed) = option.takes {
            checks.push(format!(
                "(!('{0}' in self) || self['{0}'] in {1})",
                option.name,
                list(allowed.iter().copied())
            ));
            reasons.push(format!("{} must be one of {}", option.name, allowed.join(", ")));
        }
    }
    Rule::new(checks.join(" && ")).message(reasons.join("; ").as_str())
}

/// Feature gates that may be set.
pub fn gates() -> Rule {
    only(
        FEATURE_GATES.iter().map(|gate| gate.name),
        "is not a feature gate that can be set; those that look for corruption are always on",
    )
}

/// What is not known to etcd 3.5 is not set there.
pub fn fits_3_5() -> Rule {
    let options = list(OPTIONS.iter().filter(|option| option.in_3_5.is_none()).map(|option| option.name));
    let gates = list(FEATURE_GATES.iter().filter(|gate| gate.in_3_5.is_none()).map(|gate| gate.name));
    fits("3.5", &options, &gates)
}

/// What is not known to etcd 3.6 is not set there.
pub fn fits_3_6() -> Rule {
    let gates = list(FEATURE_GATES.iter().filter(|gate| !gate.in_3_6).map(|gate| gate.name));
    fits("3.6", "[]", &gates)
}

fn fits(minor: &str, options: &str, gates: &str) -> Rule {
    let of_options =
        format!("(!has(self.etcd.options) || self.etcd.options.all(name, !(name in {options})))");
    let of_gates =
        format!("(!has(self.etcd.featureGates) || self.etcd.featureGates.all(name, !(name in {gates})))");
    let checks = if options == "[]" { of_gates } else { format!("({of_options} && {of_gates})") };
    let said = [options, gates].map(|names| names.trim_matches(['[', ']']).replace('\'', ""));
    let said: Vec<&str> = said.iter().filter(|names| !names.is_empty()).map(String::as_str).collect();
    Rule::new(format!("!self.version.startsWith('{minor}.') || !has(self.etcd) || {checks}"))
        .message(format!("etcd {minor} does not know {}", said.join(",").replace(',', ", ")).as_str())
        .field_path(".etcd")
}
