//! The life of a pod's containers: which one starts when, which waits, which is done. Pure: the worker tells what
//! happened and at which time, and does what is answered. The order and the reasons are the kubelet's.

use super::backoff::{Backoff, Restart};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod};

/// Which list of the pod a container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Init,
    Main,
    Ephemeral,
}

/// When containers that ended are started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    pub(crate) fn of(pod: &Pod) -> RestartPolicy {
        match pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            // The API server admits no fourth policy, and Always is its default.
            Some(_) | None => RestartPolicy::Always,
        }
    }
}

/// How one run of a container ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Termination {
    pub(crate) exit_code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
    pub(crate) container_id: String,
}

/// What a container is doing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    Waiting { reason: String, message: String },
    Running { started_at: Timestamp },
    Terminated(Termination),
}

/// Everything known of one container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ContainerRecord {
    pub(crate) kind: Kind,
    /// For an ephemeral container, in the shape of any other.
    pub(crate) container: Container,
    /// `targetContainerName` of an ephemeral container.
    pub(crate) target: Option<String>,
    pub(crate) state: State,
    pub(crate) last: Option<Termination>,
    pub(crate) container_id: String,
    /// How often it has been started again; also the number of its current run.
    pub(crate) restarts: i32,
    /// Whether the startup probe has succeeded, or there is none and it runs.
    pub(crate) started: bool,
    pub(crate) ready: bool,
    pub(crate) backoff: Backoff,
    /// When a start that failed before anything ran may be tried again.
    pub(crate) retry_at: Option<Timestamp>,
}

/// The containers of one pod, in the order of its lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Containers(pub(crate) Vec<ContainerRecord>);

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Steps {
    /// Containers to start, in this order.
    pub(crate) start: Vec<String>,
    /// A container to end, because all that it ran for is over.
    pub(crate) stop: Option<String>,
    /// Containers that wait for their back-off, with the whole delay.
    pub(crate) hold: Vec<(String, SignedDuration)>,
    /// When to ask again although nothing happened.
    pub(crate) wake_at: Option<Timestamp>,
}

/// The kubelet's words for a container that has not started yet.
pub(crate) const CREATING: &str = "ContainerCreating";
/// The kubelet's words for a container that waits for init containers.
pub(crate) const INITIALIZING: &str = "PodInitializing";
/// The kubelet's words for a container that waits because it ended too often.
pub(crate) const CRASH_LOOP: &str = "CrashLoopBackOff";

impl Containers {
    /// The containers of a pod, none of them started.
    pub(crate) fn of(pod: &Pod) -> Containers {
        let mut containers = Containers::default();
        let Some(spec) = &pod.spec else { return containers };
        let init = spec.init_containers.as_deref().unwrap_or_default();
        let waits = if init.is_empty() { CREATING } else { INITIALIZING };
        containers
            .0
            .extend(init.iter().map(|one| ContainerRecord::new(Kind::Init, one.clone(), None, INITIALIZING)));
        containers.0.extend(
            spec.containers.iter().map(|one| ContainerRecord::new(Kind::Main, one.clone(), None, waits)),
        );
        containers.add_ephemeral(pod);
        containers
    }

