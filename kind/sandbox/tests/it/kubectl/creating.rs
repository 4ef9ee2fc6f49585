//! kubectl's own makers of objects, which send Protobuf.

use serde_json::{Value, json};

use super::{Kubectl, columns};

async fn read(kubectl: &Kubectl, what: &str) -> Value {
    serde_json::from_str(&kubectl.ok(&format!("get {what} -o json")).await).unwrap()
}

#[tokio::test]
async fn namespaces_configuration_and_secrets_are_created() {
    let kubectl = Kubectl::start().await;
    assert_eq!(kubectl.ok("create namespace apart").await, "namespace/apart created\n");
    assert_eq!(kubectl.ok("get namespace apart -o jsonpath={.status.phase}").await, "Active");
    kubectl.ok("create configmap settings --from-literal=colour=blue -n apart").await;
    assert_eq!(read(&kubectl, "configmap settings -n apart").await["data"], json!({"colour": "blue"}));
    kubectl.ok("create secret generic hidden --from-literal=word=sesame").await;
    let secret = read(&kubectl, "secret hidden").await;
    assert_eq!((&secret["data"], &secret["type"]), (&json!({"word": "c2VzYW1l"}), &json!("Opaque")));
    let again = kubectl.call("create namespace apart").await;
    assert!(again.errors.contains("namespaces \"apart\" already exists"), "{again:?}");
    kubectl.ok("delete namespace apart --timeout=30s").await;
}

#[tokio::test]
async fn accounts_roles_tokens_and_questions_about_rights_are_understood() {
    let kubectl = Kubectl::start().await;
    kubectl.ok("create serviceaccount robot").await;
    assert!(kubectl.ok("create token robot --duration=10m").await.contains('.'));
    kubectl.ok("create role reader --verb=get,list --resource=pods,pods/log").await;
    let rules = &read(&kubectl, "role reader").await["rules"];
    assert_eq!(
        *rules,
        json!([{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}])
    );
    kubectl.ok("create rolebinding reads --role=reader --serviceaccount=default:robot").await;
    assert_eq!(kubectl.ok("auth can-i list pods").await, "yes\n");
}

#[tokio::test]
async fn workloads_are_created_and_a_node_is_drained() {
    let kubectl = Kubectl::start().await;
    kubectl.ok("create deployment web --image=image:1 --replicas=2 --port=80").await;
    kubectl.ok("rollout status deployment/web --timeout=30s").await;
    let made = read(&kubectl, "deployment web").await;
    assert_eq!(
        made["spec"]["template"]["spec"]["containers"][0]["ports"],
        json!([{"containerPort": 80, "protocol": "TCP"}])
    );
    kubectl.ok("create service clusterip web --tcp=80:8080").await;
    assert_eq!(read(&kubectl, "service web").await["spec"]["ports"][0]["targetPort"], 8080);
    kubectl.ok("create poddisruptionbudget web --selector=app=web --min-available=50%").await;
    assert_eq!(read(&kubectl, "pdb web").await["spec"]["minAvailable"], "50%");
    kubectl.ok("create quota some --hard=pods=7").await;
    assert_eq!(read(&kubectl, "quota some").await["spec"]["hard"], json!({"pods": "7"}));
    let drained = kubectl.call("drain stand-in --force --ignore-daemonsets --timeout=30s").await;
    assert!(drained.output.contains("evicting") || drained.output.contains("evicted"), "{drained:?}");
}

#[tokio::test]
async fn jobs_are_created_shown_and_started_from_their_schedule() {
    let kubectl = Kubectl::start().await;
    kubectl.ok("create cronjob backup --image=image:1 --schedule=@daily").await;
    let crons = columns(&kubectl.ok("get cronjob").await);
    assert_eq!(crons[0], ["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE", "AGE"]);
    assert_eq!(crons[1][..6], ["backup", "@daily", "<none>", "False", "0", "<none>"]);
    kubectl.ok("create job now --from=cronjob/backup").await;
    kubectl.ok("wait --for=jsonpath={.status.ready}=1 job/now --timeout=30s").await;
    let jobs = columns(&kubectl.ok("get job").await);
    assert_eq!(jobs[0], ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]);
    assert_eq!(jobs[1][..3], ["now", "Running", "0/1"]);
    kubectl.ok("delete job now --timeout=30s").await;
    kubectl.ok("wait --for=delete pod -l job-name=now --timeout=30s").await;
}
