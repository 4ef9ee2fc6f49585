//! The short names of paths in cases: `pods/a/status` stands for `/api/v1/namespaces/NAMESPACE/pods/a/status`.
//!
//! Pure. Only resources that the cases use are here.

/// A resource that cases may name shortly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource {
    /// The plural, as paths have it.
    pub(crate) plural: &'static str,
    /// `api/v1` or `apis/<group>/<version>`.
    pub(crate) prefix: &'static str,
    /// The kind of its objects.
    pub(crate) kind: &'static str,
    /// Whether its objects live in namespaces.
    pub(crate) namespaced: bool,
}

const fn resource(
    plural: &'static str,
    prefix: &'static str,
    kind: &'static str,
    namespaced: bool,
) -> Resource {
    Resource { plural, prefix, kind, namespaced }
}

/// All of them. `widgets` and `gadgets` are the custom resources of the suite.
const RESOURCES: &[Resource] = &[
    resource("pods", "api/v1", "Pod", true),
    resource("configmaps", "api/v1", "ConfigMap", true),
    resource("secrets", "api/v1", "Secret", true),
    resource("services", "api/v1", "Service", true),
    resource("serviceaccounts", "api/v1", "ServiceAccount", true),
    resource("persistentvolumeclaims", "api/v1", "PersistentVolumeClaim", true),
    resource("persistentvolumes", "api/v1", "PersistentVolume", false),
    resource("events", "api/v1", "Event", true),
    resource("endpoints", "api/v1", "Endpoints", true),
    resource("resourcequotas", "api/v1", "ResourceQuota", true),
    resource("limitranges", "api/v1", "LimitRange", true),
    resource("namespaces", "api/v1", "Namespace", false),
    resource("nodes", "api/v1", "Node", false),
    resource("statefulsets", "apis/apps/v1", "StatefulSet", true),
    resource("deployments", "apis/apps/v1", "Deployment", true),
    resource("daemonsets", "apis/apps/v1", "DaemonSet", true),
    resource("replicasets", "apis/apps/v1", "ReplicaSet", true),
    resource("controllerrevisions", "apis/apps/v1", "ControllerRevision", true),
    resource("jobs", "apis/batch/v1", "Job", true),
    resource("cronjobs", "apis/batch/v1", "CronJob", true),
    resource("poddisruptionbudgets", "apis/policy/v1", "PodDisruptionBudget", true),
    resource("leases", "apis/coordination.k8s.io/v1", "Lease", true),
    resource("endpointslices", "apis/discovery.k8s.io/v1", "EndpointSlice", true),
    resource("newevents", "apis/events.k8s.io/v1", "Event", true),
    resource("roles", "apis/rbac.authorization.k8s.io/v1", "Role", true),
    resource("rolebindings", "apis/rbac.authorization.k8s.io/v1", "RoleBinding", true),
    resource("clusterroles", "apis/rbac.authorization.k8s.io/v1", "ClusterRole", false),
    resource("clusterrolebindings", "apis/rbac.authorization.k8s.io/v1", "ClusterRoleBinding", false),
    resource("networkpolicies", "apis/networking.k8s.io/v1", "NetworkPolicy", true),
    resource("priorityclasses", "apis/scheduling.k8s.io/v1", "PriorityClass", false),
    resource("storageclasses", "apis/storage.k8s.io/v1", "StorageClass", false),
    resource("customresourcedefinitions", "apis/apiextensions.k8s.io/v1", "CustomResourceDefinition", false),
    resource("widgets", "apis/conformance.test/v1", "Widget", true),
    resource("oldwidgets", "apis/conformance.test/v1beta1", "Widget", true),
    resource("things", "apis/conformance.test/v1", "Thing", true),
    resource("oldthings", "apis/conformance.test/v1alpha1", "Thing", true),
    resource("gadgets", "apis/conformance.test/v1", "Gadget", false),
];

/// What a short path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Path and query as sent.
    pub(crate) path: String,
    /// `apiVersion` and `kind` for a body that names none; nothing for subresources and absolute paths.
    pub(crate) identity: Option<(String, &'static str)>,
}

/// Resolves a path of a case in a namespace. A path that begins with `/` is taken as it is.
///
/// # Errors
/// The unknown resource.
pub(crate) fn resolve(short: &str, namespace: &str) -> Result<Place, String> {
    if short.starts_with('/') {
        return Ok(Place { path: short.replace("NAMESPACE", namespace), identity: None });
    }
    let (path, query) = short.split_once('?').map_or((short, ""), |(path, query)| (path, query));
    let (plural, rest) = path.split_once('/').map_or((path, ""), |(plural, rest)| (plural, rest));
    let everywhere = plural.strip_prefix("all:");
    let plural = everywhere.unwrap_or(plural);
    let found = RESOURCES.iter().find(|one| one.plural == plural);
    let found = found.ok_or_else(|| format!("no resource called {plural:?} in {short:?}"))?;
    let served = plural.strip_prefix("new").or_else(|| plural.strip_prefix("old")).unwrap_or(plural);
    let mut full = format!("/{}", found.prefix);
    if found.namespaced && everywhere.is_none() {
        full = format!("{full}/namespaces/{namespace}");
    }
    full = format!("{full}/{served}");
    if !rest.is_empty() {
        full = format!("{full}/{}", rest.replace("NAMESPACE", namespace));
    }
    if !query.is_empty() {
        full = format!("{full}?{}", query.replace("NAMESPACE", namespace));
    }
    let is_object = !rest.contains('/') || rest.ends_with("/status");
    let version = found.prefix.strip_prefix("apis/").or(found.prefix.strip_prefix("api/"));
    let identity = is_object.then(|| (version.unwrap_or_default().to_owned(), found.kind));
    Ok(Place { path: full, identity })
}
