//! kubectl and the built-in kinds.

use serde_json::{Value, json};

use super::{Kubectl, columns};

fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [
            {"name": "main", "image": image, "env": [{"name": "A", "value": "1"}]},
            {"name": "side", "image": "side:1"},
        ]},
    })
}

fn deployment(replicas: i64, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(image)},
    })
}

fn stateful_set(replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "serviceName": "web", "selector": {"matchLabels": {"app": "web"}},
            "template": template("image:1"),
            "volumeClaimTemplates": [{
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }],
        },
    })
}

#[tokio::test]
async fn a_deployment_is_applied_rolled_out_scaled_undone_and_deleted() {
    let kubectl = Kubectl::start().await;
    assert_eq!(kubectl.apply(&deployment(2, "image:1")).await, "deployment.apps/web created\n");
    let rolled = kubectl.ok("rollout status deployment/web --timeout=30s").await;
    assert!(rolled.contains("successfully rolled out"), "{rolled}");
    assert_eq!(kubectl.apply(&deployment(2, "image:2")).await, "deployment.apps/web configured\n");
    kubectl.ok("rollout status deployment/web --timeout=30s").await;
    assert_eq!(kubectl.ok("scale deployment/web --replicas=3").await, "deployment.apps/web scaled\n");
    kubectl.ok("wait --for=condition=Available deployment/web --timeout=30s").await;
    kubectl.ok("rollout status deployment/web --timeout=30s").await;
    let table = columns(&kubectl.ok("get deployment web -o wide").await);
    assert_eq!(table[1][1..4], ["3/3", "3", "3"]);
    assert_eq!(table[1][5..], ["main,side", "image:2,side:1", "app=web"]);
    assert!(kubectl.ok("rollout history deployment/web").await.contains("REVISION"));
    kubectl.ok("rollout undo deployment/web").await;
    kubectl.ok("rollout status deployment/web --timeout=30s").await;
    let images = kubectl.ok("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}").await;
    assert_eq!(images, "image:1");
    kubectl.ok("rollout restart deployment/web").await;
    assert!(kubectl.ok("describe deployment web").await.contains("RollingUpdateStrategy"));
    kubectl.ok("delete deployment web --cascade=foreground --timeout=30s").await;
    kubectl.ok("wait --for=delete pod -l app=web --timeout=30s").await;
}

#[tokio::test]
async fn apply_removes_what_the_file_no_longer_names_and_keeps_what_others_added() {
    let kubectl = Kubectl::start().await;
    let mut manifest = deployment(1, "image:1");
    kubectl.apply(&manifest).await;
    kubectl.ok("set env deployment/web B=2 -c main").await;
    let containers = manifest["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
    containers.pop();
    containers[0]["env"] = json!([{"name": "C", "value": "3"}]);
    kubectl.apply(&manifest).await;
    let path =
        "jsonpath={.spec.template.spec.containers[*].name}:{.spec.template.spec.containers[0].env[*].name}";
    let left = kubectl.ok(&format!("get deployment web -o {path}")).await;
    let (containers, variables) = left.split_once(':').unwrap();
    let mut variables: Vec<&str> = variables.split(' ').collect();
    variables.sort_unstable();
    assert_eq!((containers, variables), ("main", vec!["B", "C"]));
}

#[tokio::test]
async fn a_stateful_set_with_claims_is_shown_described_and_scaled() {
    let kubectl = Kubectl::start().await;
    kubectl.apply(&stateful_set(2)).await;
    kubectl.ok("rollout status statefulset/web --timeout=30s").await;
    kubectl.ok("wait --for=condition=Ready pod/web-0 pod/web-1 --timeout=30s").await;
    let table = columns(&kubectl.ok("get sts").await);
    assert_eq!((table[0].join(" "), table[1][..2].join(" ")), ("NAME READY AGE".into(), "web 2/2".into()));
    let table = columns(&kubectl.ok("get pvc").await);
    assert_eq!(table[1][..2], ["data-web-0", "Bound"]);
    assert_eq!(table[1][3..7], ["1Gi", "RWO", "standard", "<unset>"]);
    let table = columns(&kubectl.ok("get pods -o wide --sort-by=.metadata.name").await);
    assert_eq!(table[0][..5], ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    assert_eq!(table[1][5..], ["10.244.0.9", "stand-in", "<none>", "<none>"]);
    let text = kubectl.ok("describe statefulset web").await;
    assert!(text.contains("create Pod web-0 in StatefulSet web successful"), "{text}");
    assert!(kubectl.ok("describe pod web-0").await.contains("Successfully assigned default/web-0"));
    assert!(kubectl.ok("describe pvc data-web-0").await.contains("Used By:       web-0"));
    kubectl.ok("scale sts web --replicas=1").await;
    kubectl.ok("wait --for=delete pod/web-1 --timeout=30s").await;
}

#[tokio::test]
async fn logs_come_from_the_container_that_was_asked_for() {
    let kubectl = Kubectl::start().await;
    kubectl.apply(&stateful_set(1)).await;
    kubectl.ok("rollout status statefulset/web --timeout=30s").await;
    assert_eq!(kubectl.ok("logs web-0 -c side --tail=1").await, "side of web-0 line 1\n");
    assert!(
        kubectl
            .ok("logs web-0 --all-containers --prefix")
            .await
            .contains("[pod/web-0/main] main of web-0 line 3")
    );
    assert!(kubectl.ok("logs -f statefulset/web -c main").await.starts_with("main of web-0 line 1\n"));
    let missing = kubectl.call("logs web-0 -c absent").await;
    assert!(!missing.success && missing.errors.contains("absent"), "{missing:#?}");
}

#[tokio::test]
async fn services_budgets_leases_events_and_nodes_have_their_tables() {
    let kubectl = Kubectl::start().await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
        "clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 2379}]}});
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": {
        "minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}});
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "web"}, "spec": {
        "holderIdentity": "me", "leaseDurationSeconds": 15}});
    for object in [service, budget, lease, stateful_set(3)] {
        kubectl.apply(&object).await;
    }
    kubectl.ok("rollout status statefulset/web --timeout=30s").await;
    kubectl.ok("wait --for=jsonpath={.status.disruptionsAllowed}=1 pdb/web --timeout=30s").await;
    assert_eq!(
        columns(&kubectl.ok("get svc web").await)[1][..5],
        ["web", "ClusterIP", "None", "<none>", "2379/TCP"]
    );
    assert_eq!(columns(&kubectl.ok("get pdb").await)[1][..4], ["web", "2", "N/A", "1"]);
    assert_eq!(columns(&kubectl.ok("get lease web").await)[1][..2], ["web", "me"]);
    assert_eq!(columns(&kubectl.ok("get nodes").await)[1][..2], ["stand-in", "Ready"]);
    assert_eq!(
        columns(&kubectl.ok("get sc standard").await)[1][..2],
        ["standard (default)", "directory.sandbox.local"]
    );
    let events = kubectl.ok("get events").await;
    assert!(events.contains("SuccessfulCreate") && events.contains("statefulset/web"), "{events}");
    let everything = kubectl.ok("get all").await;
    assert!(everything.contains("pod/web-0") && everything.contains("statefulset.apps/web"), "{everything}");
    assert!(kubectl.ok("describe pdb web").await.contains("Allowed disruptions:  1"));
    assert!(kubectl.ok("describe service web").await.contains("Endpoints:"));
    assert!(kubectl.ok("describe node stand-in").await.contains("web-0"));
}

