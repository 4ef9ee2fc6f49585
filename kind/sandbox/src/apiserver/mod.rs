//! A Kubernetes-compatible API server as a tower service.
//!
//! Kubernetes' semantics for what the project uses: see `kind/README.md` for what is missing. All state is behind one
//! lock and every decision is a pure function of that state, the request, the time and the identifiers given.

mod admission;
mod answer;
mod apply;
mod auth;
mod authorize;
mod bootstrap;
mod builtin;
mod cluster;
mod collect;
mod convert;
mod custom;
mod decode;
mod defaults;
pub mod defects;
mod definition;
mod disabled;
mod discovery;
mod error;
mod fields;
mod forward;
pub mod inputs;
mod job;
mod json;
mod limits;
mod namespace;
mod openapi;
mod patch;
mod pod_security;
mod protobuf;
mod quantity;
mod quota;
mod read;
mod render;
mod request;
mod review;
mod serve;
mod service;
mod stale;
mod strategic;
mod strategy;
mod stream;
mod structural;
mod subresource;
mod table;
mod tally;
mod tls;
mod validation;
mod watch;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};

use cluster::Cluster;
use inputs::{Clock, Identifiers, NodeAccess, RandomIdentifiers, SystemClock};
pub use serve::ResponseBody;
use serve::{Guarded, Shared, Trust};
pub use stale::StaleWatches;
use tally::Tally;
pub use tls::{ServerCertificate, TlsError, kubeconfig};

/// What an API server is made from.
pub struct ApiServerConfig {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Uids, name suffixes, keys.
    pub identifiers: Box<dyn Identifiers>,
    /// The way to logs and pods; may be set later with [`ApiServer::set_node`].
    pub node: Option<Arc<dyn NodeAccess>>,
    /// How many changes of each resource are kept for watches; older ones are answered with 410.
    pub history_length: usize,
    /// The certificate that clients inside the cluster trust (`kube-root-ca.crt`), in PEM.
    pub root_certificate: String,
    /// Where pods find this server behind the Service `kubernetes`; no endpoint is made without it.
    pub advertise: Option<SocketAddrV4>,
    /// The bearer token of the administrator over HTTPS; nobody is, without it.
    pub administrator_token: Option<String>,
}

impl Default for ApiServerConfig {
    /// The system's clock and entropy, no node, no address.
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            identifiers: Box::new(RandomIdentifiers::from_entropy()),
            node: None,
            history_length: 10_000,
            root_certificate: String::new(),
            advertise: None,
            administrator_token: None,
        }
    }
}

/// An API server. Clones share all state.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
    trust: Trust,
    /// Where conversations go that outlive the request that began them; nowhere for callers in this process.
    sessions: Option<stream::Sessions>,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ApiServer").field("trust", &self.trust).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// An API server with the namespaces that every cluster has.
    pub fn new(mut config: ApiServerConfig) -> Self {
        let mut cluster = Cluster::new(config.history_length);
        cluster.root_certificate = config.root_certificate;
        cluster.administrator_token = config.administrator_token;
        cluster.signing_key = config.identifiers.signing_key();
        let revision = cluster.store.revision();
        let shared = Arc::new(Shared {
            guarded: Mutex::new(Guarded { cluster, identifiers: config.identifiers }),
            revision: tokio::sync::watch::Sender::new(revision),
            clock: config.clock,
            node: Mutex::new(config.node),
            tally: Tally::default(),
            stale: Mutex::default(),
        });
        shared.with(|cluster, inputs| bootstrap::fill(cluster, inputs, config.advertise));
        Self { shared, trust: Trust::InProcess, sessions: None }
    }

    /// A client that calls this server without a socket, as administrator. Needs a tokio runtime.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    /// A client as [`ApiServer::client`], whose writes are recorded under a program's name.
    pub fn client_of(&self, program: &'static str) -> kube::Client {
        let agent = http::HeaderValue::from_static(program);
        let named = tower::ServiceBuilder::new()
            .map_request(move |mut request: http::Request<kube::client::Body>| {
                request.headers_mut().insert(http::header::USER_AGENT, agent.clone());
                request
            })
            .service(self.clone());
        kube::Client::new(named, "default")
    }

    /// How many requests of each verb have come over the network so far.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.shared.tally.so_far()
    }

    /// Makes the watches of this server stale from now on, those that are open too.
    pub fn make_watches_stale(&self, stale: StaleWatches) {
        self.shared.stale.lock().expect("nothing panics while it holds this").watches = stale;
    }

    /// Gives the server its way to logs and pods.
    pub fn set_node(&self, node: Arc<dyn NodeAccess>) {
        *self.shared.node.lock().expect("nothing panics while it holds the node") = Some(node);
    }

    /// The revision of the newest write.
    pub fn revision(&self) -> u64 {
        self.shared.lock().cluster.store.revision()
    }

    /// Drops the history of every resource, so that watches from before end with 410.
    pub fn compact(&self) {
        self.shared.with(|cluster, _| cluster.store.compact());
    }
}
