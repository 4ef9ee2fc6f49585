//! From a seed to a sequence of operations. Pure: the same seed gives the same steps.
//!
//! Steps are those of cases, so that a sequence can be kept as one. Names and values come from small pools: operations must
//! meet. Left out is what real controllers answer for (see `owners`), and what is listed as different.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::pools::{self, Pool};

/// A step as a case has it: its line and its body.
pub(crate) type Written = (String, Value);

/// Before this object everything of a sequence begins, and after the other it ends: watches run from one to the other.
pub(crate) const BEGIN: &str = "aa-begin";
pub(crate) const END: &str = "zz-end";

/// Random choices.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0.random_range(0..limit)
    }

    /// True so many times in a hundred.
    pub(super) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// The operations of a seed: so many random ones, between the objects that mark begin and end.
pub(crate) fn sequence(seed: u64, length: usize) -> Vec<Written> {
    let mut dice = Dice::new(seed);
    let all = pools::all();
    // Two kinds a sequence, so that operations meet on objects.
    let kinds = [dice.below(all.len()), dice.below(all.len())];
    let mut steps = vec![("POST configmaps".to_owned(), json!({"metadata": {"name": BEGIN}}))];
    for _ in 0..length {
        let pool = &all[*dice.one(&kinds)];
        steps.push(operation(&mut dice, pool));
    }
    let mut watched: Vec<&Pool> = kinds.iter().map(|kind| &all[*kind]).collect();
    watched.dedup_by_key(|pool| pool.resource);
    for pool in watched {
        steps.extend(closing(pool));
    }
    steps
}

/// What was left, and every event on the way.
pub(crate) fn closing(pool: &Pool) -> Vec<Written> {
    let resource = pool.resource;
    let mut last = pool.base.clone();
    last["metadata"] = json!({"name": END});
    vec![
        (format!("GET {resource}?fieldSelector=metadata.name!=kube-root-ca.crt"), json!({})),
        (format!("POST {resource}"), last),
        (format!("WATCH {resource}?resourceVersion=${{version configmaps/{BEGIN}}}"), json!({"until": END})),
    ]
}

fn operation(dice: &mut Dice, pool: &Pool) -> Written {
    let name = *dice.one(&["a", "b"]);
    let at = format!("{}/{name}", pool.resource);
    match dice.below(100) {
        0..14 => (format!("POST {}{}", pool.resource, options(dice, &[])), whole(dice, pool, name)),
        14..24 => {
            let body = whole(dice, pool, name);
            (format!("PUT {at}{}", options(dice, &[])), versioned(dice, &at, body))
        }
        24..40 => (format!("MERGE {at}{}{}", options(dice, &[]), agent(dice)), patch(dice, pool, &at)),
        40..46 => (format!("JSON {at}{}", options(dice, &[])), dice.one(&pool.json_patches).clone()),
        46..56 if pool.strategic => {
            (format!("STRATEGIC {at}{}{}", options(dice, &[]), agent(dice)), patch(dice, pool, &at))
        }
        46..72 => apply(dice, pool, &at, name),
        72..80 if !pool.statuses.is_empty() => status(dice, pool, &at, name),
        80..84 if pool.scale => scale(dice, &at),
        84..88 => (format!("GET {at}"), json!({})),
        88..91 => (format!("GET {}?{}", pool.resource, dice.one(&pools::LISTS)), json!({})),
        _ => (format!("DELETE {at}{}", options(dice, &[])), deletion(dice, pool, &at)),
    }
}

fn options(dice: &mut Dice, more: &[String]) -> String {
    let mut given = more.to_vec();
    if dice.percent(6) {
        given.push("dryRun=All".to_owned());
    }
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

fn agent(dice: &mut Dice) -> &'static str {
    if dice.percent(25) { " [agent two]" } else { "" }
}

fn whole(dice: &mut Dice, pool: &Pool, name: &str) -> Value {
    let mut body = pool.base.clone();
    for _ in 0..dice.below(3) {
        json_patch::merge(&mut body, dice.one(&pool.fragments));
    }
    body["metadata"]["name"] = json!(name);
    body
}

fn patch(dice: &mut Dice, pool: &Pool, at: &str) -> Value {
    let mut body = dice.one(&pool.fragments).clone();
    if dice.percent(30) {
        overlay(&mut body, dice.one(&pool.fragments));
    }
    if dice.percent(12) { versioned(dice, at, body) } else { body }
}

/// Like a merge patch, but nulls stay: they are what a patch is to say.
fn overlay(body: &mut Value, more: &Value) {
    match (body, more) {
        (Value::Object(members), Value::Object(more)) => {
            for (name, value) in more {
                overlay(members.entry(name).or_insert(Value::Null), value);
            }
        }
        (body, more) => *body = more.clone(),
    }
}

fn versioned(dice: &mut Dice, at: &str, mut body: Value) -> Value {
    let reference = match dice.below(10) {
        0..5 => format!("${{version {at}}}"),
        5..7 => format!("${{version {at} 0}}"),
        _ => return body,
    };
    body["metadata"]["resourceVersion"] = json!(reference);
    body
}

fn apply(dice: &mut Dice, pool: &Pool, at: &str, name: &str) -> Written {
    let mut body = if dice.percent(60) { pool.base.clone() } else { pool.least.clone() };
    for _ in 0..dice.below(3) {
        json_patch::merge(&mut body, dice.one(&pool.fragments));
    }
    body["metadata"]["name"] = json!(name);
    if !pool.strategic && body["metadata"]["labels"] == json!({}) {
        // A custom resource with empty labels is stored in another form: a listed difference.
        body["metadata"]["labels"] = json!({"x": "1"});
    }
    let mut given = vec![format!("fieldManager={}", dice.one(&["one", "two"]))];
    if dice.percent(35) {
        given.push("force=true".to_owned());
    }
    (format!("APPLY {at}{}", options(dice, &given)), body)
}

fn status(dice: &mut Dice, pool: &Pool, at: &str, name: &str) -> Written {
    let mut body = json!({"status": dice.one(&pool.statuses)});
    match dice.below(3) {
        0 => {
            body["metadata"] = json!({"name": name});
            (format!("APPLY {at}/status?fieldManager={}", dice.one(&["one", "two"])), body)
        }
        1 if pool.strategic => (format!("STRATEGIC {at}/status"), body),
        _ => (format!("MERGE {at}/status{}", agent(dice)), body),
    }
}

fn scale(dice: &mut Dice, at: &str) -> Written {
    match dice.below(6) {
        0 => (format!("GET {at}/scale"), json!({})),
        1 => (
            format!("APPLY {at}/scale?fieldManager={}", dice.one(&["one", "two"])),
            json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": dice.below(12)}}),
        ),
        _ => (
            format!("MERGE {at}/scale{}{}", options(dice, &[]), agent(dice)),
            json!({"spec": {"replicas": dice.below(12)}}),
        ),
    }
}

fn deletion(dice: &mut Dice, pool: &Pool, at: &str) -> Value {
    match dice.below(10) {
        0 => json!({"preconditions": {"uid": format!("${{uid {at}}}")}}),
        1 => json!({"preconditions": {"resourceVersion": format!("${{version {at}}}")}}),
        2 => json!({"preconditions": {"resourceVersion": format!("${{version {at} 0}}")}}),
        3 if pool.resource == "pods" => json!({"gracePeriodSeconds": dice.below(3)}),
        4 => json!({"propagationPolicy": "Background"}),
        _ => Value::Null,
    }
}
