//! The table of messages, read once. Pure.

use std::collections::BTreeMap;
use std::sync::OnceLock;

const TABLE: &str = include_str!("messages.txt");

/// The fields of a message, by number.
pub(super) type Message = BTreeMap<u32, Field>;

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its name in JSON; `.` if its members stand in the outer object.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) count: Count,
    /// Whether zero, false and empty text are left out.
    pub(super) drops_nothing: bool,
}

/// How often a field occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    One,
    List,
    Map,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bytes,
    Flag,
    Number,
    Quantity,
    Time,
    MicroTime,
    IntOrString,
    /// JSON inside.
    Raw,
    /// A message around a list of texts.
    Texts,
    /// The message of this name.
    Message(&'static str),
}

/// The message of a name such as `core/Pod`.
pub(super) fn message(name: &str) -> Option<&'static Message> {
    static MESSAGES: OnceLock<BTreeMap<&'static str, Message>> = OnceLock::new();
    MESSAGES
        .get_or_init(|| TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect())
        .get(name)
}

fn row(line: &'static str) -> Option<(&'static str, Message)> {
    let mut words = line.split_whitespace();
    Some((words.next()?, words.filter_map(field).collect()))
}

fn field(word: &'static str) -> Option<(u32, Field)> {
    let (number, rest) = word.split_once('=')?;
    let (name, kind) = rest.split_once(':')?;
    let (count, kind) = match (kind.strip_suffix("[]"), kind.strip_suffix("{}")) {
        (Some(kind), _) => (Count::List, kind),
        (None, Some(kind)) => (Count::Map, kind),
        (None, None) => (Count::One, kind),
    };
    let kind = match kind {
        "text" => Kind::Text,
        "bytes" => Kind::Bytes,
        "flag" => Kind::Flag,
        "number" => Kind::Number,
        "quantity" => Kind::Quantity,
        "time" => Kind::Time,
        "microtime" => Kind::MicroTime,
        "int-or-string" => Kind::IntOrString,
        "raw" => Kind::Raw,
        "texts" => Kind::Texts,
        message => Kind::Message(message),
    };
    let number_text = number.strip_suffix('?');
    let number = number_text.unwrap_or(number).parse().ok()?;
    Some((number, Field { name, kind, count, drops_nothing: number_text.is_some() }))
}

#[cfg(test)]
pub(super) fn words() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        words.map(move |word| (name, word))
    })
}