    /// Adds the ephemeral containers that are new in the pod.
    pub(crate) fn add_ephemeral(&mut self, pod: &Pod) {
        let ephemeral = pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.as_ref());
        for one in ephemeral.into_iter().flatten() {
            if self.get(&one.name).is_none() {
                let record = ContainerRecord::new(
                    Kind::Ephemeral,
                    as_container(one),
                    one.target_container_name.clone(),
                    CREATING,
                );
                self.0.push(record);
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ContainerRecord> {
        self.0.iter().find(|record| record.container.name == name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut ContainerRecord> {
        self.0.iter_mut().find(|record| record.container.name == name)
    }

    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &ContainerRecord> {
        self.0.iter().filter(move |record| record.kind == kind)
    }

    /// Whether every init container has succeeded, or runs beside the others; once so, it stays so.
    pub(crate) fn initialized(&self) -> bool {
        let has_begun = self
            .of_kind(Kind::Main)
            .any(|record| record.ended().is_some() || matches!(record.state, State::Running { .. }));
        has_begun || self.of_kind(Kind::Init).all(ContainerRecord::lets_others_begin)
    }

    /// The sidecar to end next: the last first.
    pub(crate) fn last_running_sidecar(&self) -> Option<&ContainerRecord> {
        let running =
            |record: &&ContainerRecord| record.is_sidecar() && matches!(record.state, State::Running { .. });
        self.0.iter().rfind(running)
    }

    /// Whether nothing that sidecars run for will ever run again.
    fn is_over(&self, policy: RestartPolicy) -> bool {
        let failed = |record: &ContainerRecord| {
            !record.is_sidecar()
                && policy == RestartPolicy::Never
                && record.ended().is_some()
                && !record.succeeded()
        };
        let done = |record: &ContainerRecord| record.ended().is_some() && !record.runs_again(policy);
        self.of_kind(Kind::Init).any(failed) || self.initialized() && self.of_kind(Kind::Main).all(done)
    }

    /// Decides what to do for a pod that is not being deleted.
    pub(crate) fn next(&self, policy: RestartPolicy, now: Timestamp) -> Steps {
        let mut steps = Steps::default();
        for record in self.of_kind(Kind::Ephemeral) {
            if matches!(record.state, State::Waiting { .. }) {
                record.start_or_retry(now, &mut steps);
            }
        }
        if self.is_over(policy) {
            steps.stop = self.last_running_sidecar().map(|record| record.container.name.clone());
            return steps;
        }
        let initialized = self.initialized();
        for record in self.of_kind(Kind::Init) {
            if record.is_sidecar() {
                record.next(true, now, &mut steps);
            } else if !record.succeeded() {
                // A failed init container is started again unless nothing ever is; Always means OnFailure here.
                record.next(policy != RestartPolicy::Never, now, &mut steps);
            }
            if !initialized && !record.lets_others_begin() {
                return steps;
            }
        }
        for record in self.of_kind(Kind::Main) {
            record.next(record.runs_again(policy), now, &mut steps);
        }
        steps
    }
}

impl ContainerRecord {
    fn new(kind: Kind, container: Container, target: Option<String>, reason: &str) -> ContainerRecord {
        ContainerRecord {
            kind,
            container,
            target,
            state: State::Waiting { reason: reason.into(), message: String::new() },
            last: None,
            container_id: String::new(),
            restarts: 0,
            started: false,
            ready: false,
            backoff: Backoff::default(),
            retry_at: None,
        }
    }

    /// Whether this is an init container that goes on running beside the others.
    pub(crate) fn is_sidecar(&self) -> bool {
        self.kind == Kind::Init && self.container.restart_policy.as_deref() == Some("Always")
    }

    /// Whether the container serves as long as the pod does, and so is probed.
    pub(crate) fn is_lasting(&self) -> bool {
        self.kind == Kind::Main || self.is_sidecar()
    }

    /// Whether what comes after this init container may begin.
    fn lets_others_begin(&self) -> bool {
        if self.is_sidecar() {
            matches!(self.state, State::Running { .. }) && self.started
        } else {
            self.succeeded()
        }
    }

    /// Whether a container that ended is started again.
    fn runs_again(&self, policy: RestartPolicy) -> bool {
        match policy {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => self.ended().is_none_or(|ended| ended.exit_code != 0),
            RestartPolicy::Never => false,
        }
    }

    fn succeeded(&self) -> bool {
        matches!(&self.state, State::Terminated(termination) if termination.exit_code == 0)
    }

    /// The run that ended last, if the container does not run now.
    pub(crate) fn ended(&self) -> Option<&Termination> {
        match &self.state {
            State::Terminated(termination) => Some(termination),
            State::Waiting { .. } => self.last.as_ref(),
            State::Running { .. } => None,
        }
    }

    fn next(&self, again: bool, now: Timestamp, steps: &mut Steps) {
        match (&self.state, self.ended()) {
            (State::Running { .. }, _) => {}
            (State::Waiting { .. }, None) => self.start_or_retry(now, steps),
            (State::Terminated(_) | State::Waiting { .. }, Some(_)) if !again => {}
            (State::Terminated(_) | State::Waiting { .. }, Some(ended)) => {
                match self.backoff.restart(ended.finished_at, now) {
                    Restart::Now => self.start_or_retry(now, steps),
                    Restart::At { time, delay } => {
                        steps.hold.push((self.container.name.clone(), delay));
                        steps.wake(time);
                    }
                }
            }
            (State::Terminated(_), None) => unreachable!("a terminated container has ended"),
        }
    }

    fn start_or_retry(&self, now: Timestamp, steps: &mut Steps) {
        match self.retry_at {
            Some(time) if time > now => steps.wake(time),
            Some(_) | None => steps.start.push(self.container.name.clone()),
        }
    }

    /// Notes that a run begins: counts it and moves what was before to `last`.
    pub(crate) fn note_start(&mut self, now: Timestamp) {
        if let Some(ended) = self.ended().cloned() {
            self.backoff.restarted(ended.finished_at, now);
            self.restarts += 1;
            self.last = Some(ended);
        }
        self.retry_at = None;
        self.started = false;
        self.ready = false;
    }

    /// Notes that a container waits for its back-off; what it did before moves to `last`.
    pub(crate) fn note_hold(&mut self, message: String) {
        if let State::Terminated(termination) = &self.state {
            self.last = Some(termination.clone());
        }
        self.state = State::Waiting { reason: CRASH_LOOP.into(), message };
    }
}

impl Steps {
    fn wake(&mut self, time: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(time, |earlier| earlier.min(time)));
    }
}

/// An ephemeral container has the fields of any other, some of which the API server forbids.
fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let ephemeral = ephemeral.clone();
    Container {
        name: ephemeral.name,
        image: ephemeral.image,
        command: ephemeral.command,
        args: ephemeral.args,
        env: ephemeral.env,
        env_from: ephemeral.env_from,
        working_dir: ephemeral.working_dir,
        volume_mounts: ephemeral.volume_mounts,
        security_context: ephemeral.security_context,
        image_pull_policy: ephemeral.image_pull_policy,
        termination_message_path: ephemeral.termination_message_path,
        termination_message_policy: ephemeral.termination_message_policy,
        ..Container::default()
    }
}

#[cfg(test)]
mod tests;
