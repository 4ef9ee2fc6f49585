//! What an arm has answered so far, so that later steps can refer to it: uids, versions, names that were generated.
//!
//! Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// One state of an object, or of a list, that an arm has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    uid: String,
    version: String,
    name: String,
}

/// Everything that references can mean, by the path as the case wrote it (without its query).
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    seen: BTreeMap<String, Vec<Seen>>,
    tokens: BTreeMap<String, String>,
    continue_token: String,
    /// The names in the list that was answered last.
    items: Vec<String>,
}

impl Memory {
    /// Takes in an answer to a request for `short`.
    pub(crate) fn learn(&mut self, short: &str, body: &Value) {
        let path = short.split('?').next().unwrap_or(short);
        if let Some(token) = body.pointer("/metadata/continue").and_then(Value::as_str) {
            self.continue_token = token.to_owned();
        }
        if let (Some(account), Some(token)) = (path.strip_suffix("/token"), body.pointer("/status/token")) {
            let token = token.as_str().unwrap_or_default().to_owned();
            self.tokens.insert(account.to_owned(), token);
            return;
        }
        let is_list = body.get("items").is_some_and(Value::is_array);
        let text =
            |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(items) = body["items"].as_array() {
            let name = |item: &Value| item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            self.items = items.iter().map(name).collect();
        }
        if body["kind"] == "Status" || text("/metadata/resourceVersion").is_empty() {
            return;
        }
        let seen = Seen {
            uid: text("/metadata/uid"),
            version: text("/metadata/resourceVersion"),
            name: text("/metadata/name"),
        };
        let collection = path.split('/').next().unwrap_or(path);
        let object = format!("{collection}/{}", seen.name);
        let key = if is_list || path.contains('/') { path } else { object.as_str() };
        self.remember(key, seen.clone());
        if !is_list && !path.contains('/') {
            self.remember(&format!("{collection}/newest"), seen.clone());
        }
        if !is_list && path.ends_with("/status") {
            self.remember(&object, seen);
        }
    }

    /// The token that was made for an account (`serviceaccounts/NAME`).
    pub(crate) fn token(&self, account: &str) -> Option<&str> {
        self.tokens.get(account).map(String::as_str)
    }

    fn remember(&mut self, key: &str, seen: Seen) {
        let states = self.seen.entry(key.to_owned()).or_default();
        if states.last() != Some(&seen) {
            states.push(seen);
        }
    }

    /// Replaces `${…}` in all strings of a value.
    ///
    /// # Errors
    /// The reference that means nothing.
    pub(crate) fn fill(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill_text(text)?),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.fill(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.fill(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    /// Replaces `${…}` in a text.
    ///
    /// # Errors
    /// The reference that means nothing.
    pub(crate) fn fill_text(&self, text: &str) -> Result<String, String> {
        let Some((before, rest)) = text.split_once("${") else { return Ok(text.to_owned()) };
        let (reference, after) =
            rest.split_once('}').ok_or_else(|| format!("unclosed reference in {text:?}"))?;
        Ok(format!("{before}{}{}", self.lookup(reference)?, self.fill_text(after)?))
    }

    /// `version PATH [AGE]`, `uid PATH [AGE]`, `name PATH`, `continue`, `item INDEX` (of the last list); AGE 0 is the first state seen, -1 the one before
    /// the last.
    fn lookup(&self, reference: &str) -> Result<String, String> {
        let words: Vec<&str> = reference.split_whitespace().collect();
        if words == ["continue"] {
            return Ok(self.continue_token.clone());
        }
        if let ["item", index] = words.as_slice() {
            let index: usize = index.parse().map_err(|_| format!("bad index {index}"))?;
            return Ok(self.items.get(index).cloned().unwrap_or_else(|| "nothing".to_owned()));
        }
        let [what, path, age @ ..] = words.as_slice() else {
            return Err(format!("unreadable reference {reference:?}"));
        };
        let states = self.seen.get(*path).map(Vec::as_slice).unwrap_or_default();
        let age: Option<isize> =
            age.first().map(|age| age.parse().map_err(|_| format!("bad age {age}"))).transpose()?;
        let at = match age {
            None => states.len().checked_sub(1),
            Some(back @ ..0) => states.len().checked_sub(1 + back.unsigned_abs()),
            Some(index) => Some(index.unsigned_abs()),
        };
        // A reference to what was never answered is sent as a value that nothing has: shrinking takes steps away.
        let Some(seen) = at.and_then(|at| states.get(at)) else {
            return Ok(match *what {
                "uid" => "00000000-0000-0000-0000-000000000000".to_owned(),
                "version" => "1".to_owned(),
                _ => "nothing".to_owned(),
            });
        };
        match *what {
            "uid" => Ok(seen.uid.clone()),
            "version" => Ok(seen.version.clone()),
            "name" => Ok(seen.name.clone()),
            other => Err(format!("unknown reference {other:?}")),
        }
    }
}
