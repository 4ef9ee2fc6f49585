//! The connection to the Kubernetes API: how long a call may take and who retries it. It reads no object.

use anyhow::Context as _;
use kube::{Client, Config};
use std::time::Duration;

/// Who owns the fields we apply.
pub const FIELD_MANAGER: &str = "etcd-operator";

/// An answer that takes longer than this will not come: the call fails and its cluster is reconciled again.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Watches are closed by the server after 30 s ([`crate::watch`]); a connection silent for longer is dead.
const WATCH_READ_TIMEOUT: Duration = Duration::from_secs(45);

/// Two connections to one API server, because a watch may be silent for longer than an answer may take.
#[derive(Clone)]
pub struct Clients {
    /// For calls that answer once.
    pub calls: Client,
    /// For watches.
    pub watches: Client,
}

impl Clients {
    /// Both from one client. For API servers in the same process, where nothing hangs.
    pub fn same(client: Client) -> Self {
        Self { calls: client.clone(), watches: client }
    }

    /// Connects as the pod's ServiceAccount, or by `KUBECONFIG` outside a cluster.
    ///
    /// kube's own retries are off: they can hold one call for minutes and repeat a POST that had succeeded. A failed
    /// reconcile is repeated as a whole instead, from a fresh look at the world.
    pub async fn connect() -> anyhow::Result<Self> {
        let mut config = Config::infer().await.context("failed to find the Kubernetes API server")?;
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(5));
        config.read_timeout = Some(READ_TIMEOUT);
        config.reset_reader_on_write = true;
        let mut watch_config = config.clone();
        watch_config.read_timeout = Some(WATCH_READ_TIMEOUT);
        let calls = Client::try_from(config).context("failed to connect to the Kubernetes API server")?;
        let watches =
            Client::try_from(watch_config).context("failed to connect to the Kubernetes API server")?;
        Ok(Self { calls, watches })
    }
}
