//! Checks of what makes pods and keeps them: StatefulSets, Deployments, ReplicaSets, DaemonSets.
//!
//! Pure. The order is that of `k8s.io/kubernetes/pkg/apis/apps/validation`.

use serde_json::{Value, json};

use super::report::Report;
use super::{budget, claims, forms, pod, selectors};
use crate::apiserver::error::Cause;
use crate::apiserver::json::{list, text};
use crate::store::selector::Selector;

const UNMATCHED: &str = "`selector` does not match template `labels`";

/// What is wrong with a StatefulSet; an old template that was never right is not held against a change.
pub(super) fn stateful_set(old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    let spec = &new["spec"];
    management(spec, &mut report);
    update_strategy(spec, &mut report);
    if let Some(policy) = spec.get("persistentVolumeClaimRetentionPolicy") {
        for field in ["whenDeleted", "whenScaled"] {
            let path = format!("spec.persistentVolumeClaimRetentionPolicy.{field}");
            report.one_of(path, text(policy, &format!("/{field}")), &["Retain", "Delete"]);
        }
    }
    if old.is_none() {
        for (index, one) in list(spec.get("volumeClaimTemplates")).enumerate() {
            claims::spec(&one["spec"], &format!("spec.volumeClaimTemplates[{index}].spec"), &mut report);
        }
    }
    report.not_negative("spec.replicas", spec.get("replicas"));
    report.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"));
    report.not_negative("spec.ordinals.start", spec.pointer("/ordinals/start"));
    let service = text(spec, "/serviceName");
    if old.is_none() && !service.is_empty() {
        report.all("spec.serviceName", service, forms::dns_label(service));
    }
    let checks_template = old.is_none_or(|old| pod::template(&template_of_set(old), "").is_empty());
    if selector(spec, "statefulset", "", &mut report) && checks_template {
        report.append(pod::template(&template_of_set(new), "spec.template"));
    }
    for causes in [
        super::names::label_causes_at(spec.pointer("/template/metadata/labels"), "spec.template.labels"),
        super::names::annotation_causes(
            spec.pointer("/template/metadata/annotations"),
            "spec.template.annotations",
        ),
    ] {
        report.extend(causes);
    }
    lasting(spec, "StatefulSet", &mut report);
    report.into_causes()
}

fn management(spec: &Value, report: &mut Report) {
    match text(spec, "/podManagementPolicy") {
        "" => report.required("spec.podManagementPolicy", ""),
        "OrderedReady" | "Parallel" => {}
        other => report.invalid("spec.podManagementPolicy", other, "must be 'OrderedReady' or 'Parallel'"),
    }
}

fn update_strategy(spec: &Value, report: &mut Report) {
    let rolling = spec.pointer("/updateStrategy/rollingUpdate").filter(|rolling| !rolling.is_null());
    match (text(spec, "/updateStrategy/type"), rolling) {
        ("", _) => report.required("spec.updateStrategy", ""),
        ("OnDelete", Some(rolling)) => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            report.invalid("spec.updateStrategy.rollingUpdate", rolling.clone(), why);
        }
        ("RollingUpdate", Some(rolling)) => {
            report.not_negative("spec.updateStrategy.rollingUpdate.partition", rolling.get("partition"));
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        (other, _) => {
            let shown = strategy_in_go(other);
            let message = format!("Invalid value: {shown}: must be 'RollingUpdate' or 'OnDelete'");
            let field = "spec.updateStrategy".to_owned();
            report.push(Cause { reason: "FieldValueInvalid", field, message });
        }
    }
}

/// A strategy of an unknown type, as Go shows it.
fn strategy_in_go(kind: &str) -> String {
    format!("{{\"Type\":{},\"RollingUpdate\":null}}", Value::from(kind))
}

/// The template with the volumes that the claim templates will add, and without the names that its controller gives.
fn template_of_set(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    let mut names: Vec<&str> =
        list(set.pointer("/spec/volumeClaimTemplates")).map(|claim| text(claim, "/metadata/name")).collect();
    names.sort_unstable();
    names.dedup();
    let own: Vec<Value> = list(template.pointer("/spec/volumes"))
        .filter(|volume| !names.contains(&text(volume, "/name")))
        .cloned()
        .collect();
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("subdomain");
        spec.remove("hostname");
        if !names.is_empty() {
            let claim = |name: &&str| json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
            let volumes: Vec<Value> = names.iter().map(claim).chain(own).collect();
            spec.insert("volumes".to_owned(), volumes.into());
        }
    }
    template
}

