//! Starts one container: image, variables, security and mounts put together, the process started, its output copied,
//! its probes set going.

use super::hooks::Hook;
use super::{Running, Worker, watch_exit};
use crate::ImageReference;
use crate::node::container::process::{Output, RunningProcess, StartError};
use crate::node::container::spec::{NewContainer, Place, ProcessSpec, RootSpec};
use crate::node::context::words;
use crate::node::environment::{self, command_line, environment};
use crate::node::events::EventType;
use crate::node::identity::security;
use crate::node::lifecycle::{ContainerRecord, State, Termination};
use crate::node::session::Program;
use crate::sys::process::ProcessHandle;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::ListParams;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

const FIRST_PULL_DELAY: Duration = Duration::from_secs(10);
const LONGEST_PULL_DELAY: Duration = Duration::from_secs(300);
const CONFIG_RETRY: SignedDuration = SignedDuration::from_secs(1);

/// Why a container was not started: the reason in its status, and what to tell.
struct Refusal {
    reason: &'static str,
    message: String,
}

impl Refusal {
    fn config(message: String) -> Refusal {
        Refusal { reason: "CreateContainerConfigError", message }
    }
}

impl Worker {
    /// Starts a container, or notes why it cannot be.
    pub(super) async fn start(&mut self, name: &str) {
        let Some(record) = self.containers.get(name).cloned() else { return };
        let image = ImageReference::new(record.container.image.clone().unwrap_or_default());
        if !self.node.images.contains_key(&image) {
            return self.note_missing_image(name, &image).await;
        }
        self.image_delays.remove(name);
        match self.specification(&record, &image).await {
            Err(refusal) => {
                self.events
                    .write(EventType::Warning, "Failed", &format!("Error: {}", refusal.message), Some(name))
                    .await;
                let retry_at = Timestamp::now() + CONFIG_RETRY;
                self.note_waiting(name, refusal.reason, refusal.message, retry_at);
            }
            Ok(spec) => self.start_process(name, &spec).await,
        }
    }

    /// Notes that a container waits for its back-off.
    pub(super) async fn hold(&mut self, name: &str, delay: SignedDuration) {
        let key = self.key.clone();
        let Some(record) = self.containers.get_mut(name) else { return };
        let seconds = delay.as_secs();
        let delay = if seconds % 60 == 0 { format!("{}m0s", seconds / 60) } else { go_seconds(seconds) };
        if matches!(record.state, State::Terminated(_)) {
            record.note_hold(format!("back-off {delay} restarting failed container={name} pod={key}"));
            let message = format!("Back-off restarting failed container {name} in pod {key}");
            self.events.write(EventType::Warning, "BackOff", &message, Some(name)).await;
        }
    }

    async fn note_missing_image(&mut self, name: &str, image: &ImageReference) {
        let delay = self.image_delays.get(name).copied();
        let (reason, message) = match delay {
            None => ("ErrImagePull", format!("the sandbox has no image \"{image}\"")),
            Some(_) => (
                "ImagePullBackOff",
                format!("Back-off pulling image \"{image}\": the sandbox has no such image"),
            ),
        };
        self.events
            .write(
                EventType::Warning,
                "Failed",
                &format!("Failed to pull image \"{image}\": {message}"),
                Some(name),
            )
            .await;
        let wait = delay.unwrap_or(FIRST_PULL_DELAY);
        self.image_delays.insert(name.to_owned(), (wait * 2).min(LONGEST_PULL_DELAY));
        let retry_at = Timestamp::now() + SignedDuration::try_from(wait).unwrap_or(CONFIG_RETRY);
        self.note_waiting(name, reason, message, retry_at);
    }

    fn note_waiting(&mut self, name: &str, reason: &str, message: String, retry_at: Timestamp) {
        if let Some(record) = self.containers.get_mut(name) {
            if let State::Terminated(termination) = &record.state {
                record.last = Some(termination.clone());
            }
            record.state = State::Waiting { reason: reason.to_owned(), message };
            record.retry_at = Some(retry_at);
        }
    }

    /// Everything that the container's process needs.
    async fn specification(
        &self,
        record: &ContainerRecord,
        image: &ImageReference,
    ) -> Result<ProcessSpec, Refusal> {
        let container = &record.container;
        let image = &self.node.images[image];
        let spec = self.pod.spec.clone().unwrap_or_default();
        let security = security(&spec, container, image).map_err(Refusal::config)?;
        let references = environment::references(container);
        let sources = self.node.sources(&self.key.namespace, &references).await;
        let sources = sources.map_err(|error| Refusal::config(words(&error)))?;
        let services =
            self.services(spec.enable_service_links.unwrap_or(true)).await.map_err(Refusal::config)?;
        let variables = environment(&environment::Inputs {
            pod: &self.pod,
            container,
            placement: &self.placement(),
            capacity: self.node.capacity,
            image: &image.environment,
            services: &services,
            sources: &sources,
        })
        .map_err(Refusal::config)?;
        let command = command_line(container, &image.entrypoint, &variables);
        if command.is_empty() {
            return Err(Refusal::config("no command specified".into()));
        }
        let root = RootSpec {
            directory: self.node.pod_directory(&self.key).join("root"),
            image: image.files.clone(),
            mounts: self.mounts(record).map_err(Refusal::config)?,
            read_only: security.read_only_root,
            privileged: security.privileged,
        };
        Ok(ProcessSpec {
            place: Place::New(self.place(record, root)?),
            command,
            environment: variables,
            working_directory: container.working_dir.clone().unwrap_or_else(|| "/".into()).into(),
            identity: security.identity,
            stdin: None,
            terminal: false,
        })
    }

