//! The running operator: serves its health, waits for the Lease, registers its resource types and reconciles, until it
//! is told to end or loses the Lease. It only puts the parts together.

use crate::args::{DEFAULT_PORT, OwnPod, Run};
use crate::audit::Audit;
use crate::backup_kinds::Hands;
use crate::backup_kinds::run::BackupVerbs;
use crate::backup_kinds::schedule::ScheduleVerbs;
use crate::clock::{RandomIdentifiers, SharedClock, SystemClock};
use crate::cluster::execute::Executor;
use crate::cluster::observe::Observer;
use crate::cluster::report::Reporter;
use crate::cluster::verbs::ClusterVerbs;
use crate::cluster::vigil::{PROBE_INTERVAL, Suspected, Watcher};
use crate::controller::{Controller, Reconcilers};
use crate::distortion::Distortion;
use crate::etcd::{Connector, EtcdPort};
use crate::events::Events;
use crate::http::{listen_everywhere, serve};
use crate::kept::KeptConnections;
use crate::kubernetes::Clients;
use crate::lease::election::Durations;
use crate::lease::{Elector, Identity, Leadership};
use crate::metrics::Metrics;
use crate::process::{install_tls_provider, told_to_end};
use crate::reconcile::{Reconciler, Verbs};
use crate::server::Shown;
use crate::telemetry::chain;
use anyhow::{Context as _, anyhow};
use etcd_operator_core::cluster::observed::Settings;
use kube::Api;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Name of the Lease in the operator's own namespace.
const LEASE: &str = "etcd-operator";
/// Pause after a failed attempt to register the resource types.
const REGISTER_AGAIN: Duration = Duration::from_secs(1);
/// Connections to members that are kept: one for each member of more than two thousand clusters. Those of more are asked on a new one
/// each time.
const KEPT_CONNECTIONS: usize = 8192;
/// The process waits this long at most for its Lease to be given back.
const RELEASE: Duration = Duration::from_secs(2);

/// Runs the operator until SIGTERM or SIGINT, which is success, or until the Lease is lost, which is not.
pub fn run(arguments: Run) -> anyhow::Result<()> {
    crate::telemetry::start();
    install_tls_provider();
    // One thread: the operator waits far more than it works, and waking another costs more than most of what is to be done.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("failed to start a runtime")?;
    runtime.block_on(operate(arguments))
}

async fn operate(arguments: Run) -> anyhow::Result<()> {
    // Before anybody can know that it runs: a first process that has no handler yet does not hear that it is told to end.
    let told_to_end = told_to_end()?;
    let distortion = Distortion::from_environment()?;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let shown = Shown::new(registry);
    let listener = listen(arguments.listen).await?;
    let served = shown.clone();
    let mut server = JoinSet::new();
    server.spawn(serve(listener, move |path: &str| served.answer(path)));
    open_as_many_files_as_may_be();
    tracing::info!(every = ?PROBE_INTERVAL, "asks each member whether it is well");
    let clients = Clients::connect().await?;
    shown.set_ready(true);
    let clock: SharedClock = Arc::new(SystemClock::new());
    let mut elector = elector(&clients, &arguments.pod, &clock, &metrics);
    let controller = controller(&arguments, distortion, &clients, &clock, &metrics, elector.leadership());
    let ended = tokio::select! {
        biased;
        how = told_to_end => {
            tracing::info!("{how}");
            Ok(())
        }
        ended = server.join_next() => Err(anyhow!("the HTTP server ended: {ended:?}")),
        ended = lead(&mut elector, &clients, &controller) => ended,
    };
    let _ = tokio::time::timeout(RELEASE, elector.release()).await;
    ended
}

/// The address that was given, or else all that the pod has.
async fn listen(given: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    match given {
        Some(address) => {
            TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))
        }
        None => listen_everywhere(DEFAULT_PORT)
            .with_context(|| format!("failed to listen on port {DEFAULT_PORT}")),
    }
}

/// Each kept connection is an open file, and the limit that a process begins with is meant for those that know nothing of it.
fn open_as_many_files_as_may_be() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, at_most)| setrlimit(Resource::RLIMIT_NOFILE, at_most, at_most));
    if let Err(error) = raised {
        tracing::warn!(%error, "failed to raise the limit of open files");
    }
}

