//! What a request asks for, as rules name it: a verb on a resource or on a path.
//!
//! Follows `k8s.io/apiserver/pkg/endpoints/request` (`RequestInfo`). Pure.

use http::Method;

use crate::apiserver::request::{ApiRequest, ResourcePath, Route};

/// A verb and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// For example `list`, or for a path the HTTP method in lower case.
    pub(crate) verb: String,
    /// What the verb is about.
    pub(crate) asked: Asked,
}

/// What a verb is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Objects of a resource.
    Resource(ResourceAsked),
    /// Anything else that is served: discovery, health.
    Path(String),
}

/// Objects of a resource; empty where the request names none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceAsked {
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Attributes {
    /// What this request asks for.
    pub(crate) fn of(request: &ApiRequest) -> Self {
        match &request.route {
            Route::Other(segments) => Self {
                verb: request.method.as_str().to_lowercase(),
                asked: Asked::Path(format!("/{}", segments.join("/"))),
            },
            Route::Resource(path) => {
                let mut asked = asked_of(path);
                let verb = verb(request, &asked.name);
                if let (true, Some(name)) = (asked.name.is_empty(), name_in_selector(request)) {
                    asked.name = name;
                }
                Self { verb: verb.to_owned(), asked: Asked::Resource(asked) }
            }
        }
    }

    /// The creation of the object that an apply names, which needs the right to create it too.
    pub(crate) fn creation_by(request: &ApiRequest) -> Option<Self> {
        match &request.route {
            Route::Other(_) => None,
            Route::Resource(path) => {
                Some(Self { verb: "create".to_owned(), asked: Asked::Resource(asked_of(path)) })
            }
        }
    }

    /// A verb on one object of the group that roles are in.
    pub(crate) fn on_role(verb: &str, resource: &str, namespace: &str, name: &str) -> Self {
        let own = |text: &str| text.to_owned();
        Self {
            verb: own(verb),
            asked: Asked::Resource(ResourceAsked {
                group: own("rbac.authorization.k8s.io"),
                resource: own(resource),
                subresource: String::new(),
                namespace: own(namespace),
                name: own(name),
            }),
        }
    }

    /// The namespace whose bindings count too; empty at cluster scope.
    pub(crate) fn namespace(&self) -> &str {
        match &self.asked {
            Asked::Resource(asked) => &asked.namespace,
            Asked::Path(_) => "",
        }
    }

    /// How the API server says that this is not allowed.
    pub(crate) fn refusal(&self, user: &str) -> String {
        let verb = &self.verb;
        match &self.asked {
            Asked::Path(path) => format!("User {user:?} cannot {verb} path {path:?}"),
            Asked::Resource(asked) => {
                let (what, group) = (asked.with_subresource(), &asked.group);
                let wanted = format!("User {user:?} cannot {verb} resource {what:?} in API group {group:?}");
                match asked.namespace.as_str() {
                    "" => format!("{wanted} at the cluster scope"),
                    namespace => format!("{wanted} in the namespace {namespace:?}"),
                }
            }
        }
    }
}

impl ResourceAsked {
    /// As rules name it, for example `pods/log`.
    pub(crate) fn with_subresource(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }
}

fn asked_of(path: &ResourcePath) -> ResourceAsked {
    let name = path.name.clone().unwrap_or_default();
    // A namespace is in itself, so that a Role there can give the right to read it.
    let itself = path.group.is_empty() && path.resource == "namespaces";
    let namespace = if itself { name.clone() } else { path.namespace.clone().unwrap_or_default() };
    ResourceAsked {
        group: path.group.clone(),
        resource: path.resource.clone(),
        subresource: path.subresource.clone().unwrap_or_default(),
        namespace,
        name,
    }
}

fn verb(request: &ApiRequest, name: &str) -> &'static str {
    match (&request.method, name.is_empty()) {
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, false) => "delete",
        (&Method::DELETE, true) => "deletecollection",
        (&Method::GET | &Method::HEAD, _) if request.query.flag("watch") => "watch",
        (&Method::GET | &Method::HEAD, false) => "get",
        (&Method::GET | &Method::HEAD, true) => "list",
        _ => "",
    }
}

/// A list or watch of exactly one name is a request for that name.
fn name_in_selector(request: &ApiRequest) -> Option<String> {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return None;
    }
    let terms = request.query.get("fieldSelector")?.split(',');
    let mut names = terms.filter_map(|term| {
        let (field, value) = term.split_once("==").or_else(|| term.split_once('='))?;
        (field == "metadata.name").then(|| value.to_owned())
    });
    names.next()
}
