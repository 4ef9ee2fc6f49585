//! The controllers that Kubernetes itself runs, as far as the sandbox's users rely on them: each a pure function from
//! what is known to what should be written, and one runner that watches, asks them and writes. Nothing here touches a
//! process, a disk or a network; that is the node's work.
//!
//! Owner references, namespaces, ServiceAccounts and Service addresses are looked after by the API server itself.

mod bootstrap;
mod cronjob;
mod deployment;
mod disruption;
mod endpointslice;
mod execute;
mod hash;
mod job;
mod podgc;
mod pods;
mod quantity;
mod reflector;
mod replicaset;
mod runner;
mod scheduler;
mod snapshot;
mod statefulset;
#[cfg(test)]
mod testing;
mod volume;
mod write;

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

use crate::apiserver::inputs::Clock;
use runner::Runner;
use snapshot::{Kind, Snapshot};
use write::Outcome;

/// The CSI driver name in the volumes that the controllers make.
pub const VOLUME_DRIVER: &str = volume::DRIVER;

/// The running controllers. Dropping it stops them at once, in the middle of what they do; since every decision is made
/// from what the API server holds, the next ones carry on from there.
#[derive(Debug)]
pub struct Controllers {
    _tasks: JoinSet<()>,
}

impl Controllers {
    /// Starts all controllers. They create the StorageClasses `standard` and `fast` and then only react to what the API
    /// server tells them and to the passing of time. The client should not retry by itself; nothing is lost if it does.
    ///
    /// Must be called inside a tokio runtime.
    pub fn start(client: Client, clock: Arc<dyn Clock>) -> Controllers {
        let mut tasks = JoinSet::new();
        let (sender, news) = unbounded_channel();
        snapshot::watch_all(&mut tasks, &client, &sender);
        tasks.spawn(bootstrap::ensure_classes(client.clone()));
        tasks.spawn(Runner::new(client, clock, news).run());
        Controllers { _tasks: tasks }
    }
}

/// One controller: what it reads, and what it decides from that.
struct Controller {
    /// As Events name it.
    name: &'static str,
    reads: &'static [Kind],
    reconcile: fn(&Snapshot, Timestamp) -> Outcome,
}

/// All controllers, in the order in which they are asked.
const CONTROLLERS: &[Controller] = &[
    Controller {
        name: "persistentvolume-controller",
        reads: &[Kind::PersistentVolumeClaim, Kind::PersistentVolume, Kind::StorageClass, Kind::Pod],
        reconcile: volume::reconcile,
    },
    Controller {
        name: "statefulset-controller",
        reads: &[Kind::StatefulSet, Kind::ControllerRevision, Kind::Pod, Kind::PersistentVolumeClaim],
        reconcile: statefulset::reconcile,
    },
    Controller {
        name: "deployment-controller",
        reads: &[Kind::Deployment, Kind::ReplicaSet, Kind::Pod],
        reconcile: deployment::reconcile,
    },
    Controller {
        name: "replicaset-controller",
        reads: &[Kind::ReplicaSet, Kind::Pod],
        reconcile: replicaset::reconcile,
    },
    Controller {
        name: "cronjob-controller",
        reads: &[Kind::CronJob, Kind::Job],
        reconcile: cronjob::reconcile,
    },
    Controller { name: "job-controller", reads: &[Kind::Job, Kind::Pod], reconcile: job::reconcile },
    Controller {
        name: "ttl-after-finished-controller",
        reads: &[Kind::Job],
        reconcile: job::finished::reconcile,
    },
    Controller {
        name: "default-scheduler",
        reads: &[Kind::Pod, Kind::Node, Kind::PersistentVolumeClaim],
        reconcile: scheduler::reconcile,
    },
    Controller {
        name: "endpoint-slice-controller",
        reads: &[Kind::Service, Kind::EndpointSlice, Kind::Pod],
        reconcile: endpointslice::reconcile,
    },
    Controller {
        name: "controllermanager",
        reads: &[Kind::PodDisruptionBudget, Kind::Pod, Kind::StatefulSet, Kind::ReplicaSet, Kind::Deployment],
        reconcile: disruption::reconcile,
    },
    Controller { name: "podgc-controller", reads: &[Kind::Pod, Kind::Node], reconcile: podgc::reconcile },
];
