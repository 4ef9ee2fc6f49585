//! What is served: one definition for each resource, built-in or from a CustomResourceDefinition.
//!
//! A table only; what the rows mean is decided where they are read.

use std::sync::Arc;

use k8s_openapi::{ClusterResourceScope, Metadata, Resource};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::builtin::Kind;
use super::custom::CustomSchema;
use crate::store::{GroupResource, ObjectKey};

/// How objects of a resource are read and checked.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// By the typed model: unknown fields fall away, wrong types are refused.
    BuiltIn(Typed),
    /// By the schema of the version that the client speaks.
    Custom(Arc<CustomSchema>),
}

/// What the typed model of a resource offers.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    /// The Go type, whose facts shape answers and ownership.
    pub(crate) kind: Kind,
    /// Reads an object into the model and writes it again.
    pub(crate) through: fn(Value) -> Result<Value, serde_json::Error>,
    /// Puts the resource's schema, and all that it refers to, among the generator's definitions.
    pub(crate) schema: fn(&mut SchemaGenerator),
    /// The schema's name there.
    pub(crate) schema_name: fn() -> String,
}

impl Typed {
    fn of<T: Resource + DeserializeOwned + Serialize + JsonSchema>() -> Self {
        Self {
            kind: Kind::of(T::GROUP, T::KIND),
            through: through::<T>,
            schema: |generator| drop(generator.subschema_for::<T>()),
            schema_name: || T::schema_name().into_owned(),
        }
    }
}

/// One served resource.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) id: GroupResource,
    /// Served versions, the preferred one first.
    pub(crate) versions: Vec<String>,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Whether `status` is written through its own subresource only.
    pub(crate) status: bool,
    pub(crate) scale: bool,
    pub(crate) shape: Shape,
}

impl Definition {
    /// `v1` or `group/v1`.
    pub(crate) fn api_version(&self, version: &str) -> String {
        match self.id.group.as_str() {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        }
    }

    /// The key of one of its objects.
    pub(crate) fn key(&self, namespace: Option<&str>, name: &str) -> ObjectKey {
        let namespace = if self.namespaced { namespace.map(str::to_owned) } else { None };
        ObjectKey { resource: self.storage(), namespace, name: name.to_owned() }
    }

    /// Where its objects are kept. Both event APIs show the same objects.
    pub(crate) fn storage(&self) -> GroupResource {
        if self.is("events.k8s.io", "events") { GroupResource::new("", "events") } else { self.id.clone() }
    }

    /// Whether this is the named built-in resource.
    pub(crate) fn is(&self, group: &str, resource: &str) -> bool {
        self.id.group == group && self.id.resource == resource
    }

    /// Whether a PUT of what is not there creates it.
    pub(crate) fn is_created_by_update(&self) -> bool {
        matches!(
            (self.id.group.as_str(), self.id.resource.as_str()),
            ("", "services" | "events" | "endpoints" | "limitranges")
                | ("coordination.k8s.io" | "events.k8s.io" | "rbac.authorization.k8s.io", _)
        )
    }

    /// Whether a PUT must name the version that it replaces.
    pub(crate) fn needs_version(&self) -> bool {
        self.is_custom()
            || self.is("policy", "poddisruptionbudgets")
            || self.is("coordination.k8s.io", "leases")
    }

    /// Whether a deletion is answered with the object that is gone.
    pub(crate) fn shows_deleted(&self) -> bool {
        matches!(
            (self.id.group.as_str(), self.id.resource.as_str()),
            (
                "",
                "pods"
                    | "services"
                    | "serviceaccounts"
                    | "persistentvolumes"
                    | "persistentvolumeclaims"
                    | "resourcequotas"
            ) | ("storage.k8s.io", "storageclasses")
        )
    }

    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.shape, Shape::Custom(_))
    }
}

fn through<T: DeserializeOwned + Serialize>(value: Value) -> Result<Value, serde_json::Error> {
    serde_json::from_value::<T>(value).and_then(serde_json::to_value)
}

struct Row(Definition);

