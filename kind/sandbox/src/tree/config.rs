//! What every tree is told, whatever it is made for. Plain data, handed from process to process as JSON.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a tree stands, and how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeConfig {
    /// Everything that the tree writes is below this directory, which exists; absolute, and locked as long as anything of the
    /// tree runs.
    pub state_directory: PathBuf,
    /// Where a listener is opened on the host before the namespaces are made; port 0 takes a free one.
    pub listen: SocketAddr,
    /// When the tree ends by itself.
    pub lifetime: Lifetime,
}

/// When a tree ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifetime {
    /// With the process that started it, however that ends, SIGKILL included.
    WithParent,
    /// When it is stopped.
    Lasting,
}
