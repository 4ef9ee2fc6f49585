//! The harness in a cluster that is not its own, with exactly the rights that `chaos rbac` prints.

use std::path::PathBuf;

use chaos::subject::{ALLOWED_LABEL, manifest, namespace, operator};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use serde_json::json;

use super::arena::{Arena, chaos};

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn the_rights_that_are_printed_carry_a_scenario_and_the_doctor_names_one_that_is_missing() {
    let arena = Arena::open("rights").await;
    arena.install().await;
    let deployments = Api::<Deployment>::namespaced(arena.client.clone(), operator::NAMESPACE);
    let allowed = Patch::Merge(json!({ "metadata": { "labels": { ALLOWED_LABEL: "allowed" } } }));
    deployments.patch(operator::NAME, &PatchParams::default(), &allowed).await.unwrap();
    let printed = String::from_utf8(chaos(&["rbac"], None).stdout).unwrap();
    for object in manifest::documents("chaos rbac", &printed).unwrap() {
        manifest::apply(&arena.client, &object).await.unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let (file, context) = kubeconfig(&arena, directory.path()).await;
    let on = ["--cluster", "current", "--context", &context];

    let said = chaos(&[&["doctor"], &on[..]].concat(), Some(&file));
    assert_eq!(said.status.code(), Some(0), "{}{}", text(&said.stdout), text(&said.stderr));
    let out = directory.path().join("run").display().to_string();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/quickstart.yaml");
    let said = chaos(&[&["run", "--out", &out, scenario], &on[..]].concat(), Some(&file));
    assert_eq!(said.status.code(), Some(0), "{}{}", text(&said.stdout), text(&said.stderr));

    take_away(&arena, "pods/ephemeralcontainers").await;
    let said = chaos(&[&["doctor"], &on[..]].concat(), Some(&file));
    assert_eq!(said.status.code(), Some(2));
    let missing = "the right to patch pods/ephemeralcontainers is missing (in all namespaces)";
    assert!(text(&said.stdout).contains(missing), "{}", text(&said.stdout));
    let out = directory.path().join("refused").display().to_string();
    let said = chaos(&[&["run", "--out", &out, scenario], &on[..]].concat(), Some(&file));
    assert_eq!(said.status.code(), Some(2));
    assert!(text(&said.stderr).contains(missing), "{}", text(&said.stderr));
    assert_eq!(
        namespace::of_runs(&arena.client).await.unwrap().len(),
        0,
        "it was said before anything was made"
    );
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The cluster's kubeconfig with the token of the account that has the rights, and the name of its context.
async fn kubeconfig(arena: &Arena, directory: &std::path::Path) -> (PathBuf, String) {
    let accounts = Api::<ServiceAccount>::namespaced(arena.client.clone(), "default");
    let spec = TokenRequestSpec { expiration_seconds: Some(7200), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let token = accounts.create_token_request("chaos", &PostParams::default(), &request).await.unwrap();
    let mut config = serde_json::to_value(Kubeconfig::read_from(&arena.kubeconfig).unwrap()).unwrap();
    let context = config["current-context"].as_str().unwrap().to_owned();
    for user in config["users"].as_array_mut().unwrap() {
        user["user"] = json!({ "token": token.status.as_ref().unwrap().token });
    }
    let file = directory.join("kubeconfig");
    std::fs::write(&file, config.to_string()).unwrap();
    (file, context)
}

async fn take_away(arena: &Arena, resource: &str) {
    let roles = Api::<ClusterRole>::all(arena.client.clone());
    let mut role = roles.get("chaos").await.unwrap();
    let rules = role.rules.as_mut().unwrap();
    let before = rules.len();
    rules.retain(|rule| rule.resources.as_deref() != Some(&[resource.to_owned()]));
    assert_eq!(rules.len(), before - 1);
    roles.replace("chaos", &PostParams::default(), &role).await.unwrap();
}
