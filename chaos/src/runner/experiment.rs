//! The acting part of a run, in order. Never judges. On every way out, faults are ended, what there is of the history is
//! collected, and what the run made is removed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::directory::RunDirectory;
use super::set_up::{self, Prepared};
use super::shared::Experiment;
use super::watchers::Watching;
use super::{Assignment, SUBJECT_NAME, Settings, Stop, collect, recover, walk};
use crate::agent::client::EphemeralAgent;
use crate::cluster::Cluster;
use crate::faults::FaultContext;
use crate::live::board::{Board, BoardSender};
use crate::live::event_log::EventLog;
use crate::live::journal::Journal;
use crate::progress::Display;
use crate::record::{Phase, Run};
use crate::scenario::{Encryption, EtcdVersion, Subject};
use crate::subject::{etcd, namespace, pods, secrets};

/// How long the removal of the run's namespace may take.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(90);

pub(super) async fn carry_out(
    assignment: &Assignment,
    settings: &Settings,
    directory: &RunDirectory,
    recorder: &EventLog,
    head: &mut Run,
    interrupt: &CancellationToken,
    display: &Display,
) -> Result<(), Stop> {
    let size = assignment.schedule.subject.size().members();
    let board = BoardSender::new(Board::new(size));
    let experiment = Experiment { assignment, settings, directory, recorder, interrupt, display, board };

    experiment.begin(Phase::Prepare);
    let progress = |step: &str| display.step(&format!("the cluster: {step}"));
    let state = directory.sandbox_state();
    let images = match &assignment.schedule.subject {
        Subject::Cluster(_) => {
            let versions = assignment.schedule.etcd_versions();
            settings.images.with_etcd_of(&versions.into_iter().map(EtcdVersion::as_str).collect())
        }
        Subject::Selector(_) => settings.images.clone(),
    };
    let opened = Cluster::open(&settings.cluster, &images, state, interrupt.cancelled(), &progress).await;
    let cluster = match opened {
        Ok(cluster) => cluster,
        Err(error) if interrupt.is_cancelled() => {
            display.say(&format!("{error:#}"));
            return Err(Stop::Interrupted);
        }
        Err(error) => return Err(Stop::NotBegun(error)),
    };
    let outcome = tokio::select! {
        biased;
        // Without its cluster a run has nobody to ask: it would only wait out every patience that it has.
        () = cluster.ended() => Err(Stop::Failed(anyhow!("the cluster ended in the middle of the run"))),
        outcome = experiment.on_cluster(&cluster, head) => outcome,
    };
    if let Err(stop @ Stop::NotBegun(_)) = outcome {
        cluster.close().await.context("failed to remove the run's cluster").map_err(Stop::Failed)?;
        return Err(stop);
    }
    collect::logs(&cluster, &head.namespace, directory).await;
    let closed = cluster.close().await;
    outcome?;
    closed.context("failed to remove the run's cluster").map_err(Stop::Failed)
}

