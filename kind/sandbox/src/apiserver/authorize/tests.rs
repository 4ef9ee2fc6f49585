//! What rules allow and cover. Whole requests are tested from outside, in `tests/it/apiserver/rights.rs`.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{Asked, Attributes, ResourceAsked, Rule};

fn rule(value: Value) -> Rule {
    serde_json::from_value(value).unwrap()
}

/// `verb group resource/subresource name`, "-" for what is empty.
fn on(text: &str) -> Attributes {
    let words: Vec<&str> = text.split(' ').map(|word| if word == "-" { "" } else { word }).collect();
    let (resource, subresource) = words[2].split_once('/').unwrap_or((words[2], ""));
    Attributes {
        verb: words[0].to_owned(),
        asked: Asked::Resource(ResourceAsked {
            group: words[1].to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: String::new(),
            name: words[3].to_owned(),
        }),
    }
}

#[test]
fn a_rule_allows_its_verbs_on_its_resources_and_names_and_nothing_else() {
    let pods = rule(json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}));
    assert!(pods.allows(&on("get - pods a")));
    for other in ["delete - pods a", "get apps pods a", "get - pods/log a", "get - secrets a"] {
        assert!(!pods.allows(&on(other)), "{other}");
    }
    let named = rule(json!({
        "verbs": ["*"], "apiGroups": ["apps"], "resources": ["statefulsets"], "resourceNames": ["a"],
    }));
    assert!(named.allows(&on("patch apps statefulsets a")));
    assert!(!named.allows(&on("patch apps statefulsets b")));
    assert!(!named.allows(&on("list apps statefulsets -")), "a list names nothing");
    assert!(!named.allows(&on("create apps statefulsets -")), "nor does a creation by POST");
}

#[test]
fn a_star_stands_for_every_verb_group_and_resource_and_for_a_subresource_of_every_resource() {
    let everything = rule(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
    assert!(everything.allows(&on("create apps deployments/scale x")));
    let scales = rule(json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["*/scale"]}));
    assert!(scales.allows(&on("get apps deployments/scale x")));
    assert!(!scales.allows(&on("get apps deployments x")));
    assert!(!scales.allows(&on("get apps deployments/status x")));
}

#[test]
fn a_path_may_end_in_a_star() {
    let rule = rule(json!({"verbs": ["get"], "nonResourceURLs": ["/apis/*", "/version"]}));
    let path = |path: &str| Attributes { verb: "get".to_owned(), asked: Asked::Path(path.to_owned()) };
    assert!(rule.allows(&path("/apis/apps/v1")));
    assert!(rule.allows(&path("/version")));
    assert!(!rule.allows(&path("/apis")));
    assert!(!rule.allows(&path("/metrics")));
    assert!(!rule.allows(&on("get - pods a")));
}

#[test]
fn who_has_a_name_only_does_not_have_all_names() {
    let named = rule(json!({
        "verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"],
    }));
    let all = rule(json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}));
    assert!(named.parts().iter().all(|part| all.covers(part)));
    assert!(!all.parts().iter().any(|part| named.covers(part)));
    assert_eq!(all.parts().len(), 2);
}
