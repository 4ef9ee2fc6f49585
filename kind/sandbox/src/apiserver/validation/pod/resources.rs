//! Checks of what containers ask for and are limited to.
//!
//! Pure. A real server looks at resources in no particular order; here it is that of their names.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::apiserver::json::{entries, list, text};
use crate::apiserver::quantity::Quantity;
use crate::apiserver::validation::forms;
use crate::apiserver::validation::report::Report;

const HUGE_PAGES: &str = "hugepages-";
const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
/// Resources that are counted, not measured.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
/// Resources that are measured.
const MEASURED: [&str; 11] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "storage",
    "requests.storage",
];

/// Checks the requests and limits of a container.
pub(super) fn of_container(resources: &Value, at: &str, report: &mut Report) {
    requirements(resources, at, container_name, report);
    for (index, claim) in list(resources.get("claims")).enumerate() {
        if text(claim, "/name").is_empty() {
            report.required(format!("{at}.claims[{index}]"), "");
        }
    }
}

/// Checks the requests and limits of a whole pod, which hold for all its containers together.
pub(super) fn of_pod(spec: &Value, at: &str, report: &mut Report) {
    let Some(resources) = spec.get("resources") else { return };
    if resources.get("claims").is_some() {
        report.forbidden(format!("{at}.claims"), "claims may not be set for Resources at pod-level");
    }
    requirements(resources, at, pod_name, report);
    for (name, written) in entries(resources.get("requests")) {
        let asked: Vec<Quantity> = list(spec.get("containers"))
            .filter_map(|one| Quantity::parse(text_of(&one["resources"], "requests", name)).ok())
            .collect();
        let Some(sum) = asked.into_iter().reduce(|sum, one| sum.plus(&one)) else { continue };
        if quantity(written).is_some_and(|limit| sum > limit) {
            let why =
                format!("must be greater than or equal to aggregate container requests of {}", sum.text());
            report.invalid(format!("{at}.requests[{name}]"), written.clone(), &why);
        }
    }
    for (index, container) in list(spec.get("containers")).enumerate() {
        for (name, written) in entries(container.pointer("/resources/limits")) {
            let whole = Quantity::parse(text_of(resources, "limits", name)).ok();
            if let (Some(own), Some(whole)) = (quantity(written), whole)
                && own > whole
            {
                let why = format!("must be less than or equal to pod limits of {}", whole.text());
                report.invalid(format!("{at}.containers[{index}][{name}].limits"), written.clone(), &why);
            }
        }
    }
}

fn text_of<'a>(resources: &'a Value, kind: &str, name: &str) -> &'a str {
    resources.get(kind).and_then(|all| all.get(name)?.as_str()).unwrap_or_default()
}

fn quantity(written: &Value) -> Option<Quantity> {
    Quantity::parse(written.as_str()?).ok()
}

fn requirements(resources: &Value, at: &str, check_name: fn(&str, &str, &mut Report), report: &mut Report) {
    for (name, written) in entries(resources.get("limits")) {
        amount(name, written, &format!("{at}.limits[{name}]"), check_name, report);
    }
    for (name, written) in entries(resources.get("requests")) {
        amount(name, written, &format!("{at}.requests[{name}]"), check_name, report);
        let limit = Quantity::parse(text_of(resources, "limits", name)).ok();
        let Some(asked) = quantity(written) else { continue };
        let path = format!("{at}.requests");
        match limit {
            Some(limit) if asked != limit && !may_be_overcommitted(name) => {
                let why = format!("must be equal to {name} limit of {}", limit.text());
                report.invalid(path, written.clone(), &why);
            }
            Some(limit) if asked > limit => {
                let why = format!("must be less than or equal to {name} limit of {}", limit.text());
                report.invalid(path, written.clone(), &why);
            }
            None if !may_be_overcommitted(name) => {
                report.required(format!("{at}.limits"), "Limit must be set for non overcommitable resources");
            }
            Some(_) | None => {}
        }
    }
    let has = |wanted: fn(&str) -> bool| {
        ["limits", "requests"].iter().any(|kind| entries(resources.get(*kind)).any(|(name, _)| wanted(name)))
    };
    if has(|name| name.starts_with(HUGE_PAGES)) && !has(|name| matches!(name, "cpu" | "memory")) {
        report.forbidden(at, "HugePages require cpu or memory");
    }
}

