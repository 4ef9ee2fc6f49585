//! Discovery: which groups, versions and resources are served.
//!
//! Pure. Both the plain form and the aggregated one (`apidiscovery.k8s.io/v2`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::Answer;
use super::cluster::Cluster;
use super::definition::Definition;
use super::error::ApiError;
use super::openapi;
use super::request::ApiRequest;

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Answers everything that is not a resource.
pub(crate) fn answer(
    cluster: &Cluster,
    segments: &[String],
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let aggregated = request.accept.contains("as=APIGroupDiscoveryList");
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let document = match parts.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => return Ok(Answer::Text("ok")),
        ["version"] => version(),
        ["api"] if aggregated => aggregated_list(cluster, true),
        ["apis"] if aggregated => aggregated_list(cluster, false),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ["apis"] => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups(cluster)}),
        ["api", "v1"] => resource_list(cluster, "", "v1")?,
        ["openapi", "v3", rest @ ..] => openapi::answer(cluster, rest)?,
        ["apis", group] => group_document(cluster, group)?,
        ["apis", group, version] => resource_list(cluster, group, version)?,
        _ => return Err(ApiError::no_such_path()),
    };
    Ok(Answer::Document(document))
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "34", "gitVersion": "v1.34.0-sandbox", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
        "emulationMajor": "1", "emulationMinor": "34", "minCompatibilityMajor": "1", "minCompatibilityMinor": "33",
    })
}

/// Groups with their versions, the preferred one first.
fn versions(cluster: &Cluster) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for definition in cluster.definitions.values() {
        let versions = found.entry(&definition.id.group).or_default();
        for version in &definition.versions {
            if !versions.contains(&version.as_str()) {
                versions.push(version);
            }
        }
    }
    for group in ["authentication.k8s.io", "authorization.k8s.io"] {
        found.insert(group, vec!["v1"]);
    }
    found
}

fn group_object(group: &str, versions: &[&str]) -> Value {
    let one = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let all: Vec<Value> = versions.iter().map(one).collect();
    json!({"name": group, "preferredVersion": all.first(), "versions": all})
}

fn groups(cluster: &Cluster) -> Vec<Value> {
    let found = versions(cluster);
    found.iter().filter(|(group, _)| !group.is_empty()).map(|(group, of)| group_object(group, of)).collect()
}

fn group_document(cluster: &Cluster, group: &str) -> Result<Value, ApiError> {
    let found = versions(cluster);
    let versions = found.get(group).ok_or_else(ApiError::no_such_path)?;
    let mut document = group_object(group, versions);
    document["kind"] = json!("APIGroup");
    document["apiVersion"] = json!("v1");
    Ok(document)
}

fn served<'a>(
    cluster: &'a Cluster,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'a Definition> {
    let all = cluster.definitions.values().map(AsRef::as_ref);
    all.filter(move |one| one.id.group == group && one.versions.iter().any(|served| served == version))
}

fn subresources(definition: &Definition) -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let own =
        || json!({"group": definition.id.group, "version": definition.versions[0], "kind": definition.kind});
    let of =
        |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut found = Vec::new();
    if definition.status {
        found.push(("status", own(), vec!["get", "patch", "update"]));
    }
    if definition.scale {
        found.push(("scale", of("autoscaling", "v1", "Scale"), vec!["get", "patch", "update"]));
    }
    if definition.is("", "pods") {
        found.push(("binding", of("", "v1", "Binding"), vec!["create"]));
        found.push(("ephemeralcontainers", own(), vec!["get", "patch", "update"]));
        found.push(("eviction", of("policy", "v1", "Eviction"), vec!["create"]));
        for (name, kind) in [
            ("attach", "PodAttachOptions"),
            ("exec", "PodExecOptions"),
            ("portforward", "PodPortForwardOptions"),
        ] {
            found.push((name, of("", "v1", kind), vec!["create", "get"]));
        }
        found.push(("log", own(), vec!["get"]));
        found.push((
            "proxy",
            of("", "v1", "PodProxyOptions"),
            vec!["create", "delete", "get", "patch", "update"],
        ));
    }
    if definition.is("", "serviceaccounts") {
        found.push(("token", of("authentication.k8s.io", "v1", "TokenRequest"), vec!["create"]));
    }
    found
}

/// Reviews are served but have no definition.
fn reviews(group: &str) -> &'static [(&'static str, &'static str)] {
    match group {
        "authentication.k8s.io" => {
            &[("selfsubjectreviews", "SelfSubjectReview"), ("tokenreviews", "TokenReview")]
        }
        "authorization.k8s.io" => &[
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
            ("subjectaccessreviews", "SubjectAccessReview"),
        ],
        _ => &[],
    }
}

fn resource_list(cluster: &Cluster, group: &str, version: &str) -> Result<Value, ApiError> {
    let mut resources = Vec::new();
    for definition in served(cluster, group, version) {
        let name = &definition.id.resource;
        resources.push(json!({
            "name": name, "singularName": definition.singular, "namespaced": definition.namespaced,
            "kind": definition.kind, "verbs": VERBS, "shortNames": definition.short_names,
            "categories": definition.categories,
        }));
        for (subresource, kind, verbs) in subresources(definition) {
            resources.push(json!({
                "name": format!("{name}/{subresource}"), "singularName": "", "namespaced": definition.namespaced,
                "group": kind["group"], "version": kind["version"], "kind": kind["kind"], "verbs": verbs,
            }));
        }
    }
    for (name, kind) in reviews(group) {
        let singular = kind.to_lowercase();
        resources.push(json!({
            "name": name, "singularName": singular, "namespaced": false, "kind": kind, "verbs": ["create"],
        }));
    }
    if resources.is_empty() {
        return Err(ApiError::no_such_path());
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Ok(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}),
    )
}

fn aggregated_list(cluster: &Cluster, core: bool) -> Value {
    let found = versions(cluster);
    let groups = found.iter().filter(|(group, _)| group.is_empty() == core);
    let items = groups.map(|(group, versions)| {
        let versions: Vec<Value> =
            versions.iter().map(|version| aggregated_version(cluster, group, version)).collect();
        json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
    });
    let items: Vec<Value> = items.collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_version(cluster: &Cluster, group: &str, version: &str) -> Value {
    let mut resources: Vec<Value> = served(cluster, group, version)
        .map(|definition| {
            let subresources = subresources(definition).into_iter().map(
                |(name, kind, verbs)| json!({"subresource": name, "responseKind": kind, "verbs": verbs}),
            );
            json!({
                "resource": definition.id.resource, "singularResource": definition.singular,
                "responseKind": {"group": group, "version": version, "kind": definition.kind},
                "scope": if definition.namespaced { "Namespaced" } else { "Cluster" },
                "verbs": VERBS, "shortNames": definition.short_names, "categories": definition.categories,
                "subresources": subresources.collect::<Vec<_>>(),
            })
        })
        .collect();
    for (name, kind) in reviews(group) {
        resources.push(json!({
            "resource": name, "singularResource": kind.to_lowercase(), "scope": "Cluster", "verbs": ["create"],
            "responseKind": {"group": group, "version": version, "kind": kind},
        }));
    }
    json!({"version": version, "resources": resources, "freshness": "Current"})
}
