//! Defaults and validation of built-in kinds.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use k8s_openapi::api::events::v1::Event as NewEvent;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::events::{Event as Occurrence, EventType, Recorder, Reporter};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::{api, object, refusal, server};

fn stateful_set() -> Value {
    json!({
        "metadata": {"name": "s"},
        "spec": {
            "serviceName": "s", "selector": {"matchLabels": {"app": "s"}},
            "template": {
                "metadata": {"labels": {"app": "s"}},
                "spec": {"containers": [{
                    "name": "c", "image": "i:v1", "readinessProbe": {"httpGet": {"port": 80}},
                }]},
            },
        },
    })
}

#[tokio::test]
async fn a_stateful_set_is_completed_and_its_identity_is_fixed() {
    let client = server().client();
    let sets = api::<StatefulSet>(&client);
    let made = sets.create(&PostParams::default(), &object(stateful_set())).await.unwrap();
    let spec = serde_json::to_value(made.spec.unwrap()).unwrap();
    assert_eq!(spec["podManagementPolicy"], "OrderedReady");
    assert_eq!(spec["updateStrategy"], json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}));
    let container = &spec["template"]["spec"]["containers"][0];
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(container["readinessProbe"]["httpGet"], json!({"port": 80, "path": "/", "scheme": "HTTP"}));
    assert_eq!(container["readinessProbe"]["periodSeconds"], 10);
    let patch = Patch::Merge(json!({"spec": {"serviceName": "other"}}));
    let refused = refusal(sets.patch("s", &PatchParams::default(), &patch).await);
    assert!(refused.message.contains("spec: Forbidden: updates to statefulset spec"), "{}", refused.message);
    let mut wrong = stateful_set();
    wrong["metadata"]["name"] = json!("t");
    wrong["spec"]["template"]["metadata"]["labels"] = json!({"app": "other"});
    let refused = refusal(sets.create(&PostParams::default(), &object(wrong)).await);
    assert!(refused.message.contains("`selector` does not match template `labels`"), "{}", refused.message);
}

#[tokio::test]
async fn a_pod_gets_its_account_and_keeps_its_spec() {
    let client = server().client();
    let pods = api::<Pod>(&client);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let made = pods.create(&PostParams::default(), &object(pod)).await.unwrap();
    let status = made.status.unwrap();
    assert_eq!((status.phase.as_deref(), status.qos_class.as_deref()), (Some("Pending"), Some("BestEffort")));
    let spec = made.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    let mount = &spec.containers[0].volume_mounts.as_ref().unwrap()[0];
    assert!(mount.name.starts_with("kube-api-access-"), "{mount:?}");
    let patch = Patch::Merge(json!({"spec": {"hostname": "other"}}));
    assert_eq!(refusal(pods.patch("p", &PatchParams::default(), &patch).await).code, 422);
    let nothing = json!({"metadata": {"name": "q"}, "spec": {"containers": []}});
    let refused = refusal(pods.create(&PostParams::default(), &object(nothing)).await);
    assert_eq!(refused.message, "Pod \"q\" is invalid: spec.containers: Required value");
}

#[tokio::test]
async fn a_claim_grows_when_bound_and_never_shrinks() {
    let client = server().client();
    let classes = kube::Api::<StorageClass>::all(client.clone());
    let class =
        json!({"metadata": {"name": "growing"}, "provisioner": "x.test/y", "allowVolumeExpansion": true});
    classes.create(&PostParams::default(), &object(class)).await.unwrap();
    let claims = api::<PersistentVolumeClaim>(&client);
    let claim = json!({
        "metadata": {"name": "c"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "growing",
        },
    });
    claims.create(&PostParams::default(), &object(claim)).await.unwrap();
    let size = |size: &str| Patch::Merge(json!({"spec": {"resources": {"requests": {"storage": size}}}}));
    assert_eq!(refusal(claims.patch("c", &PatchParams::default(), &size("2Gi")).await).code, 422);
    let bound = |capacity: &str| {
        Patch::Merge(json!({"status": {"phase": "Bound", "capacity": {"storage": capacity}}}))
    };
    claims.patch_status("c", &PatchParams::default(), &bound("1Gi")).await.unwrap();
    claims.patch("c", &PatchParams::default(), &size("2Gi")).await.unwrap();
    claims.patch_status("c", &PatchParams::default(), &bound("2Gi")).await.unwrap();
    assert_eq!(refusal(claims.patch("c", &PatchParams::default(), &size("1500Mi")).await).code, 422);
}

#[tokio::test]
async fn events_of_the_new_api_are_read_by_the_old_one() {
    let client = server().client();
    let pods = api::<Pod>(&client);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let pod = pods.create(&PostParams::default(), &object(pod)).await.unwrap();
    let reporter = Reporter { controller: "tester".into(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let occurrence = Occurrence {
        type_: EventType::Warning,
        reason: "Broken".into(),
        note: Some("it broke".into()),
        action: "Breaking".into(),
        secondary: None,
    };
    recorder.publish(&occurrence, &pod.object_ref(&())).await.unwrap();
    recorder.publish(&occurrence, &pod.object_ref(&())).await.unwrap();
    let events = api::<Event>(&client);
    let about = kube::api::ListParams::default().fields("involvedObject.name=p");
    let found = events.list(&about).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].message.as_deref(), Some("it broke"));
    assert_eq!(found.items[0].reporting_component.as_deref(), Some("tester"));
    let same = api::<NewEvent>(&client).get(&found.items[0].name_any()).await.unwrap();
    assert_eq!(same.note.as_deref(), Some("it broke"));
}
