//! What a write through a resource, or one of its subresources, says nothing about: it neither takes nor loses it.
//!
//! The `GetResetFields` of Kubernetes' strategies, each of which speaks of one version. Pure.

use super::set::FieldSet;
use crate::apiserver::cluster::Target;
use crate::apiserver::strategy::{has_status, kept_by_status};

/// Which fields count in a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// All but these and what is below them.
    Except(FieldSet),
    /// What is below this path, and nothing else.
    Below([&'static str; 2]),
}

impl Filter {
    /// What counts in a write through the target, for owners that speak this version.
    pub(super) fn of(target: &Target, api_version: &str) -> Self {
        if target.definition.is_custom() && api_version != target.api_version() {
            return Self::Except(FieldSet::default());
        }
        match target.subresource.as_deref() {
            Some("status") if target.definition.id.group == "apiextensions.k8s.io" => {
                Self::Except(paths(&["spec", "metadata"]))
            }
            Some("status") => Self::Except(paths(kept_by_status(target))),
            Some("ephemeralcontainers") => Self::Below(["f:spec", "f:ephemeralContainers"]),
            Some("scale") => Self::Except(FieldSet::default()),
            Some(_) | None if has_status(target) => Self::Except(paths(&["status"])),
            Some(_) | None => Self::Except(FieldSet::default()),
        }
    }

    /// What of a set counts.
    pub(super) fn apply(&self, set: &FieldSet) -> FieldSet {
        match self {
            Self::Except(gone) => set.without(gone),
            Self::Below([first, second]) => {
                let found = set.children.get(*first).and_then(|below| below.children.get(*second));
                let mut inner = FieldSet::default();
                inner.insert((*second).to_owned(), found.cloned().unwrap_or_default());
                let mut outer = FieldSet::default();
                outer.insert((*first).to_owned(), inner);
                outer
            }
        }
    }
}

/// The set of some paths, written with dots.
fn paths(list: &[&str]) -> FieldSet {
    list.iter().fold(FieldSet::default(), |all, path| all.union(&FieldSet::of_path(path)))
}
