//! What a request must be, as far as that can be known without looking at the pod. Pure.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Component, Path, PathBuf};

use super::{
    AgentFault, AgentRequest, LONGEST_DURATION_MILLISECONDS, PROTOCOL_FORMAT, PartitionFault,
    SHORTEST_DURATION_MILLISECONDS, SpoilFault,
};

/// Why a request cannot be carried out as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Written by another version of the harness.
    #[error("the request has format {found}, this agent speaks format {PROTOCOL_FORMAT}")]
    Format {
        /// The format found.
        found: u32,
    },
    /// A partition that cuts nobody.
    #[error("the partition names no peers")]
    NoPeers,
    /// An address is to be cut and to stay reachable.
    #[error("the partition both cuts {address} and expects it to stay reachable")]
    CutAndUncut {
        /// The address in question.
        address: Ipv4Addr,
    },
    /// A restriction to ports that leaves the dialled port open.
    #[error(
        "the partition cuts certain ports only, and the port of {peer}, which the proof dials, is not one of them"
    )]
    ProofPortOpen {
        /// The peer whose port stays open.
        peer: SocketAddrV4,
    },
    /// Too short to be measured or too long to be meant.
    #[error(
        "a duration of {found} ms is outside {SHORTEST_DURATION_MILLISECONDS} to {LONGEST_DURATION_MILLISECONDS} ms"
    )]
    Duration {
        /// The duration asked for.
        found: u64,
    },
    /// A path that could mean more than one volume.
    #[error("what should be changed, {path}, is not an absolute path below the root without `..`")]
    Path {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A text that would make the file longer or shorter, or change nothing.
    #[error("{old:?} cannot be written over with {new:?}: it must be another text of as many bytes")]
    Texts {
        /// What stands there.
        old: String,
        /// What should.
        new: String,
    },
}

impl AgentRequest {
    /// Checks everything that can be known without looking at the pod.
    pub fn check(&self) -> Result<(), RequestError> {
        if self.format != PROTOCOL_FORMAT {
            return Err(RequestError::Format { found: self.format });
        }
        match &self.fault {
            AgentFault::Partition(partition) => partition.check(),
            AgentFault::Pause(pause) => check_duration(pause.duration_milliseconds),
            AgentFault::Wipe(wipe) => check_path(&wipe.path),
            AgentFault::Spoil(spoil) => spoil.check(),
            AgentFault::Kill | AgentFault::CheckHeal(_) => Ok(()),
        }
    }
}

impl PartitionFault {
    fn check(&self) -> Result<(), RequestError> {
        check_duration(self.duration_milliseconds)?;
        if self.peers.is_empty() {
            return Err(RequestError::NoPeers);
        }
        for peer in &self.peers {
            if self.uncut.iter().any(|uncut| uncut.ip() == peer.ip()) {
                return Err(RequestError::CutAndUncut { address: *peer.ip() });
            }
            if !self.ports.is_empty() && !self.ports.contains(&peer.port()) {
                return Err(RequestError::ProofPortOpen { peer: *peer });
            }
        }
        Ok(())
    }
}

impl SpoilFault {
    fn check(&self) -> Result<(), RequestError> {
        check_path(&self.path)?;
        if self.old.len() == self.new.len() && self.old != self.new {
            Ok(())
        } else {
            Err(RequestError::Texts { old: self.old.clone(), new: self.new.clone() })
        }
    }
}

fn check_path(path: &Path) -> Result<(), RequestError> {
    let mut components = path.components();
    let absolute = matches!(components.next(), Some(Component::RootDir));
    let names: Vec<_> = components.collect();
    let plain = names.iter().all(|component| matches!(component, Component::Normal(_)));
    if absolute && plain && !names.is_empty() {
        Ok(())
    } else {
        Err(RequestError::Path { path: path.to_owned() })
    }
}

fn check_duration(found: u64) -> Result<(), RequestError> {
    if (SHORTEST_DURATION_MILLISECONDS..=LONGEST_DURATION_MILLISECONDS).contains(&found) {
        Ok(())
    } else {
        Err(RequestError::Duration { found })
    }
}
