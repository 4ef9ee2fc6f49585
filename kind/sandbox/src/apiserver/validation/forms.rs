//! The forms of names, labels, ports and the like: what is wrong with a text that is not of one.
//!
//! The words are those of `k8s.io/apimachinery/pkg/util/validation`. Pure.

use std::sync::LazyLock;

use regex::Regex;

const LABEL_FORM: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const NAME_FORM: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LONGEST_LABEL: usize = 63;
const LONGEST_SUBDOMAIN: usize = 253;
const LONGEST_PORT_NAME: usize = 15;

/// A port's number is one of these.
pub(super) const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

static SUBDOMAIN_FORM: LazyLock<String> = LazyLock::new(|| format!("{LABEL_FORM}(\\.{LABEL_FORM})*"));

fn whole(form: &str) -> Regex {
    Regex::new(&format!("^(?:{form})$")).expect("the forms here are regular expressions")
}

fn too_long(most: usize) -> String {
    format!("must be no more than {most} characters")
}

/// The words for a text that is not of a form.
fn unlike(what: &str, form: &str, examples: &[&str]) -> String {
    let examples = examples.iter().map(|one| format!("'{one}', ")).collect::<Vec<_>>().join(" or ");
    format!("{what} (e.g. {examples}regex used for validation is '{form}')")
}

/// A label of the domain name system (RFC 1123).
pub(super) fn dns_label(text: &str) -> Vec<String> {
    static LABEL: LazyLock<Regex> = LazyLock::new(|| whole(LABEL_FORM));
    const WHAT: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
    let mut wrong = Vec::new();
    if text.len() > LONGEST_LABEL {
        wrong.push(too_long(LONGEST_LABEL));
    }
    if !LABEL.is_match(text) {
        wrong.push(match is_subdomain(text) {
            true => "must not contain dots".to_owned(),
            false => unlike(WHAT, LABEL_FORM, &["my-name", "123-abc"]),
        });
    }
    wrong
}

/// A label of the domain name system that begins with a letter (RFC 1035).
pub(super) fn service_name(text: &str) -> Vec<String> {
    const FORM: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
    static LABEL: LazyLock<Regex> = LazyLock::new(|| whole(FORM));
    const WHAT: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
    let mut wrong = Vec::new();
    if text.len() > LONGEST_LABEL {
        wrong.push(too_long(LONGEST_LABEL));
    }
    if !LABEL.is_match(text) {
        wrong.push(unlike(WHAT, FORM, &["my-name", "abc-123"]));
    }
    wrong
}

fn is_subdomain(text: &str) -> bool {
    static SUBDOMAIN: LazyLock<Regex> = LazyLock::new(|| whole(&SUBDOMAIN_FORM));
    SUBDOMAIN.is_match(text)
}

/// Labels with dots between them.
pub(super) fn subdomain(text: &str) -> Vec<String> {
    const WHAT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
    let mut wrong = Vec::new();
    if text.len() > LONGEST_SUBDOMAIN {
        wrong.push(too_long(LONGEST_SUBDOMAIN));
    }
    if !is_subdomain(text) {
        wrong.push(unlike(WHAT, &SUBDOMAIN_FORM, &["example.com"]));
    }
    wrong
}

/// A name, perhaps with a subdomain and a slash in front.
pub(super) fn qualified_name(text: &str) -> Vec<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| whole(NAME_FORM));
    const WHAT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    let unlike = || unlike(WHAT, NAME_FORM, &["MyName", "my.name", "123-abc"]);
    let mut wrong = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        ["", name] => {
            wrong.push("prefix part must be non-empty".to_owned());
            *name
        }
        [prefix, name] => {
            wrong.extend(subdomain(prefix).into_iter().map(|why| format!("prefix part {why}")));
            *name
        }
        _ => {
            let why = format!(
                "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                unlike()
            );
            return vec![why];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > LONGEST_LABEL {
        wrong.push(format!("name part {}", too_long(LONGEST_LABEL)));
    }
    if !NAME.is_match(name) {
        wrong.push(format!("name part {}", unlike()));
    }
    wrong
}

/// The value of a label.
pub(super) fn label_value(text: &str) -> Vec<String> {
    static FORM: LazyLock<String> = LazyLock::new(|| format!("({NAME_FORM})?"));
    static VALUE: LazyLock<Regex> = LazyLock::new(|| whole(&FORM));
    const WHAT: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    let mut wrong = Vec::new();
    if text.len() > LONGEST_LABEL {
        wrong.push(too_long(LONGEST_LABEL));
    }
    if !VALUE.is_match(text) {
        wrong.push(unlike(WHAT, &FORM, &["MyValue", "my_value", "12345"]));
    }
    wrong
}

/// The name of a port.
pub(super) fn port_name(text: &str) -> Vec<String> {
    let plain = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
    let checks = [
        (text.len() > LONGEST_PORT_NAME, "must be no more than 15 characters"),
        (
            text.is_empty() || !text.chars().all(plain),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (!text.chars().any(|one| one.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
        (text.contains("--"), "must not contain consecutive hyphens"),
        (text.starts_with('-') || text.ends_with('-'), "must not begin or end with a hyphen"),
    ];
    checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, why)| why.to_owned()).collect()
}

/// The name of an environment variable.
pub(super) fn variable_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.is_empty() {
        wrong.push("environment variable name must be non-empty".to_owned());
    }
    if text.chars().any(|one| !(' '..='~').contains(&one) || one == '=') {
        let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
        wrong.push(why.to_owned());
    }
    wrong
}

/// A key of a ConfigMap or of a Secret.
pub(super) fn config_key(text: &str) -> Vec<String> {
    const FORM: &str = "[-._a-zA-Z0-9]+";
    static KEY: LazyLock<Regex> = LazyLock::new(|| whole(FORM));
    const WHAT: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    let mut wrong = Vec::new();
    if text.len() > LONGEST_SUBDOMAIN {
        wrong.push(too_long(LONGEST_SUBDOMAIN));
    }
    if !KEY.is_match(text) {
        wrong.push(unlike(WHAT, FORM, &["key.name", "KEY_NAME", "key-name"]));
    }
    match text {
        "." | ".." => wrong.push(format!("must not be '{text}'")),
        _ if text.starts_with("..") => wrong.push("must not start with '..'".to_owned()),
        _ => {}
    }
    wrong
}

/// A number with a percent sign.
pub(super) fn percent(text: &str) -> Vec<String> {
    const WHAT: &str = "a valid percent string must be a numeric string followed by an ending '%'";
    let digits = text.strip_suffix('%').unwrap_or_default();
    let fine = !digits.is_empty() && digits.chars().all(|one| one.is_ascii_digit());
    if fine { Vec::new() } else { vec![unlike(WHAT, "[0-9]+%", &["1%", "93%"])] }
}

/// The name of an HTTP header.
pub(super) fn header_name(text: &str) -> Vec<String> {
    const WHAT: &str = "a valid HTTP header must consist of alphanumeric characters or '-'";
    let fine = !text.is_empty() && text.chars().all(|one| one.is_ascii_alphanumeric() || one == '-');
    if fine { Vec::new() } else { vec![unlike(WHAT, "[-A-Za-z0-9]+", &["X-Header-Name"])] }
}
