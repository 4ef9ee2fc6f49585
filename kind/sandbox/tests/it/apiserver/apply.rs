//! Server-side apply through a client.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{api, object, refusal, server};

fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "d"}},
            "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {"containers": [{"name": "c", "image": image, "ports": [{"containerPort": 80}]}]},
            },
        },
    })
}

#[tokio::test]
async fn apply_creates_then_changes_and_at_rest_writes_nothing() {
    let client = server().client();
    let deployments = api::<Deployment>(&client);
    let mine = PatchParams::apply("mine");
    let first = deployments.patch("d", &mine, &Patch::Apply(deployment("a"))).await.unwrap();
    let again = deployments.patch("d", &mine, &Patch::Apply(deployment("a"))).await.unwrap();
    assert_eq!(first.metadata.resource_version, again.metadata.resource_version);
    let changed = deployments.patch("d", &mine, &Patch::Apply(deployment("b"))).await.unwrap();
    assert_eq!(changed.metadata.generation, Some(2));
    let theirs = PatchParams::apply("theirs");
    let refused = refusal(deployments.patch("d", &theirs, &Patch::Apply(deployment("c"))).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert_eq!(refused.details.unwrap().causes[0].reason, "FieldManagerConflict");
    deployments.patch("d", &theirs.force(), &Patch::Apply(deployment("c"))).await.unwrap();
}

#[tokio::test]
async fn status_is_owned_and_written_apart_from_spec() {
    let client = server().client();
    let deployments = api::<Deployment>(&client);
    let mine = PatchParams::apply("mine");
    let first = deployments.patch("d", &mine, &Patch::Apply(deployment("a"))).await.unwrap();
    let status = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": 9}, "status": {"replicas": 1},
    });
    let after: Deployment = deployments.patch_status("d", &mine, &Patch::Apply(status)).await.unwrap();
    assert_eq!(after.status.unwrap().replicas, Some(1));
    assert_eq!(after.spec.unwrap().replicas, Some(1), "spec is not written through status");
    assert_eq!(after.metadata.generation, first.metadata.generation);
    let again: Deployment = deployments.patch("d", &mine, &Patch::Apply(deployment("a"))).await.unwrap();
    assert_eq!(again.status.unwrap().replicas, Some(1), "status is not lost by applying spec");
}

#[tokio::test]
async fn a_strategic_merge_changes_one_container_only() {
    let client = server().client();
    let deployments = api::<Deployment>(&client);
    deployments.create(&Default::default(), &object(deployment("a"))).await.unwrap();
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "c", "env": [{"name": "A", "value": "1"}]}, {"name": "d", "image": "x"},
    ]}}}});
    let patched = deployments.patch("d", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    let containers = patched.spec.unwrap().template.spec.unwrap().containers;
    assert_eq!(containers.len(), 2);
    assert_eq!(containers[0].image.as_deref(), Some("a"));
    assert_eq!(containers[0].env.as_ref().unwrap()[0].name, "A");
}
