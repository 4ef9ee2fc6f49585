//! kubectl and a custom kind like the operator's.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::{Kubectl, columns};

fn definition() -> Value {
    let member =
        json!({"type": "object", "properties": {"name": {"type": "string"}, "healthy": {"type": "boolean"}}});
    let spec = json!({
        "type": "object", "required": ["size"], "description": "What the user wants.",
        "properties": {
            "size": {"type": "integer", "enum": [1, 3, 5, 7], "description": "The number of voting members."},
            "version": {"type": "string", "default": "3.6.16"},
            "suspend": {"type": "boolean"},
        },
    });
    let status = json!({
        "type": "object",
        "properties": {
            "readyMembers": {"type": "integer"},
            "observedGeneration": {"type": "integer"},
            "members": {"type": "array", "items": member},
            "conditions": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        },
    });
    let column = |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "etcdclusters.etcd.operators.rs"},
        "spec": {
            "group": "etcd.operators.rs",
            "scope": "Namespaced",
            "names": {
                "plural": "etcdclusters", "singular": "etcdcluster", "kind": "EtcdCluster", "shortNames": ["etcd"],
                "categories": ["all"],
            },
            "versions": [{
                "name": "v1beta1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "description": "A cluster of etcd.", "properties": {"spec": spec, "status": status},
                }},
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    column("Size", "integer", ".spec.size"),
                    column("Members", "integer", ".status.readyMembers"),
                    column("Ready", "string", ".status.conditions[?(@.type=='Ready')].status"),
                    column("Age", "date", ".metadata.creationTimestamp"),
                ],
            }],
        },
    })
}

fn cluster(size: i64) -> Value {
    json!({
        "apiVersion": "etcd.operators.rs/v1beta1",
        "kind": "EtcdCluster",
        "metadata": {"name": "demo"},
        "spec": {"size": size},
    })
}

async fn with_definition() -> Kubectl {
    let kubectl = Kubectl::start().await;
    assert!(kubectl.apply(&definition()).await.contains("created"));
    kubectl.ok("wait --for=condition=Established crd/etcdclusters.etcd.operators.rs --timeout=20s").await;
    kubectl
}