/// Checks a selector and whether it finds the template's pods; false where it can't be read.
fn selector(spec: &Value, kind: &str, unreadable: &str, report: &mut Report) -> bool {
    let labels = &spec["template"]["metadata"]["labels"];
    let Some(selector) = spec.get("selector").filter(|selector| !selector.is_null()) else {
        report.required("spec.selector", "");
        report.invalid("spec.template.metadata.labels", labels.clone(), UNMATCHED);
        return true;
    };
    let mut own = Report::default();
    selectors::check(Some(selector), "spec.selector", &mut own);
    let is_readable = own.is_empty();
    report.append(own);
    let read = Selector::from_object(selector);
    if read.as_ref().is_ok_and(Selector::is_empty) {
        let why = format!("empty selector is invalid for {kind}");
        report.invalid("spec.selector", selector.clone(), &why);
    }
    match read {
        Ok(read) if is_readable => {
            if !read.matches(&spec["template"]) {
                report.invalid("spec.template.metadata.labels", labels.clone(), UNMATCHED);
            }
            true
        }
        Ok(_) | Err(_) => {
            report.invalid("spec.selector", selector.clone(), unreadable);
            false
        }
    }
}

/// Pods that are kept are always started again, and have no end.
fn lasting(spec: &Value, kind: &str, report: &mut Report) {
    let policy = text(spec, "/template/spec/restartPolicy");
    report.one_of("spec.template.spec.restartPolicy", policy, &["Always"]);
    if spec.pointer("/template/spec/activeDeadlineSeconds").is_some() {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        report.forbidden("spec.template.spec.activeDeadlineSeconds", &why);
    }
}

/// What is wrong with a Deployment.
pub(super) fn deployment(new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    let spec = &new["spec"];
    report.not_negative("spec.replicas", spec.get("replicas"));
    if selector(spec, "deployment", "invalid label selector", &mut report) {
        report.append(pod::template(&spec["template"], "spec.template"));
        lasting(spec, "ReplicaSet", &mut report);
    }
    strategy(spec, &mut report);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        report.not_negative(format!("spec.{field}"), spec.get(field));
    }
    let least = spec.get("minReadySeconds").and_then(Value::as_i64).unwrap_or(0);
    let deadline = spec.get("progressDeadlineSeconds").and_then(Value::as_i64);
    if let Some(deadline) = deadline.filter(|deadline| *deadline <= least) {
        report.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
    }
    report.into_causes()
}

fn strategy(spec: &Value, report: &mut Report) {
    let rolling = spec.pointer("/strategy/rollingUpdate").filter(|rolling| !rolling.is_null());
    match (text(spec, "/strategy/type"), rolling) {
        ("Recreate", Some(_)) => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            report.forbidden("spec.strategy.rollingUpdate", why);
        }
        ("Recreate", None) => {}
        ("RollingUpdate", Some(rolling)) => rolling_update(rolling, report),
        ("RollingUpdate", None) => {
            let why = "this should be defaulted and never be nil";
            report.required("spec.strategy.rollingUpdate", why);
        }
        (other, _) => {
            let shown = strategy_in_go(other);
            let message =
                format!("Unsupported value: {shown}: supported values: \"Recreate\", \"RollingUpdate\"");
            let field = "spec.strategy".to_owned();
            report.push(Cause { reason: "FieldValueNotSupported", field, message });
        }
    }
}

fn rolling_update(rolling: &Value, report: &mut Report) {
    let path = "spec.strategy.rollingUpdate";
    let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
    budget::count_or_percent(unavailable, &format!("{path}.maxUnavailable"), report);
    budget::count_or_percent(surge, &format!("{path}.maxSurge"), report);
    if budget::amount(unavailable) == 0 && budget::amount(surge) == 0 {
        let why = "may not be 0 when `maxSurge` is 0";
        report.invalid(format!("{path}.maxUnavailable"), unavailable.clone(), why);
    }
    budget::at_most_all(unavailable, &format!("{path}.maxUnavailable"), report);
}

/// What is wrong with a ReplicaSet.
pub(super) fn replica_set(new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    let spec = &new["spec"];
    report.not_negative("spec.replicas", spec.get("replicas"));
    report.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"));
    // A real server calls it a Deployment as well.
    if selector(spec, "deployment", "invalid label selector", &mut report) {
        report.append(pod::template(&spec["template"], "spec.template"));
        lasting(spec, "ReplicaSet", &mut report);
    }
    report.into_causes()
}

/// What is wrong with a DaemonSet.
pub(super) fn daemon_set(new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    let spec = &new["spec"];
    if selector(spec, "daemonset", "invalid label selector", &mut report) {
        report.append(pod::template(&spec["template"], "spec.template"));
        lasting(spec, "DaemonSet", &mut report);
    }
    report.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"));
    report.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"));
    report.into_causes()
}
