//! Access control: what a ServiceAccount may do is what bindings give it, and the refusals are worded as everywhere.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{
    SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use sandbox::apiserver::ApiServer;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{api, object, refusal, server};

const ME: &str = "system:serviceaccount:default:default";

/// The ServiceAccount `default/default`, in process.
async fn account(server: &ApiServer) -> Client {
    let accounts = api::<ServiceAccount>(&server.client());
    let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let token = accounts.create_token_request("default", &PostParams::default(), &request).await.unwrap();
    let value = format!("Bearer {}", token.status.unwrap().token).parse::<http::HeaderValue>().unwrap();
    let service = server.clone().map_request(move |mut request: http::Request<Body>| {
        request.headers_mut().insert(http::header::AUTHORIZATION, value.clone());
        request
    });
    Client::new(service, "default")
}

fn subject() -> Value {
    json!([{"kind": "ServiceAccount", "name": "default", "namespace": "default"}])
}

/// Gives the account rules in namespace `default`.
async fn give(server: &ApiServer, name: &str, rules: Value) {
    let client = server.client();
    let role = json!({"metadata": {"name": name}, "rules": rules});
    api::<Role>(&client).create(&PostParams::default(), &object(role)).await.unwrap();
    let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name});
    let binding = json!({"metadata": {"name": name}, "roleRef": reference, "subjects": subject()});
    api::<RoleBinding>(&client).create(&PostParams::default(), &object(binding)).await.unwrap();
}

/// Gives the account rules everywhere.
async fn give_everywhere(server: &ApiServer, name: &str, rules: Value) {
    let client = server.client();
    let role = json!({"metadata": {"name": name}, "rules": rules});
    Api::<ClusterRole>::all(client.clone()).create(&PostParams::default(), &object(role)).await.unwrap();
    let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    let binding = json!({"metadata": {"name": name}, "roleRef": reference, "subjects": subject()});
    Api::<ClusterRoleBinding>::all(client).create(&PostParams::default(), &object(binding)).await.unwrap();
}

#[tokio::test]
async fn an_account_without_bindings_may_discover_and_nothing_else() {
    let server = server();
    let client = account(&server).await;
    assert!(!client.list_api_groups().await.unwrap().groups.is_empty());
    let refused = refusal(api::<Secret>(&client).get("s").await);
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    let why = format!(
        "User \"{ME}\" cannot get resource \"secrets\" in API group \"\" in the namespace \"default\""
    );
    assert_eq!(refused.message, format!("secrets \"s\" is forbidden: {why}"));
    let refused = refusal(Api::<Role>::all(client.clone()).list(&ListParams::default()).await);
    let group = "rbac.authorization.k8s.io";
    let why =
        format!("User \"{ME}\" cannot list resource \"roles\" in API group \"{group}\" at the cluster scope");
    assert_eq!(refused.message, format!("roles.{group} is forbidden: {why}"));
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let refused = refusal(client.request_text(request).await);
    assert_eq!(refused.message, format!("forbidden: User \"{ME}\" cannot get path \"/metrics\""));
}

#[tokio::test]
async fn a_role_counts_in_its_namespace_and_a_cluster_role_everywhere() {
    let server = server();
    let client = account(&server).await;
    let read =
        json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps", "namespaces"]}]);
    give(&server, "here", read.clone()).await;
    let elsewhere = Api::<ConfigMap>::namespaced(client.clone(), "kube-system");
    api::<ConfigMap>(&client).list(&ListParams::default()).await.unwrap();
    Api::<Namespace>::all(client.clone()).get("default").await.unwrap();
    assert_eq!(refusal(elsewhere.list(&ListParams::default()).await).code, 403);
    assert_eq!(refusal(Api::<Namespace>::all(client.clone()).list(&ListParams::default()).await).code, 403);
    give_everywhere(&server, "everywhere", read).await;
    elsewhere.list(&ListParams::default()).await.unwrap();
    Api::<Namespace>::all(client).list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_right_to_a_name_covers_a_list_of_that_name_and_the_apply_that_creates_it() {
    let server = server();
    let client = account(&server).await;
    let maps = api::<ConfigMap>(&client);
    let rule = |verbs: &[&str]| json!([{"verbs": verbs, "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"]}]);
    give(&server, "change", rule(&["list", "get", "patch"])).await;
    maps.list(&ListParams::default().fields("metadata.name=mine")).await.unwrap();
    assert_eq!(refusal(maps.list(&ListParams::default()).await).code, 403);
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}});
    let apply = async || maps.patch("mine", &PatchParams::apply("me"), &Patch::Apply(applied.clone())).await;
    let refused = refusal(apply().await);
    let why = format!(
        "User \"{ME}\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
    assert_eq!(refused.message, format!("configmaps \"mine\" is forbidden: {why}"));
    give(&server, "create", rule(&["create"])).await;
    apply().await.unwrap();
    let posted: ConfigMap = object(json!({"metadata": {"name": "mine"}}));
    assert_eq!(refusal(maps.create(&PostParams::default(), &posted).await).code, 403, "a POST names nothing");
}