async fn set_status(kubectl: &Kubectl, status: Value) {
    let kind = GroupVersionKind::gvk("etcd.operators.rs", "v1beta1", "EtcdCluster");
    let resource = ApiResource::from_gvk(&kind);
    let clusters: Api<DynamicObject> = Api::namespaced_with(kubectl.client.clone(), "default", &resource);
    let patch = Patch::Merge(json!({ "status": status }));
    clusters.patch_status("demo", &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_custom_object_is_applied_changed_shown_and_deleted() {
    let kubectl = with_definition().await;
    assert_eq!(kubectl.apply(&cluster(3)).await, "etcdcluster.etcd.operators.rs/demo created\n");
    assert_eq!(kubectl.apply(&cluster(3)).await, "etcdcluster.etcd.operators.rs/demo unchanged\n");
    assert_eq!(kubectl.apply(&cluster(5)).await, "etcdcluster.etcd.operators.rs/demo configured\n");
    assert_eq!(kubectl.ok("get etcd demo -o jsonpath={.spec.size}/{.spec.version}").await, "5/3.6.16");
    set_status(&kubectl, json!({"readyMembers": 4, "conditions": [{"type": "Ready", "status": "False"}]}))
        .await;
    let table = columns(&kubectl.ok("get etcdclusters").await);
    assert_eq!(table[0], ["NAME", "SIZE", "MEMBERS", "READY", "AGE"]);
    assert_eq!(table[1][..4], ["demo", "5", "4", "False"]);
    let yaml = kubectl.ok("get etcdcluster/demo -o yaml").await;
    assert!(yaml.contains("kind: EtcdCluster") && yaml.contains("readyMembers: 4"), "{yaml}");
    let json: Value = serde_json::from_str(&kubectl.ok("get etcd -o json").await).unwrap();
    assert_eq!(json["items"][0]["spec"]["size"], json!(5));
    assert_eq!(kubectl.ok("get etcd -o name").await, "etcdcluster.etcd.operators.rs/demo\n");
    assert!(kubectl.ok("delete etcd demo").await.contains("deleted"));
    assert!(kubectl.call("get etcd demo").await.errors.contains("NotFound"));
}

#[tokio::test]
async fn kubectl_waits_for_a_condition_a_field_and_the_end() {
    let kubectl = with_definition().await;
    kubectl.apply(&cluster(3)).await;
    let waiting = kubectl.ok("wait --for=condition=Ready etcd/demo --timeout=30s");
    let telling = async {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        set_status(&kubectl, json!({"readyMembers": 3, "observedGeneration": 1, "conditions": ready})).await;
    };
    let (waited, ()) = tokio::join!(waiting, telling);
    assert_eq!(waited, "etcdcluster.etcd.operators.rs/demo condition met\n");
    kubectl.ok("wait --for=jsonpath={.status.readyMembers}=3 etcd/demo --timeout=30s").await;
    let (gone, deleted) =
        tokio::join!(kubectl.ok("wait --for=delete etcd/demo --timeout=30s"), kubectl.ok("delete etcd/demo"));
    assert!(gone.contains("condition met") || gone.is_empty(), "{gone}");
    assert!(deleted.contains("deleted"));
}

#[tokio::test]
async fn what_the_schema_forbids_is_refused_with_the_field_named() {
    let kubectl = with_definition().await;
    let mut unknown = cluster(3);
    unknown["spec"]["sise"] = json!(3);
    let answer = kubectl.call_with("apply -f -", &unknown.to_string()).await;
    assert!(!answer.success && answer.errors.contains("spec.sise"), "{answer:#?}");
    let answer = kubectl.call_with("apply -f -", &cluster(4).to_string()).await;
    assert!(!answer.success && answer.errors.contains("spec.size"), "{answer:#?}");
    let answer = kubectl.call_with("create -f -", &cluster(4).to_string()).await;
    assert!(!answer.success && answer.errors.contains("spec.size"), "{answer:#?}");
}

#[tokio::test]
async fn server_side_apply_from_kubectl_shows_conflicts_and_takes_over_by_force() {
    let kubectl = with_definition().await;
    let first =
        kubectl.ok_with("apply --server-side --field-manager=one -f -", &cluster(3).to_string()).await;
    assert!(first.contains("serverside-applied"), "{first}");
    let second =
        kubectl.call_with("apply --server-side --field-manager=two -f -", &cluster(5).to_string()).await;
    assert!(
        !second.success && second.errors.contains("conflict") && second.errors.contains(".spec.size"),
        "{second:#?}"
    );
    let forced = "apply --server-side --field-manager=two --force-conflicts -f -";
    kubectl.ok_with(forced, &cluster(5).to_string()).await;
    assert_eq!(kubectl.ok("get etcd demo -o jsonpath={.spec.size}").await, "5");
}

#[tokio::test]
async fn describe_tells_fields_and_events_of_a_custom_object() {
    let kubectl = with_definition().await;
    kubectl.apply(&cluster(3)).await;
    let uid = kubectl.ok("get etcd demo -o jsonpath={.metadata.uid}").await;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "demo.1", "namespace": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "MemberAdded", "action": "Add",
        "note": "added demo-abcde", "reportingController": "etcd-operator", "reportingInstance": "one",
        "regarding": {"apiVersion": "etcd.operators.rs/v1beta1", "kind": "EtcdCluster", "name": "demo",
            "namespace": "default", "uid": uid},
    });
    kubectl.ok_with("create -f -", &event.to_string()).await;
    let text = kubectl.ok("describe etcd demo").await;
    for expected in
        ["Name:         demo", "Kind:         EtcdCluster", "Size:", "MemberAdded", "added demo-abcde"]
    {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
    let events = columns(&kubectl.ok("events --for etcdcluster/demo").await);
    assert_eq!(events[1][1..], ["Normal", "MemberAdded", "EtcdCluster/demo", "added demo-abcde"]);
}

#[tokio::test]
async fn explain_and_api_resources_know_the_custom_kind() {
    let kubectl = with_definition().await;
    let text = kubectl.ok("explain etcdclusters.spec.size").await;
    assert!(text.contains("The number of voting members."), "{text}");
    let text = kubectl.ok("explain etcdclusters").await;
    assert!(
        text.contains("A cluster of etcd.") && text.contains("spec") && text.contains("metadata"),
        "{text}"
    );
    let resources = kubectl.ok("api-resources --api-group=etcd.operators.rs").await;
    let rows: Vec<Vec<&str>> = resources.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["etcdclusters", "etcd", "etcd.operators.rs/v1beta1", "true", "EtcdCluster"]);
    assert!(kubectl.ok("api-versions").await.contains("etcd.operators.rs/v1beta1\n"));
}
