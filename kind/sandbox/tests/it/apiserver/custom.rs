//! CustomResourceDefinitions and their objects.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};

use super::{object, refusal, server};

fn definition() -> Value {
    let spec = json!({
        "type": "object", "required": ["size"],
        "x-kubernetes-validations": [{"rule": "self.size >= oldSelf.size", "message": "size can't shrink"}],
        "properties": {
            "size": {"type": "integer", "minimum": 1},
            "mode": {"type": "string", "default": "plain"},
        },
    });
    let status = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

async fn register(client: &kube::Client) -> Api<DynamicObject> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let apply = PatchParams::apply("test").force();
    definitions.patch("widgets.example.com", &apply, &Patch::Apply(definition())).await.unwrap();
    await_condition(definitions, "widgets.example.com", conditions::is_crd_established()).await.unwrap();
    let kind = GroupVersionKind::gvk("example.com", "v1", "Widget");
    Api::namespaced_with(client.clone(), "default", &ApiResource::from_gvk_with_plural(&kind, "widgets"))
}

fn widget(spec: Value) -> DynamicObject {
    object(json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec,
        "status": {"ignored": "at creation"},
    }))
}

#[tokio::test]
async fn objects_are_defaulted_pruned_and_validated() {
    let client = server().client();
    let widgets = register(&client).await;
    let made =
        widgets.create(&PostParams::default(), &widget(json!({"size": 1, "extra": true}))).await.unwrap();
    assert_eq!(made.data["spec"], json!({"size": 1, "mode": "plain"}));
    assert_eq!(made.data.get("status"), None);
    let refused = refusal(widgets.create(&PostParams::default(), &widget(json!({"size": 0}))).await);
    assert_eq!(refused.code, 422);
    assert_eq!(
        refused.message,
        "Widget.example.com \"w\" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"
    );
    let grown = Patch::Merge(json!({"spec": {"size": 3}}));
    let grown = widgets.patch("w", &PatchParams::default(), &grown).await.unwrap();
    assert_eq!(grown.metadata.generation, Some(2));
    let shrunk = Patch::Merge(json!({"spec": {"size": 2}}));
    let refused = refusal(widgets.patch("w", &PatchParams::default(), &shrunk).await);
    let message = "Widget.example.com \"w\" is invalid: spec: Invalid value: \"object\": size can't shrink";
    assert_eq!(refused.message, message);
}

#[tokio::test]
async fn status_is_a_subresource_that_does_not_count_generations() {
    let client = server().client();
    let widgets = register(&client).await;
    widgets.create(&PostParams::default(), &widget(json!({"size": 1}))).await.unwrap();
    let status = Patch::Merge(json!({"status": {"ready": 1}, "spec": {"size": 5}}));
    let after = widgets.patch_status("w", &PatchParams::default(), &status).await.unwrap();
    assert_eq!((&after.data["status"]["ready"], &after.data["spec"]["size"]), (&json!(1), &json!(1)));
    assert_eq!(after.metadata.generation, Some(1));
}

#[tokio::test]
async fn strict_field_validation_names_the_unknown_field() {
    let client = server().client();
    let widgets = register(&client).await;
    let mut strict = PatchParams::apply("test");
    strict.field_validation = Some(kube::api::ValidationDirective::Strict);
    let refused =
        refusal(widgets.patch("w", &strict, &Patch::Apply(widget(json!({"size": 1, "sise": 2})))).await);
    // As a real server: an apply fails where it compares fields, before it validates.
    assert_eq!(refused.code, 500);
    assert!(refused.message.contains(".spec.sise: field not declared in schema"), "{}", refused.message);
}

#[tokio::test]
async fn a_deleted_definition_takes_its_objects_along() {
    let client = server().client();
    let widgets = register(&client).await;
    widgets.create(&PostParams::default(), &widget(json!({"size": 1}))).await.unwrap();
    let definitions = Api::<CustomResourceDefinition>::all(client);
    definitions.delete("widgets.example.com", &DeleteParams::default()).await.unwrap();
    assert_eq!(refusal(definitions.get("widgets.example.com").await).code, 404);
    assert_eq!(refusal(widgets.get("w").await).code, 404);
}