#[tokio::test]
async fn a_subresource_is_a_right_of_its_own() {
    let server = server();
    let client = account(&server).await;
    give(&server, "pods", json!([{"verbs": ["*"], "apiGroups": [""], "resources": ["pods"]}])).await;
    let pods = api::<k8s_openapi::api::core::v1::Pod>(&client);
    assert_eq!(refusal(pods.get("p").await).code, 404);
    let refused = refusal(pods.logs("p", &Default::default()).await);
    assert_eq!(refused.code, 403);
    assert!(refused.message.contains("cannot get resource \"pods/log\""), "{}", refused.message);
}

#[tokio::test]
async fn nobody_gives_rights_that_he_does_not_have() {
    let server = server();
    let client = account(&server).await;
    let roles =
        json!({"verbs": ["*"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"]});
    let write = json!({
        "verbs": ["create", "get", "patch"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"],
    });
    let pods = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
    give(&server, "roles", json!([roles, write, pods])).await;
    let role = |verbs: &[&str]| -> Role {
        let rule = json!({"verbs": verbs, "apiGroups": [""], "resources": ["pods"]});
        object(json!({"metadata": {"name": "given"}, "rules": [rule]}))
    };
    let own = api::<Role>(&client);
    let refused = refusal(own.create(&PostParams::default(), &role(&["get", "list", "delete"])).await);
    assert_eq!(refused.code, 403);
    let groups = "[\"system:serviceaccounts\" \"system:serviceaccounts:default\" \"system:authenticated\"]";
    let why = format!(
        "user \"{ME}\" (groups={groups}) is attempting to grant RBAC permissions not currently held:"
    );
    let missing = "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\" \"delete\"]}";
    assert_eq!(
        refused.message,
        format!("roles.rbac.authorization.k8s.io \"given\" is forbidden: {why}\n{missing}")
    );
    own.create(&PostParams::default(), &role(&["get"])).await.unwrap();
    let reference =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
    let binding: RoleBinding =
        object(json!({"metadata": {"name": "b"}, "roleRef": reference, "subjects": subject()}));
    assert_eq!(refusal(api::<RoleBinding>(&client).create(&PostParams::default(), &binding).await).code, 403);
}

#[tokio::test]
async fn reviews_say_what_requests_would_meet() {
    let server = server();
    let client = account(&server).await;
    give(&server, "pods", json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])).await;
    let reviews = Api::<SelfSubjectAccessReview>::all(client.clone());
    let ask = async |verb: &str| {
        let asked = json!({"verb": verb, "resource": "pods", "namespace": "default"});
        let review: SelfSubjectAccessReview =
            object(json!({"metadata": {}, "spec": {"resourceAttributes": asked}}));
        reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap()
    };
    let allowed = ask("get").await;
    assert!(allowed.allowed);
    let why = "RBAC: allowed by RoleBinding \"pods/default\" of Role \"pods\" to ServiceAccount \"default/default\"";
    assert_eq!(allowed.reason.as_deref(), Some(why));
    assert!(!ask("delete").await.allowed);
    let review: SelfSubjectRulesReview = object(json!({"metadata": {}, "spec": {"namespace": "default"}}));
    let rules = Api::<SelfSubjectRulesReview>::all(client.clone());
    let rules = rules.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    assert!(rules.resource_rules.iter().any(|rule| rule.resources.as_deref() == Some(&["pods".to_owned()])));
    let other: SubjectAccessReview = object(json!({"metadata": {}, "spec": {
        "user": ME, "groups": [], "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"},
    }}));
    let administrator = Api::<SubjectAccessReview>::all(server.client());
    assert!(administrator.create(&PostParams::default(), &other).await.unwrap().status.unwrap().allowed);
    let refused = Api::<SubjectAccessReview>::all(client).create(&PostParams::default(), &other).await;
    assert_eq!(refusal(refused).code, 403, "reviews of others are a right of their own");
}