fn amount(
    name: &str,
    written: &Value,
    at: &str,
    check_name: fn(&str, &str, &mut Report),
    report: &mut Report,
) {
    check_name(name, at, report);
    claim_quantity(name, written, at, report);
    let Some(page) = name.strip_prefix(HUGE_PAGES) else { return };
    let page = Quantity::parse(page).ok().filter(|page| !page.is_zero());
    let fits = match (page, quantity(written)) {
        (Some(page), Some(amount)) => amount.ratio(&page).fract() == 0.0,
        (None, _) | (_, None) => false,
    };
    if !fits {
        let amount = written.as_str().unwrap_or_default();
        report.invalid(at, amount, &format!("{amount} is not positive integer multiple of {name}"));
    }
}

/// Checks an amount by itself.
pub(in crate::apiserver::validation) fn claim_quantity(
    name: &str,
    written: &Value,
    at: &str,
    report: &mut Report,
) {
    let Some(amount) = quantity(written) else { return };
    if amount.is_negative() {
        report.invalid(at, written.clone(), NOT_NEGATIVE);
    }
    if (COUNTED.contains(&name) || is_extended(name)) && !amount.is_whole() {
        report.invalid(at, written.clone(), "must be an integer");
    }
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    let is_foreign = !is_native(name) && !name.starts_with("requests.");
    is_foreign && forms::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether more of a resource may be asked for than there is.
pub(in crate::apiserver::validation) fn may_be_overcommitted(name: &str) -> bool {
    is_native(name) && !name.starts_with(HUGE_PAGES)
}

/// Checks what a resource of any kind is called; false where something is wrong.
pub(in crate::apiserver::validation) fn any_name(name: &str, at: &str, report: &mut Report) -> bool {
    let wrong = forms::qualified_name(name);
    if !wrong.is_empty() {
        report.all(at, name, wrong);
        return false;
    }
    let is_huge = [HUGE_PAGES, "requests.hugepages-"].iter().any(|prefix| name.starts_with(prefix));
    let is_standard = COUNTED.contains(&name) || MEASURED.contains(&name) || is_huge;
    if !name.contains('/') && !is_standard {
        report.invalid(at, name, "must be a standard resource type or fully qualified");
        return false;
    }
    true
}

/// Checks what a resource of a container is called.
pub(in crate::apiserver::validation) fn container_name(name: &str, at: &str, report: &mut Report) {
    any_name(name, at, report);
    let is_standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with(HUGE_PAGES);
    if !name.contains('/') && !is_standard {
        report.invalid(at, name, "must be a standard resource for containers");
    } else if !is_native(name) && !is_extended(name) {
        report.invalid(at, name, "doesn't follow extended resource name standard");
    }
}

fn pod_name(name: &str, at: &str, report: &mut Report) {
    if any_name(name, at, report) && !name.starts_with(HUGE_PAGES) {
        report.one_of(at, name, &["cpu", "hugepages-", "memory"]);
    }
}

/// Checks how a container takes a change of its resources.
pub(super) fn resizing(container: &Value, at: &str, restart_policy: &str, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for (index, policy) in list(container.get("resizePolicy")).enumerate() {
        let (name, restart) = (text(policy, "/resourceName"), text(policy, "/restartPolicy"));
        if !seen.insert(name) {
            report.duplicate(format!("{at}[{index}]"), name);
        }
        super::policy(name, at.to_owned(), &["cpu", "memory"], report);
        super::policy(restart, at.to_owned(), &["NotRequired", "RestartContainer"], report);
        if restart_policy == "Never" && restart != "NotRequired" {
            report.invalid(at, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
    }
}