/// Waits for the Lease, then works until it is lost.
async fn lead(elector: &mut Elector, clients: &Clients, controller: &Controller) -> anyhow::Result<()> {
    elector.acquire().await;
    tokio::select! {
        biased;
        lost = elector.keep() => Err(lost.into()),
        () = work(clients, controller) => Ok(()),
    }
}

/// Registers the resource types, then reconciles for ever.
async fn work(clients: &Clients, controller: &Controller) {
    while let Err(error) = crate::registration::register(clients.calls.clone()).await {
        tracing::warn!(error = chain(&error), "failed to register the resource types");
        tokio::time::sleep(REGISTER_AGAIN).await;
    }
    controller.run().await;
}

/// What the plans are told of this operator.
fn settings(pod: &OwnPod) -> Settings {
    Settings { operator_image: pod.operator_image.clone(), silence_grace: Settings::DEFAULT_SILENCE_GRACE }
}

fn elector(clients: &Clients, pod: &OwnPod, clock: &SharedClock, metrics: &Metrics) -> Elector {
    let api = Api::namespaced(clients.calls.clone(), &pod.pod_namespace);
    let identity = Identity::new(&pod.pod_name, &pod.pod_uid);
    Elector::new(api, LEASE, identity, Durations::default(), clock.clone(), metrics.clone())
}

fn controller(
    arguments: &Run,
    distortion: Distortion,
    clients: &Clients,
    clock: &SharedClock,
    metrics: &Metrics,
    leadership: Leadership,
) -> Controller {
    let verbs = cluster_verbs(arguments, distortion, clients, clock, metrics, leadership.clone());
    let hands = Hands {
        client: clients.calls.clone(),
        clock: clock.clone(),
        leadership,
        metrics: metrics.clone(),
        operator_image: arguments.pod.operator_image.clone(),
    };
    let events = Events::new(clients.calls.clone(), &arguments.pod.pod_name, clock.clone());
    let backups = BackupVerbs { hands: hands.clone(), events };
    Controller {
        clients: clients.clone(),
        namespace: arguments.watch_namespace.clone(),
        concurrency: arguments.concurrency,
        audit: Audit::default(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        reconcilers: Reconcilers {
            clusters: reconciler(verbs, clients, clock, metrics),
            backups: reconciler(backups, clients, clock, metrics),
            schedules: reconciler(ScheduleVerbs { hands }, clients, clock, metrics),
        },
    }
}

/// The verbs of one kind, with what all kinds need.
fn reconciler<V: Verbs>(
    verbs: V,
    clients: &Clients,
    clock: &SharedClock,
    metrics: &Metrics,
) -> Arc<Reconciler<V>> {
    Arc::new(Reconciler {
        client: clients.calls.clone(),
        verbs,
        clock: clock.clone(),
        metrics: metrics.clone(),
        memories: Mutex::default(),
    })
}

fn cluster_verbs(
    arguments: &Run,
    distortion: Distortion,
    clients: &Clients,
    clock: &SharedClock,
    metrics: &Metrics,
    leadership: Leadership,
) -> ClusterVerbs {
    let pod = &arguments.pod;
    let etcd: Arc<dyn EtcdPort> = Arc::new(Connector::default());
    let client = clients.calls.clone();
    let observer = Observer {
        client: client.clone(),
        etcd: etcd.clone(),
        clock: clock.clone(),
        identifiers: Arc::new(RandomIdentifiers),
        settings: settings(pod),
    };
    let reporter = Reporter {
        client: client.clone(),
        events: Events::new(client.clone(), &pod.pod_name, clock.clone()),
        metrics: metrics.clone(),
        shown: Mutex::default(),
        distortion,
    };
    let connections = KeptConnections::with_room_for(KEPT_CONNECTIONS);
    ClusterVerbs {
        observer,
        executor: Executor { client, etcd: etcd.clone(), leadership },
        reporter,
        watcher: Watcher {
            etcd,
            connections,
            metrics: metrics.clone(),
            compare_every: arguments.compare_data_every,
            suspected: Suspected::default(),
        },
        clock: clock.clone(),
        metrics: metrics.clone(),
        distortion,
    }
}

/// Prints the name of every mutant that this build can be, one a line.
///
/// # Errors
/// If the build has none, or standard output is closed.
pub fn print_mutants() -> anyhow::Result<()> {
    use std::io::Write as _;
    for name in Distortion::names()? {
        writeln!(std::io::stdout(), "{name}")?;
    }
    Ok(())
}
