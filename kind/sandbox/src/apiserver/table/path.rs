//! The JSON paths of printer columns: members, indices and one kind of filter.
//!
//! Pure. Anything else selects nothing.

use serde_json::Value;

/// The first value that a path selects.
pub(super) fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let (mut at, mut rest) = (object, path.trim_start_matches('$'));
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']')?;
            at = select(at, &inner[..end])?;
            rest = &inner[end + 1..];
        } else {
            let named = rest.strip_prefix('.').unwrap_or(rest);
            let end = member_end(named);
            at = at.get(named[..end].replace("\\.", "."))?;
            rest = &named[end..];
        }
    }
    Some(at)
}

fn member_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if !escaped && matches!(character, '.' | '[') {
            return at;
        }
        escaped = character == '\\';
    }
    text.len()
}

fn select<'a>(value: &'a Value, inside: &str) -> Option<&'a Value> {
    if let Ok(index) = inside.parse::<usize>() {
        return value.get(index);
    }
    if let Some(name) = inside.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')) {
        return value.get(name.replace("\\.", "."));
    }
    let filter = inside.strip_prefix("?(@.")?.strip_suffix(')')?;
    let (member, wanted) = filter.split_once("==")?;
    let wanted = wanted.trim().trim_matches(['"', '\'']);
    value.as_array()?.iter().find(|item| item.get(member.trim()).and_then(Value::as_str) == Some(wanted))
}
