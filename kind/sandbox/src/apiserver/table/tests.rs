//! Cells as people see them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::json_path::JsonPath;
use super::{age, columns, custom, row};
use crate::apiserver::table::Include;

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

/// The cells of an object's row, as one line.
fn line(group: &str, resource: &str, object: &Value) -> String {
    let row = row(&columns::built_in(group, resource), object, Include::Nothing, now());
    let text = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
    row["cells"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(" | ")
}

fn meta(name: &str) -> Value {
    json!({"name": name, "creationTimestamp": "2026-01-01T00:55:00Z"})
}

#[test]
fn ages_lose_units_as_they_grow() {
    let cases = [
        (5, "5s"),
        (119, "119s"),
        (130, "2m10s"),
        (600, "10m"),
        (10_800, "3h"),
        (11_400, "3h10m"),
        (90_000, "25h"),
        (180_000, "2d2h"),
        (864_000, "10d"),
        (63_072_000, "2y"),
        (300_000_000, "9y"),
        (-5, "<invalid>"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(age::short(seconds), expected);
    }
    assert_eq!(age::since("", now()), "<unknown>");
}

#[test]
fn a_running_pod_tells_readiness_restarts_and_place() {
    let pod = json!({
        "metadata": meta("web-0"),
        "spec": {"nodeName": "node", "containers": [{"name": "a"}, {"name": "b"}]},
        "status": {"phase": "Running", "podIP": "10.244.0.2", "containerStatuses": [
            {"name": "a", "ready": true, "restartCount": 2, "state": {"running": {}},
                "lastState": {"terminated": {"finishedAt": "2026-01-01T00:58:00Z"}}},
            {"name": "b", "ready": false, "restartCount": 0, "state": {"running": {}}},
        ]},
    });
    let expected = "web-0 | 1/2 | Running | 2 (2m ago) | 5m | 10.244.0.2 | node | <none> | <none>";
    assert_eq!(line("", "pods", &pod), expected);
}

#[test]
fn the_state_of_a_pod_is_the_reason_that_hurts() {
    let container = |state: Value| json!([{"name": "a", "ready": false, "restartCount": 0, "state": state}]);
    let cases = [
        (json!({"phase": "Pending"}), "Pending"),
        (
            json!({"phase": "Running", "containerStatuses": container(json!({"waiting": {"reason": "CrashLoopBackOff"}}))}),
            "CrashLoopBackOff",
        ),
        (
            json!({"phase": "Failed", "containerStatuses": container(json!({"terminated": {"exitCode": 3, "reason": "Error"}}))}),
            "Error",
        ),
        (
            json!({"phase": "Running", "containerStatuses": container(json!({"terminated": {"exitCode": 137, "signal": 9}}))}),
            "Signal:9",
        ),
        (json!({"phase": "Pending", "initContainerStatuses": container(json!({"running": {}}))}), "Init:0/1"),
        (
            json!({"phase": "Pending", "initContainerStatuses": container(json!({"terminated": {"exitCode": 1, "reason": "Error"}}))}),
            "Init:Error",
        ),
        (json!({"phase": "Failed", "reason": "Evicted"}), "Evicted"),
    ];
    for (status, expected) in cases {
        let spec = json!({"containers": [{"name": "a"}], "initContainers": [{"name": "a"}]});
        let mut pod = json!({"metadata": meta("web-0"), "spec": spec, "status": status});
        assert_eq!(super::pod::status(&pod, now()), json!(expected));
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:59:00Z");
        let leaving = if text_phase(&pod) == "Failed" { expected } else { "Terminating" };
        assert_eq!(super::pod::status(&pod, now()), json!(leaving));
    }
}

fn text_phase(pod: &Value) -> &str {
    pod["status"]["phase"].as_str().unwrap()
}

#[test]
fn workloads_services_claims_and_budgets_have_the_columns_that_people_know() {
    let set = json!({"metadata": meta("web"), "spec": {"replicas": 3, "template": {"spec": {"containers": [
        {"name": "a", "image": "i:1"}, {"name": "b", "image": "i:2"}]}}}, "status": {"readyReplicas": 2}});
    assert_eq!(line("apps", "statefulsets", &set), "web | 2/3 | 5m | a,b | i:1,i:2");
    let service = json!({"metadata": meta("web"), "spec": {"type": "ClusterIP", "clusterIP": "None",
        "selector": {"app": "web"}, "ports": [{"port": 80}, {"port": 81, "protocol": "UDP"}]}});
    assert_eq!(
        line("", "services", &service),
        "web | ClusterIP | None | <none> | 80/TCP,81/UDP | 5m | app=web"
    );
    let claim = json!({"metadata": meta("data"), "spec": {"volumeName": "v", "storageClassName": "standard", "volumeMode":
        "Filesystem"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}});
    let expected = "data | Bound | v | 1Gi | RWO | standard | <unset> | 5m | Filesystem";
    assert_eq!(line("", "persistentvolumeclaims", &claim), expected);
    let budget =
        json!({"metadata": meta("web"), "spec": {"minAvailable": 2}, "status": {"disruptionsAllowed": 1}});
    assert_eq!(line("policy", "poddisruptionbudgets", &budget), "web | 2 | N/A | 1 | 5m");
}

#[test]
fn an_event_of_either_form_tells_when_what_and_about_whom() {
    let old = json!({"metadata": meta("e"), "type": "Normal", "reason": "Created", "message": "made it\n", "count": 3,
        "involvedObject": {"kind": "Pod", "name": "web-0"}, "source": {"component": "kubelet"},
        "firstTimestamp": "2026-01-01T00:50:00Z", "lastTimestamp": "2026-01-01T00:59:30Z"});
    let expected = "30s | Normal | Created | pod/web-0 |  | kubelet | made it | 10m | 3 | e";
    assert_eq!(line("", "events", &old), expected);
    let new = json!({"metadata": meta("e"), "type": "Warning", "reason": "Held", "note": "why",
        "regarding": {"kind": "EtcdCluster", "name": "c"}, "reportingComponent": "operator",
        "eventTime": "2026-01-01T00:59:30.000000Z"});
    let expected = "30s | Warning | Held | etcdcluster/c |  | operator | why | 30s | 1 | e";
    assert_eq!(line("events.k8s.io", "events", &new), expected);
}

#[test]
fn a_path_finds_fields_items_and_conditions() {
    let object = json!({"a": {"b.c/d": 1, "list": [{"type": "x", "status": "no"}, {"type": "Ready", "status": "yes"}]}});
    let find = |path: &str| JsonPath::parse(path).find(&object).into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(find(r".a.b\.c/d"), [json!(1)]);
    assert_eq!(find(".a['b.c/d']"), [json!(1)]);
    assert_eq!(find(r#".a.list[?(@.type=="Ready")].status"#), [json!("yes")]);
    assert_eq!(find(".a.list[0].type"), [json!("x")]);
    assert_eq!(find(".a.list[*].type"), [json!("x"), json!("Ready")]);
    assert_eq!(find(".a.missing.deeper"), [] as [Value; 0]);
    assert_eq!(find(".a.list[?(@.type"), [] as [Value; 0]);
}

#[test]
fn a_custom_resource_shows_its_declared_columns_or_its_age() {
    let object =
        json!({"metadata": meta("c"), "spec": {"size": 3}, "status": {"since": "2026-01-01T00:00:00Z"}});
    let declared = [
        json!({"name": "Size", "type": "integer", "jsonPath": ".spec.size"}),
        json!({"name": "Ready", "type": "string", "jsonPath": ".status.ready"}),
        json!({"name": "Since", "type": "date", "jsonPath": ".status.since"}),
    ];
    let cells =
        |declared: &[Value]| row(&custom(declared), &object, Include::Nothing, now())["cells"].clone();
    assert_eq!(cells(&declared), json!(["c", 3, null, "60m"]));
    assert_eq!(cells(&[]), json!(["c", "5m"]));
}