#[tokio::test]
async fn namespaces_config_maps_and_secrets_come_and_go() {
    let kubectl = Kubectl::start().await;
    let object = |kind: &str, name: &str, namespace: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}});
    kubectl.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})).await;
    let mut settings = object("ConfigMap", "settings", "other");
    settings["data"] = json!({"a": "1", "b": "2"});
    kubectl.apply(&settings).await;
    let mut keys = object("Secret", "keys", "other");
    keys["stringData"] = json!({"a": "1"});
    kubectl.apply(&keys).await;
    kubectl.apply(&object("ServiceAccount", "robot", "other")).await;
    assert_eq!(columns(&kubectl.ok("-n other get cm settings").await)[1][..2], ["settings", "2"]);
    assert_eq!(columns(&kubectl.ok("-n other get secret keys").await)[1][..3], ["keys", "Opaque", "1"]);
    kubectl.ok("-n other label cm settings tier=gold").await;
    kubectl.ok("-n other annotate cm settings note=kept").await;
    assert!(kubectl.ok("get cm -A -l tier=gold --show-labels").await.contains("tier=gold"));
    kubectl.ok("-n other patch cm settings --type=json -p [{\"op\":\"remove\",\"path\":\"/data/a\"}]").await;
    kubectl.ok("-n other patch cm settings --type=merge -p {\"data\":{\"c\":\"3\"}}").await;
    assert_eq!(kubectl.ok("-n other get cm settings -o jsonpath={.data}").await, r#"{"b":"2","c":"3"}"#);
    kubectl.ok("delete namespace other --timeout=30s").await;
    assert!(kubectl.call("get namespace other").await.errors.contains("NotFound"));
}

#[tokio::test]
async fn explain_and_discovery_know_the_built_in_kinds() {
    let kubectl = Kubectl::start().await;
    let text = kubectl.ok("explain statefulset.spec.podManagementPolicy").await;
    assert!(text.contains("podManagementPolicy controls how pods are created"), "{text}");
    assert!(kubectl.ok("explain pod.spec.containers --recursive").await.contains("imagePullPolicy"));
    assert!(kubectl.ok("api-resources -o wide").await.contains("poddisruptionbudgets"));
    assert!(kubectl.call("version").await.output.contains("Server Version: v1.34.0"));
    assert_eq!(kubectl.ok("get --raw /readyz").await, "ok");
}