impl Experiment<'_> {
    async fn on_cluster(&self, cluster: &Cluster, head: &mut Run) -> Result<(), Stop> {
        let made =
            self.interruptible(set_up::make_namespace(self, cluster, head)).await.map_err(not_begun)?;
        let outcome = self.in_namespace(cluster, head).await;
        let lasting = self.settings.cluster.lasting.is_some() || !cluster.operator_is_ours;
        if self.settings.keep && lasting {
            self.display
                .say(&format!("the namespace {} is left in the cluster, as you asked", head.namespace));
            return outcome;
        }
        self.begin(Phase::CleanUp);
        collect::logs(cluster, &head.namespace, self.directory).await;
        // A sandbox of this run's own goes away as a whole.
        if lasting {
            let removed = namespace::delete(&cluster.client, &made, REMOVAL_PATIENCE).await;
            outcome?;
            return removed.map_err(Stop::Failed);
        }
        outcome
    }

    async fn in_namespace(&self, cluster: &Cluster, head: &Run) -> Result<(), Stop> {
        let watching = Watching {
            client: cluster.client.clone(),
            watching: cluster.watching.clone(),
            namespace: head.namespace.clone(),
            cluster: SUBJECT_NAME.to_owned(),
            board: self.board.clone(),
            recorder: self.recorder.clone(),
        };
        let mut watchers = watching.start();
        watchers.spawn(show_board(self.board.clone(), self.display.clone()));
        self.interruptible(set_up::prepare_operator(self, cluster)).await?;
        self.begin(Phase::Bootstrap);
        let prepared = self.interruptible(set_up::bootstrap(self, cluster, head)).await?;
        watching.follow_pods(&mut watchers);
        let encryption = self.assignment.schedule.encryption();
        if encryption != Encryption::Never {
            watchers.spawn(show_certificates(watching));
        }
        let context = Arc::new(self.fault_context(cluster, head, &prepared)?);

        let outcome = self.under_load(cluster, head, &context, &mut watchers).await;
        if outcome.is_err() {
            // The run ends early: faults end now, and what was recorded until here is still worth having.
            context.ending.cancel();
            collect::salvage(self, &cluster.client, &head.namespace).await;
        }
        outcome
    }

    async fn under_load(
        &self,
        cluster: &Cluster,
        head: &Run,
        context: &Arc<FaultContext>,
        watchers: &mut JoinSet<()>,
    ) -> Result<(), Stop> {
        self.begin(Phase::WarmUp);
        self.interruptible(recover::warm_up(self)).await?;
        self.begin(Phase::Faults);
        walk::walk(self, context, &self.assignment.schedule).await?;
        self.begin(Phase::Recovery);
        self.interruptible(recover::whole_again(self)).await?;
        self.begin(Phase::CoolDown);
        self.interruptible(recover::cool_down(self)).await?;
        self.begin(Phase::FinalRead);
        watchers.abort_all();
        self.interruptible(collect::finish(self, &cluster.client, &head.namespace)).await
    }

    fn fault_context(&self, cluster: &Cluster, head: &Run, prepared: &Prepared) -> Result<FaultContext> {
        let run = head.namespace.rsplit('-').next().unwrap_or("run").to_owned();
        Ok(FaultContext {
            client: cluster.client.clone(),
            namespace: head.namespace.clone(),
            cluster: SUBJECT_NAME.to_owned(),
            // Logs of agents are followed, and are silent while a fault lasts.
            agent: EphemeralAgent::new(cluster.watching.clone(), self.settings.chaos_image.clone(), run),
            board: self.board.clone(),
            recorder: self.recorder.clone(),
            journal: Journal::create(self.directory.path())?,
            ending: CancellationToken::new(),
            interrupt: self.interrupt.clone(),
            encryption: self.assignment.schedule.encryption(),
            api_server: prepared.api_server,
            repair_within: self.assignment.schedule.expect.repair_within.as_duration(),
            display: self.display.clone(),
        })
    }
}

/// What fails before the run has made anything is no run.
fn not_begun(stop: Stop) -> Stop {
    match stop {
        Stop::Failed(error) => Stop::NotBegun(error),
        Stop::Interrupted | Stop::NotBegun(_) => stop,
    }
}

/// Load and probe learn of new certificates at once.
async fn show_certificates(watching: Watching) {
    let Watching { client, namespace, cluster, recorder, .. } = watching;
    let pods = [pods::LOAD_POD, pods::PROBE_POD];
    let secret = etcd::client_secret(&cluster);
    secrets::keep_shown(client, &namespace, &secret, &pods, |text| recorder.note(text)).await;
}

/// Shows the board to the person whenever it changes.
async fn show_board(board: BoardSender, display: Display) {
    let mut reader = board.subscribe();
    while reader.changed().await.is_ok() {
        let text = reader.borrow_and_update().describe();
        display.state(&text);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