impl Row {
    fn of<T>() -> Self
    where
        T: Resource + Metadata + DeserializeOwned + Serialize + JsonSchema,
        T::Scope: 'static,
    {
        let cluster = std::any::TypeId::of::<T::Scope>() == std::any::TypeId::of::<ClusterResourceScope>();
        Self(Definition {
            id: GroupResource::new(T::GROUP, T::URL_PATH_SEGMENT),
            versions: vec![T::VERSION.to_owned()],
            kind: T::KIND.to_owned(),
            list_kind: format!("{}List", T::KIND),
            singular: T::KIND.to_lowercase(),
            short_names: Vec::new(),
            categories: Vec::new(),
            namespaced: !cluster,
            status: false,
            scale: false,
            shape: Shape::BuiltIn(Typed::of::<T>()),
        })
    }

    fn short(mut self, names: &[&str]) -> Self {
        self.0.short_names = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    fn all(mut self) -> Self {
        self.0.categories = vec!["all".to_owned()];
        self
    }

    fn status(mut self) -> Self {
        self.0.status = true;
        self
    }

    fn scale(mut self) -> Self {
        self.0.scale = true;
        self
    }
}

/// What is read and written through the subresource `scale` of many resources.
pub(crate) fn scale() -> Definition {
    Row::of::<k8s_openapi::api::autoscaling::v1::Scale>().0
}

/// Every built-in resource. Reviews (`tokenreviews` and the like) are not stored and not here.
pub(crate) fn built_in() -> Vec<Definition> {
    use k8s_openapi::api::{
        apps::v1 as apps, batch::v1 as batch, coordination::v1 as coordination, core::v1 as core,
        discovery::v1 as discovery, events::v1 as events, networking::v1 as networking, policy::v1 as policy,
        rbac::v1 as rbac, scheduling::v1 as scheduling, storage::v1 as storage,
    };
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
    let rows = vec![
        Row::of::<core::Pod>().short(&["po"]).all().status(),
        Row::of::<core::Service>().short(&["svc"]).all().status(),
        Row::of::<core::Endpoints>().short(&["ep"]),
        Row::of::<core::ConfigMap>().short(&["cm"]),
        Row::of::<core::Secret>(),
        Row::of::<core::ServiceAccount>().short(&["sa"]),
        Row::of::<core::Namespace>().short(&["ns"]).status(),
        Row::of::<core::Node>().short(&["no"]).status(),
        Row::of::<core::PersistentVolume>().short(&["pv"]).status(),
        Row::of::<core::PersistentVolumeClaim>().short(&["pvc"]).status(),
        Row::of::<core::Event>().short(&["ev"]),
        Row::of::<core::LimitRange>().short(&["limits"]),
        Row::of::<core::ResourceQuota>().short(&["quota"]).status(),
        Row::of::<apps::StatefulSet>().short(&["sts"]).all().status().scale(),
        Row::of::<apps::Deployment>().short(&["deploy"]).all().status().scale(),
        Row::of::<apps::ReplicaSet>().short(&["rs"]).all().status().scale(),
        Row::of::<apps::DaemonSet>().short(&["ds"]).all().status(),
        Row::of::<apps::ControllerRevision>(),
        Row::of::<batch::Job>().all().status(),
        Row::of::<batch::CronJob>().short(&["cj"]).all().status(),
        Row::of::<policy::PodDisruptionBudget>().short(&["pdb"]).status(),
        Row::of::<coordination::Lease>(),
        Row::of::<discovery::EndpointSlice>(),
        Row::of::<events::Event>().short(&["ev"]),
        Row::of::<rbac::Role>(),
        Row::of::<rbac::RoleBinding>(),
        Row::of::<rbac::ClusterRole>(),
        Row::of::<rbac::ClusterRoleBinding>(),
        Row::of::<scheduling::PriorityClass>().short(&["pc"]),
        Row::of::<storage::StorageClass>().short(&["sc"]),
        Row::of::<networking::NetworkPolicy>().short(&["netpol"]),
        Row::of::<apiextensions::CustomResourceDefinition>().short(&["crd", "crds"]).status(),
    ];
    rows.into_iter().map(|row| row.0).collect()
}
