//! The node: runs the pods bound to it as real processes and reports what they do. It reads and changes the cluster
//! through the API only.

mod access;
mod backoff;
pub(crate) mod container;
mod context;
mod environment;
mod events;
mod field;
mod heartbeat;
mod identity;
mod lifecycle;
mod log;
mod manager;
mod probe;
mod session;
mod status;
mod storage;
mod volume;
mod worker;

pub(crate) use access::Access;

use crate::{ImageReference, ImageSource};
use context::NodeContext;
use field::Capacity;
use kube::Client;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use volume::registry::VolumeRegistry;

/// The running node. Dropping it ends every pod.
pub(crate) struct Node {
    context: Arc<NodeContext>,
    tasks: JoinSet<()>,
}

impl Node {
    /// Registers the node and begins to run its pods.
    ///
    /// # Errors
    /// The Node object could not be created.
    pub(crate) async fn start(
        client: Client,
        state_directory: &Path,
        images: BTreeMap<ImageReference, ImageSource>,
    ) -> Result<Node, kube::Error> {
        let capacity = capacity();
        let (changes, _) = broadcast::channel(256);
        let context = Arc::new(NodeContext {
            client: client.clone(),
            state_directory: state_directory.to_path_buf(),
            images,
            capacity,
            addresses: std::sync::Mutex::default(),
            volumes: VolumeRegistry::new(state_directory),
            logs: log::LogRegistry::new(state_directory),
            programs: session::Programs::default(),
            changes,
        });
        heartbeat::register(&client, capacity).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(heartbeat::run(context.clone()));
        tasks.spawn(storage::run(context.clone()));
        tasks.spawn(manager::watch_config_maps(context.clone()));
        tasks.spawn(manager::watch_secrets(context.clone()));
        tasks.spawn(manager::run(context.clone()));
        Ok(Node { context, tasks })
    }

    /// What the API server needs of the node.
    pub(crate) fn access(&self) -> Access {
        Access(self.context.clone())
    }

    /// Returns when a part of the node has ended, which none does by itself.
    pub(crate) async fn failed(&mut self) {
        self.tasks.join_next().await;
    }
}

/// What this machine has.
fn capacity() -> Capacity {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let information = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = information.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
    Capacity { milli_cpus: cpus * 1000, memory_bytes: kibibytes * 1024 }
}
