//! One rule of a role: what it allows, what other rule it covers, and how it is shown.
//!
//! Follows `k8s.io/component-helpers/auth/rbac/validation`. Pure.

use serde::{Deserialize, Serialize};

use super::attributes::{Asked, Attributes};

/// A `PolicyRule`. Verbs, groups and resources may be `*`; no resource names means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rule {
    pub(crate) verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub(crate) non_resource_urls: Vec<String>,
}

const ALL: &str = "*";

impl Rule {
    /// Whether this rule alone allows the request.
    pub(crate) fn allows(&self, attributes: &Attributes) -> bool {
        if !has(&self.verbs, &attributes.verb) {
            return false;
        }
        match &attributes.asked {
            Asked::Path(path) => self.non_resource_urls.iter().any(|own| covers_path(own, path)),
            Asked::Resource(asked) => {
                has(&self.api_groups, &asked.group)
                    && covers_resource(&self.resources, &asked.with_subresource())
                    && (self.resource_names.is_empty() || self.resource_names.contains(&asked.name))
            }
        }
    }

    /// The rule as rules that each have one verb on one resource and name, or on one path.
    pub(crate) fn parts(&self) -> Vec<Rule> {
        let mut parts = Vec::new();
        for verb in &self.verbs {
            for url in &self.non_resource_urls {
                let (verbs, non_resource_urls) = (vec![verb.clone()], vec![url.clone()]);
                parts.push(Rule { verbs, non_resource_urls, ..Rule::default() });
            }
            for (group, resource) in self.api_groups.iter().flat_map(|group| {
                self.resources.iter().map(move |resource| (group.clone(), resource.clone()))
            }) {
                let part = Rule {
                    verbs: vec![verb.clone()],
                    api_groups: vec![group],
                    resources: vec![resource],
                    ..Rule::default()
                };
                if self.resource_names.is_empty() {
                    parts.push(part);
                    continue;
                }
                let named = |name: &String| Rule { resource_names: vec![name.clone()], ..part.clone() };
                parts.extend(self.resource_names.iter().map(named));
            }
        }
        parts
    }

    /// Whether whoever has this rule has the given part of another, see [`Rule::parts`].
    pub(crate) fn covers(&self, part: &Rule) -> bool {
        let names = match part.resource_names.as_slice() {
            [] => self.resource_names.is_empty(),
            names => {
                self.resource_names.is_empty() || names.iter().all(|name| self.resource_names.contains(name))
            }
        };
        let paths = |path: &String| self.non_resource_urls.iter().any(|own| covers_path(own, path));
        part.verbs.iter().all(|verb| has(&self.verbs, verb))
            && part.api_groups.iter().all(|group| has(&self.api_groups, group))
            && part.resources.iter().all(|resource| covers_resource(&self.resources, resource))
            && names
            && part.non_resource_urls.iter().all(paths)
    }

    /// As the API server shows it in a refusal.
    pub(crate) fn shown(&self) -> String {
        let fields = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let shown = fields.iter().filter(|(_, values)| !values.is_empty()).map(|(name, values)| {
            let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
            format!("{name}:[{}]", quoted.join(" "))
        });
        format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
    }
}

fn has(own: &[String], wanted: &str) -> bool {
    own.iter().any(|one| one == ALL || one == wanted)
}

fn covers_resource(own: &[String], wanted: &str) -> bool {
    let everywhere = wanted.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
    has(own, wanted) || everywhere.is_some_and(|pattern| own.contains(&pattern))
}

fn covers_path(own: &str, wanted: &str) -> bool {
    own == wanted || own.strip_suffix(ALL).is_some_and(|prefix| wanted.starts_with(prefix))
}