    fn place(&self, record: &ContainerRecord, root: RootSpec) -> Result<NewContainer, Refusal> {
        let network =
            self.network.as_ref().ok_or_else(|| Refusal::config("the pod has no network".into()))?;
        let path = |descriptor: &OwnedFd| {
            PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), descriptor.as_raw_fd()))
        };
        let processes = match record.target.as_deref().filter(|target| !target.is_empty()) {
            None => None,
            Some(target) => match self.running.get(target) {
                Some(running) => Some(running.path.join("ns/pid")),
                None => {
                    let message = format!("target container \"{target}\" is not running");
                    return Err(Refusal { reason: "CreateContainerError", message });
                }
            },
        };
        Ok(NewContainer {
            network: path(&network.namespaces.network),
            hostname: path(&network.namespaces.hostname),
            ipc: path(&network.namespaces.ipc),
            processes,
            root,
        })
    }

    /// The services that the container is told of: `kubernetes`, and with links those of its namespace.
    async fn services(&self, links: bool) -> Result<Vec<Service>, String> {
        let client = || self.node.client.clone();
        let mut services: Vec<Service> = Vec::new();
        let default: Api<Service> = Api::namespaced(client(), "default");
        services.extend(default.get_opt("kubernetes").await.map_err(|error| words(&error))?);
        if links {
            let own: Api<Service> = Api::namespaced(client(), &self.key.namespace);
            let own = own.list(&ListParams::default()).await.map_err(|error| words(&error))?;
            services.extend(own.items);
        }
        Ok(services)
    }

    async fn start_process(&mut self, name: &str, spec: &ProcessSpec) {
        let now = Timestamp::now();
        let Some(record) = self.containers.get_mut(name) else { return };
        record.note_start(now);
        let run = record.restarts;
        record.container_id = format!("sandbox://{}", uuid::Uuid::new_v4().simple());
        match self.launch(name, run, spec).await {
            Ok(running) => {
                self.node.programs.put(&self.key.uid, name, Program::of(&running, spec));
                self.running.insert(name.to_owned(), running);
                if let Some(record) = self.containers.get_mut(name) {
                    record.state = State::Running { started_at: now };
                }
                self.events
                    .write(EventType::Normal, "Started", &format!("Started container {name}"), Some(name))
                    .await;
                self.begin_hook(name, Hook::PostStart, None);
                self.begin_probing(name);
            }
            Err(error) => {
                let message = format!("{:#}", anyhow::Error::from(error));
                self.events
                    .write(EventType::Warning, "Failed", &format!("Error: {message}"), Some(name))
                    .await;
                if let Some(record) = self.containers.get_mut(name) {
                    record.state = State::Terminated(Termination {
                        exit_code: 128,
                        signal: None,
                        reason: "StartError".into(),
                        message,
                        started_at: None,
                        finished_at: Timestamp::now(),
                        container_id: record.container_id.clone(),
                    });
                }
            }
        }
    }

    async fn launch(&mut self, name: &str, run: i32, spec: &ProcessSpec) -> Result<Running, StartError> {
        let log = self.node.logs.create(&self.key, name, run).await?;
        let (read_stdout, stdout) = std::io::pipe()?;
        let (read_stderr, stderr) = std::io::pipe()?;
        self.tasks.spawn(log.copy(read_stdout.into(), read_stderr.into()));
        let output = Output { stdout: stdout.into(), stderr: stderr.into() };
        let process = RunningProcess::start(spec, output).await?;
        let number = process.process;
        // Before its exit is watched: without a hold on it, the program is not left running unknown.
        let handle = ProcessHandle::open(number).map_err(std::io::Error::from)?;
        self.tasks.spawn(watch_exit(process, name.to_owned(), run, self.reports.0.clone()));
        Ok(Running {
            process: handle,
            path: PathBuf::from(format!("/proc/{number}")),
            run,
            identity: spec.identity.clone(),
            environment: spec.environment.clone(),
            kill_at: None,
            probes: Vec::new(),
        })
    }
}

/// A number of seconds as Go prints a duration below an hour.
fn go_seconds(seconds: i64) -> String {
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}
